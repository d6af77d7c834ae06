#!/bin/sh
# layers.sh   checks the structure of the house: who includes whom, what the
# cores may know of the machine, no writable globals in their objects, sizes.
# B=DIR names the build directory with the libraries.
set -u
cd "$(dirname "$0")/.." || exit 1
B=${B:-build}
bad=0

fail() { # text, what is wrong
	printf '%s\n  ^ %s\n' "$1" "$2"
	bad=1
}

ban() { # files or folders, pattern of headers, why
	[ -n "$1" ] || return 0
	hits=$(grep -rnE "^[[:space:]]*#[[:space:]]*include[[:space:]]*[<\"]($2)" \
	    $1 --include='*.[ch]' 2>/dev/null) || return 0
	fail "$hits" "$3"
}

there() { # the folders of a list that exist
	for folder; do
		[ ! -d "$folder" ] || echo "$folder"
	done
}

cores=$(there base dkim2 smtp dsn config queue)

# Our own folders.
ban "$(there base)" '(dkim2|smtp|dsn|config|daemon|cli)/' \
    'base includes only base'
ban "$(there dkim2)" '(smtp|dsn|config|daemon|cli)/' 'dkim2 knows only base'
ban "$(there smtp)" '(dkim2|dsn|config|daemon|cli)/' 'smtp knows only base'
ban "$(there dsn)" '(smtp|config|daemon|cli)/' 'dsn knows only dkim2 and base'
ban "$(there config)" '(dkim2|smtp|dsn|queue|daemon|cli)/' 'config knows only base'
ban "$(there queue)" '(dkim2|smtp|dsn|config|daemon|cli)/' 'queue knows only base'
ban "$(there cli)" '(smtp|daemon)/' 'cli knows only dkim2, dsn, config, queue, base'
ban "$(there daemon)" 'cli/' 'daemon does not know cli'
ban "$cores $(there daemon cli)" 'tests/' 'no code includes a test'

# The machine. The cores have no I/O and no clock; config opens its files in
# file.c and reads addresses with inet_pton.
io='event2/|event\.h|ares|sys/|netinet/|net/|arpa/|netdb|poll\.h|unistd\.h'
io="$io|fcntl\.h|dirent\.h|signal\.h|pthread\.h|time\.h|syslog\.h|pwd\.h"
io="$io|grp\.h|openssl/(ssl|bio)|systemd/"
strict=
for file in $(find $cores -name '*.[ch]' 2>/dev/null); do
	case $file in
	config/file.c) ;;
	config/*)
		hits=$(grep -nE "^#include <($io)" "$file" |
		    grep -v '<arpa/inet.h>') &&
		    fail "$file: $hits" 'config has its I/O in file.c'
		;;
	*) strict="$strict $file" ;;
	esac
done
[ -z "$strict" ] || ban "$strict" "$io" 'no I/O and no clock in a core'
[ -z "$strict" ] || hits=$(grep -nE \
    '\b(fopen|fread|fwrite|printf|fprintf|puts|perror|getenv|exit|malloc|calloc|realloc|strdup|rand|random) *\(' \
    $strict | grep -vE ':[0-9]+:[[:space:]]*(/?\*|//)' | grep -v '^base/arena\.c:') &&
    fail "$hits" 'a core prints, exits or takes memory outside the arena'
ban "$(there cli)" 'event2/' 'cli has no event loop'
hits=$(grep -rlE '#include <event2/' $(there daemon) 2>/dev/null |
    grep -vE '^daemon/(loop|http)\.c$') &&
    fail "$hits" 'libevent is loop.c and http.c alone'
hits=$(grep -rlE '#include <ares' $(there daemon) 2>/dev/null |
    grep -v '^daemon/resolve[a-z_]*\.c$') &&
    fail "$hits" 'c-ares is resolve.c alone'

# No writable globals: nm shows them as B, C, D, G or S, small letters local.
for folder in $cores; do
	lib=$B/lib$folder.a
	[ -n "$(find "$folder" -name '*.c')" ] || continue
	if [ ! -f "$lib" ]; then
		fail "$lib" 'is not built'
		continue
	fi
	# Relocated constants (.data.rel.ro) are shown as d, and are read-only.
	hits=$(objdump -t "$lib" 2>/dev/null | awk '
	    /^[^ ]+\.o:/ { object = $1 }
	    / O (\.data|\.bss|\.tdata|\.tbss|\*COM\*)/ &&
	    !/ \.data\.rel\.ro/ { print object, $NF, "in", $(NF - 2) }')
	[ -z "$hits" ] || fail "$hits" "$lib has a writable global"
done

# Sizes.
for file in $(find . -name 'build*' -prune -o -name .git -prune -o -type f \
    \( -name '*.[ch]' -o -name '*.py' -o -name '*.sh' -o -name '*.mk' \) -print); do
	n=$(wc -l <"$file")
	[ "$n" -le 800 ] || fail "$file: $n lines" 'a file has at most 800'
done

[ "$bad" -eq 0 ] && echo 'layers: the house stands as it is drawn'
exit "$bad"
