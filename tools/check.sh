#!/bin/sh
# check.sh GROUP... [-- GROUP...]   runs groups of tests: a line for each
# program, the whole output of what fails, and at the end `N passed, N failed[, N
# skipped]`. What stands behind `--` runs beside: the one computes while the
# other waits.
#   B     build directory      T    only tests with this in their name
#   SAN   set: B is a sanitizer build      CI   what can not run is a failure
set -u
cd "$(dirname "$0")/.." || exit 1
B=${B:-build} T=${T:-} SAN=${SAN:-}
export B SAN
passed=0 failed=0 skipped=0
out=$B/check
mkdir -p "$out"

# One line for a reader: what ran, then its counts.
count() { # name, passed, failed, skipped
	passed=$((passed + $2)) failed=$((failed + $3)) skipped=$((skipped + $4))
	line="$2 passed, $3 failed"
	[ "$4" -eq 0 ] || line="$line, $4 skipped"
	printf '%-36s %s\n' "$1:" "$line"
}

lines() { # pattern, file
	grep -cE "$1" "$2"
}

number() { # of what, a line that counts
	n=$(echo "$2" | grep -oE "[0-9]+ $1" | cut -d' ' -f1)
	echo "${n:-0}"
}

# A command that is one test.
single() { # name, command...
	name=$1
	shift
	if "$@" >"$out/$name.log" 2>&1; then
		count "$name" 1 0 0
	else
		cat "$out/$name.log"
		count "$name" 0 1 0
	fi
}

# A cmocka program: its own lines say what happened to each test.
program() { # name, program
	log=$out/$(echo "$1" | tr / -).log	# others have its last name
	timeout 600 "$2" >"$log" 2>&1
	status=$?
	ran=$(lines '^\[ RUN      \]' "$log")
	good=$(lines '^\[       OK \]' "$log")
	# Its closing lines name what was skipped a second time.
	skip=$(grep -oE '^\[  SKIPPED \] [A-Za-z_][A-Za-z_0-9]*' "$log" |
	    sort -u | wc -l)
	bad=$((ran - good - skip))
	[ "$status" -eq 0 ] || [ "$bad" -gt 0 ] || bad=1
	[ "$ran" -gt 0 ] || bad=1
	if [ "$bad" -gt 0 ]; then
		cat "$log"
		[ "$status" -lt 124 ] || echo "$1: ended with status $status"
	fi
	count "$1" "$good" "$bad" "$skip"
	[ "$skip" -eq 0 ] || grep '^SKIP ' "$log" ||
	    echo "$1: it does not say why it skips"
}

programs() { # folder...
	for folder; do
		[ "$folder" != daemon ] || find_redis
		for source in tests/"$folder"/test_*"$only"*.c; do
			[ -f "$source" ] || continue
			program "$folder/$(basename "$source" .c)" \
			    "$B/${source%.c}"
		done
	done
}

replays() {
	for source in tests/fuzz/fuzz_*"$only"*.c; do
		[ -f "$source" ] || continue
		name=$(basename "$source" .c)
		single "$name" "$B/${source%.c}" tests/fuzz/corpus/"${name#fuzz_}"
	done
}

# pytest's own closing line has the counts.
python() { # name, pytest arguments...
	name=$1
	shift
	log=$out/pytest-$name.log
	[ -z "$T" ] || set -- "$@" -k "$T"	# the last -k counts
	find_peer
	limit=2400
	[ -z "${LONG:-}" ] || limit=14400
	PYTHONDONTWRITEBYTECODE=1 timeout "$limit" /usr/bin/python3 -m pytest \
	    -c tests/pytest.ini -rs "$@" >"$log" 2>&1
	status=$?
	[ "$status" -ne 5 ] || return 0		# nothing was chosen
	last=$(grep -E '(passed|failed|skipped|error).* in [0-9.]+s' "$log" | tail -n 1)
	bad=$(($(number failed "$last") + $(number error "$last")))
	[ "$status" -eq 0 ] || [ "$bad" -gt 0 ] || bad=1
	[ "$bad" -eq 0 ] || cat "$log"
	grep -E '^(SKIPPED|backscatter:) ' "$log"
	count "pytest $name" "$(number passed "$last")" "$bad" \
	    "$(number skipped "$last")"
}

pytests() { # name, folder...
	name=$1
	shift
	found=
	for folder; do
		for file in tests/"$folder"/test_*.py; do
			[ ! -f "$file" ] || found="$found $file"
		done
	done
	[ -z "$found" ] || python "$name" $found
}

# clang has other warnings than gcc; both must be silent.
clang() {
	if command -v clang >/dev/null; then
		single clang make --no-print-directory CC=clang B=build-clang all
	else
		echo 'clang NOT RUN: it is not installed'
		[ -z "${CI:-}" ] && count clang 0 0 1 || count clang 0 1 0
	fi
}

# Builds the live peer, or says why not.
find_peer() {
	[ -n "${PEER:-}" ] || PEER=$(tests/interop/peer.sh 2>"$out/peer.log") ||
	    { tail -n 5 "$out/peer.log"; PEER=; }
	export PEER
}

# A Redis server for programs that start one: unpacked, if none is installed.
find_redis() {
	[ -n "${REDIS_SERVER:-}" ] || REDIS_SERVER=$(/usr/bin/python3 \
	    tests/e2e/redisserver.py 2>"$out/redis.log") ||
	    { tail -n 1 "$out/redis.log"; REDIS_SERVER=; }
	export REDIS_SERVER
}

# The closing line of a lane, which told the rest itself.
add_lane() { # its output
	line=$(tail -n 1 "$1")
	case $line in
	*' passed, '*' failed'*) ;;
	*)
		echo "check.sh: a lane ended before its time"
		line='0 passed, 1 failed'
		;;
	esac
	passed=$((passed + $(number passed "$line")))
	failed=$((failed + $(number failed "$line")))
	skipped=$((skipped + $(number skipped "$line")))
}

# The tests take their ports and folders by LANE.
lanes() { # group... -- group...
	first=
	while [ "$1" != -- ]; do
		first="$first $1"
		shift
	done
	shift
	find_peer
	LANE=2 tools/check.sh "$@" >"$out/lane-2.txt" 2>&1 &
	LANE=1 tools/check.sh $first 2>&1 | tee "$out/lane-1.txt" | sed '$d'
	wait
	sed '$d' "$out/lane-2.txt"
	add_lane "$out/lane-1.txt"
	add_lane "$out/lane-2.txt"
}

only=$T
case " $* " in
*' -- '*)
	lanes "$@"
	set --
	;;
esac
for group; do
	case $group in
	structure)
		[ -z "$T" ] || continue
		single layers tools/layers.sh
		single attacks tools/attacks.sh -q
		clang
		;;
	core)
		programs base dkim2 dsn config cli vectors interop tools
		replays
		pytests core dkim2 dsn config cli vectors interop tools
		;;
	smtp)
		programs smtp daemon scenario
		pytests smtp smtp daemon e2e
		;;
	queue)
		programs queue delivery
		pytests queue e2e/queue
		;;
	lists) pytests lists lists ;;
	dsn) pytests dsn bounces ;;
	ops) pytests ops ops; pytests newcomer newcomer ;;
	soak) programs soak; pytests soak soak ;;
	cores)
		programs base dkim2 dsn config queue smtp
		replays
		;;
	unit) programs base dkim2 dsn config queue cli smtp daemon scenario delivery vectors interop ;;
	san)
		programs base dkim2 dsn config queue cli vectors smtp daemon scenario delivery interop
		replays
		;;
	san-py)
		pytests core dkim2 dsn config cli vectors interop
		pytests smtp smtp daemon
		python soak tests/soak/test_soak.py -k "${T:-accounted}"
		if [ -n "${LONG:-}" ]; then
			# All but the two long ones of the real mail path.
			python e2e tests/e2e tests/bounces \
			    -k "${T:-not originated and not forwarded}"
		else	# once over each way that mail takes
			python e2e tests/e2e/test_framing.py \
			    tests/e2e/test_forward.py tests/e2e/test_lists.py \
			    tests/e2e/test_recipients.py \
			    tests/e2e/test_process.py \
			    tests/e2e/queue/test_queue.py \
			    tests/e2e/queue/test_queue_reports.py \
			    tests/bounces/test_chain.py \
			    tests/bounces/test_forged.py
		fi
		;;
	*) echo "check.sh: what is $group?" >&2; exit 64 ;;
	esac
done

if [ $((passed + failed + skipped)) -eq 0 ] && [ -z "${LANE:-}" ]; then
	echo "check.sh: no test has ${T:-a name} in its name" >&2
	exit 1
fi
line="$passed passed, $failed failed"
[ "$skipped" -eq 0 ] || line="$line, $skipped skipped"
echo "$line"
[ "$failed" -eq 0 ]
