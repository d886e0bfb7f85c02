#!/bin/sh
# A number that does not fit into the C type of a parameter.
# Guess:  koffi throws, as it does for a value of a wrong kind.
# Found:  the number is cut to its low bits without a word: abs(2 ** 32 + 5) is 5, and 2 ** 32 is 0.
. "$(dirname "$0")/common/setup.sh"
npm_package koffi@3.3.4

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

verdict "koffi 3.3.4, Node $(node --version)" \
	"integers that do not fit are cut, not refused" <<'END'
abs of a text: TypeError
abs(2 ** 32 + 5): 5
htonl(2 ** 32): 0
abs(1.9): 1
END
