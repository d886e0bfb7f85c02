#!/bin/sh
# An initramfs in which a file has no entry for the folder that it is in, as in a list that was written by hand.
# Guess:  the kernel makes the folder, as `cpio -d` does, or it says in its log that the file could not be made.
# Found:  the file is left out without a word, and what comes behind it in the archive is there. `cpio -i` fails on the same archive.
. "$(dirname "$0")/common/setup.sh"
. "$common/boot.sh"
debian_packages "bookworm-security" linux-image-6.12.117+deb12-amd64=6.12.117-1~deb12u1

make_init <<'END'
#include "init.h"
#include <sys/stat.h>

static void look_for(const char *path)
{
	struct stat status;
	printf("seen: %s: %s\n", path, stat(path, &status) ? strerror(errno) : "there");
}

int main(void)
{
	char line[8192];
	int count = 0, told = 0;
	open_console();
	look_for("/folder/file");
	look_for("/zlast");
	int log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	for (int length; (length = read(log, line, sizeof line - 1)) > 0; count++) {
		line[length] = 0;
		told += strstr(line, "folder") || strstr(line, "nitramfs unpacking failed");
	}
	printf("seen: of %s lines of the kernel's log %d tell of it\n", count > 100 ? "more than 100" : "few", told);
	power_off();
}
END

mkdir -p ram/dev ram/folder && cp init ram/init && echo text | tee ram/folder/file > ram/zlast
(cd ram && printf '%s\n' . init dev folder/file zlast | cpio -o -H newc --quiet) > ram.cpio
{
	boot 6.12.117+deb12-amd64 ram.cpio
	mkdir out && cd out
	cpio -i --quiet < ../ram.cpio > ../log 2>&1 || echo "cpio -i: exit code $?"
} > seen
cd "$dir"

verdict "Debian linux-image-6.12.117+deb12-amd64=6.12.117-1~deb12u1, $(cpio --version | head -n 1)" \
	"a file whose folder is not in the archive is left out in silence" <<'END'
/folder/file: No such file or directory
/zlast: there
of more than 100 lines of the kernel's log 0 tell of it
cpio -i: exit code 2
END
