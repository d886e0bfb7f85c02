#!/bin/sh
# Seeds that differ in letters beyond Latin-1.
# Guess:  two seeds that differ in a letter give different numbers.
# Found:  of each UTF-16 unit the low byte alone counts: "Łukasz" seeds as "Aukasz" does, and a seed of such letters may count as the
#         empty one.
# Exit code: 0 as found, 1 it is otherwise now, 2 it could not be run.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 2' INT TERM
cd "$dir"
cannot() { echo "cannot run: $*" >&2; exit 2; }

command -v npm > need || cannot "npm is missing"
npm_config_cache=$dir/cache npm install --silent --no-audit --no-fund --no-package-lock seedrandom@3.0.5 > log 2>&1 || cannot "npm cannot install it: $(tail -n 1 log)"

cat > try.js <<'END'
const seedrandom = require('seedrandom');
const first = (seed) => seedrandom(seed).int32();
for (const [one, other] of [['A', 'B'], ['\u0141ukasz', 'Aukasz'], ['\u4e00', '']]) {
	console.log(`${JSON.stringify(one)} and ${JSON.stringify(other)}: ${first(one) === first(other) ? 'the same' : 'different'}`);
}
END
node try.js > seen

echo "version   seedrandom 3.0.5"
echo "behaviour letters with the same low byte are one and the same in a seed"
echo "output"
sed 's/^/  /' seen
cat > expected <<'END'
"A" and "B": different
"Łukasz" and "Aukasz": the same
"一" and "": the same
END
cmp -s seen expected || { echo "it is otherwise now; expected:"; sed 's/^/  /' expected; exit 1; }
