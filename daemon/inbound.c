#include "daemon/inbound.h"

#include <stdlib.h>
#include <unistd.h>

#include "daemon/conn.h"
#include "daemon/log.h"
#include "daemon/relay.h"
#include "smtp/server.h"

struct inbound {
	struct hub *hub;
	const struct config_listener *listener;
	struct conn *conn;
	struct smtp_server server;
	struct smtp_server_config config;
	struct inbound_client client;
	struct relay *relay;		/* the transaction, or NULL */
	struct outbound *outbound;	/* idle, for the next one, or NULL */
	struct relay *watching;		/* one that is over, or NULL */
	struct inbound_link link;
	inbound_gone *gone;
	void *arg;
	bool is_pumping;
	bool is_securing;	/* a TLS handshake is under way */
	bool is_first;		/* and before the banner: smtps:// */
	bool is_closing;	/* the last reply is on its way out */
	bool is_draining;
	bool is_dying;
	struct loop_deferred deferred;
};

static void pump(struct inbound *s);

static void
destroy(void *arg)
{
	struct inbound *s = arg;

	s->gone(s->arg, s);
	free(s);
}

void
inbound_kill(struct inbound *s)
{
	if (s->is_dying)
		return;
	s->is_dying = true;
	if (s->relay != NULL)
		relay_abandon(s->relay);
	s->relay = NULL;
	if (s->watching != NULL)
		relay_left(s->watching);
	s->watching = NULL;
	outbound_free(&s->outbound);
	conn_kill(&s->conn);
	loop_defer(s->hub->loop, &s->deferred, destroy, s);
}

/* Ends once the last reply is written. */
static void
close_after_reply(struct inbound *s)
{
	s->is_closing = true;
	conn_flush(s->conn);
	if (s->server.out.n == 0)
		inbound_kill(s);
	else
		conn_deadline(s->conn, 10000);
}

static void
begin(struct inbound *s)
{
	s->relay = relay_new(s->hub, s->listener, s, s->outbound);
	if (s->relay == NULL) {
		inbound_answer(s, 452, "4.3.1", BYTES_LIT("Out of memory"));
		return;
	}
	s->outbound = NULL;
	relay_mail(s->relay, &s->server.mail);
}

static void
handle(struct inbound *s, enum smtp_server_event what)
{
	switch (what) {
	case SMTP_SERVER_MAIL:
		begin(s);
		break;
	case SMTP_SERVER_RCPT:
		relay_rcpt(s->relay, &s->server.rcpt);
		break;
	case SMTP_SERVER_DATA:
		relay_data(s->relay);
		break;
	case SMTP_SERVER_CONTENT:
		relay_content(s->relay, s->server.content);
		break;
	case SMTP_SERVER_STARTTLS:
		inbound_answer(s, 220, "2.0.0", BYTES_LIT("Begin TLS"));
		break;
	case SMTP_SERVER_AUTH:
	case SMTP_SERVER_XCLIENT:
	case SMTP_SERVER_END_RCPT:
		break;		/* not offered so far */
	case SMTP_SERVER_END:
		relay_end(s->relay, s->server.dot.has_8bit);
		break;
	case SMTP_SERVER_RESET:
		if (s->relay != NULL)
			relay_abandon(s->relay);
		s->relay = NULL;
		break;
	case SMTP_SERVER_CLOSE:
		close_after_reply(s);
		break;
	case SMTP_SERVER_HELO:
		s->client.helo = s->server.helo;
		s->client.is_esmtp = s->server.is_esmtp;
		break;
	case SMTP_SERVER_MORE:
		break;
	}
}

/* What is to be waited for now, and how long. */
static void
rest(struct inbound *s)
{
	bool is_ours = s->server.pending != 0;

	if (s->conn->is_eof && !is_ours && s->server.out.n == 0) {
		inbound_kill(s);
		return;
	}
	if (s->is_draining && !is_ours && !smtp_server_is_busy(&s->server)) {
		smtp_server_shutdown(&s->server, false);
		close_after_reply(s);
		return;
	}
	/* While the answer is ours to give, the relay has its own timers. */
	conn_deadline(s->conn, is_ours && s->server.out.n == 0
	    ? 0 : s->listener->idle_timeout_s * 1000LL);
}

static void
secure(struct inbound *s)
{
	const struct tls_way way = {.tls = s->hub->tls,
	    .listener = s->listener, .is_server = true};

	s->is_securing = true;
	conn_secure(s->conn, &way);
}

/* All that was said in plain is forgotten: RFC 3207 4.2. */
static void
secured(struct inbound *s)
{
	struct tls_facts f;

	s->is_securing = false;
	if (s->is_first)
		smtp_server_init(&s->server, &s->config);
	smtp_server_secured(&s->server);
	s->client.helo = (struct bytes){NULL, 0};
	s->client.is_esmtp = false;
	if (conn_tls_facts(s->conn, &f)) {
		s->client.tls = f.version;
		s->client.cipher = f.cipher;
	}
	pump(s);
}

static void
pump(struct inbound *s)
{
	s->is_pumping = true;
	while (!s->is_dying && !s->is_closing && s->server.pending == 0) {
		struct bytes in = buf_bytes(&s->conn->in);
		size_t had = in.n;
		enum smtp_server_event what = smtp_server_next(&s->server, &in);

		buf_drop(&s->conn->in, had - in.n);
		conn_used(s->conn);
		if (what == SMTP_SERVER_MORE && s->server.out.n != 0) {
			conn_flush(s->conn);
			if (s->server.out.n == 0)
				continue;	/* it may have waited for room */
		}
		if (what == SMTP_SERVER_MORE)
			break;
		handle(s, what);
	}
	s->is_pumping = false;
	if (s->is_dying || s->is_closing)
		return;
	if (s->server.is_upgrading) {
		secure(s);	/* it sends the 220 first */
		return;
	}
	conn_flush(s->conn);
	rest(s);
}

/* The client has its answer, or it would not go on. */
static void
went_on(struct inbound *s)
{
	if (s->watching != NULL)
		relay_went_on(s->watching);
	s->watching = NULL;
}

static void
log_tls(const struct inbound *s, const char *why)
{
	char text[512];
	struct buf b = BUF_ON(text);

	buf_add_escaped(&b, bytes_of(why), sizeof(text) / 4);
	log_line(LOG_NOTICE_, "tls: client=[%s]:%u, listener=%s: %.*s",
	    s->client.ip, s->client.addr.port, s->listener->name,
	    BYTES_FMT(buf_bytes(&b)));
}

static void
on_conn(void *arg, enum conn_event what)
{
	struct inbound *s = arg;

	if (what == CONN_IN)
		went_on(s);
	switch (what) {
	case CONN_TIMEOUT:
		if (s->is_securing)
			log_tls(s, "no handshake in time");
		if (s->is_securing || s->is_closing || s->server.out.n != 0) {
			inbound_kill(s);	/* it does not even read */
			break;
		}
		log_line(LOG_NOTICE_, "timeout: client=[%s]:%u, listener=%s",
		    s->client.ip, s->client.addr.port, s->listener->name);
		if (s->relay != NULL)
			relay_abandon(s->relay);
		s->relay = NULL;
		smtp_server_shutdown(&s->server, true);
		close_after_reply(s);
		break;
	case CONN_BROKEN:
		if (s->is_securing)
			log_tls(s, conn_fault(s->conn));
		inbound_kill(s);
		break;
	case CONN_SECURED:
		secured(s);
		break;
	case CONN_OUT:
		if (s->is_closing) {
			inbound_kill(s);
			break;
		}
		/* FALLTHROUGH */
	case CONN_CONNECTED:
	case CONN_IN:
	case CONN_EOF:
		if (!s->is_closing)
			pump(s);
		break;
	}
}

struct inbound *
inbound_new(struct hub *h, const struct worker_socket *socket, int fd,
    const struct config_addr *peer, inbound_gone *gone, void *arg)
{
	const struct config_listener *l = socket->listener;
	struct inbound *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		close(fd);
		return NULL;
	}
	s->hub = h;
	s->listener = l;
	s->gone = gone;
	s->arg = arg;
	s->config = (struct smtp_server_config){
	    .hostname = h->config->hostname,
	    .max_message = l->max_message,
	    .max_line = l->max_line,
	    .offer = SMTP_CAN_8BITMIME |
		(tls_is_offered(l) ? SMTP_CAN_STARTTLS : 0),
	    .needs_tls = l->is_tls_required,
	    .max_errors = l->max_errors,
	    .max_commands = l->max_commands,
	};
	s->client.addr = *peer;
	addr_of_socket(fd, &s->client.local);
	addr_text(peer, s->client.ip);
	s->is_first = socket->is_tls;
	if (!s->is_first)
		smtp_server_init(&s->server, &s->config);
	s->conn = conn_new(h->loop, fd, &s->server.out, on_conn, s);
	if (s->conn == NULL) {
		free(s);
		return NULL;
	}
	if (s->is_first)
		secure(s);
	else
		pump(s);
	return s;
}

void
inbound_drain(struct inbound *s)
{
	s->is_draining = true;
	if (!s->is_dying && !s->is_closing && !s->is_pumping &&
	    !s->is_securing)
		rest(s);
}

struct inbound_link *
inbound_link(struct inbound *s)
{
	return &s->link;
}

const struct inbound_client *
inbound_client(const struct inbound *s)
{
	return &s->client;
}

void
inbound_answer(struct inbound *s, int code, const char *enhanced,
    struct bytes text)
{
	smtp_server_answer(&s->server, code, enhanced, text);
	if (!s->is_pumping && !s->is_dying)
		pump(s);
}

void
inbound_release(struct inbound *s, struct outbound *o,
    struct relay *watching)
{
	s->relay = NULL;
	s->outbound = o;
	s->watching = watching;
}
