# Sourced first by every script of findings/: a temporary folder as the working folder, packages, and the verdict.
# Exit code of a script: 0 as found, 1 it is otherwise now, 2 it could not be run.
set -eu
common=$(cd "$(dirname "$0")/common" && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 2' INT TERM
cd "$dir"

cannot() { echo "cannot run: $*" >&2; exit 2; }

need() {
	for tool; do command -v "$tool" > /dev/null || cannot "$tool is missing"; done
}

# debian_packages "SUITE..." PACKAGE=VERSION...: unpacks them into root/ and leaves the archives in the working folder. They come
# from the system's own mirror, through lists of our own: nothing of the system is changed.
debian_packages() {
	mirror=$(apt-get indextargets --format '$(REPO_URI)' | sed -n 's,/debian/*$,/debian,p' | head -n 1)
	[ -n "$mirror" ] || cannot "apt knows no mirror of Debian"
	mkdir -p lists/partial archives/partial root
	for suite in $1; do
		case $suite in *-security) from=$mirror-security ;; *) from=$mirror ;; esac
		echo "deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $from $suite main"
	done > sources
	shift
	cat > apt.conf <<-END
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
	for package; do
		APT_CONFIG=$dir/apt.conf apt-get -qq download "$package" || cannot "$package is not on the mirror any more"
	done
	for deb in *.deb; do dpkg-deb -x "$deb" root; done
}

# npm_package NAME@VERSION
npm_package() {
	need npm
	npm_config_cache=$dir/cache npm install --silent --no-audit --no-fund --no-package-lock "$1" > log 2>&1 ||
		cannot "npm cannot install it: $(tail -n 1 log)"
}

# verdict VERSION BEHAVIOUR < EXPECTED: says what the file seen holds, and ends the script.
verdict() {
	cat > expected
	echo "version   $1"
	echo "behaviour $2"
	echo "output"
	sed 's/^/  /' seen
	cmp -s seen expected && exit 0
	echo "it is otherwise now; expected:"
	sed 's/^/  /' expected
	exit 1
}
