/* Two conns and a line between them whose octets the test hands on. */
#ifndef TESTS_DAEMON_TLSKIT_H
#define TESTS_DAEMON_TLSKIT_H

#include <fcntl.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/conn.h"
#include "tests/daemon/certs.h"

#define ROOM (1U << 20)

/* One end: what it was told, a letter an event, and what it has read. */
struct end {
	struct conn *c;
	struct buf out;
	char log[64];
	size_t n_log;
	uint8_t *got;
	size_t n_got;
	char fault[400];
	bool is_lazy;		/* leaves what it reads where it is */
	bool has_secured;
	int far;		/* the other end of its socket */
};

struct kit {
	struct loop *loop;
	struct loop_timer *limit;
	struct loop_deferred next;
	struct end server, client;
	char folder[64];
	struct cert ca, good, expired, other, self, second;
	struct config_tls pair[2];
	struct config_listener listener;
	struct config config;
	struct tls *tls;
};

static inline void
kit_complain(void *arg, const char *text)
{
	(void)arg;
	print_message("%s\n", text);
}

static inline void
kit_event(void *arg, enum conn_event what)
{
	static const char letters[] = {
		[CONN_CONNECTED] = 'c', [CONN_SECURED] = 'S', [CONN_IN] = 'I',
		[CONN_OUT] = 'O', [CONN_EOF] = 'E', [CONN_BROKEN] = 'B',
		[CONN_TIMEOUT] = 'T',
	};
	struct end *e = arg;

	/* of reads in a row one is told */
	if (e->n_log < sizeof(e->log) - 1 && (what != CONN_IN ||
	    e->n_log == 0 || e->log[e->n_log - 1] != 'I'))
		e->log[e->n_log++] = letters[what];
	if (what == CONN_SECURED)
		e->has_secured = true;
	if (what == CONN_BROKEN)
		snprintf(e->fault, sizeof(e->fault), "%s", conn_fault(e->c));
	if (what == CONN_TIMEOUT)
		loop_stop(e->c->loop);
	if (what == CONN_IN && !e->is_lazy) {
		assert_true(e->n_got + e->c->in.n <= ROOM);
		memcpy(e->got + e->n_got, e->c->in.p, e->c->in.n);
		e->n_got += e->c->in.n;
		buf_drop(&e->c->in, e->c->in.n);
		conn_used(e->c);
	}
}

static inline void
kit_stop(void *arg)
{
	loop_stop(arg);
}

/* Lets the loop do all that it can do without new octets. */
static inline void
kit_turn(struct kit *k)
{
	for (int i = 0; i < 8; i++) {
		loop_defer(k->loop, &k->next, kit_stop, k->loop);
		loop_run(k->loop);
	}
}

static inline void
end_open(struct kit *k, struct end *e, int fd)
{
	uint8_t *out = e->out.p, *got = e->got;

	*e = (struct end){.got = got, .far = -1};
	e->out = (struct buf){out, 0, ROOM, false};
	fcntl(fd, F_SETFL, O_NONBLOCK);
	e->c = conn_new(k->loop, fd, &e->out, kit_event, e);
	assert_non_null(e->c);
}

/* Both ends of one socket pair. */
static inline void
kit_join(struct kit *k)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	end_open(k, &k->server, fds[0]);
	end_open(k, &k->client, fds[1]);
}

/* Each end on a socket of its own, whose other end the test has. */
static inline void
kit_part(struct kit *k)
{
	struct end *ends[2] = {&k->server, &k->client};

	for (int i = 0; i < 2; i++) {
		int fds[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
		end_open(k, ends[i], fds[0]);
		ends[i]->far = fds[1];
		fcntl(fds[1], F_SETFL, O_NONBLOCK);
	}
}

static inline void
kit_hang_up(struct kit *k)
{
	struct end *ends[2] = {&k->server, &k->client};

	for (int i = 0; i < 2; i++) {
		conn_kill(&ends[i]->c);
		if (ends[i]->far >= 0)
			close(ends[i]->far);
		ends[i]->far = -1;
	}
	kit_turn(k);
}

static inline struct tls_way
kit_server_way(struct kit *k)
{
	return (struct tls_way){.tls = k->tls, .listener = &k->listener,
	    .is_server = true};
}

static inline struct tls_way
kit_client_way(struct kit *k, const char *name, bool must_verify)
{
	return (struct tls_way){.tls = k->tls, .listener = &k->listener,
	    .name = name, .port = 25, .must_verify = must_verify};
}

static inline void
kit_secure(struct kit *k, const char *name, bool must_verify)
{
	struct tls_way s = kit_server_way(k);
	struct tls_way c = kit_client_way(k, name, must_verify);

	conn_secure(k->server.c, &s);
	conn_secure(k->client.c, &c);
}

static inline void
end_say(struct end *e, const char *text)
{
	buf_add_str(&e->out, text);
	conn_flush(e->c);
}

/* Takes up to max octets from one end to the other; how many. */
static inline size_t
kit_carry(struct end *from, struct end *to, size_t max)
{
	uint8_t octets[4096];
	size_t n = max < sizeof(octets) ? max : sizeof(octets);
	ssize_t got = recv(from->far, octets, n, 0);

	if (got <= 0)
		return 0;
	assert_int_equal(send(to->far, octets, (size_t)got, MSG_NOSIGNAL),
	    got);
	return (size_t)got;
}

/* A new set of contexts with another certificate first. */
static inline void
kit_use(struct kit *k, const struct cert *first)
{
	tls_free(&k->tls);
	k->pair[0] = (struct config_tls){first->cert, first->key};
	k->tls = tls_new(&k->config, (unsigned)-1, kit_complain, NULL);
	assert_non_null(k->tls);
}

static inline int
kit_setup(void **state)
{
	struct kit *k = calloc(1, sizeof(*k));

	assert_non_null(k);
	assert_true(sodium_init() >= 0);
	k->loop = loop_new();
	k->limit = loop_timer_new(k->loop, kit_stop, k->loop);
	snprintf(k->folder, sizeof(k->folder), "/tmp/hopseal-tls-XXXXXX");
	assert_non_null(mkdtemp(k->folder));
	cert_make(&k->ca, k->folder, "ca", NULL, NULL, 30);
	cert_make(&k->good, k->folder, "good", "DNS:mx.example.org", &k->ca,
	    30);
	cert_make(&k->expired, k->folder, "expired", "DNS:mx.example.org",
	    &k->ca, -1);
	cert_make(&k->other, k->folder, "other", "DNS:elsewhere.example",
	    &k->ca, 30);
	cert_make(&k->self, k->folder, "self", "DNS:mx.example.org", NULL, 30);
	cert_make(&k->second, k->folder, "second",
	    "DNS:*.second.example,IP:127.0.0.1", &k->ca, 30);
	k->pair[1] = (struct config_tls){k->second.cert, k->second.key};
	k->listener = (struct config_listener){.name = "in", .tls = k->pair,
	    .n_tls = 2, .tls_ca = k->ca.cert, .tls_timeout_s = 3600};
	k->config = (struct config){.path = "test", .listeners = &k->listener,
	    .n_listeners = 1};
	k->server.got = malloc(ROOM);
	k->server.out.p = malloc(ROOM);
	k->client.got = malloc(ROOM);
	k->client.out.p = malloc(ROOM);
	kit_use(k, &k->good);
	*state = k;
	return 0;
}

static inline int
kit_teardown(void **state)
{
	struct kit *k = *state;

	kit_hang_up(k);
	tls_free(&k->tls);
	cert_free(&k->ca);
	cert_free(&k->good);
	cert_free(&k->expired);
	cert_free(&k->other);
	cert_free(&k->self);
	cert_free(&k->second);
	rmdir(k->folder);
	loop_timer_free(&k->limit);
	loop_free(&k->loop);
	free(k->server.got);
	free(k->server.out.p);
	free(k->client.got);
	free(k->client.out.p);
	free(k);
	return 0;
}

#endif
