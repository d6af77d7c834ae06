#include "daemon/inbound_state.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/metrics.h"
#include "daemon/offers.h"
#include "daemon/relay.h"

#define LEAVE_MS (10 * 1000)	/* between transactions, after a reload */
#define HELD_MAX 32U		/* octets; more than the reply to MAIL has */

static void pump(struct inbound *s);

static void
destroy(void *arg)
{
	struct inbound *s = arg;

	s->gone(s->arg, s);
	verdicts_fini(&s->verdicts);
	if (s->server.room != NULL)	/* AUTH may have been under way */
		explicit_bzero(s->server.room, sizeof(*s->server.room));
	free(s->server.room);
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

/* ---- TLS ---- */

static void
secure(struct inbound *s)
{
	const struct tls_way way = {
	    .tls = s->hub->tls,
	    .listener = s->listener,
	    .is_server = true,
	};

	conn_secure(s->conn, &way);
}

/* Whether a handshake is under way. */
static bool
is_securing(const struct inbound *s)
{
	return !s->is_greeted || s->server.is_upgrading;
}

static void
log_tls(const struct inbound *s, const char *why)
{
	char text[512];
	struct buf b = BUF_ON(text);

	metrics_count(METRIC_TLS, SIDE_CLIENT, SUCCESS_FAILED);
	buf_add_escaped(&b, bytes_of(why), sizeof(text) / 4);
	log_line(LOG_NOTICE_, "tls: client=[%s]:%u, listener=%s: %.*s",
	    s->client.ip, s->client.addr.port, s->listener->name,
	    BYTES_FMT(buf_bytes(&b)));
}

static void
begin_tls(struct inbound *s)
{
	smtp_server_answer(&s->server, 220, "2.0.0",
	    BYTES_LIT("Ready to start TLS"));
	if (s->server.is_upgrading)
		secure(s);
}

/* False: there is no memory for a room, and the session is over. */
static bool
has_room(struct inbound *s)
{
	struct smtp_server_room *room;

	if (s->server.room != NULL)
		return true;
	room = malloc(sizeof(*room));
	if (room == NULL) {
		log_line(LOG_ERROR_, "no memory: client=[%s]:%u is dropped",
		    s->client.ip, s->client.addr.port);
		inbound_kill(s);
		return false;
	}
	if (s->is_greeted)
		smtp_server_lend(&s->server, room);
	else
		smtp_server_init(&s->server, &s->config, room);
	s->is_greeted = true;
	return true;
}

/* Who only waits for the client costs little. */
static void
leave_room(struct inbound *s)
{
	struct smtp_server_room *room = s->server.room;

	if (s->is_dying || !smtp_server_is_resting(&s->server))
		return;
	smtp_server_lend(&s->server, NULL);
	free(room);
}

/* What was said in clear, by XCLIENT too, is forgotten (row T1). */
static void
secured(struct inbound *s)
{
	struct tls_facts f;

	inbound_identify(s);
	if (conn_tls_facts(s->conn, &f)) {
		s->client.tls = f.version;
		s->client.cipher = f.cipher;
	}
	if (!has_room(s))
		return;
	s->stage = STAGE_NONE;
	smtp_server_secured(&s->server);
}

/* ---- LMTP ---- */

/* Answers the recipient that is asked about. */
static void
answer_next(struct inbound *s)
{
	const struct verdict v = verdicts_of(&s->verdicts,
	    s->server.n_answered);

	log_flush();
	smtp_server_answer(&s->server, v.code, v.enhanced, v.text);
}

/* ---- the session ---- */

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
	case SMTP_SERVER_STARTTLS:
		begin_tls(s);
		break;
	case SMTP_SERVER_AUTH:
		inbound_pass_auth(s);
		break;
	case SMTP_SERVER_XCLIENT:
		inbound_take_xclient(s);
		break;
	case SMTP_SERVER_END_RCPT:
		answer_next(s);
		break;
	case SMTP_SERVER_END:
		relay_end(s->relay, s->server.dot.has_8bit,
		    s->server.dot.is_repaired);
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
		inbound_greeted(s);
		break;
	case SMTP_SERVER_CONTENT:	/* was taken */
	case SMTP_SERVER_MORE:
		break;
	}
}

/* It may go on, but not be idle: a reload, or an order to drain. */
static bool
is_leaving(const struct inbound *s)
{
	return s->is_leaving || orders_now(s->hub->env->orders, s->listener,
	    loop_now_ms(s->hub->loop)).is_drained;
}

/*
 * The reply to MAIL leaves with that to RCPT where both have come: one write
 * for a group of commands (RFC 2920 3.2). Who waits for it has said RCPT.
 */
static bool
is_held_back(const struct inbound *s)
{
	return s->server.pending == SMTP_SERVER_RCPT &&
	    s->server.n_rcpt == 0 && s->server.out.n <= HELD_MAX;
}

/*
 * The time that a stage has is measured from its beginning, and anew when it
 * came on by a command, or by as much content as is wanted in that time: an
 * octet now and then wins nothing (row T10). While the answer is ours to
 * give, the relay has its own timers.
 */
static void
set_deadline(struct inbound *s)
{
	const struct config_listener *l = s->listener;
	int64_t ms = l->idle_timeout_s * 1000LL;
	uint64_t mark = s->server.n_commands, least = 1;
	enum stage stage = STAGE_COMMAND;

	if (s->server.out.n != 0 && !is_held_back(s)) {
		stage = STAGE_REPLY;
		mark = 0;
	} else if (s->server.pending != 0) {
		stage = STAGE_OURS;
		ms = 0;
	} else if (smtp_server_is_reading(&s->server)) {
		stage = STAGE_CONTENT;
		ms = l->content_timeout_s * 1000LL;
		mark = s->server.n_content;
		least = (uint64_t)l->min_rate * l->content_timeout_s;
	} else if (is_leaving(s) && !smtp_server_is_busy(&s->server)) {
		stage = STAGE_LEAVING;
		ms = ms < LEAVE_MS ? ms : LEAVE_MS;
	}
	if (stage == s->stage && mark - s->mark < least)
		return;
	s->stage = stage;
	s->mark = mark;
	conn_deadline(s->conn, ms);
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
	if (s->is_stopping && !is_ours && !smtp_server_is_busy(&s->server)) {
		if (!has_room(s))
			return;
		smtp_server_shutdown(&s->server, false);
		close_after_reply(s);
		return;
	}
	set_deadline(s);
}

/* One line of the dialogue, where it is ordered. */
static void
on_said(void *arg, bool is_reply, struct bytes line)
{
	const struct inbound *s = arg;
	char text[SMTP_COMMAND_MAX + 8];
	struct buf b = BUF_ON(text);

	buf_add_escaped(&b, line, sizeof(text) / 4);
	log_line(LOG_WATCHED_, "client=[%s]:%u, listener=%s: %s %.*s",
	    s->client.ip, s->client.addr.port, s->listener->name,
	    is_reply ? "S:" : "C:", BYTES_FMT(buf_bytes(&b)));
}

/* Whether the dialogue is logged: by order, whose end comes unsaid. */
static void
look_whether_watched(struct inbound *s)
{
	bool is_watched = orders_watches(s->hub->env->orders,
	    s->client.addr.ip, loop_now_ms(s->hub->loop));

	s->config.watch = is_watched ? on_said : NULL;
	s->config.watch_arg = s;
}

static void
pump(struct inbound *s)
{
	if (!has_room(s))
		return;
	look_whether_watched(s);
	s->is_pumping = true;
	while (!s->is_dying && !s->is_closing && s->server.pending == 0 &&
	    !s->server.is_upgrading) {
		struct bytes in = buf_bytes(&s->conn->in);
		size_t had = in.n;
		enum smtp_server_event what = smtp_server_next(&s->server, &in);

		if (what == SMTP_SERVER_CONTENT)	/* it lies in the input */
			relay_content(s->relay, s->server.content);
		buf_drop(&s->conn->in, had - in.n);
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
	if (s->is_dying || s->is_closing || s->server.is_upgrading)
		return;
	if (!is_held_back(s)) {
		conn_flush(s->conn);
		conn_used(s->conn);	/* behind it: nothing is to be written */
	}
	rest(s);
	leave_room(s);
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
on_timeout(struct inbound *s)
{
	if (is_securing(s))
		log_tls(s, "no handshake in time");
	if (s->is_closing || is_securing(s) || s->server.out.n != 0) {
		inbound_kill(s);	/* it does not even read */
		return;
	}
	if (s->stage == STAGE_LEAVING) {
		inbound_stop(s);
		return;
	}
	log_line(LOG_NOTICE_, "timeout: client=[%s]:%u, listener=%s",
	    s->client.ip, s->client.addr.port, s->listener->name);
	if (s->relay != NULL)
		relay_abandon(s->relay);
	s->relay = NULL;
	if (!has_room(s))
		return;
	smtp_server_shutdown(&s->server, true);
	close_after_reply(s);
}

static void
on_broken(struct inbound *s)
{
	if (is_securing(s))
		log_tls(s, conn_fault(s->conn));
	inbound_kill(s);
}

static void
on_conn(void *arg, enum conn_event what)
{
	struct inbound *s = arg;

	if (what == CONN_IN)
		went_on(s);
	switch (what) {
	case CONN_TIMEOUT:
		on_timeout(s);
		break;
	case CONN_BROKEN:
		on_broken(s);
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
		if (!s->is_closing && !is_securing(s))
			pump(s);
		break;
	case CONN_SECURED:
		metrics_count(METRIC_TLS, SIDE_CLIENT, SUCCESS_OK);
		secured(s);
		if (!s->is_dying)
			pump(s);
		break;
	}
}

/* What is offered to this client. */
static void
configure(struct inbound *s, const struct worker_socket *socket)
{
	const struct config_listener *l = s->listener;
	struct offer offer = offers_of(s->hub, l);

	s->config = (struct smtp_server_config){
	    .hostname = s->hub->config->hostname,
	    .offer = offer.can,
	    .is_lmtp = socket->is_lmtp,
	    .needs_tls = l->is_tls_required,
	    .is_repairing = l->is_repairing,
	    .max_message = offer.max_message,
	    .max_line = l->max_line,
	    .max_rcpt = l->max_recipients,
	    .max_errors = l->max_errors,
	    .max_commands = l->max_commands,
	};
	if (tls_is_offered(l))
		s->config.offer |= SMTP_CAN_STARTTLS;
	if (l->auth == AUTH_PASS)	/* under TLS alone: the server's rule */
		s->config.offer |= SMTP_CAN_AUTH_PLAIN | SMTP_CAN_AUTH_LOGIN;
	if (config_nets_hold(l->xclient, l->n_xclient, s->came.client.ip))
		s->config.offer |= SMTP_CAN_XCLIENT;
}

/*
 * Greets. Octets that are there before our banner is are no client's that
 * waits for it: they get 554 in its place (row F8).
 */
static void
greet(struct inbound *s, int fd)
{
	uint8_t octet;
	struct bytes early = {&octet, 1};

	if (recv(fd, &octet, 1, MSG_PEEK) != 1)
		pump(s);
	else if (has_room(s))
		handle(s, smtp_server_next(&s->server, &early));
}

struct inbound *
inbound_new(struct hub *h, const struct worker_socket *socket, int fd,
    const struct inbound_ends *ends, inbound_gone *gone, void *arg)
{
	struct inbound *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->hub = h;
	s->listener = socket->listener;
	s->gone = gone;
	s->arg = arg;
	s->came = *ends;
	configure(s, socket);
	inbound_identify(s);
	look_whether_watched(s);
	s->conn = conn_new(h->loop, fd, &s->server.out, on_conn, s);
	if (s->conn == NULL) {
		free(s);
		return NULL;
	}
	if (socket->is_tls) {
		secure(s);
		return s;
	}
	greet(s, fd);
	return s;
}

static void
rest_anew(struct inbound *s)
{
	if (!s->is_dying && !s->is_closing && !s->is_pumping &&
	    !is_securing(s))
		rest(s);
}

void
inbound_leave(struct inbound *s)
{
	s->is_leaving = true;
	rest_anew(s);
}

void
inbound_stop(struct inbound *s)
{
	s->is_stopping = true;
	rest_anew(s);
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

/* The machine has its answer. */
static void
go_on(struct inbound *s)
{
	if (!s->is_pumping && !s->is_dying)
		pump(s);
}

void
inbound_answer(struct inbound *s, int code, const char *enhanced,
    struct bytes text)
{
	const struct verdict v = {code, enhanced, text};

	if (s->config.is_lmtp && s->server.pending == SMTP_SERVER_END) {
		inbound_answer_each(s, &v, 1);
		return;
	}
	if (code != 354)	/* what it tells stands in the log by then */
		log_flush();
	smtp_server_answer(&s->server, code, enhanced, text);
	go_on(s);
}

void
inbound_answer_each(struct inbound *s, const struct verdict *v,
    size_t n)
{
	verdicts_keep(&s->verdicts, v, n);
	answer_next(s);
	go_on(s);
}

void
inbound_release(struct inbound *s, struct outbound *o,
    struct relay *watching)
{
	s->relay = NULL;
	s->outbound = o;
	if (watching == NULL)
		return;
	relay_watch_too(watching, s->watching);
	s->watching = watching;
}
