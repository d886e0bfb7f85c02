#!/bin/sh
# Module.symvers of Debian's headers for 7.3.4, by which a module that was built elsewhere is told from one that fits.
# Guess:  each symbol has the checksum of its type, as in the headers for 6.12.
# Found:  all 31,000 checksums are 0: CONFIG_MODVERSIONS is off. The name of the release is all that keeps out a kvm.ko whose structures
#         are laid out otherwise. And what kvm exports is for kvm-amd and kvm-intel by name.
. "$(dirname "$0")/common/setup.sh"
debian_packages "trixie-backports bookworm-security" \
	linux-headers-6.12.117+deb12-amd64=6.12.117-1~deb12u1 \
	linux-headers-7.3.4+deb13-amd64=7.3.4-1~bpo13+1

for release in 6.12.117+deb12-amd64 7.3.4+deb13-amd64; do
	folder=root/usr/src/linux-headers-$release
	echo "$release: $(grep '^CONFIG_MODVERSIONS' "$folder/.config" || echo no CONFIG_MODVERSIONS)"
	echo "$(grep -c -v '^0x00000000' "$folder/Module.symvers" || true) symbols with a checksum" | sed 's/^[1-9][0-9]* /many /'
	awk -F '\t' '$2 == "halt_poll_ns" { print $2 " of kvm is for " ($5 == "" ? "everybody" : $5) }' "$folder/Module.symvers"
done > seen

verdict "linux-headers 7.3.4-1~bpo13+1 and 6.12.117-1~deb12u1" \
	"symbols of the newer kernel have no versions" <<'END'
6.12.117+deb12-amd64: CONFIG_MODVERSIONS=y
many symbols with a checksum
halt_poll_ns of kvm is for everybody
7.3.4+deb13-amd64: no CONFIG_MODVERSIONS
0 symbols with a checksum
halt_poll_ns of kvm is for module:kvm-amd,kvm-intel
END
