#!/bin/sh
# An initramfs in which a file has no entry for the folder that it is in, as in a list that was written by hand.
# Guess:  the kernel makes the folder, as `cpio -d` does, or it says in its log that the file could not be made.
# Found:  the file is left out without a word, and what comes behind it in the archive is there. `cpio -i` fails on the same archive.
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
echo "deb $by $mirror-security bookworm-security main" > sources
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
for package in linux-image-6.12.117+deb12-amd64=6.12.117-1~deb12u1; do
	APT_CONFIG=$dir/apt.conf apt-get -qq download "$package" || cannot "$package is not on the mirror any more"
done
for deb in *.deb; do dpkg-deb -x "$deb" root; done

# An emulated computer: the installed QEMU, or one that is unpacked here with what it needs.
for tool in gcc cpio xz; do command -v $tool > need || cannot "$tool is missing"; done
if ! command -v qemu-system-x86_64 > need; then
	mkdir qemu && cd qemu
	list=$(apt-get -s install --no-install-recommends qemu-system-x86 | awk '$1 == "Inst" { print $2 }')
	apt-get -qq download $list || cannot "QEMU cannot be had"
	for deb in *.deb; do dpkg-deb -x "$deb" .; done
	cd ..
	export PATH="$dir/qemu/usr/bin:$PATH" LD_LIBRARY_PATH="$dir/qemu/usr/lib/x86_64-linux-gnu:$dir/qemu/lib/x86_64-linux-gnu"
	data="-L $dir/qemu/usr/share/qemu -L $dir/qemu/usr/share/seabios"
fi

cat > init.c <<'END'
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <unistd.h>

static void look_for(const char *path)
{
	struct stat status;
	printf("seen: %s: %s\n", path, stat(path, &status) ? strerror(errno) : "there");
}

int main(void)
{
	char line[8192];
	int count = 0, told = 0;
	mount("dev", "/dev", "devtmpfs", 0, 0);
	dup2(open("/dev/console", O_RDWR), 1);
	setvbuf(stdout, 0, _IONBF, 0);
	printf("\n");
	look_for("/folder/file");
	look_for("/zlast");
	int log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	for (int length; (length = read(log, line, sizeof line - 1)) > 0; count++) {
		line[length] = 0;
		told += strstr(line, "folder") || strstr(line, "nitramfs unpacking failed");
	}
	printf("seen: of %s lines of the kernel's log %d tell of it\n", count > 100 ? "more than 100" : "few", told);
	reboot(RB_POWER_OFF);
}
END
gcc -O1 -static -o init init.c || cannot "init.c does not compile"
mkdir -p ram/dev ram/folder && cp init ram/init && echo text | tee ram/folder/file > ram/zlast
(cd ram && printf '%s\n' . init dev folder/file zlast | cpio -o -H newc --quiet) > ram.cpio
timeout 300 qemu-system-x86_64 ${data:-} -accel tcg -cpu max -m 512 -nodefaults -display none -no-reboot -serial stdio \
	-kernel root/boot/vmlinuz-* -initrd ram.cpio -append 'console=ttyS0 quiet panic=-1' < /dev/null > console || true
{
	tr -d '\r' < console | sed -n 's/^seen: //p'
	mkdir out && cd out
	cpio -i --quiet < ../ram.cpio > ../log 2>&1 || echo "cpio -i: exit code $?"
} > seen
cd "$dir"

echo "version   Debian linux-image-6.12.117+deb12-amd64=6.12.117-1~deb12u1, $(cpio --version | head -n 1)"
echo "behaviour a file whose folder is not in the archive is left out in silence"
echo "output"
sed 's/^/  /' seen
cat > expected <<'END'
/folder/file: No such file or directory
/zlast: there
of more than 100 lines of the kernel's log 0 tell of it
cpio -i: exit code 2
END
cmp -s seen expected || { echo "it is otherwise now; expected:"; sed 's/^/  /' expected; exit 1; }
