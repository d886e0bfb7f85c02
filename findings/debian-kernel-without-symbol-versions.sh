#!/bin/sh
# Module.symvers of Debian's headers for 7.3.4, by which a module that was built elsewhere is told from one that fits.
# Guess:  each symbol has the checksum of its type, as in the headers for 6.12.
# Found:  all 31,000 checksums are 0: CONFIG_MODVERSIONS is off. The name of the release is all that keeps out a kvm.ko whose structures
#         are laid out otherwise. And what kvm exports is for kvm-amd and kvm-intel by name.
# Exit code: 0 as found, 1 it is otherwise now, 2 it could not be run.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 2' INT TERM
cd "$dir"
cannot() { echo "cannot run: $*" >&2; exit 2; }

# Packages come from the system's own mirror, through lists of our own: nothing of the system is changed.
mirror=$(apt-get indextargets --format '$(REPO_URI)' | sed -n 's,/debian/*$,/debian,p' | head -n 1)
[ -n "$mirror" ] || cannot "apt knows no mirror of Debian"
mkdir -p lists/partial archives/partial root
by='[arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]'
{
	echo "deb $by $mirror trixie-backports main"
	echo "deb $by $mirror-security bookworm-security main"
} > sources
cat > apt.conf <<END
Dir::State "$dir";
Dir::State::Status "$dir/status";
Dir::Cache "$dir";
Dir::Etc::SourceList "$dir/sources";
Dir::Etc::SourceParts "/dev/null";
Acquire::Languages "none";
APT::Sandbox::User "root";
END
touch status
APT_CONFIG=$dir/apt.conf apt-get -qq update || cannot "apt-get update failed"
for package in linux-headers-6.12.117+deb12-amd64=6.12.117-1~deb12u1 linux-headers-7.3.4+deb13-amd64=7.3.4-1~bpo13+1; do
	APT_CONFIG=$dir/apt.conf apt-get -qq download "$package" || cannot "$package is not on the mirror any more"
done
for deb in *.deb; do dpkg-deb -x "$deb" root; done

for release in 6.12.117+deb12-amd64 7.3.4+deb13-amd64; do
	folder=root/usr/src/linux-headers-$release
	echo "$release: $(grep '^CONFIG_MODVERSIONS' "$folder/.config" || echo no CONFIG_MODVERSIONS)"
	echo "$(grep -c -v '^0x00000000' "$folder/Module.symvers" || true) symbols with a checksum" | sed 's/^[1-9][0-9]* /many /'
	awk -F '\t' '$2 == "halt_poll_ns" { print $2 " of kvm is for " ($5 == "" ? "everybody" : $5) }' "$folder/Module.symvers"
done > seen

echo "version   linux-headers 7.3.4-1~bpo13+1 and 6.12.117-1~deb12u1"
echo "behaviour symbols of the newer kernel have no versions"
echo "output"
sed 's/^/  /' seen
cat > expected <<'END'
6.12.117+deb12-amd64: CONFIG_MODVERSIONS=y
many symbols with a checksum
halt_poll_ns of kvm is for everybody
7.3.4+deb13-amd64: no CONFIG_MODVERSIONS
0 symbols with a checksum
halt_poll_ns of kvm is for module:kvm-amd,kvm-intel
END
cmp -s seen expected || { echo "it is otherwise now; expected:"; sed 's/^/  /' expected; exit 1; }
