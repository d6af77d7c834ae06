/*
 * What the daemon counts of itself: one table of metrics (metrics_rows), in
 * memory that all processes of a daemon share. The master makes it before it
 * forks, so that a count outlives workers, reloads and crashes and never goes
 * back. Where it was not made, in tests, a process counts alone.
 *
 * A label takes words of a closed list, or names of the configuration: never
 * an address, nor anything that came from outside (attacks.md P7).
 */
#ifndef DAEMON_METRICS_H
#define DAEMON_METRICS_H

#include <sys/types.h>

#include "base/buf.h"
#include "config/config.h"

/* Gauges come first: what they say belongs to a process. */
enum metric {
	METRIC_PROCESSES,	/* METRIC_PROCESS_* */
	METRIC_SESSIONS_OPEN,	/* role */
	METRIC_QUEUE_MESSAGES,	/* QUEUED_* */
	METRIC_QUEUE_OCTETS,
	METRIC_QUEUE_OLDEST,	/* time since the epoch, s; 0: none */
	METRIC_COPIES_OCTETS,
	METRIC_ORDERS,		/* ORDER_*: in force */
	METRIC_STORE_OUT,	/* 1: the shared one does not answer */
	METRIC_GAUGES,		/* how many there are */

	/* sessions and messages of clients */
	METRIC_SESSIONS = METRIC_GAUGES,	/* role */
	METRIC_SESSIONS_REFUSED,	/* TURNED_* */
	METRIC_MESSAGES,	/* role, OUTCOME_* */
	METRIC_RECIPIENTS,	/* role, FATE_* */
	METRIC_DELAY,		/* metrics_observe() */
	/* what is said of them */
	METRIC_VERDICTS,	/* role, enum dkim2_state */
	METRIC_WOULD_REFUSE,	/* enum dkim2_state */
	METRIC_SIGNATURES,	/* enum dkim2_algorithm */
	METRIC_UNSIGNED,	/* UNSIGNED_BY_* */
	METRIC_DKIM1_SIGNATURES,
	METRIC_PROOFS_FAILED,
	METRIC_DSNS,		/* DSN_* */
	/* next hops and the queue */
	METRIC_REPLIES,		/* REPLY_* */
	METRIC_CONNECTS,	/* CONNECT_* */
	METRIC_TLS,		/* SIDE_*, SUCCESS_* */
	METRIC_QUEUE_TRIES,	/* TRY_* */
	/* what stands behind */
	METRIC_DNS,		/* DNS_* */
	METRIC_OUTAGES,		/* BEHIND_* */
	METRIC_RELOADS,		/* SUCCESS_* */
	METRIC_RESTARTS,	/* METRIC_PROCESS_* */
	METRIC_HUNG,		/* METRIC_PROCESS_*: replaced by the watchdog */
	METRIC_LOST_LINES,
	METRIC_SCRAPES,		/* SCRAPE_* */

	/* told by who writes them out, not counted */
	METRIC_CERTIFICATE,	/* listener, name */
	METRIC_KEY_PUBLISHED,	/* domain, selector */
	METRIC_START,
	METRIC_BUILD,		/* version, draft */
	METRIC__N
};

enum { METRIC_PROCESS_WORKER, METRIC_PROCESS_SIGNER, METRIC_PROCESS_KEEPER,
    METRIC_PROCESS_QUEUE, METRIC_PROCESS_CONTROL, METRIC_PROCESS__N };
enum { QUEUED_WAITING, QUEUED_DEFERRED, QUEUED_HELD, QUEUED__N };
enum { ORDER_BYPASS, ORDER_PAUSE, ORDER_DRAIN, ORDER_SET, ORDER_DEBUG };
enum { TURNED_FULL, TURNED_NETWORK, TURNED_PROXY, TURNED_MEMORY,
    TURNED_ORDER };
enum { OUTCOME_ACCEPTED, OUTCOME_REFUSED, OUTCOME_DEFERRED,
    OUTCOME_ABANDONED };
enum { FATE_DELIVERED, FATE_QUEUED, FATE_DUPLICATE, FATE_DISCARDED,
    FATE_REFUSED, FATE_DEFERRED };
enum { UNSIGNED_BY_NO_KEY, UNSIGNED_BY_FROM, UNSIGNED_BY_NO_ARRIVAL,
    UNSIGNED_BY_VERDICT, UNSIGNED_BY_CHANGE, UNSIGNED_BY_ADOPTION,
    UNSIGNED_BY_INTERNAL, UNSIGNED_BY_FAILURE, UNSIGNED_BY_BOUNCE,
    UNSIGNED_BY_BYPASS, UNSIGNED_BY_OTHER };
enum { DSN_MADE, DSN_RETURNED, DSN_PASSED, DSN_SWALLOWED, DSN_REFUSED,
    DSN_HELD };
enum { REPLY_2XX, REPLY_3XX, REPLY_4XX, REPLY_5XX, REPLY_NONE };
enum { CONNECT_OK, CONNECT_REUSED, CONNECT_FAILED };
enum { SIDE_CLIENT, SIDE_NEXT_HOP };
enum { SUCCESS_OK, SUCCESS_FAILED };
enum { TRY_DELIVERED, TRY_DEFERRED, TRY_FAILED, TRY_EXPIRED };
enum { DNS_OK, DNS_ABSENT, DNS_TIMEOUT, DNS_FAILED };
enum { BEHIND_KEEPER, BEHIND_SIGNER, BEHIND_QUEUE, BEHIND_DISK };
enum { SCRAPE_OK, SCRAPE_REFUSED };

enum metric_kind {
	METRIC_COUNTER,
	METRIC_GAUGE,		/* of processes: the sum */
	METRIC_AGE,		/* likewise: seconds since the oldest */
	METRIC_HISTOGRAM,	/* words are upper bounds, in seconds */
	METRIC_TOLD,		/* a gauge of who writes them out */
};

/* A label; words NULL: names that the configuration has. */
struct metric_label {
	const char *name;
	const char *const *words;
	size_t n;
};

struct metric_row {
	const char *name;	/* "hopseal_..." */
	enum metric_kind kind;
	const struct metric_label *labels[2];	/* NULL: none */
	const char *help;	/* one sentence without its full stop */
};

extern const struct metric_row metrics_rows[METRIC__N];

/*
 * Makes the shared memory: in the master, before its first fork.
 *
 * Returns  0 or -E_SYSTEM
 */
int metrics_open(void);

/* When that was, in seconds of 1970; 0: it was not. */
int64_t metrics_start_s(void);

/* Adds n to a counter. a, b: which words of its labels, 0 where it has less
 * than that. */
void metrics_add(enum metric m, unsigned a, unsigned b, uint64_t n);

/* Counts one more. */
void metrics_count(enum metric m, unsigned a, unsigned b);

/* Counts a time in a histogram. */
void metrics_observe(enum metric m, int64_t ms);

/* What a counter has; or the sum of a gauge. */
uint64_t metrics_get(enum metric m, unsigned a, unsigned b);

/* ---- gauges: what a process says of itself ------------------------------- */

/* A child begins to speak for itself, as a METRIC_PROCESS_*. */
void metrics_begin(unsigned process);

/* A child is gone, and with it what it said. */
void metrics_reap(pid_t pid);

/* Changes what this process says. */
void metrics_move(enum metric gauge, unsigned a, int64_t by);
void metrics_set(enum metric gauge, unsigned a, int64_t value);

/* It lives, at a time of the monotonic clock; workers and the signer say so
 * each METRICS_BEAT_MS. */
#define METRICS_BEAT_MS 1000
void metrics_beat(int64_t now_ms);

/* Whether it accepts sessions, or does what it is for. */
void metrics_ready(bool is_ready);

/* The last beat of a process; 0: it has not said so yet; -1: it has no place
 * to say it at, since there are too many, or is none of ours. */
int64_t metrics_beaten(pid_t pid);

/* How the processes of a kind do. */
struct metrics_health {
	unsigned n;		/* that are there */
	unsigned n_ready;	/* and say that they are ready */
	unsigned n_late;	/* but whose last beat is older than late_ms */
};
void metrics_health(unsigned process, int64_t now_ms, int64_t late_ms,
    struct metrics_health *out);

/* ---- in writing ----------------------------------------------------------- */

/* Adds a line of a METRIC_TOLD metric, its labels escaped. NULL: none. */
void metrics_write_line(struct buf *out, enum metric m, const char *a,
    const char *b, int64_t value);

/*
 * All metrics in the text format of Prometheus, 0.0.4.
 *
 * now_s    time since the epoch
 * tell     adds the lines of a METRIC_TOLD metric; NULL: there are none
 */
void metrics_write(struct buf *out, int64_t now_s,
    void (*tell)(void *arg, enum metric m, struct buf *out), void *arg);

/* The table as a part of a manual (mdoc). */
void metrics_manual(struct buf *out);

#endif
