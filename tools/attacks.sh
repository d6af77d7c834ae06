#!/bin/sh
# attacks.sh [-q]   lists the rows of tests/attacks.txt and the tests that name
# them, and fails for a row of a closed issue without a test. -q: only those.
set -u
cd "$(dirname "$0")/.." || exit 1
quiet=${1:-}
bad=0
closed=" $(sed -n 's/^closed //p' tests/attacks.txt) "
files=$(find tests -type f \( -name '*.c' -o -name '*.py' -o -name '*.sh' \
    -o -name '*.hop' \) | sort)
# One line "ID FILE" for each id that a test names.
named=$(printf '%s\n' "$files" | xargs grep -oP \
    '(?<![A-Za-z0-9+/=])[A-Z][0-9]{1,2}(?![A-Za-z0-9+/=])' /dev/null |
    sed -E 's|^([^:]*):([A-Z][0-9]+)$|\2 \1|' | sort -u)

while read -r id issue text; do
	case $id in '' | '#'* | closed) continue ;; esac
	tests=$(printf '%s\n' "$named" | sed -n "s/^$id //p" | tr '\n' ' ')
	state=
	if [ -z "$tests" ]; then
		case $closed in
		*" $issue "*) state='MISSING: no test names it'; bad=1 ;;
		*) state="open, issue $issue" ;;
		esac
	fi
	[ -n "$quiet" ] && [ "${state#MISSING}" = "$state" ] && continue
	printf '%-4s %s\n     %s\n' "$id" "$text" "${state:-$tests}"
done <tests/attacks.txt
[ "$bad" -eq 0 ] || echo 'attacks: a row of a closed issue has no test'
exit "$bad"
