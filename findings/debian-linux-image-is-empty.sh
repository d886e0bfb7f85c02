#!/bin/sh
# Debian's linux-image-7.3.4+deb13-amd64, unpacked without its dependencies, as tools do that boot a kernel in QEMU.
# Guess:  it holds the kernel under /boot and its modules, as linux-image-6.12 does.
# Found:  it holds links to documentation and nothing else. The kernel is in linux-binary-, below /usr/lib/modules, under another
#         name; the modules are in linux-modules-.
. "$(dirname "$0")/common/setup.sh"
debian_packages "trixie-backports bookworm-security" \
	linux-image-6.12.117+deb12-amd64=6.12.117-1~deb12u1 \
	linux-image-7.3.4+deb13-amd64=7.3.4-1~bpo13+1 \
	linux-binary-7.3.4+deb13-amd64=7.3.4-1~bpo13+1

for deb in linux-image-6.12*.deb linux-image-7.3.4*.deb linux-binary-7.3.4*.deb; do
	rm -rf root && mkdir root && dpkg-deb -x "$deb" root
	if [ -n "$(find root -name '*.ko*' | head -n 1)" ]; then with=with; else with=without; fi
	echo "${deb%%_*}: $with modules"
	(cd root && find . -name '*vmlinuz*')
done > seen

verdict "linux 7.3.4-1~bpo13+1 and 6.12.117-1~deb12u1" \
	"linux-image-7.3.4 has no kernel in it" <<'END'
linux-image-6.12.117+deb12-amd64: with modules
./boot/vmlinuz-6.12.117+deb12-amd64
linux-image-7.3.4+deb13-amd64: without modules
linux-binary-7.3.4+deb13-amd64: without modules
./usr/lib/modules/7.3.4+deb13-amd64/vmlinuz
END
