#!/bin/sh
# check32.sh   the pure cores and their tests, built for 32 bits (row P6). What
# overflows a size_t or an int there ends the test: UBSan stops at the first
# fault. Libraries for i386 are unpacked under build/packages, not installed.
# Exit 77 where it can not be done, with the reason.  T=NAME: one test
set -eu
cd "$(dirname "$0")/.."
store=$PWD/build/packages/i386
root=$store/root
packages="libssl-dev libssl3 libsodium-dev libsodium23 libyaml-dev
libyaml-0-2 libpsl-dev libpsl5 libidn2-0 libunistring2 libcmocka-dev
libcmocka0 libhiredis-dev libhiredis0.14"

not_run() {
	echo "32 bits NOT RUN: $*"
	exit 77
}

# With lists of its own, so that nobody's apt has to know i386.
unpack() {
	mkdir -p "$store/lists/partial" "$store/cache/archives/partial"
	set -- -qq -o "Dir::State::Lists=$store/lists" \
	    -o "Dir::Cache=$store/cache" -o APT::Sandbox::User= \
	    -o APT::Architectures::=i386
	apt-get "$@" update || :
	(cd "$store" && apt-get "$@" download \
	    $(printf '%s:i386 ' $packages)) || return
	rm -rf "$root.new"
	for file in "$store"/*.deb; do
		dpkg -x "$file" "$root.new" || return
	done
	rm -rf "$root"
	mv "$root.new" "$root"
	rm -rf "$store/lists" "$store/cache" "$store"/*.deb
}

mkdir -p build/packages
echo 'int main(void) { return 0; }' >build/packages/32.c
gcc -m32 -fsanitize=undefined -o build/packages/32 build/packages/32.c \
    2>/dev/null && build/packages/32 ||
    not_run 'gcc -m32 does not work; it comes with gcc-multilib'
command -v apt-get >/dev/null || not_run 'apt-get is missing'
[ -d "$root/usr/include/hiredis" ] || unpack || not_run "the packages can not be downloaded"

lib=$root/usr/lib/i386-linux-gnu
PKG_CONFIG_LIBDIR=$lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$root
export PKG_CONFIG_LIBDIR PKG_CONFIG_SYSROOT_DIR
san='-m32 -fsanitize=undefined -fno-sanitize-recover=all'
rpath="-Wl,--as-needed,--disable-new-dtags,-rpath,$lib"
exec make --no-print-directory CC=gcc B=build-32 T="${T:-}" OPT='-O1 -g' \
    LIBS_FOR='libcrypto libsodium yaml-0.1 libpsl' \
    SANFLAGS="$san -isystem $root/usr/include/i386-linux-gnu" \
    LDFLAGS="-pie $san -L$lib $rpath" \
    check-32-run
