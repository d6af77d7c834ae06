#!/bin/sh
# fuzz.sh   links each tests/fuzz/fuzz_NAME.o under B with clang's libFuzzer
# (LINK and LIBS come from make) and runs it for FUZZ_SECONDS with FUZZ_SEED,
# from its corpus and with its dictionary. What it finds new stays in B/corpus,
# what breaks it in B/crashes. T=NAME: one target. The corpus of the project
# must reach all functions that tests/fuzz/inventory.txt has for the target.
set -u
cd "$(dirname "$0")/.." || exit 1
B=${B:-build-fuzz} T=${T:-}
mkdir -p "$B/crashes"
bad=0 ran=0

# Prints what of the target's line its corpus does not reach.
unreached() { # name
	"$B/fuzz_$1" -runs=0 -print_coverage=1 "tests/fuzz/corpus/$1" 2>&1 |
	    sed -n 's/^COVERED_FUNC: .* edges: [0-9/]* \([a-z0-9_]*\) .*/\1/p' \
	    >"$B/$1.reached"
	for function in $(sed -n "s/^$1 [0-9]* //p" tests/fuzz/inventory.txt); do
		grep -qx "$function" "$B/$1.reached" || echo "$function"
	done
}

for source in tests/fuzz/fuzz_*"$T"*.c; do
	[ -f "$source" ] || continue
	name=$(basename "$source" .c)
	name=${name#fuzz_}
	ran=$((ran + 1))
	mkdir -p "$B/corpus/$name"
	clang $LINK -o "$B/fuzz_$name" "$B/${source%.c}.o" $LIBS || exit 1
	if "$B/fuzz_$name" -seed="${FUZZ_SEED:-1}" -timeout=10 \
	    -rss_limit_mb=2048 -max_total_time="${FUZZ_SECONDS:-60}" \
	    -dict="tests/fuzz/dict/$name" \
	    -print_final_stats=1 -artifact_prefix="$B/crashes/$name-" \
	    "$B/corpus/$name" "tests/fuzz/corpus/$name" \
	    >"$B/$name.log" 2>&1; then
		n=$(sed -n 's/^stat::number_of_executed_units: *//p' \
		    "$B/$name.log")
		echo "fuzz $name: ${n:-?} inputs, no fault"
		lost=$(unreached "$name")
		[ -z "$lost" ] || {
			echo "fuzz $name: its corpus does not reach" $lost
			bad=$((bad + 1))
		}
	else
		tail -n 40 "$B/$name.log"
		echo "fuzz $name: FAILED"
		bad=$((bad + 1))
	fi
done
echo "fuzz: $((ran - bad)) passed, $bad failed"
[ "$ran" -gt 0 ] && [ "$bad" -eq 0 ]
