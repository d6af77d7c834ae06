#include "daemon/conn.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "daemon/addr.h"
#include "daemon/conn_state.h"

static void again(void *arg);

/*
 * What is read in a turn, of whichever connection: most is used in it, and no
 * connection needs storage of its own then.
 */
static struct {
	struct conn *user;	/* NULL: nobody now */
	uint8_t octets[CONN_IN_PLENTY];
} reading;

/* Once more before the loop waits: for what no descriptor will tell of. */
static void
ask_again(struct conn *c)
{
	if (c->is_again || c->is_dying)
		return;
	c->is_again = true;
	loop_defer(c->loop, &c->again, again, c);
}

static bool
is_securing(const struct conn *c)
{
	return c->tls != NULL && !c->tls->is_secured;
}

bool
conn_is_sent(const struct conn *c)
{
	return c->out->n == 0 && c->behind.n == 0;
}

/* Whether octets wait for the socket to take them. */
static bool
has_unsent(const struct conn *c)
{
	if (c->tls == NULL)
		return !conn_is_sent(c);
	return c->tls->wire.n != 0 || c->tls->plain != 0 ||
	    (c->tls->is_secured && !conn_is_sent(c));
}

/* What TLS has to say goes out before more is read: it may be an alert. */
static bool
wants_octets(const struct conn *c)
{
	if (c->is_connecting || c->is_eof)
		return false;
	if (is_securing(c))
		return c->tls->plain == 0 && c->tls->wire.n == 0;
	if (c->tls != NULL && c->tls->is_stuck)
		return false;
	return c->in.n < c->in.cap;
}

static void
interest(struct conn *c)
{
	unsigned what = 0;

	if (c->is_dying || c->is_broken)
		return;
	if (c->is_connecting || has_unsent(c))
		what |= LOOP_WRITE;
	if (wants_octets(c))
		what |= LOOP_READ;
	loop_want(c->watch, what);
	/* OpenSSL may hold octets that the descriptor knows nothing of */
	if (c->tls != NULL && c->tls->is_secured && !c->tls->is_dry &&
	    wants_octets(c))
		ask_again(c);
	if (c->in.n == 0 && c->in.p != NULL && !c->is_inside)
		ask_again(c);
}

static void
broken(struct conn *c)
{
	if (c->is_broken || c->is_dying)
		return;
	c->is_broken = true;
	loop_want(c->watch, 0);
	c->call(c->arg, CONN_BROKEN);
}

/* As send(); EAGAIN is 0. */
static ssize_t
send_octets(struct conn *c, struct bytes b, int flags)
{
	ssize_t n;

	do
		n = send(c->fd, b.p, b.n, MSG_NOSIGNAL | flags);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n < 0)
		c->error = errno;
	return n;
}

/* Sends what the socket takes of the first n octets; takes them out. */
static bool
send_plain(struct conn *c, size_t n)
{
	int flags = c->behind.n != 0 ? MSG_MORE : 0;

	while (n != 0) {
		ssize_t sent = send_octets(c, (struct bytes){c->out->p, n},
		    flags);

		if (sent <= 0)
			return sent == 0;
		buf_drop(c->out, (size_t)sent);
		n -= (size_t)sent;
		if (c->tls != NULL)
			c->tls->plain = n;
	}
	return true;
}

/* Likewise of what goes behind. */
static bool
send_behind(struct conn *c)
{
	while (c->out->n == 0 && c->behind.n != 0) {
		ssize_t sent = send_octets(c, c->behind, 0);

		if (sent <= 0)
			return sent == 0;
		c->behind = bytes_skip(c->behind, (size_t)sent);
	}
	return true;
}

static bool
send_some(struct conn *c)
{
	if (c->tls == NULL)
		return send_plain(c, c->out->n) && send_behind(c);
	if (c->tls->plain != 0)
		return send_plain(c, c->tls->plain);
	return conn_tls_write(c);
}

static enum conn_got
receive_plain(struct conn *c)
{
	ssize_t n = recv(c->fd, c->in.p + c->in.n, c->in.cap - c->in.n, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return CONN_GOT_ALL;
	if (n < 0) {
		c->error = errno;
		return CONN_GOT_BROKEN;
	}
	c->in.n += (size_t)n;
	return n == 0 ? CONN_GOT_END : CONN_GOT_ALL;
}

/* Turns do not stand in each other, and end with release(). */
static void
borrow(struct conn *c)
{
	assert(reading.user == NULL);
	reading.user = c;
	c->in = (struct buf){reading.octets, 0,
	    c->is_plenty ? CONN_IN_PLENTY : CONN_IN_MAX, false};
}

static void
receive(struct conn *c)
{
	size_t had = c->in.n;
	enum conn_got got;

	if (c->in.p == NULL)
		borrow(c);
	got = c->tls == NULL ? receive_plain(c) : conn_tls_read(c);
	c->is_plenty = c->in.n == c->in.cap;
	c->is_eof = got == CONN_GOT_END;
	/* a full buffer stops the reading only where nobody takes from it */
	if (c->is_eof || c->in.n < c->in.cap)
		interest(c);
	if (c->in.n != had)
		c->call(c->arg, CONN_IN);
	if (c->is_dying)
		return;
	if (c->in.n == c->in.cap && !is_securing(c))
		interest(c);
	if (got == CONN_GOT_END)
		c->call(c->arg, CONN_EOF);
	else if (got == CONN_GOT_BROKEN)
		broken(c);
}

static void
connected(struct conn *c)
{
	int error = 0;
	socklen_t n = sizeof(error);

	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &n) != 0)
		error = errno;
	c->is_connecting = false;
	c->error = error;
	if (error != 0) {
		broken(c);
		return;
	}
	interest(c);
	c->call(c->arg, CONN_CONNECTED);
}

/* The plain octets first, then the handshake. */
static void
secure(struct conn *c)
{
	enum conn_got got = CONN_GOT_BROKEN;

	if (c->fault != NULL || !send_some(c)) {
		broken(c);
		return;
	}
	if (c->tls->plain != 0)
		got = CONN_GOT_ALL;
	else
		got = conn_tls_handshake(c);
	interest(c);
	if (got != CONN_GOT_ALL)
		broken(c);
	else if (c->tls->is_secured)
		c->call(c->arg, CONN_SECURED);
}

static void
transfer(struct conn *c, unsigned what)
{
	if ((what & LOOP_WRITE) && has_unsent(c)) {
		c->is_out_due |= !conn_is_sent(c);
		if (!send_some(c)) {
			broken(c);
			return;
		}
		interest(c);
	}
	if (c->is_out_due && conn_is_sent(c)) {
		c->is_out_due = false;
		c->call(c->arg, CONN_OUT);
	}
	if ((what & LOOP_READ) && !c->is_dying && !c->is_broken &&
	    wants_octets(c))
		receive(c);
}

/* Under TLS a password may have stood in it. */
static void
free_input(struct conn *c)
{
	if (c->in.p != NULL && c->tls != NULL)
		explicit_bzero(c->in.p, c->in.cap);
	free(c->in.p);
	c->in = (struct buf){NULL, 0, CONN_IN_MAX, false};
}

/* What was not used gets storage of its own. False: there is no memory. */
static bool
release(struct conn *c)
{
	size_t cap = c->in.n > CONN_IN_MAX ? c->in.n : CONN_IN_MAX;
	struct buf own = {NULL, 0, cap, false};
	bool is_kept = c->in.n != 0 && !c->is_dying && !c->is_broken;

	reading.user = NULL;
	if (is_kept)
		own.p = malloc(cap);
	if (own.p != NULL)
		buf_add(&own, buf_bytes(&c->in));
	if (c->tls != NULL)
		explicit_bzero(c->in.p, c->in.cap);
	c->in = own;
	return !is_kept || own.p != NULL;
}

/* A turn: the callbacks, then what is not needed any more. */
static void
turn(struct conn *c, unsigned what)
{
	c->is_inside = true;
	if (c->tls != NULL)
		conn_tls_turn(c->tls);
	if (is_securing(c))
		secure(c);
	else
		transfer(c, what);
	c->is_inside = false;
	c->is_plenty = c->is_plenty && c->in.n == 0;
	if (reading.user == c && !release(c)) {
		c->error = ENOMEM;
		broken(c);
	} else if (c->in.n == 0) {
		free_input(c);
	}
}

static void
again(void *arg)
{
	struct conn *c = arg;
	bool is_needed = c->tls != NULL && !c->tls->is_dry;

	c->is_again = false;
	if (c->is_dying || c->is_broken)
		return;
	if (c->fault != NULL && !is_securing(c))
		broken(c);	/* found where nobody could be told */
	else
		turn(c, is_needed ? LOOP_READ : 0);
}

static void
ready(void *arg, unsigned what)
{
	struct conn *c = arg;

	if (c->is_dying || c->is_broken)
		return;
	if (c->is_connecting)
		connected(c);
	else
		turn(c, what);
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

	if (c == NULL)
		return NULL;
	c->loop = l;
	c->fd = fd;
	c->out = out;
	c->call = call;
	c->arg = arg;
	c->in.cap = CONN_IN_MAX;
	c->timer = loop_timer_new(l, timeout, c);
	c->watch = loop_watch(l, fd, ready, c);
	if (c->timer == NULL || c->watch == NULL) {
		c->fd = -1;	/* the caller's */
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
		close(fd);
		errno = ENOMEM;
		return NULL;
	}
	c->is_connecting = true;
	interest(c);
	return c;
}

void
conn_secure(struct conn *c, const struct tls_way *w)
{
	assert(c->tls == NULL && !c->is_connecting && !c->is_dying);
	if (conn_tls_new(c, w) != 0)
		c->fault = err_text(-E_NOMEM);
	else if (c->in.n != 0)
		c->fault = "octets in plain stood behind STARTTLS";
	conn_deadline(c, w->listener->tls_timeout_s * 1000LL);
	loop_want(c->watch, 0);
	ask_again(c);
}

const char *
conn_fault(const struct conn *c)
{
	const char *why = c->fault;

	if (why == NULL)
		why = strerrordesc_np(c->error);
	return why == NULL ? "unknown system error" : why;
}

void
conn_flush(struct conn *c)
{
	if (c->is_connecting || c->is_dying || c->is_broken ||
	    is_securing(c) || conn_is_sent(c))
		return;
	/* The owner is on the stack: an error is told by the next turn, and so
	 * is the end of what had to wait at an earlier flush. */
	if (!send_some(c) && c->fault != NULL)
		ask_again(c);
	if (!conn_is_sent(c))
		c->is_out_due = true;
	else if (c->is_out_due)
		ask_again(c);
	interest(c);
}

void
conn_send(struct conn *c, struct bytes octets)
{
	assert(c->behind.n == 0);
	c->behind = octets;
	conn_flush(c);
}

void
conn_used(struct conn *c)
{
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
	free_input(c);		/* its own by now */
	conn_tls_free(c);
	if (c->fd >= 0)
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
	if (!c->is_broken && conn_is_sent(c))
		conn_tls_close(c);
	c->is_dying = true;
	if (c->timer != NULL)
		loop_timer_stop(c->timer);
	loop_unwatch(&c->watch);
	loop_defer(c->loop, &c->deferred, destroy, c);
}
