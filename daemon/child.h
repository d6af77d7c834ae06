/*
 * A process that is one for all generations, as the master looks after it:
 * where it ends unasked another one starts, each time it fails to live a
 * minute after a longer pause.
 */
#ifndef DAEMON_CHILD_H
#define DAEMON_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct child {
	pid_t pid;		/* 0: none */
	unsigned n_restarts;	/* ends that nobody asked for */
	int64_t started_ms;
	int64_t restart_ms;	/* not before */
	int64_t wait_ms;	/* before the next start, if that fails too */
	bool is_stopping;	/* no other is to follow */
	int64_t leave_ms;	/* told to leave: how long it has for that; 0:
				   it was not */
	int64_t kill_ms;	/* likewise: the end of that; 0: not set yet */
	bool is_missed;		/* somebody could not be connected, as was
				   logged */
};

/*
 * Whether one is to start now; that is then its start, and where it fails
 * another is due at restart_ms.
 *
 * One that was told to leave and is late is killed.
 *
 * next     set where false: when to come again; INT64_MAX: it runs, or none is
 *          to follow
 */
bool child_is_due(struct child *c, int64_t now_ms, int64_t *next);

/* It is told to end: that is no failure, and the next may start at once. */
void child_excuse(struct child *c);

/*
 * Tells it to leave, so that another one follows. The time it has begins with
 * the next child_is_due(); to be told again does not make that longer.
 *
 * limit_ms what hangs must not keep the next one away for longer
 */
void child_leave(struct child *c, int signal, int64_t limit_ms);

/*
 * A process ended.
 *
 * name     of it in the log
 * process  likewise in the metrics, a METRIC_PROCESS_*
 * Returns  whether it was this one
 */
bool child_reap(struct child *c, const char *name, unsigned process,
    pid_t pid, int status, int64_t now_ms);

/* Logs that a process ended, and how. */
void child_log_end(const char *name, pid_t pid, int status);

/* No other is to follow; with SIGKILL this one ends now. */
void child_end(struct child *c, int signal);

/*
 * Connects a worker: one end of a pair goes to the process by its control
 * socket, the other into the worker's channel. That it fails is logged once,
 * until it succeeds again.
 *
 * control  -1: there is no process; the worker gets its end with the next one
 * Returns  false where it is to be tried again in CHILD_MEET_MS
 */
#define CHILD_MEET_MS 1000
bool child_meet(struct child *c, int control, int channel, const char *name);

#endif
