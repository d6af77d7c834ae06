#include "daemon/loop.h"

#include <event2/event.h>
#include <stdlib.h>
#include <time.h>

#include "base/err.h"
#include "daemon/log.h"

/* Memory that a callback may still stand on: freed after the turn. */
struct dead {
	struct dead *next;
};

struct signal_call {
	struct signal_call *next;
	struct event *event;
	loop_call *call;
	void *arg;
};

struct loop {
	struct event_base *base;
	struct loop_deferred *first, **last;
	struct dead *dead;
	struct signal_call *signals;
	bool stop;
};

struct loop_watch {
	struct dead dead;	/* first: it is freed by this address */
	struct loop *loop;
	struct event *read, *write;
	unsigned want;
	loop_ready *ready;
	void *arg;
};

struct loop_timer {
	struct dead dead;	/* first: it is freed by this address */
	struct loop *loop;
	struct event *event;
	loop_call *call;
	void *arg;
};

static void
from_libevent(int severity, const char *text)
{
	log_line(severity == EVENT_LOG_ERR ? LOG_ERROR_ :
	    severity == EVENT_LOG_DEBUG ? LOG_DEBUG_ : LOG_WARNING_,
	    "libevent: %s", text);
}

struct loop *
loop_new(void)
{
	struct event_config *how = event_config_new();
	struct loop *l = calloc(1, sizeof(*l));

	if (how == NULL || l == NULL)
		goto out;
	event_set_log_callback(from_libevent);
	/* or a timer set after long work would count from before it */
	if (event_config_set_flag(how, EVENT_BASE_FLAG_NO_CACHE_TIME) != 0)
		goto out;
	l->base = event_base_new_with_config(how);
	l->last = &l->first;
out:
	if (how != NULL)
		event_config_free(how);
	if (l != NULL && l->base == NULL) {
		free(l);
		l = NULL;
	}
	return l;
}

static void
bury(struct loop *l)
{
	while (l->dead != NULL) {
		struct dead *d = l->dead;

		l->dead = d->next;
		free(d);
	}
}

/* Deferred calls that defer again wait for the next turn, behind the net. */
static void
run_deferred(struct loop *l)
{
	struct loop_deferred *d = l->first, *next;

	l->first = NULL;
	l->last = &l->first;
	for (; d != NULL; d = next) {
		next = d->next;		/* the call may free d */
		d->call(d->arg);
	}
}

void
loop_free(struct loop **lp)
{
	struct loop *l = *lp;

	if (l == NULL)
		return;
	while (l->first != NULL)
		run_deferred(l);
	bury(l);
	while (l->signals != NULL) {
		struct signal_call *s = l->signals;

		l->signals = s->next;
		event_free(s->event);
		free(s);
	}
	event_base_free(l->base);
	free(l);
	*lp = NULL;
}

void
loop_run(struct loop *l)
{
	l->stop = false;
	while (!l->stop) {
		int flags = EVLOOP_ONCE;

		if (l->first != NULL)
			flags |= EVLOOP_NONBLOCK;
		if (event_base_loop(l->base, flags) != 0 && l->first == NULL)
			break;		/* nothing is left to wait for */
		run_deferred(l);
		bury(l);
		log_flush();
	}
}

void
loop_stop(struct loop *l)
{
	l->stop = true;
	event_base_loopbreak(l->base);
}

struct event_base *
loop_base(struct loop *l)
{
	return l->base;
}

static int64_t
clock_us(clockid_t id)
{
	struct timespec t;

	if (clock_gettime(id, &t) != 0)
		return 0;
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t
loop_now_ms(const struct loop *l)
{
	(void)l;
	return clock_us(CLOCK_MONOTONIC) / 1000;
}

int64_t
loop_time_s(const struct loop *l)
{
	(void)l;
	return clock_us(CLOCK_REALTIME) / 1000000;
}

int64_t
loop_time_us(const struct loop *l)
{
	(void)l;
	return clock_us(CLOCK_REALTIME);
}

static void
on_ready(evutil_socket_t fd, short what, void *arg)
{
	struct loop_watch *w = arg;

	(void)fd;
	w->ready(w->arg, (what & EV_READ ? LOOP_READ : 0) |
	    (what & EV_WRITE ? LOOP_WRITE : 0));
}

struct loop_watch *
loop_watch(struct loop *l, int fd, loop_ready *ready, void *arg)
{
	struct loop_watch *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->loop = l;
	w->ready = ready;
	w->arg = arg;
	w->read = event_new(l->base, fd, EV_READ | EV_PERSIST, on_ready, w);
	w->write = event_new(l->base, fd, EV_WRITE | EV_PERSIST, on_ready, w);
	if (w->read == NULL || w->write == NULL)
		loop_unwatch(&w);
	return w;
}

static void
set(struct event *e, bool was, bool is)
{
	if (is && !was && event_add(e, NULL) != 0)
		log_line(LOG_ERROR_, "cannot watch a descriptor: %m");
	if (was && !is)
		event_del(e);
}

void
loop_want(struct loop_watch *w, unsigned what)
{
	set(w->read, w->want & LOOP_READ, what & LOOP_READ);
	set(w->write, w->want & LOOP_WRITE, what & LOOP_WRITE);
	w->want = what;
}

static void
kill_later(struct loop *l, struct dead *d)
{
	d->next = l->dead;
	l->dead = d;
}

/* Takes the event out of the loop, also where it is due in this turn. */
static void
drop(struct event *e)
{
	if (e != NULL)
		event_free(e);
}

void
loop_unwatch(struct loop_watch **wp)
{
	struct loop_watch *w = *wp;

	if (w == NULL)
		return;
	*wp = NULL;
	drop(w->read);
	drop(w->write);
	kill_later(w->loop, &w->dead);
}

static void
on_time(evutil_socket_t fd, short what, void *arg)
{
	struct loop_timer *t = arg;

	(void)fd;
	(void)what;
	t->call(t->arg);
}

struct loop_timer *
loop_timer_new(struct loop *l, loop_call *call, void *arg)
{
	struct loop_timer *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->loop = l;
	t->call = call;
	t->arg = arg;
	t->event = evtimer_new(l->base, on_time, t);
	if (t->event == NULL)
		loop_timer_free(&t);
	return t;
}

void
loop_timer_start(struct loop_timer *t, int64_t ms)
{
	struct timeval tv;

	if (ms < 0)
		ms = 0;
	tv.tv_sec = ms / 1000;
	tv.tv_usec = ms % 1000 * 1000;
	evtimer_add(t->event, &tv);
}

void
loop_timer_stop(struct loop_timer *t)
{
	evtimer_del(t->event);
}

void
loop_timer_free(struct loop_timer **tp)
{
	struct loop_timer *t = *tp;

	if (t == NULL)
		return;
	*tp = NULL;
	drop(t->event);
	kill_later(t->loop, &t->dead);
}

void
loop_defer(struct loop *l, struct loop_deferred *d, loop_call *call, void *arg)
{
	d->next = NULL;
	d->call = call;
	d->arg = arg;
	*l->last = d;
	l->last = &d->next;
}

static void
on_signal(evutil_socket_t fd, short what, void *arg)
{
	struct signal_call *s = arg;

	(void)fd;
	(void)what;
	s->call(s->arg);
}

int
loop_signal(struct loop *l, int signal, loop_call *call, void *arg)
{
	struct signal_call *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return -E_NOMEM;
	s->call = call;
	s->arg = arg;
	s->event = evsignal_new(l->base, signal, on_signal, s);
	if (s->event == NULL || evsignal_add(s->event, NULL) != 0) {
		drop(s->event);
		free(s);
		return -E_NOMEM;
	}
	s->next = l->signals;
	l->signals = s;
	return 0;
}
