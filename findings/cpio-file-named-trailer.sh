#!/bin/sh
# A file whose name is that of the end mark of a cpio archive, between two others.
# Guess:  cpio refuses to put it into an archive, or warns.
# Found:  it is put in without a word; whoever reads the archive stops there, also without a word, and the files behind it are lost.
. "$(dirname "$0")/common/setup.sh"
debian_packages "bookworm" cpio=2.13+dfsg-7.1

mkdir files && cd files && touch first 'TRAILER!!!' last && cd ..
cpio=$dir/root/bin/cpio
{
	(cd files && printf 'first\nTRAILER!!!\nlast\n' | "$cpio" --quiet -o -H newc > ../archive)
	echo "put in, exit code $?"
	echo "the name 'last' is in it $(grep -a -c last archive) time"
	"$cpio" --quiet -t < archive
	echo "listed, exit code $?"
} > seen 2>&1

verdict "cpio 2.13+dfsg-7.1" \
	"what follows a file named TRAILER!!! is lost, and both exit codes are 0" <<'END'
put in, exit code 0
the name 'last' is in it 1 time
first
listed, exit code 0
END
