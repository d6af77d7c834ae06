#include "cli/test_wire.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <netinet/in.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "config/value.h"

static bool
fail(struct test_wire *w, const char *what)
{
	unsigned long tls = ERR_peek_last_error();

	if (w->ssl != NULL && tls != 0)
		snprintf(w->fault, sizeof(w->fault), "%s: %s", what,
		    ERR_reason_error_string(tls));
	else if (errno == EAGAIN || errno == EINPROGRESS)
		snprintf(w->fault, sizeof(w->fault), "%s: no answer in time",
		    what);
	else
		snprintf(w->fault, sizeof(w->fault), "%s: %s", what,
		    strerror(errno));
	return false;
}

static socklen_t
to_system(const struct config_addr *a, struct sockaddr_storage *ss)
{
	struct sockaddr_in four = {.sin_family = AF_INET,
	    .sin_port = htons(a->port)};
	struct sockaddr_in6 six = {.sin6_family = AF_INET6,
	    .sin6_port = htons(a->port)};

	if (config_value_is_v4(a->ip)) {
		memcpy(&four.sin_addr, a->ip + 12, 4);
		memcpy(ss, &four, sizeof(four));
		return sizeof(four);
	}
	memcpy(&six.sin6_addr, a->ip, 16);
	memcpy(ss, &six, sizeof(six));
	return sizeof(six);
}

bool
test_wire_open(struct test_wire *w, const struct config_addr *to,
    unsigned timeout_s)
{
	const struct timeval wait = {.tv_sec = timeout_s};
	struct sockaddr_storage ss = {.ss_family = AF_UNSPEC};
	socklen_t n = to_system(to, &ss);

	w->fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (w->fd < 0 ||
	    setsockopt(w->fd, SOL_SOCKET, SO_RCVTIMEO, &wait,
	        sizeof(wait)) != 0 ||
	    setsockopt(w->fd, SOL_SOCKET, SO_SNDTIMEO, &wait,
	        sizeof(wait)) != 0 ||
	    connect(w->fd, (struct sockaddr *)&ss, n) != 0)
		return fail(w, "connect");
	return true;
}

bool
test_wire_secure(struct test_wire *w)
{
	w->ctx = SSL_CTX_new(TLS_client_method());
	w->ssl = w->ctx == NULL ? NULL : SSL_new(w->ctx);
	if (w->ssl == NULL || SSL_set_fd(w->ssl, w->fd) != 1 ||
	    SSL_connect(w->ssl) != 1)
		return fail(w, "TLS");
	return true;
}

bool
test_wire_send(struct test_wire *w, struct bytes octets)
{
	while (octets.n != 0) {
		ssize_t n = w->ssl != NULL ? SSL_write(w->ssl, octets.p,
		    (int)octets.n) : send(w->fd, octets.p, octets.n,
		    MSG_NOSIGNAL);

		if (n <= 0 && errno == EINTR && w->ssl == NULL)
			continue;
		if (n <= 0)
			return fail(w, "send");
		octets = bytes_skip(octets, (size_t)n);
	}
	return true;
}

/* A line without its end, appended to out; false where none comes. */
static bool
take_line(struct test_wire *w, struct buf *out)
{
	for (;;) {
		struct bytes in = {w->in, w->n_in};
		size_t at = bytes_index(in, '\n');
		ssize_t n;

		if (at < in.n) {
			buf_add(out, bytes_first(in, at != 0 &&
			    in.p[at - 1] == '\r' ? at - 1 : at));
			w->n_in -= at + 1;
			memmove(w->in, w->in + at + 1, w->n_in);
			return !out->full;
		}
		if (w->n_in == sizeof(w->in))
			return false;
		errno = 0;
		n = w->ssl != NULL ? SSL_read(w->ssl, w->in + w->n_in,
		    (int)(sizeof(w->in) - w->n_in)) : recv(w->fd, w->in +
		    w->n_in, sizeof(w->in) - w->n_in, 0);
		if (n == 0 || (n < 0 && errno == 0)) {
			snprintf(w->fault, sizeof(w->fault),
			    "the connection was closed");
			return false;
		}
		if (n < 0)
			return fail(w, "receive");
		w->n_in += (size_t)n;
	}
}

void
test_wire_reply(struct test_wire *w, struct test_reply *r)
{
	struct buf out = BUF_ON(r->octets);
	uint8_t octets[sizeof(w->in)];
	bool is_last = false;
	uint64_t code = 0;

	snprintf(w->fault, sizeof(w->fault), "this is no reply of SMTP");
	r->code = 0;
	while (!is_last) {
		struct buf line = BUF_ON(octets);
		struct bytes l;

		if (!take_line(w, &line))
			return;
		l = buf_bytes(&line);
		if (!bytes_number(bytes_first(l, 3), 599, &code) || l.n < 3 ||
		    code < 200)
			return;
		is_last = l.n == 3 || l.p[3] != '-';
		if (out.n != 0)
			buf_add_octet(&out, '\n');
		buf_add(&out, bytes_skip(l, l.n > 3 ? 4 : 3));
	}
	r->text = buf_bytes(&out);
	r->code = out.full ? 0 : (int)code;
}

void
test_wire_close(struct test_wire *w)
{
	SSL_free(w->ssl);
	SSL_CTX_free(w->ctx);
	if (w->fd >= 0)
		close(w->fd);
	*w = TEST_WIRE_NONE;
}
