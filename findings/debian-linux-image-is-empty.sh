#!/bin/sh
# Debian's linux-image-7.3.4+deb13-amd64, unpacked without its dependencies, as tools do that boot a kernel in QEMU.
# Guess:  it holds the kernel under /boot and its modules, as linux-image-6.12 does.
# Found:  it holds links to documentation and nothing else. The kernel is in linux-binary-, below /usr/lib/modules, under another
#         name; the modules are in linux-modules-.
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
for package in linux-image-6.12.117+deb12-amd64=6.12.117-1~deb12u1 linux-image-7.3.4+deb13-amd64=7.3.4-1~bpo13+1 linux-binary-7.3.4+deb13-amd64=7.3.4-1~bpo13+1; do
	APT_CONFIG=$dir/apt.conf apt-get -qq download "$package" || cannot "$package is not on the mirror any more"
done
for deb in *.deb; do dpkg-deb -x "$deb" root; done

for deb in linux-image-6.12*.deb linux-image-7.3.4*.deb linux-binary-7.3.4*.deb; do
	rm -rf root && mkdir root && dpkg-deb -x "$deb" root
	if [ -n "$(find root -name '*.ko*' | head -n 1)" ]; then with=with; else with=without; fi
	echo "${deb%%_*}: $with modules"
	(cd root && find . -name '*vmlinuz*')
done > seen

echo "version   linux 7.3.4-1~bpo13+1 and 6.12.117-1~deb12u1"
echo "behaviour linux-image-7.3.4 has no kernel in it"
echo "output"
sed 's/^/  /' seen
cat > expected <<'END'
linux-image-6.12.117+deb12-amd64: with modules
./boot/vmlinuz-6.12.117+deb12-amd64
linux-image-7.3.4+deb13-amd64: without modules
linux-binary-7.3.4+deb13-amd64: without modules
./usr/lib/modules/7.3.4+deb13-amd64/vmlinuz
END
cmp -s seen expected || { echo "it is otherwise now; expected:"; sed 's/^/  /' expected; exit 1; }
