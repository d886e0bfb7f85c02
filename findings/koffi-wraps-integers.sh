#!/bin/sh
# A number that does not fit into the C type of a parameter.
# Guess:  koffi throws, as it does for a value of a wrong kind.
# Found:  the number is cut to its low bits without a word: abs(2 ** 32 + 5) is 5, and 2 ** 32 is 0.
# Exit code: 0 as found, 1 it is otherwise now, 2 it could not be run.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 2' INT TERM
cd "$dir"
cannot() { echo "cannot run: $*" >&2; exit 2; }

command -v npm > need || cannot "npm is missing"
npm_config_cache=$dir/cache npm install --silent --no-audit --no-fund --no-package-lock koffi@3.3.4 > log 2>&1 || cannot "npm cannot install it: $(tail -n 1 log)"

cat > try.js <<'END'
const koffi = require('koffi');
const libc = koffi.load('libc.so.6');
const abs = libc.func('int abs(int)');
const htonl = libc.func('unsigned int htonl(unsigned int)');
const tell = (what, call) => {
	try {
		console.log(`${what}: ${call()}`);
	} catch (error) {
		console.log(`${what}: ${error.name}`);
	}
};
tell('abs of a text', () => abs('5'));
tell('abs(2 ** 32 + 5)', () => abs(2 ** 32 + 5));
tell('htonl(2 ** 32)', () => htonl(2 ** 32));
tell('abs(1.9)', () => abs(1.9));
END
node try.js > seen

echo "version   koffi 3.3.4, Node $(node --version)"
echo "behaviour integers that do not fit are cut, not refused"
echo "output"
sed 's/^/  /' seen
cat > expected <<'END'
abs of a text: TypeError
abs(2 ** 32 + 5): 5
htonl(2 ** 32): 0
abs(1.9): 1
END
cmp -s seen expected || { echo "it is otherwise now; expected:"; sed 's/^/  /' expected; exit 1; }
