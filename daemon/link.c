#include "daemon/link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/addr.h"
#include "daemon/log.h"
#include "daemon/metrics.h"
#include "daemon/login.h"
#include "daemon/pool.h"

static void on_conn(void *arg, enum conn_event what);

static void
tell(struct link *l, enum link_event what)
{
	l->call(l->arg, what);
}

static void
await(struct link *l, uint32_t timeout_s)
{
	conn_deadline(l->conn, timeout_s * 1000LL);
	conn_flush(l->conn);
}

static void
lost(struct link *l, const char *why)
{
	snprintf(l->fault, sizeof(l->fault), "%s",
	    why == NULL ? "a step out of order" : why);
	l->is_tls_fault = l->state == LINK_SECURING;
	if (l->is_tls_fault)
		metrics_count(METRIC_TLS, SIDE_NEXT_HOP, SUCCESS_FAILED);
	else if (l->state == LINK_GREETED)
		metrics_count(METRIC_REPLIES, REPLY_NONE, 0);
	conn_kill(&l->conn);
	tell(l, LINK_LOST);
}

/* In our own words, where the next hop's would mislead the client. */
static void
refuse(struct link *l, int code, const char *enhanced, const char *text)
{
	l->reply = (struct smtp_reply){code, bytes_of(enhanced),
	    bytes_of(text)};
	tell(l, LINK_REFUSED);
}

/* ---- up to READY ---- */

static void
ready(struct link *l)
{
	l->state = LINK_GREETED;
	conn_deadline(l->conn, 0);
	tell(l, LINK_READY);
}

static bool
may_be_plain(const struct link *l)
{
	return l->is_plain || l->hop->tls == TLS_NONE;
}

static void on_hello(struct link *l);

static void
begin_tls(struct link *l)
{
	const struct tls_way way = {
	    .tls = l->hub->tls,
	    .listener = l->listener,
	    .name = l->host,
	    .port = l->port,
	    .must_verify = l->hop->tls == TLS_VERIFY,
	};

	l->state = LINK_SECURING;
	conn_secure(l->conn, &way);
}

/* "TLSv1.3" is "1.3" to the log. */
static void
on_secured(struct link *l)
{
	struct tls_facts f;

	if (conn_tls_facts(l->conn, &f))
		snprintf(l->tls, sizeof(l->tls), "%s",
		    f.version + strcspn(f.version, "0123456789"));
	metrics_count(METRIC_TLS, SIDE_NEXT_HOP, SUCCESS_OK);
	l->state = LINK_GREETING;
	smtp_client_secured(&l->client);
	await(l, l->listener->reply_timeout_s);
}

/* It is our own trouble where that fails, not the client's: 4xx. */
static void
not_let_in(struct link *l)
{
	refuse(l, 451, "4.7.0", "The next hop does not let us in");
}

static void
log_in(struct link *l, const struct login *login)
{
	if (smtp_client_auth(&l->client, login->user, login->password)) {
		await(l, l->listener->reply_timeout_s);
		return;
	}
	log_line(LOG_ERROR_, "%s: takes neither AUTH PLAIN nor LOGIN, or not "
	    "this name and password", l->relay);
	not_let_in(l);
}

static void
on_auth(struct link *l)
{
	l->is_known = l->client.reply.code == 235;
	if (l->is_known) {
		on_hello(l);
		return;
	}
	if (l->login != NULL) {		/* the client's own trouble */
		l->reply = l->client.reply;
		tell(l, LINK_REFUSED);
		return;
	}
	log_line(LOG_ERROR_, "%s: refuses the name and password of auth-file: "
	    "%d", l->relay, l->client.reply.code);
	not_let_in(l);
}

/* The client's, or what auth-file says of us. */
static bool
has_login(const struct link *l, struct login *login)
{
	if (l->login != NULL)
		*login = *l->login;
	return l->login != NULL || (l->hop == &l->listener->next_hop &&
	    logins_find(l->hub->logins, l->listener, login));
}

/* What is still to be said after EHLO: STARTTLS, XCLIENT, then AUTH. */
static void
on_hello(struct link *l)
{
	struct smtp_client *c = &l->client;
	struct login login;

	if (!c->is_secure && !may_be_plain(l)) {
		if (smtp_client_starttls(c)) {
			await(l, l->listener->reply_timeout_s);
			return;
		}
		if (l->hop->tls != TLS_MAY) {
			refuse(l, 451, "4.7.4",
			    "The next hop does not offer the TLS that it "
			    "must be sent to with");
			return;
		}
	}
	if (l->who != NULL && !l->is_introduced) {
		l->is_introduced = true;
		if (smtp_client_xclient(c, l->who)) {
			await(l, l->listener->reply_timeout_s);
			return;
		}
		log_line(LOG_WARNING_, "%s does not offer us XCLIENT and takes "
		    "us for the client; it must list us (Postfix: "
		    "smtpd_authorized_xclient_hosts)", l->relay);
	}
	if (has_login(l, &login) && !l->is_known) {
		log_in(l, &login);
		return;
	}
	ready(l);
}

static void
on_starttls(struct link *l)
{
	if (l->client.reply.code == 220) {
		begin_tls(l);
	} else if (l->hop->tls == TLS_MAY && l->client.reply.code != 421) {
		l->is_plain = true;
		on_hello(l);
	} else {
		log_line(LOG_WARNING_, "%s refuses STARTTLS: %d",
		    l->relay, l->client.reply.code);
		refuse(l, 451, "4.7.4",
		    "The next hop refuses the TLS that it must be sent to "
		    "with");
	}
}

static void
on_reset(struct link *l)
{
	l->is_resetting = false;
	if (l->client.reply.code / 100 == 2)
		ready(l);
	else
		lost(l, "RSET is refused");
}

/* Whether our greeting is no command to it: it took the PROXY header, which it
 * does not expect, for one. */
static bool
is_confused(const struct link *l)
{
	int code = l->client.reply.code;

	return l->is_introduced && l->listener->pass_client != PASS_XCLIENT &&
	    code >= 500 && code <= 503;
}

static void
on_said(struct link *l, enum smtp_client_event what)
{
	switch (what) {
	case SMTP_CLIENT_READY:
		on_hello(l);
		break;
	case SMTP_CLIENT_REFUSED:
		if (l->login != NULL) {		/* it was not even said */
			not_let_in(l);
			break;
		}
		if (is_confused(l)) {
			log_line(LOG_WARNING_, "%s does not understand us: %d; "
			    "it must be told to expect a PROXY header, or "
			    "pass-client be changed", l->relay,
			    l->client.reply.code);
			refuse(l, 451, "4.3.5", "The next hop does not take "
			    "the PROXY header");
			break;
		}
		l->reply = l->client.reply;
		tell(l, LINK_REFUSED);
		break;
	case SMTP_CLIENT_STARTTLS:
		on_starttls(l);
		break;
	case SMTP_CLIENT_XCLIENT:
		log_line(LOG_WARNING_, "%s refuses our XCLIENT: %d; it must "
		    "be told to take it from us", l->relay, l->client.reply.code);
		refuse(l, 451, "4.3.5", "The next hop does not let us tell "
		    "who its client is");
		break;
	case SMTP_CLIENT_AUTH:
		on_auth(l);
		break;
	case SMTP_CLIENT_RSET:
		on_reset(l);
		break;
	case SMTP_CLIENT_BROKEN:
		lost(l, smtp_client_fault(&l->client));
		break;
	default:
		l->said = what;
		tell(l, LINK_SAID);
		break;
	}
}

static void
count_reply(const struct link *l, enum smtp_client_event what)
{
	static const unsigned classes[] = {[2] = REPLY_2XX, [3] = REPLY_3XX,
	    [4] = REPLY_4XX, [5] = REPLY_5XX};
	int class = l->client.reply.code / 100;

	if (what != SMTP_CLIENT_BROKEN && class >= 2 && class <= 5)
		metrics_count(METRIC_REPLIES, classes[class], 0);
}

/* By order (orders.h): whom it answers, and what it says. */
static void
show_reply(const struct link *l, enum smtp_client_event what)
{
	static const char *const asked[] = {
		[SMTP_CLIENT_READY] = "EHLO", [SMTP_CLIENT_REFUSED] = "EHLO",
		[SMTP_CLIENT_STARTTLS] = "STARTTLS",
		[SMTP_CLIENT_AUTH] = "AUTH", [SMTP_CLIENT_XCLIENT] = "XCLIENT",
		[SMTP_CLIENT_MAIL] = "MAIL", [SMTP_CLIENT_RCPT] = "RCPT",
		[SMTP_CLIENT_DATA] = "DATA", [SMTP_CLIENT_END] = "the dot",
		[SMTP_CLIENT_RSET] = "RSET", [SMTP_CLIENT_QUIT] = "QUIT",
		[SMTP_CLIENT_BROKEN] = NULL,
	};
	const struct smtp_reply *r = &l->client.reply;
	char text[4 * 400 + 8];
	struct buf b = BUF_ON(text);

	if (!l->is_watched || asked[what] == NULL)
		return;
	if (r->enhanced.n != 0) {
		buf_add_escaped(&b, r->enhanced, 12);
		buf_add_octet(&b, ' ');
	}
	buf_add_escaped(&b, r->text, 380);
	log_line(LOG_WATCHED_, "relay=%s: to %s: %d %.*s", l->relay,
	    asked[what], r->code, BYTES_FMT(buf_bytes(&b)));
}

static void
step(struct link *l)
{
	while (l->conn != NULL && l->state != LINK_SECURING) {
		struct conn *c = l->conn;
		struct bytes in = buf_bytes(&c->in);
		size_t had = in.n;
		enum smtp_client_event what = smtp_client_next(&l->client, &in);

		buf_drop(&c->in, had - in.n);
		conn_used(c);
		if (what == SMTP_CLIENT_MORE)
			break;
		count_reply(l, what);
		show_reply(l, what);
		on_said(l, what);
	}
	if (l->conn != NULL)
		conn_flush(l->conn);
}

static void
on_connected(struct link *l)
{
	if (l->hop->scheme == SCHEME_SMTPS) {
		begin_tls(l);
		return;
	}
	l->state = LINK_GREETING;
	conn_deadline(l->conn, l->listener->reply_timeout_s * 1000LL);
}

static void
on_conn(void *arg, enum conn_event what)
{
	struct link *l = arg;
	char why[400];

	switch (what) {
	case CONN_CONNECTED:
		on_connected(l);
		break;
	case CONN_SECURED:
		on_secured(l);
		break;
	case CONN_IN:
		step(l);
		break;
	case CONN_OUT:
		tell(l, LINK_OUT);
		break;
	case CONN_EOF:
		lost(l, "hung up");
		break;
	case CONN_BROKEN:
		snprintf(why, sizeof(why), "%s: %s",
		    l->state == LINK_CONNECTING ? "connecting failed"
						: "connection lost",
		    conn_fault(l->conn));
		lost(l, why);
		break;
	case CONN_TIMEOUT:
		if (l->state == LINK_GREETED && l->client.n_asked == 0) {
			snprintf(l->fault, sizeof(l->fault),
			    "takes no content in time");
			tell(l, LINK_LOST);	/* QUIT may still be said */
		} else {
			lost(l, "no answer in time");
		}
		break;
	}
}

/* ---- from outside ---- */

/* The header that a proxy puts before all else. */
static void
write_proxy(struct link *l)
{
	if (l->listener->pass_client == PASS_PROXY_V1)
		smtp_introduce_proxy_v1(&l->client.out, l->who);
	if (l->listener->pass_client == PASS_PROXY_V2)
		smtp_introduce_proxy_v2(&l->client.out, l->who);
	l->is_introduced = l->listener->pass_client != PASS_XCLIENT;
}

void
link_name(const struct nexthop_target *t, char *out, size_t n)
{
	char ip[ADDR_TEXT_MAX];

	addr_text(&t->addr, ip);
	snprintf(out, n, "%s[%s]:%u", t->host, ip, t->addr.port);
}

struct link *
link_open(struct hub *h, const struct link_way *way, link_call *call,
    void *arg)
{
	struct link *l = calloc(1, sizeof(*l));

	if (l == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	l->hub = h;
	l->listener = way->listener;
	l->hop = way->hop;
	l->who = way->who;
	l->login = way->login;
	l->is_plain = way->is_plain;
	l->is_watched = way->is_watched;
	l->call = call;
	l->arg = arg;
	snprintf(l->host, sizeof(l->host), "%s", way->target->host);
	l->port = way->target->addr.port;
	link_name(way->target, l->relay, sizeof(l->relay));
	smtp_client_init(&l->client, h->config->hostname,
	    way->hop->scheme == SCHEME_LMTP);
	write_proxy(l);
	l->conn = conn_connect(h->loop, &way->target->addr, &l->client.out,
	    on_conn, l);
	if (l->conn == NULL) {
		free(l);
		return NULL;
	}
	conn_deadline(l->conn, l->listener->connect_timeout_s * 1000LL);
	return l;
}

void
link_owner(struct link *l, link_call *call, void *arg)
{
	l->call = call;
	l->arg = arg;
}

bool
link_reset(struct link *l)
{
	l->is_resetting = l->conn != NULL && smtp_client_rset(&l->client);
	if (l->is_resetting)
		await(l, l->listener->reply_timeout_s);
	return l->is_resetting;
}

static void
destroy(void *arg)
{
	struct link *l = arg;

	explicit_bzero(&l->client, sizeof(l->client));
	free(l);
}

void
link_close(struct link **lp)
{
	struct link *l = *lp;

	*lp = NULL;
	if (l == NULL || l->state == LINK_DEAD)
		return;
	if (l->conn != NULL && l->state == LINK_GREETED &&
	    smtp_client_quit(&l->client))
		conn_flush(l->conn);
	conn_kill(&l->conn);
	l->state = LINK_DEAD;
	pool_left(&l->place);
	loop_defer(l->hub->loop, &l->deferred, destroy, l);
}
