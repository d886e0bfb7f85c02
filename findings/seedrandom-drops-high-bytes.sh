#!/bin/sh
# Seeds that differ in letters beyond Latin-1.
# Guess:  two seeds that differ in a letter give different numbers.
# Found:  of each UTF-16 unit the low byte alone counts: "Łukasz" seeds as "Aukasz" does, and a seed of such letters may count as the
#         empty one.
. "$(dirname "$0")/common/setup.sh"
npm_package seedrandom@3.0.5

cat > try.js <<'END'
const seedrandom = require('seedrandom');
const first = (seed) => seedrandom(seed).int32();
for (const [one, other] of [['A', 'B'], ['\u0141ukasz', 'Aukasz'], ['\u4e00', '']]) {
	console.log(`${JSON.stringify(one)} and ${JSON.stringify(other)}: ${first(one) === first(other) ? 'the same' : 'different'}`);
}
END
node try.js > seen

verdict "seedrandom 3.0.5" \
	"letters with the same low byte are one and the same in a seed" <<'END'
"A" and "B": different
"Łukasz" and "Aukasz": the same
"一" and "": the same
END
