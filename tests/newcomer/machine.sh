#!/bin/sh
# machine.sh LOWER SHARED COMMAND...   runs a command on a machine of its own:
# this one's root with the folder LOWER over it, in memory; its own processes,
# its own network. Nothing of it is left behind. SHARED is seen in it as here.
set -eu
if [ -z "${MACHINE_INSIDE:-}" ]; then
	export MACHINE_INSIDE=1
	exec unshare -m -n -u -p -f --kill-child "$0" "$@"
fi
lower=$1 shared=$2
shift 2
place=$lower.machine
mkdir -p "$place"
mount -t tmpfs none "$place"
cd "$place"
mkdir work root
cp -a "$lower" up
mount -t overlay overlay -o "lowerdir=/,upperdir=up,workdir=work" root
mount -t tmpfs none root/run
mount -t tmpfs none root/tmp
mkdir -p "root$shared"
mount --bind "$shared" "root$shared"
mount --rbind /dev root/dev
mount -t proc proc root/proc
chmod 1777 root/tmp
ip link set lo up
hostname machine
# A queue wants a disk, and says so where it has none.
state=$(mktemp -d "$lower.state-XXXXXX")
mkdir -p root/var/lib/hopseal
mount --bind "$state" root/var/lib/hopseal
status=0
env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
	HOME=/root LC_ALL=C.UTF-8 PYTHONDONTWRITEBYTECODE=1 NO_COLOR=1 \
	B="${B:-}" SAN="${SAN:-}" chroot root "$@" || status=$?
rm -rf "$state"
exit $status
