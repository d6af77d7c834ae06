#include "smtp/server_state.h"

#include <assert.h>

#include "smtp/reply.h"

#define NO (-1)
#define SAME (-2)

/*
 * State after a verb that was answered 2xx or 354, where a line is read as a
 * command. NO means reply 503. STARTTLS and XCLIENT go to ST_GREET when they
 * are answered, a BDAT to ST_BDAT or ST_READY when its octets were read.
 * Source RFC 5321 4.1.4, RFC 2033 4.1, RFC 3030 2, RFC 3207 4, RFC 4954 4
 */
static const int8_t next_state[SMTP_VERB__N][ST__N_COMMANDS] = {
	/*                     GREET     READY     MAIL      RCPT      BDAT */
	[SMTP_VERB_EHLO]     = {ST_READY, ST_READY, ST_READY, ST_READY, ST_READY},
	[SMTP_VERB_HELO]     = {ST_READY, ST_READY, ST_READY, ST_READY, ST_READY},
	[SMTP_VERB_LHLO]     = {ST_READY, ST_READY, ST_READY, ST_READY, ST_READY},
	[SMTP_VERB_MAIL]     = {NO,       ST_MAIL,  NO,       NO,       NO},
	[SMTP_VERB_RCPT]     = {NO,       NO,       ST_RCPT,  ST_RCPT,  NO},
	[SMTP_VERB_DATA]     = {NO,       NO,       NO,       ST_DATA,  NO},
	[SMTP_VERB_BDAT]     = {NO,       NO,       NO,       ST_CHUNK, ST_CHUNK},
	[SMTP_VERB_RSET]     = {SAME,     SAME,     ST_READY, ST_READY, ST_READY},
	[SMTP_VERB_NOOP]     = {SAME,     SAME,     SAME,     SAME,     SAME},
	[SMTP_VERB_QUIT]     = {ST_DONE,  ST_DONE,  ST_DONE,  ST_DONE,  ST_DONE},
	[SMTP_VERB_VRFY]     = {SAME,     SAME,     SAME,     SAME,     SAME},
	[SMTP_VERB_EXPN]     = {SAME,     SAME,     SAME,     SAME,     SAME},
	[SMTP_VERB_HELP]     = {SAME,     SAME,     SAME,     SAME,     SAME},
	[SMTP_VERB_STARTTLS] = {NO,       SAME,     NO,       NO,       NO},
	[SMTP_VERB_AUTH]     = {NO,       SAME,     NO,       NO,       NO},
	[SMTP_VERB_XCLIENT]  = {SAME,     SAME,     NO,       NO,       NO},
	[SMTP_VERB_FOREIGN]  = {SAME,     SAME,     SAME,     SAME,     SAME},
	[SMTP_VERB_UNKNOWN]  = {SAME,     SAME,     SAME,     SAME,     SAME},
};

/* ---- replies ---- */

static void
say(struct smtp_server *s, int code, const char *enhanced, struct bytes text)
{
	size_t before = s->out.n;

	smtp_reply_add(&s->out, code, enhanced, text);
	smtp_server_show_replies(s, before);
}

int
smtp_server_reply(struct smtp_server *s, int code, const char *enhanced,
    const char *text)
{
	say(s, code, enhanced, bytes_of(text));
	return GO_ON;
}

int
smtp_server_hang_up(struct smtp_server *s, int code, const char *enhanced,
    const char *text)
{
	say(s, code, enhanced, bytes_of(text));
	s->state = ST_DONE;
	s->pending = 0;
	s->follow = 0;
	return SMTP_SERVER_CLOSE;
}

int
smtp_server_hang_up_421(struct smtp_server *s, const char *enhanced,
    const char *text)
{
	uint8_t octets[400];
	struct buf line = BUF_ON(octets);

	buf_printf(&line, "%.255s Error: %s", s->config->hostname, text);
	buf_add_octet(&line, 0);
	return smtp_server_hang_up(s, 421, enhanced, (const char *)octets);
}

static int
count_error(struct smtp_server *s)
{
	s->n_errors++;
	if (s->config->max_errors != 0 &&
	    s->n_errors >= s->config->max_errors)
		return smtp_server_hang_up_421(s, "4.7.0", "too many errors");
	return GO_ON;
}

int
smtp_server_refuse(struct smtp_server *s, int code, const char *enhanced,
    const char *text)
{
	smtp_server_reply(s, code, enhanced, text);
	return count_error(s);
}

int
smtp_server_refuse_as(struct smtp_server *s,
    const struct smtp_server_refusal *why)
{
	return smtp_server_refuse(s, why->code, why->enhanced, why->text);
}

static void
greet(struct smtp_server *s)
{
	size_t before = s->out.n;

	buf_printf(&s->out, "220 %.255s %s\r\n", s->config->hostname,
	    s->config->is_lmtp ? "LMTP" : "ESMTP");
	smtp_server_show_replies(s, before);
}

/* ---- transitions ---- */

void
smtp_server_end_transaction(struct smtp_server *s)
{
	s->mail = (struct smtp_server_mail){0};
	s->rcpt = (struct smtp_server_rcpt){0};
	s->n_rcpt = 0;
	s->n_answered = 0;
	s->n_content = 0;
	s->content = (struct bytes){0};
	s->is_chunked = false;
	s->state = ST_READY;
}

/* What the machine goes to once the verb was answered well. */
static void
step_to(struct smtp_server *s, enum smtp_verb verb)
{
	int next = next_state[verb][s->state];

	assert(next != NO);
	if (next == ST_READY)
		smtp_server_end_transaction(s);
	if (next != SAME)
		s->state = next;
}

int
smtp_server_ask(struct smtp_server *s, enum smtp_server_event event)
{
	s->pending = (int)event;
	return (int)event;
}

/* Back to where the banner left the session. */
static void
forget(struct smtp_server *s)
{
	smtp_server_end_transaction(s);
	s->state = ST_GREET;
	s->helo = (struct bytes){0};
	s->is_esmtp = false;
	s->is_authenticated = false;
	s->can = 0;
}

/* ---- commands ---- */

/* Extensions that the next greeting offers. */
static unsigned
offers(const struct smtp_server *s)
{
	unsigned can = s->config->offer | SMTP_CAN_PIPELINE | SMTP_CAN_SIZE |
	    SMTP_CAN_ENHANCED;

	return can & ~(s->is_secured ? SMTP_CAN_STARTTLS : SMTP_CAN_AUTH);
}

static int
run_hello(struct smtp_server *s, const struct smtp_command *command)
{
	const struct smtp_ehlo ehlo = {offers(s), s->config->max_message,
	    (1U << SMTP_XCLIENT_N) - 1};
	bool was_busy = smtp_server_is_busy(s);
	struct bytes name = command->arg;
	size_t before = s->out.n;

	if (!smtp_command_is_name(name))
		return smtp_server_refuse(s, 501, "5.5.4",
		    command->verb == SMTP_VERB_EHLO ? "Syntax: EHLO hostname" :
		    command->verb == SMTP_VERB_HELO ? "Syntax: HELO hostname" :
		    "Syntax: LHLO hostname");
	memcpy(s->helo_octets, name.p, name.n);
	s->helo = (struct bytes){s->helo_octets, name.n};
	s->is_esmtp = command->verb != SMTP_VERB_HELO;
	s->can = ehlo.can;
	step_to(s, command->verb);
	if (!s->is_esmtp)
		smtp_reply_add(&s->out, 250, NULL,
		    bytes_of(s->config->hostname));
	else
		smtp_ehlo_write(&s->out, s->config->hostname, &ehlo);
	smtp_server_show_replies(s, before);
	if (!was_busy)
		return SMTP_SERVER_HELO;
	s->follow = SMTP_SERVER_HELO;
	return SMTP_SERVER_RESET;
}

static int
run_data(struct smtp_server *s)
{
	if (s->is_pipelining)
		return smtp_server_hang_up(s, 554, "5.5.0",
		    "Error: improper pipelining behind DATA");
	s->is_early = false;
	return smtp_server_ask(s, SMTP_SERVER_DATA);
}

static int
run_starttls(struct smtp_server *s)
{
	if (s->is_pipelining)
		return smtp_server_hang_up(s, 554, "5.5.1",
		    "Error: improper pipelining behind STARTTLS");
	s->is_early = false;
	return smtp_server_ask(s, SMTP_SERVER_STARTTLS);
}

static int
run_xclient(struct smtp_server *s, struct bytes arg)
{
	struct buf out = BUF_ON(s->room->said);

	if (!smtp_xclient_parse(arg, &s->xclient, &out))
		return smtp_server_refuse(s, 501, "5.5.4",
		    "Syntax: XCLIENT attribute=value ...");
	return smtp_server_ask(s, SMTP_SERVER_XCLIENT);
}

static int
run_rset(struct smtp_server *s)
{
	bool was_busy = smtp_server_is_busy(s);

	step_to(s, SMTP_VERB_RSET);
	smtp_server_reply(s, 250, "2.0.0", "Ok");
	return was_busy ? SMTP_SERVER_RESET : GO_ON;
}

/* Why the verb may not stand here; NULL: it may. */
static const char *
sequence_of(const struct smtp_server *s, enum smtp_verb verb)
{
	if (next_state[verb][s->state] != NO)
		return NULL;
	if (s->state == ST_GREET)
		return s->config->is_lmtp ? "Error: send LHLO first" :
		    "Error: send HELO/EHLO first";
	if (verb == SMTP_VERB_MAIL)
		return "Error: nested MAIL command";
	if (verb == SMTP_VERB_STARTTLS || verb == SMTP_VERB_AUTH ||
	    verb == SMTP_VERB_XCLIENT)
		return "Error: MAIL transaction in progress";
	if (s->state == ST_BDAT)
		return "Error: need BDAT or RSET command";
	if (s->state == ST_MAIL)
		return "Error: need RCPT command";
	return "Error: need MAIL command";
}

/* DATA, RSET, QUIT and STARTTLS have no argument, VRFY must have one. */
static const char *
syntax_of(const struct smtp_command *command)
{
	if (command->verb == SMTP_VERB_DATA && command->arg.n != 0)
		return "Syntax: DATA";
	if (command->verb == SMTP_VERB_RSET && command->arg.n != 0)
		return "Syntax: RSET";
	if (command->verb == SMTP_VERB_QUIT && command->arg.n != 0)
		return "Syntax: QUIT";
	if (command->verb == SMTP_VERB_STARTTLS && command->arg.n != 0)
		return "Syntax: STARTTLS";
	if (command->verb == SMTP_VERB_VRFY && command->arg.n == 0)
		return "Syntax: VRFY address";
	return NULL;
}

/* Before TLS, where it is demanded: RFC 3207 4. BDAT finds no transaction. */
static bool
may_be_clear(enum smtp_verb verb)
{
	return verb == SMTP_VERB_EHLO || verb == SMTP_VERB_HELO ||
	    verb == SMTP_VERB_LHLO || verb == SMTP_VERB_STARTTLS ||
	    verb == SMTP_VERB_NOOP || verb == SMTP_VERB_QUIT ||
	    verb == SMTP_VERB_BDAT || verb == SMTP_VERB_FOREIGN ||
	    verb == SMTP_VERB_UNKNOWN;
}

/* What the verb is refused with whatever the state is; NULL: nothing. */
static const struct smtp_server_refusal *
unavailable(const struct smtp_server *s, enum smtp_verb verb)
{
	static const struct smtp_server_refusal none = {502, "5.5.1",
	    "Error: command not implemented"};
	static const struct smtp_server_refusal is_lmtp = {500, "5.5.1",
	    "Error: this is LMTP, send LHLO"};
	static const struct smtp_server_refusal is_smtp = {500, "5.5.1",
	    "Error: this is SMTP, send EHLO"};
	static const struct smtp_server_refusal tls_is_on = {503, "5.5.1",
	    "Error: TLS is active already"};
	static const struct smtp_server_refusal needs_tls = {530, "5.7.0",
	    "Must issue a STARTTLS command first"};
	static const struct smtp_server_refusal clear_auth = {538, "5.7.11",
	    "Encryption is required for AUTH"};
	static const struct smtp_server_refusal not_listed = {550, "5.7.0",
	    "Error: insufficient authorization"};
	const struct smtp_server_config *c = s->config;

	if ((verb == SMTP_VERB_EHLO || verb == SMTP_VERB_HELO) && c->is_lmtp)
		return &is_lmtp;
	if (verb == SMTP_VERB_LHLO && !c->is_lmtp)
		return &is_smtp;
	if (verb == SMTP_VERB_STARTTLS && s->is_secured)
		return &tls_is_on;
	if (verb == SMTP_VERB_EXPN ||
	    (verb == SMTP_VERB_AUTH && (c->offer & SMTP_CAN_AUTH) == 0) ||
	    (verb == SMTP_VERB_STARTTLS && (c->offer & SMTP_CAN_STARTTLS) == 0))
		return &none;
	if (c->needs_tls && !s->is_secured && !may_be_clear(verb))
		return &needs_tls;
	if (verb == SMTP_VERB_AUTH && !s->is_secured)
		return &clear_auth;
	if (verb == SMTP_VERB_XCLIENT && (c->offer & SMTP_CAN_XCLIENT) == 0)
		return &not_listed;
	return NULL;
}

static int
run_verb(struct smtp_server *s, const struct smtp_command *command)
{
	switch (command->verb) {
	case SMTP_VERB_EHLO:
	case SMTP_VERB_HELO:
	case SMTP_VERB_LHLO:
		return run_hello(s, command);
	case SMTP_VERB_MAIL:
		return smtp_server_run_mail(s, command->arg);
	case SMTP_VERB_RCPT:
		return smtp_server_run_rcpt(s, command->arg);
	case SMTP_VERB_DATA:
		return run_data(s);
	case SMTP_VERB_RSET:
		return run_rset(s);
	case SMTP_VERB_NOOP:
		return smtp_server_reply(s, 250, "2.0.0", "Ok");
	case SMTP_VERB_QUIT:
		return smtp_server_hang_up(s, 221, "2.0.0", "Bye");
	case SMTP_VERB_VRFY:
		return smtp_server_reply(s, 252, "2.5.2",
		    "Cannot VRFY; send mail and delivery is attempted");
	case SMTP_VERB_HELP:
		return smtp_server_reply(s, 214, "2.0.0",
		    "EHLO HELO MAIL RCPT DATA RSET NOOP VRFY QUIT");
	case SMTP_VERB_STARTTLS:
		return run_starttls(s);
	case SMTP_VERB_AUTH:
		return smtp_server_run_auth(s, command->arg);
	case SMTP_VERB_XCLIENT:
		return run_xclient(s, command->arg);
	case SMTP_VERB_FOREIGN:
		return smtp_server_hang_up(s, 554, "5.5.1",
		    "Error: this is SMTP");
	case SMTP_VERB_BDAT:
	case SMTP_VERB_EXPN:
	case SMTP_VERB_UNKNOWN:
	case SMTP_VERB__N:
		break;
	}
	return smtp_server_refuse(s, 500, "5.5.2",
	    "Error: command not recognized");
}

static int
run_command(struct smtp_server *s, const struct smtp_command *command)
{
	const struct smtp_server_refusal *why = unavailable(s, command->verb);
	const char *sequence = sequence_of(s, command->verb);
	const char *syntax = syntax_of(command);

	if (command->verb == SMTP_VERB_BDAT)
		return smtp_server_run_bdat(s, command->arg, sequence);
	if (why != NULL)
		return smtp_server_refuse_as(s, why);
	if (sequence != NULL)
		return smtp_server_refuse(s, 503, "5.5.1", sequence);
	if (syntax != NULL)
		return smtp_server_refuse(s, 501, "5.5.4", syntax);
	return run_verb(s, command);
}

/* What is wrong with the framing of the line just read, or NULL. */
static const char *
line_fault(struct smtp_server *s, size_t max)
{
	bool was_tainted = s->is_tainted;

	s->is_tainted = s->line.has_bare_lf;
	if (s->line.n_seen > max)
		return "Error: line too long";
	if (s->line.has_bare_lf)
		return "Error: bare <LF> received";
	if (s->line.has_bare_cr)
		return "Error: bare <CR> received";
	if (s->line.has_nul)
		return "Error: <NUL> received";
	if (was_tainted)
		return "Error: command behind a bare <LF>";
	return NULL;
}

/* A line that is no command that could be run. */
static int
refuse_line(struct smtp_server *s, enum smtp_verb verb, const char *fault)
{
	if (s->line.has_nul && s->state == ST_GREET)
		return smtp_server_hang_up(s, 554, "5.5.1",
		    "Error: this is SMTP");
	if (verb == SMTP_VERB_BDAT)
		return smtp_server_hang_up(s, 521, "5.5.2", fault);
	if (verb == SMTP_VERB_AUTH)
		return smtp_server_auth_line(s, (struct bytes){0}, fault);
	return smtp_server_refuse(s, 500, "5.5.2", fault);
}

static int
take_line(struct smtp_server *s)
{
	struct bytes line = smtp_line_octets(&s->line);
	bool is_response = s->sasl.mechanism != 0;
	struct smtp_command command = smtp_command_parse(line);
	size_t max = SMTP_COMMAND_MAX;
	const char *fault;

	if (is_response || command.verb == SMTP_VERB_AUTH)
		max = SMTP_AUTH_LINE_MAX;
	fault = line_fault(s, max);
	smtp_server_show_command(s, &command, line);
	if (is_response)
		return smtp_server_auth_line(s, line, fault);
	if (command.verb == SMTP_VERB_BDAT &&
	    (s->can & SMTP_CAN_CHUNKING) == 0)
		return smtp_server_hang_up(s, 502, "5.5.1",
		    "Error: CHUNKING is not offered");
	if (fault != NULL)
		return refuse_line(s, command.verb, fault);
	return run_command(s, &command);
}

static int
read_command(struct smtp_server *s, struct bytes *in)
{
	switch (smtp_line_read(&s->line, in)) {
	case SMTP_LINE_MORE:
		return SMTP_SERVER_MORE;
	case SMTP_LINE_ENDLESS:
		return smtp_server_hang_up_421(s, "4.7.0",
		    "command line without end");
	case SMTP_LINE_READY:
		break;
	}
	s->is_pipelining = in->n != 0;
	s->n_commands++;
	if (s->config->max_commands != 0 &&
	    s->n_commands > s->config->max_commands)
		return smtp_server_hang_up_421(s, "4.7.0",
		    "too many commands");
	return take_line(s);
}

/* ---- from outside ---- */

void
smtp_server_init(struct smtp_server *s,
    const struct smtp_server_config *config, struct smtp_server_room *room)
{
	memset(s, 0, sizeof(*s));
	s->config = config;
	s->state = ST_GREET;
	smtp_line_init(&s->line, room->octets, SMTP_AUTH_LINE_MAX);
	smtp_server_lend(s, room);
	greet(s);
}

bool
smtp_server_is_resting(const struct smtp_server *s)
{
	return s->out.n == 0 && s->pending == 0 && s->follow == 0 &&
	    s->sasl.mechanism == 0 && !smtp_server_is_reading(s) &&
	    (s->line.n_seen == 0 || s->line.is_ready);
}

void
smtp_server_lend(struct smtp_server *s, struct smtp_server_room *room)
{
	assert(smtp_server_is_resting(s));
	s->room = room;
	s->out.p = room == NULL ? NULL : room->out;
	s->out.cap = room == NULL ? 0 : sizeof(room->out);
	s->line.p = room == NULL ? NULL : room->octets;
}

void
smtp_server_secured(struct smtp_server *s)
{
	if (s->state == ST_DONE)
		return;
	assert(!smtp_server_is_busy(s) && s->pending == 0);
	forget(s);
	s->is_upgrading = false;
	s->is_secured = true;
}

/* The event that is due; MORE where its answer would find no room. */
static enum smtp_server_event
follow(struct smtp_server *s)
{
	int event = s->follow;

	if (buf_room(&s->out) < 2 * SMTP_REPLY_ROOM)
		return SMTP_SERVER_MORE;
	s->follow = 0;
	if (event == SMTP_SERVER_END || event == SMTP_SERVER_END_RCPT)
		s->pending = event;
	return (enum smtp_server_event)event;
}

static int
step(struct smtp_server *s, struct bytes *in)
{
	if (s->n_due != 0)
		return smtp_server_tell_fault(s);
	if (s->n_skip != 0)
		return smtp_server_skip(s, in);
	if (s->state == ST_DATA)
		return smtp_server_read_data(s, in);
	if (s->state == ST_CHUNK)
		return smtp_server_read_chunk(s, in);
	return read_command(s, in);
}

/* Octets that came too early: before the greeting, a 354, or TLS. */
static int
look_for_early(struct smtp_server *s, const struct bytes *in)
{
	if (in->n == 0)
		return GO_ON;
	if (s->is_upgrading)
		return smtp_server_hang_up(s, 554, "5.5.1",
		    "Error: improper pipelining behind STARTTLS");
	if (s->pending != 0)
		s->is_early = true;
	if (s->pending != 0 || s->is_greeted)
		return GO_ON;
	s->is_greeted = s->out.n == 0;
	if (s->is_greeted)
		return GO_ON;
	s->out.n = 0;
	return smtp_server_hang_up(s, 554, "5.5.0",
	    "Error: you talked before the greeting");
}

enum smtp_server_event
smtp_server_next(struct smtp_server *s, struct bytes *in)
{
	int event;

	if (s->state == ST_DONE)
		return SMTP_SERVER_CLOSE;
	if (s->follow != 0)
		return follow(s);
	event = look_for_early(s, in);
	if (event == GO_ON && (s->pending != 0 || s->is_upgrading))
		return SMTP_SERVER_MORE;
	/* the answer that is asked for, and a 421 behind it, must fit too */
	while (event == GO_ON && buf_room(&s->out) >= 2 * SMTP_REPLY_ROOM)
		event = step(s, in);
	assert(!s->out.full);
	return event == GO_ON ? SMTP_SERVER_MORE : (enum smtp_server_event)event;
}

/* Whether the command can be answered with this code, RFC 5321 4.3.2. */
static bool
is_answer(int asked, int code)
{
	if (code >= 400 && code <= 599)
		return true;
	if (asked == SMTP_SERVER_DATA)
		return code == 354;
	if (asked == SMTP_SERVER_STARTTLS || asked == SMTP_SERVER_XCLIENT)
		return code == 220;
	if (asked == SMTP_SERVER_AUTH)
		return code == 235;
	return code >= 200 && code <= 299;
}

/* The asked step was answered well. */
static void
accept_step(struct smtp_server *s, int asked)
{
	switch (asked) {
	case SMTP_SERVER_MAIL:
		step_to(s, SMTP_VERB_MAIL);
		break;
	case SMTP_SERVER_RCPT:
		s->n_rcpt++;
		step_to(s, SMTP_VERB_RCPT);
		break;
	case SMTP_SERVER_DATA:
		dot_init(&s->dot, !s->is_chunked);
		s->dot.is_repairing = s->config->is_repairing;
		step_to(s, s->is_chunked ? SMTP_VERB_BDAT : SMTP_VERB_DATA);
		break;
	case SMTP_SERVER_STARTTLS:
		s->is_upgrading = true;
		break;
	case SMTP_SERVER_AUTH:
		s->is_authenticated = true;
		break;
	case SMTP_SERVER_XCLIENT:
		forget(s);
		break;
	default:
		s->n_errors = 0;
	}
}

/* What an answer of any code ends. */
static void
end_step(struct smtp_server *s, int asked, bool is_refused)
{
	bool is_end = asked == SMTP_SERVER_END ||
	    asked == SMTP_SERVER_END_RCPT;

	if (asked == SMTP_SERVER_AUTH)
		smtp_server_auth_wipe(s);
	if (is_end && s->config->is_lmtp && ++s->n_answered < s->n_rcpt)
		s->follow = SMTP_SERVER_END_RCPT;
	else if (is_end || (asked == SMTP_SERVER_MAIL && is_refused))
		smtp_server_end_transaction(s);
	if (asked == SMTP_SERVER_DATA && is_refused && s->is_chunked)
		s->follow = smtp_server_refuse_chunk(s, NULL);
}

void
smtp_server_answer(struct smtp_server *s, int code, const char *enhanced,
    struct bytes text)
{
	int asked = s->pending;

	if (s->state == ST_DONE)
		return;
	assert(asked != 0);
	s->pending = 0;
	if (!is_answer(asked, code)) {
		code = 451;
		enhanced = "4.3.0";
		text = BYTES_LIT("Error: no usable answer");
	}
	if (s->is_early && ((code == 354 && !s->is_chunked) ||
	    (code == 220 && asked == SMTP_SERVER_STARTTLS))) {
		smtp_server_hang_up(s, 554,
		    code == 354 ? "5.5.0" : "5.5.1", code == 354 ?
		    "Error: improper pipelining behind DATA" :
		    "Error: improper pipelining behind STARTTLS");
		return;
	}
	if (asked == SMTP_SERVER_XCLIENT && code == 220)
		greet(s);
	else if (code != 354 || !s->is_chunked)
		say(s, code, enhanced, text);
	if (code < 400)
		accept_step(s, asked);
	end_step(s, asked, code >= 400);
	if (code == 421)
		s->state = ST_DONE;
	else if (code >= 500 && s->follow == SMTP_SERVER_END_RCPT)
		s->n_errors++;	/* the others are to hear theirs first */
	else if (code >= 500)
		count_error(s);
	assert(!s->out.full);
}

void
smtp_server_shutdown(struct smtp_server *s, bool is_timeout)
{
	if (s->state == ST_DONE)
		return;
	if (is_timeout)
		smtp_server_hang_up_421(s, "4.4.2", "timeout exceeded");
	else
		smtp_server_hang_up_421(s, "4.3.2", "service shutting down");
}

bool
smtp_server_is_reading(const struct smtp_server *s)
{
	return s->state == ST_DATA || s->state == ST_CHUNK;
}

bool
smtp_server_is_busy(const struct smtp_server *s)
{
	return s->state > ST_READY && s->state < ST_DONE;
}
