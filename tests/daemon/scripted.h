/*
 * A next hop that says what its script says, on the loop of the test. A
 * script has the answers of one connection, the banner first, '|' between:
 *
 *   text     the answer to the line that came (CRLF is added)
 *   (empty)  no answer
 *   !text    the answer, if any, then the connection ends
 *   354...   the next answer is that to the content's dot
 *   +        one more answer to the same line follows it (LMTP)
 */
#ifndef TESTS_DAEMON_SCRIPTED_H
#define TESTS_DAEMON_SCRIPTED_H

#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/buf.h"
#include "daemon/loop.h"

#define SCRIPTED_MAX 16

struct scripted_peer {
	struct scripted *server;
	struct loop_watch *watch;
	int fd;
	struct bytes script;
	bool is_content;
	bool is_more;
	struct buf seen;	/* all that came */
	size_t used;
	uint8_t octets[65536];
};

struct scripted {
	struct loop *loop;
	struct loop_watch *watch;
	int fd;
	uint16_t port;
	const char *scripts[SCRIPTED_MAX];	/* one a connection */
	size_t n_scripts;
	size_t n;		/* connections so far */
	size_t n_open;
	void (*look)(void);	/* called when a connection ended; or NULL */
	struct scripted_peer *peers[SCRIPTED_MAX];
};

static inline void
scripted_end(struct scripted_peer *p)
{
	if (p->fd < 0)
		return;
	loop_unwatch(&p->watch);
	close(p->fd);
	p->fd = -1;
	p->server->n_open--;
	if (p->server->look != NULL)
		p->server->look();
}

static inline void
scripted_answer(struct scripted_peer *p)
{
	do {
		struct bytes item = bytes_cut(&p->script, '|');
		bool is_last = item.n != 0 && item.p[0] == '!';

		p->is_more = item.n != 0 && item.p[item.n - 1] == '+';
		item = bytes_skip(item, is_last);
		item.n -= p->is_more;
		if (item.n != 0) {
			const struct iovec io[] = {
			    {(void *)(uintptr_t)item.p, item.n},
			    {(char[]){"\r\n"}, 2}};

			assert_int_equal(writev(p->fd, io, 2), item.n + 2);
		}
		p->is_content = bytes_starts(item, BYTES_LIT("354"));
		if (is_last)
			scripted_end(p);
	} while (p->is_more);
}

static inline void
scripted_read(void *arg, unsigned what)
{
	struct scripted_peer *p = arg;
	ssize_t n = read(p->fd, p->seen.p + p->seen.n,
	    p->seen.cap - p->seen.n);

	(void)what;
	if (n <= 0) {
		scripted_end(p);
		return;
	}
	p->seen.n += (size_t)n;
	while (p->fd >= 0) {
		struct bytes end = p->is_content ? BYTES_LIT("\r\n.\r\n")
						 : BYTES_LIT("\r\n");
		struct bytes rest = bytes_skip(buf_bytes(&p->seen), p->used);
		size_t at = bytes_find(rest, end);

		if (at == rest.n)
			break;
		p->used += at + end.n;
		p->is_content = false;
		scripted_answer(p);
	}
}

static inline void
scripted_accept(void *arg, unsigned what)
{
	struct scripted *s = arg;
	struct scripted_peer *p = calloc(1, sizeof(*p));

	(void)what;
	assert_true(s->n < s->n_scripts);
	s->peers[s->n] = p;
	p->server = s;
	p->fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
	assert_true(p->fd >= 0);
	p->seen = BUF_ON(p->octets);
	p->script = bytes_of(s->scripts[s->n++]);
	s->n_open++;
	p->watch = loop_watch(s->loop, p->fd, scripted_read, p);
	loop_want(p->watch, LOOP_READ);
	scripted_answer(p);
}

static inline void
scripted_start(struct scripted *s, struct loop *l)
{
	struct sockaddr_in sin = {.sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(sin);

	memset(s, 0, sizeof(*s));
	s->loop = l;
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(s->fd >= 0);
	assert_int_equal(bind(s->fd, (struct sockaddr *)&sin, n), 0);
	assert_int_equal(listen(s->fd, 64), 0);
	assert_int_equal(getsockname(s->fd, (struct sockaddr *)&sin, &n), 0);
	s->port = ntohs(sin.sin_port);
	s->watch = loop_watch(l, s->fd, scripted_accept, s);
	loop_want(s->watch, LOOP_READ);
}

static inline void
scripted_stop(struct scripted *s)
{
	for (size_t k = 0; k < s->n; k++) {
		scripted_end(s->peers[k]);
		free(s->peers[k]);
	}
	if (s->watch != NULL)
		close(s->fd);
	loop_unwatch(&s->watch);
}

#endif
