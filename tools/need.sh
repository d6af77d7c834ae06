#!/bin/sh
# need.sh CC PKG_CONFIG MODULE...   names the Debian packages that are missing,
# or nothing.
cc=$1
tool=$2
shift 2
command -v "${cc%% *}" >/dev/null 2>&1 || echo gcc libc6-dev
command -v "$tool" >/dev/null 2>&1 || { echo pkg-config; exit 0; }
for module; do
	case $module in
	python3) command -v python3 >/dev/null 2>&1 || echo python3; continue ;;
	pytest)
		/usr/bin/python3 -c 'import pytest' 2>/dev/null ||
		    echo python3-pytest
		continue
		;;
	esac
	"$tool" --exists "$module" && continue
	case $module in
	libcrypto | libssl) echo libssl-dev ;;
	libsodium) echo libsodium-dev ;;
	libevent*) echo libevent-dev ;;
	libcares) echo libc-ares-dev ;;
	yaml-0.1) echo libyaml-dev ;;
	libpsl) echo libpsl-dev ;;
	sqlite3) echo libsqlite3-dev ;;
	hiredis) echo libhiredis-dev ;;
	cmocka) echo libcmocka-dev ;;
	*) echo "$module" ;;
	esac
done | sort -u
