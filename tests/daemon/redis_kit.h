/* A fake Redis server on loopback, which says what a test has it say, and who
 * asks it. */
#ifndef TESTS_DAEMON_REDIS_KIT_H
#define TESTS_DAEMON_REDIS_KIT_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "daemon/redis_state.h"

#define LOST_MS (30 * 1000)
#define SHA "0123456789abcdef0123456789abcdef01234567"
#define N_ASKED (REDIS_COMMANDS_MAX + 8)

enum told { NOT_YET, GOOD, ABSENT, SAID };

#define ENDS 4

/* The server's end of a connection. */
struct end {
	struct fixture *f;
	int fd;			/* -1: none */
	struct loop_watch *watch;
	unsigned n_loads;
	size_t n_in;
	char in[64 * 1024];
};

struct fixture {
	struct loop *loop;
	struct loop_timer *lost, *flood;
	struct redis *redis;
	int listener;
	struct loop_watch *listening;
	struct end ends[ENDS], *at;	/* what came last */
	unsigned n_connects, n_ups, n_downs;
	const char *login;		/* what AUTH, SELECT, PING are answered */
	const char *load;		/* likewise, SCRIPT LOAD; NULL: with its
					   number, from 1, as 40 digits */
	/* an answer to a command, or NULL: nothing now */
	const char *(*answer)(struct fixture *f, const char *command);
	const char *says;		/* what says() answers */
	unsigned n_loads, n_commands;
	char last[512];			/* the words of the last command */
	enum told told[N_ASKED];
	char text[N_ASKED][16];
	unsigned n_told, n_wanted;
	uint64_t order[8];
	bool (*until)(struct fixture *f);
};

static const struct redis_script scripts[] = {{"a", "return 1"},
    {"b", "return 2"}};

/* ---- the server ---------------------------------------------------------- */

static inline void
say(struct fixture *f, const char *text)
{
	if (f->at->fd >= 0 && send(f->at->fd, text, strlen(text),
	    MSG_NOSIGNAL) < 0)
		assert_true(errno == EPIPE || errno == ECONNRESET ||
		    errno == EAGAIN);
}

static inline void
hang_up(struct end *e)
{
	loop_unwatch(&e->watch);
	if (e->fd >= 0)
		close(e->fd);
	e->fd = -1;
	e->n_in = 0;
}

/* Takes one whole command; the beginning of its words, spaces between. */
static inline bool
take_command(struct end *f, char words[512])
{
	char *at = f->in, *end = f->in + f->n_in;
	size_t n_words, n_put = 0;

	if (memchr(at, '\n', f->n_in) == NULL)
		return false;
	assert_int_equal(*at, '*');
	n_words = strtoul(at + 1, &at, 10);
	at += 2;
	for (; n_words != 0; n_words--) {
		size_t n;

		if (at >= end || memchr(at, '\n', (size_t)(end - at)) == NULL)
			return false;
		assert_int_equal(*at, '$');
		n = strtoul(at + 1, &at, 10);
		at += 2;
		if ((size_t)(end - at) < n + 2)
			return false;
		if (n_put + n + 2 < 512) {
			memcpy(words + n_put, at, n);
			n_put += n;
			words[n_put++] = ' ';
		}
		at += n + 2;
	}
	words[n_put == 0 ? 0 : n_put - 1] = '\0';
	f->n_in -= (size_t)(at - f->in);
	memmove(f->in, at, f->n_in);
	return true;
}

static inline void
take(struct fixture *f, const char *words)
{
	const char *answer;

	if (strncmp(words, "AUTH", 4) == 0 || strncmp(words, "SELECT", 6) == 0 ||
	    strcmp(words, "PING") == 0) {
		say(f, f->login);
	} else if (strncmp(words, "SCRIPT LOAD", 11) == 0) {
		char sha[64];

		f->n_loads++;
		(void)snprintf(sha, sizeof(sha), "$40\r\n%040u\r\n",
		    ++f->at->n_loads);
		say(f, f->load != NULL ? f->load : sha);
	} else {
		f->n_commands++;
		(void)snprintf(f->last, sizeof(f->last), "%s", words);
		answer = f->answer(f, words);
		if (answer != NULL)
			say(f, answer);
	}
}

static inline void
stop_where_done(struct fixture *f)
{
	if (f->until(f))
		loop_stop(f->loop);
}

static inline void
on_octets(void *arg, unsigned what)
{
	struct end *e = arg;
	struct fixture *f = e->f;
	ssize_t n = recv(e->fd, e->in + e->n_in, sizeof(e->in) - e->n_in,
	    MSG_DONTWAIT);
	char words[512];

	(void)what;
	f->at = e;
	if (n <= 0) {
		hang_up(e);
		stop_where_done(f);
		return;
	}
	e->n_in += (size_t)n;
	while (e->fd >= 0 && take_command(e, words))
		take(f, words);
	stop_where_done(f);
}

static inline void
on_connect(void *arg, unsigned what)
{
	struct fixture *f = arg;
	int fd = accept(f->listener, NULL, NULL);
	struct end *e = f->ends;

	(void)what;
	assert_true(fd >= 0);
	while (e->fd >= 0)
		assert_true(++e < f->ends + ENDS);
	*e = (struct end){.f = f, .fd = fd};
	f->at = e;
	f->n_connects++;
	e->watch = loop_watch(f->loop, fd, on_octets, e);
	loop_want(e->watch, LOOP_READ);
}

/* ---- who asks ------------------------------------------------------------ */

static inline void
on_up(void *arg)
{
	struct fixture *f = arg;

	f->n_ups++;
	stop_where_done(f);
}

static inline void
on_down(void *arg)
{
	struct fixture *f = arg;

	f->n_downs++;
	stop_where_done(f);
}

static const struct redis_calls calls = {on_up, on_down};

static inline void
on_answer(void *arg, uint64_t tag, int err, const struct redis_value *v)
{
	struct fixture *f = arg;

	assert_true(tag < N_ASKED);
	assert_int_equal(f->told[tag], NOT_YET);
	f->told[tag] = err == 0 ? GOOD : v == NULL ? ABSENT : SAID;
	assert_true(err == 0 || err == -E_ABSENT);
	assert_true(err != 0 || v != NULL);
	if (v != NULL && v->text.n < sizeof(f->text[0]) && v->text.n != 0)
		memcpy(f->text[tag], v->text.p, v->text.n);
	if (f->n_told < sizeof(f->order) / sizeof(f->order[0]))
		f->order[f->n_told] = tag;
	f->n_told++;
	stop_where_done(f);
}

static inline int
ask(struct fixture *f, uint64_t tag, const char *word)
{
	struct bytes args[] = {bytes_of(word)};
	struct redis_command c = {.script = -1, .args = args, .n_args = 1,
	    .wait_ms = REDIS_WAIT_MS, .answer = on_answer, .arg = f,
	    .tag = tag};

	return redis_ask(f->redis, &c);
}

static inline int
ask_script(struct fixture *f, uint64_t tag)
{
	struct bytes args[] = {BYTES_LIT("key"), BYTES_LIT("value")};
	struct redis_command c = {.script = 1, .n_keys = 1, .args = args,
	    .n_args = 2, .wait_ms = REDIS_WAIT_MS, .answer = on_answer,
	    .arg = f, .tag = tag};

	return redis_ask(f->redis, &c);
}

static inline bool
is_up(struct fixture *f)
{
	return f->n_ups != 0 && redis_is_up(f->redis);
}

static inline bool
is_down(struct fixture *f)
{
	return f->n_downs != 0;
}

static inline bool
is_told(struct fixture *f)
{
	return f->n_told >= f->n_wanted;
}

static inline void
on_lost(void *arg)
{
	(void)arg;
	fail_msg("waited in vain");
}

static inline void
run(struct fixture *f, bool (*until)(struct fixture *f))
{
	f->until = until;
	loop_timer_start(f->lost, LOST_MS);
	if (!until(f))
		loop_run(f->loop);
	loop_timer_stop(f->lost);
	assert_true(until(f));
}

static inline void
run_for(struct fixture *f, unsigned n)
{
	f->n_wanted = n;
	run(f, is_told);
}

/* Octets without an end, until the timer is stopped. */
static inline void
on_flood(void *arg)
{
	static char more[64 * 1024];
	struct fixture *f = arg;

	memset(more, 'x', sizeof(more));
	if (f->at->fd >= 0)
		(void)send(f->at->fd, more, sizeof(more), MSG_DONTWAIT |
		    MSG_NOSIGNAL);
	loop_timer_start(f->flood, 0);
}

/* ---- set-up -------------------------------------------------------------- */

static inline const char *
says(struct fixture *f, const char *command)
{
	(void)command;
	return f->says;
}

static inline bool
never(struct fixture *f)
{
	(void)f;
	return false;
}

static inline struct redis_where
where(struct fixture *f)
{
	struct redis_where w = {.name = "redis://test",
	    .n_address = sizeof(struct sockaddr_in)};

	assert_int_equal(getsockname(f->listener,
	    (struct sockaddr *)&w.address, &w.n_address), 0);
	return w;
}

static inline void
set_up_server(struct fixture *f)
{
	struct sockaddr_in a = {.sin_family = AF_INET};

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	f->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(f->listener, (struct sockaddr *)&a, sizeof(a)),
	    0);
	assert_int_equal(listen(f->listener, 8), 0);
	for (unsigned k = 0; k < ENDS; k++)
		f->ends[k].fd = -1;
	f->at = f->ends;
	f->loop = loop_new();
	f->lost = loop_timer_new(f->loop, on_lost, f);
	f->flood = loop_timer_new(f->loop, on_flood, f);
	f->listening = loop_watch(f->loop, f->listener, on_connect, f);
	loop_want(f->listening, LOOP_READ);
	f->login = "+OK\r\n";
	f->load = "$40\r\n" SHA "\r\n";
	f->answer = says;
	f->says = "+yes\r\n";
	f->until = never;
}

static inline int
set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	set_up_server(f);
	*state = f;
	return 0;
}

static inline void
connect_to(struct fixture *f)
{
	struct redis_where w = where(f);

	f->redis = redis_new(f->loop, &w, scripts, 2, &calls, f);
	assert_non_null(f->redis);
}

static inline struct fixture *
begin(void **state)
{
	struct fixture *f = *state;

	connect_to(f);
	assert_int_equal(ask(f, 0, "GET"), -E_ABSENT);	/* not yet */
	run(f, is_up);
	return f;
}

static inline void
tear_down_server(struct fixture *f)
{
	f->until = never;
	for (unsigned k = 0; k < ENDS; k++)
		hang_up(f->ends + k);
	loop_unwatch(&f->listening);
	loop_timer_free(&f->lost);
	loop_timer_free(&f->flood);
	loop_free(&f->loop);
	close(f->listener);
}

static inline int
tear_down(void **state)
{
	struct fixture *f = *state;

	f->until = never;
	redis_free(&f->redis);
	tear_down_server(f);
	free(f);
	return 0;
}

#endif
