#include "daemon/redis_state.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/err.h"
#include "base/logline.h"
#include "daemon/log.h"

#define LOG_MS (60 * 1000)
#define ERROR_MAX 200U		/* octets of what a server says */
#define READ_SIZE (16U * 1024)
#define READS_A_TURN 64
#define PARTS_A_TIME 64

static void on_ready(void *arg, unsigned what);

/* ---- troubles ------------------------------------------------------------ */

/* logged_ms    when this kind was said last; 0: never */
static void
say(struct redis *r, int64_t *logged_ms, const char *why)
{
	int64_t now = loop_now_ms(r->loop);

	if (*logged_ms != 0 && now - *logged_ms < LOG_MS)
		return;
	*logged_ms = now;
	r->is_told = true;
	log_line(LOG_ERROR_, "the store %s is out: %s: %s", r->where.name, why,
	    r->where.loss != NULL ? r->where.loss :
	    "mail goes on, a retry may arrive twice");
}

static void trouble(struct redis *r, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void
trouble(struct redis *r, const char *fmt, ...)
{
	char why[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	say(r, &r->logged_ms, why);
}

void
redis_complain(struct redis *r, struct bytes error)
{
	uint8_t room[ERROR_MAX * 4];
	struct buf b = BUF_ON(room);
	char why[sizeof(room) + 256];

	logline_escape(error, ERROR_MAX, &b);
	snprintf(why, sizeof(why), "it says \"%.*s\" (%s)",
	    BYTES_FMT(buf_bytes(&b)), redis_error_find(error)->advice);
	say(r, &r->complained_ms, why);
}

/* ---- commands that wait -------------------------------------------------- */

static void
put(struct redis *r, struct redis_waiting *w)
{
	w->next = NULL;
	w->n_sent = 0;
	*r->last = w;
	r->last = &w->next;
	if (r->unsent == NULL)
		r->unsent = w;
	r->n++;
	r->n_octets += w->n;
}

static struct redis_waiting *
take_first(struct redis *r)
{
	struct redis_waiting *w = r->first;

	r->first = w->next;
	if (r->first == NULL)
		r->last = &r->first;
	if (r->unsent == w)
		r->unsent = w->next;
	r->n--;
	r->n_octets -= w->n;
	r->n_steps -= w->step != REDIS_STEP_NONE;
	return w;
}

static void
waiting_free(struct redis_waiting *w)
{
	explicit_bzero(w->octets, w->n);
	redisFreeCommand(w->octets);
	free(w);
}

/* w is gone behind it; r may be dying, or the connection another. */
static void
tell(struct redis_waiting *w, int err, const struct redis_value *v)
{
	redis_answer *answer = w->answer;
	void *arg = w->arg;
	uint64_t tag = w->tag;

	waiting_free(w);
	if (answer != NULL)
		answer(arg, tag, err, v);
}

static void
tell_all(struct redis *r)
{
	while (r->first != NULL)
		tell(take_first(r), -E_ABSENT, NULL);
}

/* ---- opening and closing ------------------------------------------------- */

static void
forget_connection(struct redis *r)
{
	loop_unwatch(&r->watch);
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
	r->generation++;
	r->is_connecting = r->is_up = false;
	r->late_ms = 0;
	loop_timer_stop(r->late);
	if (r->is_taking && r->spent == NULL) {
		r->spent = r->reader;
		r->reader = NULL;
	}
	redis_reader_free(&r->reader);
}

/* Nothing more comes of this connection; the next one has its time. */
static void
shut(struct redis *r)
{
	bool was_up = r->is_up;
	int64_t now = loop_now_ms(r->loop);

	if (was_up && now - r->up_ms >= REDIS_REST_MAX_MS)
		r->rest_ms = 0;
	r->rest_ms = r->rest_ms == 0 ? REDIS_REST_MIN_MS : r->rest_ms * 2;
	if (r->rest_ms > REDIS_REST_MAX_MS)
		r->rest_ms = REDIS_REST_MAX_MS;
	forget_connection(r);
	loop_timer_start(r->rest, r->rest_ms);
	tell_all(r);
	if (was_up && !r->is_dying)
		r->calls->down(r->arg);
}

void
redis_fault(struct redis *r, const char *why)
{
	if (r->fd < 0 || r->is_dying)
		return;
	trouble(r, "%s", why);
	shut(r);
}

/* The first deadline of those that wait; late_ms is none that is later. */
static void
on_late(void *arg)
{
	struct redis *r = arg;
	int64_t now = loop_now_ms(r->loop), first = INT64_MAX;

	r->late_ms = 0;
	for (struct redis_waiting *w = r->first; w != NULL; w = w->next)
		if (w->deadline_ms < first)
			first = w->deadline_ms;
	if (r->is_connecting)
		first = r->connect_by_ms;
	if (first == INT64_MAX)
		return;
	if (first <= now) {
		redis_fault(r, r->is_connecting ?
		    "it can not be connected to in time" :
		    "it does not answer in time");
		return;
	}
	r->late_ms = first;
	loop_timer_start(r->late, first - now);
}

static void
expect_by(struct redis *r, int64_t deadline_ms)
{
	if (r->late_ms != 0 && r->late_ms <= deadline_ms)
		return;
	r->late_ms = deadline_ms;
	loop_timer_start(r->late, deadline_ms - loop_now_ms(r->loop));
}

/* ---- sending ------------------------------------------------------------- */

static void
note_sent(struct redis *r, size_t n)
{
	while (n != 0) {
		struct redis_waiting *w = r->unsent;
		size_t left = w->n - w->n_sent;

		if (n < left) {
			w->n_sent += n;
			return;
		}
		w->n_sent = w->n;
		n -= left;
		r->unsent = w->next;
	}
}

static void
send_waiting(struct redis *r)
{
	while (r->unsent != NULL) {
		struct iovec parts[PARTS_A_TIME];
		struct msghdr m = {.msg_iov = parts};
		ssize_t n;

		for (struct redis_waiting *w = r->unsent; w != NULL &&
		    m.msg_iovlen < PARTS_A_TIME; w = w->next)
			parts[m.msg_iovlen++] = (struct iovec){
			    w->octets + w->n_sent, w->n - w->n_sent};
		n = sendmsg(r->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN) {
			trouble(r, "it is gone (%s)", strerror(errno));
			shut(r);
			return;
		}
		if (n < 0)
			break;
		note_sent(r, (size_t)n);
	}
	loop_want(r->watch, r->unsent == NULL ? LOOP_READ :
	    LOOP_READ | LOOP_WRITE);
}

static void
on_flush(void *arg)
{
	struct redis *r = arg;

	r->is_flush_due = false;
	if (r->fd >= 0 && !r->is_connecting && !r->is_dying)
		send_waiting(r);
}

/* 0, -E_NOMEM. */
static int
add(struct redis *r, struct redis_waiting how, const struct bytes *args,
    size_t n)
{
	const char *p[REDIS_ARGS_MAX + 3];
	size_t lengths[REDIS_ARGS_MAX + 3];
	struct redis_waiting *w = malloc(sizeof(*w));
	int size;

	if (w == NULL)
		return -E_NOMEM;
	for (size_t k = 0; k < n; k++) {
		p[k] = args[k].n == 0 ? "" : (const char *)args[k].p;
		lengths[k] = args[k].n;
	}
	*w = how;
	size = redisFormatCommandArgv(&w->octets, (int)n, p, lengths);
	if (size < 0) {
		free(w);
		return -E_NOMEM;
	}
	w->n = (size_t)size;
	r->n_steps += w->step != REDIS_STEP_NONE;
	put(r, w);
	expect_by(r, w->deadline_ms);
	if (!r->is_flush_due) {
		r->is_flush_due = true;
		loop_defer(r->loop, &r->flush, on_flush, r);
	}
	return 0;
}

int
redis_ask(struct redis *r, const struct redis_command *c)
{
	struct redis_waiting how = {.answer = c->answer, .arg = c->arg,
	    .tag = c->tag,
	    .deadline_ms = loop_now_ms(r->loop) + c->wait_ms};
	struct bytes args[REDIS_ARGS_MAX + 3];
	char keys[16];
	size_t n = 0, octets = 0;

	if (!r->is_up || r->is_dying)
		return -E_ABSENT;
	if (c->n_args > REDIS_ARGS_MAX)
		return -E_LIMIT;
	for (size_t k = 0; k < c->n_args; k++)
		octets += c->args[k].n;
	if (r->n >= REDIS_COMMANDS_MAX || octets > REDIS_OCTETS_MAX ||
	    r->n_octets > REDIS_OCTETS_MAX - octets)
		return -E_LIMIT;
	if (c->script >= 0) {
		snprintf(keys, sizeof(keys), "%u", c->n_keys);
		args[n++] = BYTES_LIT("EVALSHA");
		args[n++] = (struct bytes){
		    (const uint8_t *)r->sha[c->script], REDIS_SHA};
		args[n++] = bytes_of(keys);
	}
	for (size_t k = 0; k < c->n_args; k++)
		args[n++] = c->args[k];
	return add(r, how, args, n);
}

/* ---- steps of ours ------------------------------------------------------- */

static int
add_step(struct redis *r, enum redis_step step, size_t script,
    const struct bytes *args, size_t n)
{
	struct redis_waiting how = {.step = step, .script = script,
	    .deadline_ms = loop_now_ms(r->loop) + REDIS_CONNECT_MS};

	return add(r, how, args, n);
}

static int
add_loads(struct redis *r)
{
	for (size_t k = 0; k < r->n_scripts; k++) {
		struct bytes args[] = {BYTES_LIT("SCRIPT"), BYTES_LIT("LOAD"),
		    bytes_of(r->scripts[k].text)};

		if (add_step(r, REDIS_STEP_LOAD, k, args, 3) != 0)
			return -E_NOMEM;
	}
	return 0;
}

static int
begin(struct redis *r)
{
	struct bytes args[3];
	char db[16];
	size_t n = 0;

	if (r->where.password.n != 0) {
		args[n++] = BYTES_LIT("AUTH");
		if (r->where.user.n != 0)
			args[n++] = r->where.user;
		args[n++] = r->where.password;
		if (add_step(r, REDIS_STEP_LOGIN, 0, args, n) != 0)
			return -E_NOMEM;
	}
	/* PING: where there is nothing else to ask, whether it is one */
	snprintf(db, sizeof(db), "%u", r->where.db);
	args[0] = r->where.db != 0 ? BYTES_LIT("SELECT") : BYTES_LIT("PING");
	args[1] = bytes_of(db);
	if (add_step(r, REDIS_STEP_LOGIN, 0, args,
	    r->where.db != 0 ? 2 : 1) != 0)
		return -E_NOMEM;
	return add_loads(r);
}

static void
connected(struct redis *r)
{
	int on = 1;

	r->is_connecting = false;
	(void)setsockopt(r->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (begin(r) != 0)
		redis_fault(r, "no memory");
}

static void
all_steps_done(struct redis *r)
{
	if (r->is_up)		/* scripts were loaded once more */
		return;
	r->is_up = true;
	r->up_ms = loop_now_ms(r->loop);
	r->calls->up(r->arg);
}

static bool
is_sha(const struct redis_value *v)
{
	if (v->kind != REDIS_STRING || v->text.n != REDIS_SHA)
		return false;
	for (size_t k = 0; k < REDIS_SHA; k++)
		if (strchr("0123456789abcdef", v->text.p[k]) == NULL ||
		    v->text.p[k] == '\0')
			return false;
	return true;
}

static void
take_step(struct redis *r, struct redis_waiting *w,
    const struct redis_value *v)
{
	if (w->step == REDIS_STEP_LOAD && is_sha(v))
		memcpy(r->sha[w->script], v->text.p, REDIS_SHA);
	else if (w->step == REDIS_STEP_LOAD || v->kind != REDIS_STATUS) {
		waiting_free(w);
		redis_fault(r, "what answers there is no Redis");
		return;
	}
	waiting_free(w);
	if (r->n_steps == 0)
		all_steps_done(r);
}

/* ---- answers ------------------------------------------------------------- */

/* Its scripts are gone: somebody flushed them, or it is another server. */
static bool
ask_again(struct redis *r, struct redis_waiting *w)
{
	if (w->is_again || w->step != REDIS_STEP_NONE)
		return false;
	if (r->n_steps == 0 && add_loads(r) != 0)
		return false;
	w->is_again = true;
	put(r, w);
	if (!r->is_flush_due) {
		r->is_flush_due = true;
		loop_defer(r->loop, &r->flush, on_flush, r);
	}
	return true;
}

static void
take_error(struct redis *r, struct redis_waiting *w,
    const struct redis_value *v)
{
	bool is_closing = redis_error_find(v->text)->is_closing ||
	    w->step != REDIS_STEP_NONE;
	unsigned generation = r->generation;

	if (bytes_starts(v->text, BYTES_LIT("NOSCRIPT")) && ask_again(r, w))
		return;
	redis_complain(r, v->text);
	tell(w, -E_ABSENT, v);
	if (is_closing && !r->is_dying && r->generation == generation)
		shut(r);
}

static void
take_reply(struct redis *r, const struct redis_value *v)
{
	struct redis_waiting *w;

	/* nothing was asked, or not wholly: it answers something else */
	if (r->first == NULL || r->first->n_sent < r->first->n) {
		redis_fault(r, "it says what nobody asked for");
		return;
	}
	w = take_first(r);
	if (v->kind == REDIS_ERROR)
		take_error(r, w, v);
	else if (w->step != REDIS_STEP_NONE)
		take_step(r, w, v);
	else
		tell(w, 0, v);
}

static bool
take_each(struct redis *r)
{
	unsigned generation = r->generation;
	struct redis_value v;
	const char *why = NULL;
	char text[128];
	int n;

	while ((n = redis_reader_next(r->reader, &v, &why)) == 1) {
		take_reply(r, &v);
		if (r->is_dying || r->generation != generation)
			return false;
	}
	if (n == 0)
		return true;
	snprintf(text, sizeof(text), "it says %s", why);
	redis_fault(r, text);
	return false;
}

/* Every reply that is whole, each a view of the reader until it was taken.
 * False where this connection is no more. */
static bool
take_replies(struct redis *r)
{
	bool is_there;

	r->is_taking = true;
	is_there = take_each(r);
	r->is_taking = false;
	redis_reader_free(&r->spent);
	return is_there;
}

static void
read_more(struct redis *r)
{
	uint8_t room[READ_SIZE];

	for (int k = 0; k < READS_A_TURN; k++) {
		ssize_t n = recv(r->fd, room, sizeof(room), MSG_DONTWAIT);
		int err;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			trouble(r, "it is gone (%s)", n == 0 ?
			    "end of file" : strerror(errno));
			shut(r);
			return;
		}
		err = redis_reader_feed(r->reader, (struct bytes){room,
		    (size_t)n});
		if (err != 0) {
			redis_fault(r, err == -E_LIMIT ?
			    "it says a reply that is too large" : "no memory");
			return;
		}
		if (!take_replies(r) || (size_t)n < sizeof(room))
			return;
	}
}

static void
on_ready(void *arg, unsigned what)
{
	struct redis *r = arg;
	unsigned generation = r->generation;

	if (r->is_connecting) {
		socklen_t n = sizeof(int);
		int err = 0;

		if (getsockopt(r->fd, SOL_SOCKET, SO_ERROR, &err, &n) != 0)
			err = errno;
		if (err == 0) {
			connected(r);
			return;
		}
		trouble(r, "it can not be connected to (%s)", strerror(err));
		shut(r);
		return;
	}
	if ((what & LOOP_READ) != 0)
		read_more(r);
	if (!r->is_dying && r->generation == generation &&
	    (what & LOOP_WRITE) != 0)
		send_waiting(r);
}

static void
on_rest(void *arg)
{
	struct redis *r = arg;
	int err = 0;

	r->fd = socket(r->where.address.ss_family, SOCK_STREAM |
	    SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	r->reader = redis_reader_new();
	if (r->fd >= 0)
		r->watch = loop_watch(r->loop, r->fd, on_ready, r);
	if (r->watch == NULL || r->reader == NULL) {
		trouble(r, "no socket or no memory here");
		shut(r);
		return;
	}
	if (connect(r->fd, (const struct sockaddr *)&r->where.address,
	    r->where.n_address) != 0 && errno != EINPROGRESS)
		err = errno;
	if (err != 0) {
		trouble(r, "it can not be connected to (%s)", strerror(err));
		shut(r);
		return;
	}
	r->is_connecting = true;
	r->connect_by_ms = loop_now_ms(r->loop) + REDIS_CONNECT_MS;
	expect_by(r, r->connect_by_ms);
	loop_want(r->watch, LOOP_WRITE);
}

/* ---- the whole ----------------------------------------------------------- */

static int
copy(struct bytes *b)
{
	uint8_t *p = NULL;

	if (b->n == 0) {
		*b = (struct bytes){NULL, 0};
		return 0;
	}
	p = malloc(b->n);
	if (p != NULL)
		memcpy(p, b->p, b->n);
	b->p = p;
	return p == NULL ? -E_NOMEM : 0;
}

static void
wipe(struct bytes *b)
{
	uint8_t *p = (uint8_t *)(uintptr_t)b->p;

	if (p != NULL)
		explicit_bzero(p, b->n);
	free(p);
}

static void
destroy(void *arg)
{
	struct redis *r = arg;

	free((char *)(uintptr_t)r->where.name);
	wipe(&r->where.user);
	wipe(&r->where.password);
	free(r);
}

struct redis *
redis_new(struct loop *l, const struct redis_where *where,
    const struct redis_script scripts[], size_t n,
    const struct redis_calls *calls, void *arg)
{
	struct redis *r = calloc(1, sizeof(*r));
	int err;

	if (r == NULL)
		return NULL;
	*r = (struct redis){.loop = l, .where = *where, .scripts = scripts,
	    .n_scripts = n, .calls = calls, .arg = arg, .fd = -1};
	r->last = &r->first;
	r->where.name = strdup(where->name);
	err = copy(&r->where.user) | copy(&r->where.password);
	r->rest = loop_timer_new(l, on_rest, r);
	r->late = loop_timer_new(l, on_late, r);
	if (err != 0 || r->where.name == NULL || r->rest == NULL ||
	    r->late == NULL) {
		loop_timer_free(&r->rest);
		loop_timer_free(&r->late);
		destroy(r);
		return NULL;
	}
	loop_timer_start(r->rest, 0);
	return r;
}

void
redis_free(struct redis **rp)
{
	struct redis *r = *rp;

	if (r == NULL)
		return;
	*rp = NULL;
	r->is_dying = true;
	forget_connection(r);
	tell_all(r);
	loop_timer_free(&r->rest);
	loop_timer_free(&r->late);
	loop_defer(r->loop, &r->destroy, destroy, r);
}

void
redis_is_well(struct redis *r)
{
	if (r->is_told)
		log_line(LOG_NOTICE_, "the store %s answers", r->where.name);
	r->is_told = false;
}

bool
redis_is_up(const struct redis *r)
{
	return r->is_up;
}
