#!/bin/sh
# need.sh PKG_CONFIG MODULE...   names the Debian packages whose modules are
# missing, or nothing.
tool=$1
shift
command -v "$tool" >/dev/null 2>&1 || { echo pkg-config; exit 0; }
for module; do
	"$tool" --exists "$module" && continue
	case $module in
	libcrypto | libssl) echo libssl-dev ;;
	libsodium) echo libsodium-dev ;;
	libevent*) echo libevent-dev ;;
	libcares) echo libc-ares-dev ;;
	yaml-0.1) echo libyaml-dev ;;
	*) echo "$module" ;;
	esac
done | sort -u
