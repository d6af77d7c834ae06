/*
 * The master's eye on a worker or signer: one whose loop does not turn any
 * more, for whatever reason, is ended, and another takes its place.
 */
#ifndef DAEMON_WATCHDOG_H
#define DAEMON_WATCHDOG_H

#include <stdint.h>
#include <sys/types.h>

/* A beat is looked at that often within its limit, so that a master
 * that stood still itself, as the whole machine may, blames nobody. */
#define WATCHDOG_LOOKS 4U

struct watchdog {
	unsigned process;	/* METRIC_PROCESS_... */
	int64_t beat_ms;	/* of the last look; 0: none */
	int64_t next_ms;	/* of the next look */
	unsigned n_silent;	/* looks without another beat */
};

/* It has been forked. */
void watchdog_begin(struct watchdog *w, unsigned process, int64_t now_ms,
    int64_t limit_ms);

/* How often who is looked at is to beat: each second, or more often. */
int64_t watchdog_beat_ms(int64_t limit_ms);

/*
 * Looks, where it is time to. Who was silent for limit_ms gets
 * SIGABRT, so that it says where it was; at the next look SIGKILL.
 *
 * beat_ms  its last beat, whatever its clock; 0: none yet; negative: it has
 *          no place to beat at, and is not judged
 * who      its name in the log
 * Returns  when to come again
 */
int64_t watchdog_look(struct watchdog *w, pid_t pid, const char *who,
    int64_t beat_ms, int64_t now_ms, int64_t limit_ms);

#endif
