#!/bin/sh
# A file whose name is that of the end mark of a cpio archive, between two others.
# Guess:  cpio refuses to put it into an archive, or warns.
# Found:  it is put in without a word; whoever reads the archive stops there, also without a word, and the files behind it are lost.
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
echo "deb $by $mirror bookworm main" > sources
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
for package in cpio=2.13+dfsg-7.1; do
	APT_CONFIG=$dir/apt.conf apt-get -qq download "$package" || cannot "$package is not on the mirror any more"
done
for deb in *.deb; do dpkg-deb -x "$deb" root; done

mkdir files && cd files && touch first 'TRAILER!!!' last && cd ..
cpio=$dir/root/bin/cpio
{
	(cd files && printf 'first\nTRAILER!!!\nlast\n' | "$cpio" --quiet -o -H newc > ../archive)
	echo "put in, exit code $?"
	echo "the name 'last' is in it $(grep -a -c last archive) time"
	"$cpio" --quiet -t < archive
	echo "listed, exit code $?"
} > seen 2>&1

echo "version   cpio 2.13+dfsg-7.1"
echo "behaviour what follows a file named TRAILER!!! is lost, and both exit codes are 0"
echo "output"
sed 's/^/  /' seen
cat > expected <<'END'
put in, exit code 0
the name 'last' is in it 1 time
first
listed, exit code 0
END
cmp -s seen expected || { echo "it is otherwise now; expected:"; sed 's/^/  /' expected; exit 1; }
