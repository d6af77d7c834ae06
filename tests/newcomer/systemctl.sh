#!/bin/sh
# systemctl where no systemd is: starts, stops and reloads hopseald by its unit.
set -eu
unit=/usr/lib/systemd/system/hopseald.service
log=/var/log/hopseald.log
pidfile=/run/hopseald.pid
of() { sed -n "s/^$1=//p" $unit; }
# a zombie has no program
runs() { [ -e $pidfile ] && readlink "/proc/$(cat $pidfile)/exe" >/dev/null; }

start() {
	install -d -m "$(of StateDirectoryMode)" -o hopseal -g hopseal /var/lib/hopseal
	touch $log
	before=$(wc -l <$log)
	setpriv --reuid "$(of User)" --regid "$(of Group)" --init-groups \
	    --bounding-set -all,+net_bind_service \
	    --inh-caps -all,+net_bind_service \
	    --ambient-caps -all,+net_bind_service \
	    $(of ExecStart) </dev/null >>$log 2>&1 &
	echo $! >$pidfile
	n=0
	until tail -n "+$((before + 1))" $log | grep -q ' ready: '; do
		n=$((n + 1))
		if ! runs || [ $n -gt 600 ]; then
			echo 'Job for hopseald.service failed because the control process exited with error code.' >&2
			echo 'See "systemctl status hopseald.service" and "journalctl -xeu hopseald.service" for details.' >&2
			exit 1
		fi
		sleep 0.05
	done
}

stop() {
	runs || return 0
	kill "$(cat $pidfile)"
	while runs; do sleep 0.05; done
	rm -f $pidfile
}

reload() {
	MAINPID=$(cat $pidfile)
	before=$(wc -l <$log)
	of ExecReload | sed "s/\$MAINPID/$MAINPID/" >/run/reload
	sh -e /run/reload >>$log 2>&1 || {
		echo 'Job for hopseald.service failed.' >&2
		exit 1
	}
	until tail -n "+$((before + 1))" $log | grep -qE ' ready: |goes on'; do sleep 0.05; done
}

# In the folder of the package's unit, and as its user.
redis_start() {
	setpriv --reuid redis --regid redis --clear-groups \
	    redis-server /etc/redis/redis.conf --daemonize yes >/dev/null
	until [ -s /run/redis/redis.pid ]; do sleep 0.05; done
}

redis_stop() {
	[ -e /run/redis/redis.pid ] || return 0
	kill "$(cat /run/redis/redis.pid)"
	while [ -e /run/redis/redis.pid ]; do sleep 0.05; done
}

case $* in
"enable --now hopseald" | "start hopseald") start ;;
"restart hopseald") stop; start ;;
"stop hopseald") stop ;;
"reload hopseald") reload ;;
"restart redis") redis_stop; redis_start ;;
"start redis") redis_start ;;
"stop redis") redis_stop ;;
"restart mailman3") exec bash /run/restart-mailman3 ;;
*) echo "systemctl: no stand-in for: $*" >&2; exit 64 ;;
esac
