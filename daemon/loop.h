/*
 * The event loop: all of libevent behind a dozen functions, so that a test
 * can put a fake loop, clock and network in its place. One loop a process.
 */
#ifndef DAEMON_LOOP_H
#define DAEMON_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct event_base;
struct loop_watch;
struct loop_timer;

#define LOOP_READ 1U
#define LOOP_WRITE 2U

typedef void loop_ready(void *arg, unsigned what);
typedef void loop_call(void *arg);

/* A loop; NULL when the machine has no memory or descriptors. */
struct loop *loop_new(void);
void loop_free(struct loop **l);

/* Runs until loop_stop(), or until there is nothing to wait for. */
void loop_run(struct loop *l);
void loop_stop(struct loop *l);

/* A monotonic clock, and the time of day. */
int64_t loop_now_ms(const struct loop *l);
int64_t loop_time_s(const struct loop *l);
int64_t loop_time_us(const struct loop *l);

/*
 * Watches a descriptor. NULL without memory. loop_unwatch() may be called
 * from any callback, also its own; *w becomes NULL; it may be NULL.
 */
struct loop_watch *loop_watch(struct loop *l, int fd, loop_ready *ready,
    void *arg);
/* What to wait for: LOOP_READ, LOOP_WRITE, both or 0. */
void loop_want(struct loop_watch *w, unsigned what);
void loop_unwatch(struct loop_watch **w);

/* A timer, not running yet; calls once for each _start(). */
struct loop_timer *loop_timer_new(struct loop *l, loop_call *call, void *arg);
void loop_timer_start(struct loop_timer *t, int64_t ms);
void loop_timer_stop(struct loop_timer *t);
void loop_timer_free(struct loop_timer **t);

/*
 * Calls a function when this turn's callbacks are over, once, in the order
 * of asking; what that call defers comes a turn later. Never fails. d lives
 * until the call, which may free it; it is not asked for twice before that.
 */
struct loop_deferred {
	struct loop_deferred *next;
	loop_call *call;
	void *arg;
};
void loop_defer(struct loop *l, struct loop_deferred *d, loop_call *call,
    void *arg);

/* libevent's own, for http.c alone. */
struct event_base *loop_base(struct loop *l);

/* Calls for a signal; kept until the loop is freed. 0 or -E_NOMEM. */
int loop_signal(struct loop *l, int signal, loop_call *call, void *arg);

#endif
