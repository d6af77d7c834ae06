#!/bin/sh
# peer.sh   builds the live peer, the Rust crate mail-auth behind a command, and
# prints its path; or `peer NOT RUN: why` on stderr with exit 77, and 1 where
# CI is set. PEER=PATH names one that is built already. Needs cargo 1.95 (on
# Debian 12 the packages cargo-web gcc libc6-dev ca-certificates).
# PEER_AWSLC=1 builds it on aws-lc instead, in C and assembly: 6 minutes or so.
set -u
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.." || exit 1

not_run() {
	echo "peer NOT RUN: $1" >&2
	[ -z "${CI:-}" ] || exit 1
	exit 77
}

if [ -n "${PEER:-}" ]; then
	[ -x "$PEER" ] || not_run "$PEER is no program"
	echo "$PEER"
	exit 0
fi

# One for every build of ours: it does not depend on how that was compiled.
dir=${B:-build}
dir=${dir%-san}/peer features=
if [ -n "${PEER_AWSLC:-}" ]; then
	dir=$dir-awslc features='--no-default-features --features awslc'
fi
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
peer=$dir/release/dkim2-peer
if [ -x "$peer" ] && [ -z "$(find "$here/peer" -newer "$peer" -type f)" ]; then
	echo "$peer"
	exit 0
fi
command -v cargo >/dev/null || not_run 'cargo is missing; ./bootstrap check installs it'

# A copy, so that no lock file lands in the tree.
mkdir -p "$dir/src"
cp -R "$here/peer/." "$dir/src/"
CARGO_HOME=$dir/cargo CARGO_TARGET_DIR=$dir nice cargo build --release \
    --ignore-rust-version $features --manifest-path "$dir/src/Cargo.toml" \
    >"$dir/build.log" 2>&1 || {
	tail -n 20 "$dir/build.log" >&2
	not_run 'cargo could not build it'
}
touch "$peer"
echo "$peer"
