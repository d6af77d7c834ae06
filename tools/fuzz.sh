#!/bin/sh
# fuzz.sh   links each tests/fuzz/fuzz_NAME.o under B with clang's libFuzzer
# (LINK and LIBS come from make) and runs it for FUZZ_SECONDS with FUZZ_SEED,
# from its corpus. What it finds new stays in B/corpus, what breaks it in
# B/crashes. T=NAME: one target.
set -u
cd "$(dirname "$0")/.." || exit 1
B=${B:-build-fuzz} T=${T:-}
mkdir -p "$B/crashes"
bad=0 ran=0
for source in tests/fuzz/fuzz_*"$T"*.c; do
	[ -f "$source" ] || continue
	name=$(basename "$source" .c)
	name=${name#fuzz_}
	ran=$((ran + 1))
	mkdir -p "$B/corpus/$name"
	clang $LINK -o "$B/fuzz_$name" "$B/${source%.c}.o" $LIBS || exit 1
	if "$B/fuzz_$name" -seed="${FUZZ_SEED:-1}" -timeout=10 \
	    -rss_limit_mb=2048 -max_total_time="${FUZZ_SECONDS:-60}" \
	    -print_final_stats=1 -artifact_prefix="$B/crashes/$name-" \
	    "$B/corpus/$name" "tests/fuzz/corpus/$name" \
	    >"$B/$name.log" 2>&1; then
		n=$(sed -n 's/^stat::number_of_executed_units: *//p' \
		    "$B/$name.log")
		echo "fuzz $name: ${n:-?} inputs, no fault"
	else
		tail -n 40 "$B/$name.log"
		echo "fuzz $name: FAILED"
		bad=$((bad + 1))
	fi
done
echo "fuzz: $((ran - bad)) passed, $bad failed"
[ "$ran" -gt 0 ] && [ "$bad" -eq 0 ]
