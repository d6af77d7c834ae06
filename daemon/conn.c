#include "daemon/conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/addr.h"

static void
interest(struct conn *c)
{
	unsigned what = 0;

	if (c->is_connecting || c->out->n != 0)
		what |= LOOP_WRITE;
	if (!c->is_connecting && !c->is_eof && c->in.n < c->in.cap)
		what |= LOOP_READ;
	loop_want(c->watch, what);
}

static void
broken(struct conn *c, int error)
{
	c->error = error;
	loop_want(c->watch, 0);
	c->call(c->arg, CONN_BROKEN);
}

/* Sends what the socket takes. Returns 0 or errno's value. */
static int
send_some(struct conn *c)
{
	while (c->out->n != 0) {
		ssize_t n = send(c->fd, c->out->p, c->out->n, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : errno;
		buf_drop(c->out, (size_t)n);
	}
	return 0;
}

/* Returns false when the owner was told something and c may be dying. */
static bool
send_ready(struct conn *c)
{
	int error = send_some(c);

	if (error != 0) {
		broken(c, error);
		return false;
	}
	interest(c);
	if (c->out->n == 0)
		c->call(c->arg, CONN_OUT);
	return !c->is_dying;
}

static void
receive(struct conn *c)
{
	ssize_t n = recv(c->fd, c->in.p + c->in.n, c->in.cap - c->in.n, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		broken(c, errno);
		return;
	}
	if (n == 0) {
		c->is_eof = true;
		interest(c);
		c->call(c->arg, CONN_EOF);
		return;
	}
	c->in.n += (size_t)n;
	interest(c);
	c->call(c->arg, CONN_IN);
}

static void
connected(struct conn *c)
{
	int error = 0;
	socklen_t n = sizeof(error);

	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &n) != 0)
		error = errno;
	c->is_connecting = false;
	if (error != 0) {
		broken(c, error);
		return;
	}
	interest(c);
	c->call(c->arg, CONN_CONNECTED);
}

static void
ready(void *arg, unsigned what)
{
	struct conn *c = arg;

	if (c->is_connecting) {
		connected(c);
		return;
	}
	if ((what & LOOP_WRITE) && c->out->n != 0 && !send_ready(c))
		return;
	if ((what & LOOP_READ) && !c->is_eof && c->in.n < c->in.cap)
		receive(c);
}

static void
timeout(void *arg)
{
	struct conn *c = arg;

	c->call(c->arg, CONN_TIMEOUT);
}

struct conn *
conn_new(struct loop *l, int fd, struct buf *out, conn_call *call, void *arg)
{
	struct conn *c = calloc(1, sizeof(*c));
	int on = 1;

	if (c == NULL) {
		close(fd);
		return NULL;
	}
	c->loop = l;
	c->fd = fd;
	c->out = out;
	c->call = call;
	c->arg = arg;
	c->in = BUF_ON(c->in_octets);
	c->timer = loop_timer_new(l, timeout, c);
	c->watch = loop_watch(l, fd, ready, c);
	if (c->timer == NULL || c->watch == NULL) {
		conn_kill(&c);
		return NULL;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	interest(c);
	return c;
}

static int
dial(const struct config_addr *to)
{
	struct sockaddr_storage ss;
	socklen_t n = addr_to_system(to, &ss);
	int fd = socket(ss.ss_family,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (connect(fd, (struct sockaddr *)&ss, n) != 0 &&
	    errno != EINPROGRESS) {
		int error = errno;

		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

struct conn *
conn_connect(struct loop *l, const struct config_addr *to, struct buf *out,
    conn_call *call, void *arg)
{
	int fd = dial(to);
	struct conn *c;

	if (fd < 0)
		return NULL;
	c = conn_new(l, fd, out, call, arg);
	if (c == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	c->is_connecting = true;
	interest(c);
	return c;
}

void
conn_flush(struct conn *c)
{
	if (c->is_connecting || c->is_dying || c->out->n == 0)
		return;
	/* The owner is on the stack: an error is told by the next turn. */
	(void)send_some(c);
	interest(c);
}

void
conn_used(struct conn *c)
{
	if (!c->is_dying)
		interest(c);
}

void
conn_deadline(struct conn *c, int64_t ms)
{
	if (ms == 0)
		loop_timer_stop(c->timer);
	else
		loop_timer_start(c->timer, ms);
}

static void
destroy(void *arg)
{
	struct conn *c = arg;

	loop_timer_free(&c->timer);
	close(c->fd);
	free(c);
}

void
conn_kill(struct conn **cp)
{
	struct conn *c = *cp;

	*cp = NULL;
	if (c == NULL || c->is_dying)
		return;
	c->is_dying = true;
	if (c->timer != NULL)
		loop_timer_stop(c->timer);
	loop_unwatch(&c->watch);
	loop_defer(c->loop, &c->deferred, destroy, c);
}
