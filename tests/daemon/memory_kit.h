/* Workers' ends of the delivered memory, and a keeper in a process. */
#ifndef TESTS_DAEMON_MEMORY_KIT_H
#define TESTS_DAEMON_MEMORY_KIT_H

#include <setjmp.h>
#include <signal.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/keeper.h"
#include "daemon/log.h"
#include "daemon/memory.h"
#include "daemon/passfd.h"

#define N_CLIENTS 2
#define N_TAGS 4096

struct client {
	struct fixture *f;
	struct memory *m;
	int channel;			/* the master's end */
};

struct told {
	bool is_there;
	enum memory_status status;
	bool is_single;
	char value[MEMORY_VALUE_MAX + 1];
};

struct fixture {
	char folder[64];
	pid_t pid;			/* 0: no keeper */
	int control;
	struct store_limits limits;
	struct loop *loop;
	struct loop_timer *timer;
	struct client clients[N_CLIENTS];
	struct told told[N_TAGS];
	bool is_refused[N_TAGS];	/* nobody waits for it */
	size_t n_told;
	size_t n_wanted;
	bool is_late;
};

/* ---- a keeper, and whoever asks it --------------------------------------- */

static inline bool
on_answer(void *arg, uint64_t tag, const struct memory_reply *reply)
{
	struct client *c = arg;
	struct told *t = c->f->told + tag;

	assert_true(tag < N_TAGS);
	assert_false(t->is_there);
	*t = (struct told){.is_there = true, .status = reply->status,
	    .is_single = reply->is_single};
	memcpy(t->value, reply->value.p == NULL ? (const uint8_t *)"" :
	    reply->value.p, reply->value.n);
	if (++c->f->n_told == c->f->n_wanted)
		loop_stop(c->f->loop);
	return !c->f->is_refused[tag];
}

static inline void
meet(struct fixture *f, struct client *c)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	assert_int_equal(passfd_give(f->control, pair[0]), 0);
	assert_int_equal(passfd_give(c->channel, pair[1]), 0);
	close(pair[0]);
	close(pair[1]);
}

static inline void
start_keeper(struct fixture *f)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	f->pid = fork();
	assert_true(f->pid >= 0);
	if (f->pid == 0) {
		int control = pair[1];

		priv_close_others(&control, 1);
		_exit(keeper_serve(f->folder, &f->limits, NULL,
		    control));
	}
	close(pair[1]);
	f->control = pair[0];
	for (int k = 0; k < N_CLIENTS; k++)
		if (f->clients[k].m != NULL)
			meet(f, f->clients + k);
}

static inline void
kill_keeper(struct fixture *f, int signal)
{
	kill(f->pid, signal);
	assert_int_equal(waitpid(f->pid, NULL, 0), f->pid);
	f->pid = 0;
	close(f->control);
}

static inline void
start_client_with(struct fixture *f, int k, memory_answer *answer)
{
	struct client *c = f->clients + k;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	c->f = f;
	c->channel = pair[0];
	if (f->pid != 0)
		meet(f, c);
	c->m = memory_new(f->loop, pair[1],
	    &(struct memory_calls){.answer = answer}, c);
	assert_non_null(c->m);
	memory_wait(c->m, 30 * 1000);	/* a machine may be slow */
}

static inline void
start_client(struct fixture *f, int k)
{
	start_client_with(f, k, on_answer);
}

static inline void
end_client(struct fixture *f, int k)
{
	memory_free(&f->clients[k].m);
	close(f->clients[k].channel);
}

static inline void
on_time(void *arg)
{
	struct fixture *f = arg;

	f->is_late = true;
	loop_stop(f->loop);
}

/* Until so many answers more have come. */
static inline void
wait_for(struct fixture *f, size_t n)
{
	f->n_wanted += n;
	f->is_late = false;
	loop_timer_start(f->timer, 30 * 1000);
	if (f->n_told < f->n_wanted)
		loop_run(f->loop);
	loop_timer_stop(f->timer);
	assert_false(f->is_late);
}

static inline int
start(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	*state = f;
	snprintf(f->folder, sizeof(f->folder), "/tmp/hopseal-memory-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	f->limits = (struct store_limits){7 * 86400, MEMORY_SHORT_S, 1 << 24,
	    7 * 86400, 1 << 24, 1000};
	f->loop = loop_new();
	f->timer = loop_timer_new(f->loop, on_time, f);
	assert_non_null(f->timer);
	start_keeper(f);
	for (int k = 0; k < N_CLIENTS; k++)
		start_client(f, k);
	return 0;
}

static inline int
stop(void **state)
{
	struct fixture *f = *state;
	char command[128];

	for (int k = 0; k < N_CLIENTS; k++)
		if (f->clients[k].m != NULL)
			end_client(f, k);
	loop_timer_free(&f->timer);
	loop_free(&f->loop);
	if (f->pid != 0) {
		int status;

		kill(f->pid, SIGCONT);
		/* it leaves by itself, behind its last peer */
		close(f->control);
		assert_int_equal(waitpid(f->pid, &status, 0), f->pid);
		assert_int_equal(status, 0);
	}
	snprintf(command, sizeof(command), "rm -rf %s", f->folder);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

static inline struct memory_key
key(const char *rcpt, const char *content)
{
	return (struct memory_key){BYTES_LIT("in"), BYTES_LIT("a@a.example"),
	    bytes_of(rcpt), bytes_of(content)};
}

static inline void
claim(struct fixture *f, int client, const char *rcpt, const char *content,
    const char *value, uint64_t tag)
{
	struct memory_key k = key(rcpt, content);

	assert_int_equal(memory_claim(f->clients[client].m, &k,
	    bytes_of(value), false, tag), 0);
}

static inline void
expect(struct fixture *f, uint64_t tag, enum memory_status status,
    const char *value)
{
	assert_true(f->told[tag].is_there);
	assert_int_equal(f->told[tag].status, status);
	assert_string_equal(f->told[tag].value, value);
	f->told[tag].is_there = false;
}

/* A claim, and its answer. */
static inline void
claim_is(struct fixture *f, int client, const char *rcpt, const char *content,
    const char *value, enum memory_status status, const char *answer)
{
	claim(f, client, rcpt, content, value, 0);
	wait_for(f, 1);
	expect(f, 0, status, answer);
}

static inline void
look_is(struct fixture *f, int client, const char *rcpt,
    enum memory_status status, bool is_single)
{
	struct memory_key k = key(rcpt, "");

	assert_int_equal(memory_look(f->clients[client].m, &k, 1), 0);
	wait_for(f, 1);
	assert_int_equal(f->told[1].is_single, is_single);
	expect(f, 1, status, "");
}

/* Until the keeper has read what this client has said: two sockets have no
 * order between them. */
static inline void
settle(struct fixture *f, int client)
{
	struct memory_key k = key("nobody@b.example", "");

	do {	/* it may be starting */
		assert_int_equal(memory_look(f->clients[client].m, &k, 2), 0);
		wait_for(f, 1);
		f->told[2].is_there = false;
	} while (f->told[2].status == MEMORY_OUT);
}

#endif
