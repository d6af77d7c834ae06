#include <assert.h>
#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/err.h"
#include "daemon/conn_state.h"
#include "daemon/tls_state.h"

/* A full record, what it grows by, and an alert or two. */
#define WIRE_MAX (SSL3_RT_MAX_PLAIN_LENGTH + 2048)

/* A peer that floods us with records that carry nothing waits its turn. */
#define READ_A_TURN (64 * 1024)

/* ---- OpenSSL's way to the socket ------------------------------------------ */

static int
bio_read(BIO *b, char *p, int n)
{
	struct conn_tls *t = BIO_get_data(b);
	ssize_t got;

	BIO_clear_retry_flags(b);
	if (n <= 0)
		return 0;
	if ((size_t)n > t->budget)
		n = (int)t->budget;
	if (n == 0) {
		BIO_set_retry_read(b);
		return -1;
	}
	do
		got = recv(t->conn->fd, p, (size_t)n, 0);
	while (got < 0 && errno == EINTR);
	if (got > 0)
		t->budget -= (size_t)got;
	else if (got == 0)
		t->is_fin = true;
	else if (errno == EAGAIN)
		BIO_set_retry_read(b);
	else
		t->conn->error = errno;
	return (int)got;
}

/* Collects: conn_tls_write() and the like send what is there at once. */
static int
bio_write(BIO *b, const char *p, int n)
{
	struct conn_tls *t = BIO_get_data(b);
	struct bytes octets = {(const uint8_t *)p, n < 0 ? 0 : (size_t)n};

	BIO_clear_retry_flags(b);
	if (t->wire.p == NULL) {
		t->wire.p = malloc(WIRE_MAX);
		if (t->wire.p == NULL) {
			t->conn->error = ENOMEM;
			return -1;
		}
		t->wire.cap = WIRE_MAX;
	}
	octets = bytes_first(octets, buf_room(&t->wire));
	if (octets.n == 0 && n > 0) {
		BIO_set_retry_write(b);
		return -1;
	}
	buf_add(&t->wire, octets);
	return (int)octets.n;
}

static long
bio_control(BIO *b, int what, long number, void *p)
{
	const struct conn_tls *t = BIO_get_data(b);

	(void)number;
	(void)p;
	switch (what) {
	case BIO_CTRL_FLUSH:
		return 1;
	case BIO_CTRL_EOF:
		return t->is_fin;
	default:
		return 0;
	}
}

/* One for the process, made when it is needed first. */
static BIO_METHOD *
bio_method(void)
{
	static BIO_METHOD *method;

	if (method != NULL)
		return method;
	method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK,
	    "conn");
	if (method == NULL)
		return NULL;
	BIO_meth_set_read(method, bio_read);
	BIO_meth_set_write(method, bio_write);
	BIO_meth_set_ctrl(method, bio_control);
	return method;
}

/* ---- making and freeing --------------------------------------------------- */

static bool
setup(struct conn_tls *t)
{
	const BIO_METHOD *method = bio_method();
	BIO *b = method == NULL ? NULL : BIO_new(method);

	if (b == NULL)
		return false;
	BIO_set_data(b, t);
	BIO_set_init(b, 1);
	t->ssl = tls_ssl_new(&t->way, &t->link);
	if (t->ssl == NULL) {
		BIO_free(b);
		return false;
	}
	SSL_set_bio(t->ssl, b, b);	/* takes it */
	return true;
}

int
conn_tls_new(struct conn *c, const struct tls_way *w)
{
	struct conn_tls *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return -E_NOMEM;
	c->tls = t;
	t->conn = c;
	t->way = *w;
	t->way.name = w->name == NULL ? NULL : strdup(w->name);
	t->plain = c->out->n;
	t->link.now_ms = loop_now_ms(c->loop);
	if ((w->name != NULL && t->way.name == NULL) || !setup(t)) {
		ERR_clear_error();
		conn_tls_free(c);
		return -E_NOMEM;
	}
	return 0;
}

void
conn_tls_free(struct conn *c)
{
	struct conn_tls *t = c->tls;

	if (t == NULL)
		return;
	c->tls = NULL;
	if (t->ssl != NULL && !t->is_failed)
		/* or OpenSSL takes the session to be unfit for another */
		SSL_set_shutdown(t->ssl,
		    SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(t->ssl);
	free((char *)t->way.name);
	free(t->wire.p);
	free(t);
}

void
conn_tls_turn(struct conn_tls *t)
{
	t->budget = READ_A_TURN;
}

/* ---- sending -------------------------------------------------------------- */

/* Sends what the socket takes. False: c->error is set. */
static bool
drain(struct conn_tls *t)
{
	size_t n = 0;

	while (n < t->wire.n) {
		ssize_t sent = send(t->conn->fd, t->wire.p + n, t->wire.n - n,
		    MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0 && errno != EAGAIN) {
			t->conn->error = errno;
			t->is_failed = true;
			return false;
		}
		if (sent < 0)
			break;
		n += (size_t)sent;
	}
	buf_drop(&t->wire, n);
	if (t->wire.n != 0)
		return true;
	free(t->wire.p);
	t->wire = (struct buf){NULL, 0, 0, false};
	t->is_stuck = false;
	buf_drop(t->conn->out, t->sealed);
	t->conn->behind = bytes_skip(t->conn->behind, t->sealed_behind);
	t->sealed = 0;
	t->sealed_behind = 0;
	return true;
}

/* Says why, once; a socket's error has its own words. */
static void
fail(struct conn_tls *t)
{
	struct buf b = {(uint8_t *)t->fault, 0, sizeof(t->fault) - 1, false};

	t->is_failed = true;
	if (!t->is_secured)
		tls_forget(&t->way);
	if (t->conn->error != 0) {
		ERR_clear_error();
		return;
	}
	tls_fault_write(t->ssl, &t->way, t->is_secured, t->is_fin, &b);
	t->fault[b.n] = '\0';
	t->conn->fault = t->fault;
	(void)drain(t);		/* the alert tells the peer why */
}

bool
conn_tls_write(struct conn *c)
{
	struct conn_tls *t = c->tls;

	if (t->is_failed)
		return false;
	while (drain(t) && t->wire.n == 0 && !conn_is_sent(c)) {
		bool is_behind = c->out->n == 0;
		struct bytes b = is_behind ? c->behind : buf_bytes(c->out);

		if (!t->is_secured)
			return true;
		b = bytes_first(b, SSL3_RT_MAX_PLAIN_LENGTH);
		ERR_clear_error();
		/* the wire is empty and has room: it never has to wait */
		if (SSL_write_ex(t->ssl, b.p, b.n, is_behind ?
		    &t->sealed_behind : &t->sealed) != 1) {
			fail(t);
			return false;
		}
	}
	return !t->is_failed;
}

void
conn_tls_close(struct conn *c)
{
	struct conn_tls *t = c->tls;

	if (t == NULL || !t->is_secured || t->is_failed || t->wire.n != 0)
		return;
	ERR_clear_error();
	(void)SSL_shutdown(t->ssl);
	(void)drain(t);
	ERR_clear_error();
}

/* ---- receiving ------------------------------------------------------------ */

enum conn_got
conn_tls_handshake(struct conn *c)
{
	struct conn_tls *t = c->tls;
	int r, why;

	if (t->is_failed || !drain(t))
		return CONN_GOT_BROKEN;
	do {
		if (t->wire.n != 0)
			return CONN_GOT_ALL;	/* it is asked again then */
		t->link.now_ms = loop_now_ms(c->loop);
		ERR_clear_error();
		r = SSL_do_handshake(t->ssl);
		why = SSL_get_error(t->ssl, r);
		if (r != 1 && why != SSL_ERROR_WANT_READ &&
		    why != SSL_ERROR_WANT_WRITE) {
			fail(t);
			return CONN_GOT_BROKEN;
		}
		if (!drain(t))
			return CONN_GOT_BROKEN;
	} while (why == SSL_ERROR_WANT_WRITE);
	t->is_secured = r == 1;
	return CONN_GOT_ALL;
}

enum conn_got
conn_tls_read(struct conn *c)
{
	struct conn_tls *t = c->tls;
	enum conn_got got = CONN_GOT_ALL;
	int r = 1;

	if (t->is_failed)
		return CONN_GOT_BROKEN;
	t->link.now_ms = loop_now_ms(c->loop);
	while (c->in.n < c->in.cap) {
		size_t n = 0;

		ERR_clear_error();
		r = SSL_read_ex(t->ssl, c->in.p + c->in.n,
		    c->in.cap - c->in.n, &n);
		c->in.n += n;
		if (r != 1)
			break;
	}
	t->is_dry = false;
	if (r != 1) {
		switch (SSL_get_error(t->ssl, r)) {
		case SSL_ERROR_WANT_READ:
			t->is_dry = true;
			break;
		case SSL_ERROR_WANT_WRITE:
			t->is_stuck = true;
			break;
		case SSL_ERROR_ZERO_RETURN:
			got = CONN_GOT_END;
			break;
		default:
			fail(t);
			return CONN_GOT_BROKEN;
		}
	}
	return drain(t) ? got : CONN_GOT_BROKEN;
}

bool
conn_tls_facts(const struct conn *c, struct tls_facts *f)
{
	const struct conn_tls *t = c->tls;
	const char *name;

	if (t == NULL || !t->is_secured)
		return false;
	name = t->way.is_server ?
	    SSL_get_servername(t->ssl, TLSEXT_NAMETYPE_host_name) :
	    t->way.name;
	*f = (struct tls_facts){
	    .version = SSL_get_version(t->ssl),
	    .cipher = SSL_get_cipher_name(t->ssl),
	    .bits = SSL_get_cipher_bits(t->ssl, NULL),
	    .is_resumed = SSL_session_reused(t->ssl) == 1,
	    .name = name == NULL ? "" : name,
	};
	if (!t->way.is_server)
		f->unverified = tls_unverified(t->ssl);
	f->is_verified = !t->way.is_server && f->unverified == NULL;
	return true;
}
