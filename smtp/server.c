#include "smtp/server.h"

#include <assert.h>

#include "base/ascii.h"
#include "smtp/command.h"
#include "smtp/ehlo.h"
#include "smtp/params.h"
#include "smtp/reply.h"

/* Each state has what was answered well last. */
enum state {
	ST_GREET,	/* the banner */
	ST_READY,	/* EHLO or HELO; there is no transaction */
	ST_MAIL,	/* MAIL */
	ST_RCPT,	/* MAIL and at least one RCPT */
	ST_DATA,	/* 354: what comes is content, or END is asked */
	ST_DONE,	/* nothing more is read */
	ST__N
};

#define NO (-1)
#define SAME (-2)

/*
 * State after a verb that was answered 2xx or 354. NO means reply 503. In
 * ST_DATA and ST_DONE no line is read as a command.
 * Source RFC 5321 4.1.4
 */
static const int8_t next_state[SMTP_VERB__N][ST__N] = {
	/*                     GREET     READY     MAIL      RCPT      DATA  DONE */
	[SMTP_VERB_EHLO]     = {ST_READY, ST_READY, ST_READY, ST_READY, NO,   NO},
	[SMTP_VERB_HELO]     = {ST_READY, ST_READY, ST_READY, ST_READY, NO,   NO},
	[SMTP_VERB_MAIL]     = {NO,       ST_MAIL,  NO,       NO,       NO,   NO},
	[SMTP_VERB_RCPT]     = {NO,       NO,       ST_RCPT,  ST_RCPT,  NO,   NO},
	[SMTP_VERB_DATA]     = {NO,       NO,       NO,       ST_DATA,  NO,   NO},
	[SMTP_VERB_RSET]     = {SAME,     SAME,     ST_READY, ST_READY, NO,   NO},
	[SMTP_VERB_NOOP]     = {SAME,     SAME,     SAME,     SAME,     NO,   NO},
	[SMTP_VERB_QUIT]     = {ST_DONE,  ST_DONE,  ST_DONE,  ST_DONE,  NO,   NO},
	[SMTP_VERB_VRFY]     = {SAME,     SAME,     SAME,     SAME,     NO,   NO},
	[SMTP_VERB_EXPN]     = {SAME,     SAME,     SAME,     SAME,     NO,   NO},
	[SMTP_VERB_HELP]     = {SAME,     SAME,     SAME,     SAME,     NO,   NO},
	[SMTP_VERB_STARTTLS] = {SAME,     SAME,     SAME,     SAME,     NO,   NO},
	[SMTP_VERB_AUTH]     = {SAME,     SAME,     SAME,     SAME,     NO,   NO},
	[SMTP_VERB_BDAT]     = {SAME,     SAME,     SAME,     SAME,     NO,   NO},
	[SMTP_VERB_FOREIGN]  = {SAME,     SAME,     SAME,     SAME,     NO,   NO},
	[SMTP_VERB_UNKNOWN]  = {SAME,     SAME,     SAME,     SAME,     NO,   NO},
};

/* What a step returns when it was answered here and nobody need know. */
#define GO_ON (-1)

static int
reply(struct smtp_server *s, int code, const char *enhanced, const char *text)
{
	smtp_reply_add(&s->out, code, enhanced, bytes_of(text));
	return GO_ON;
}

/* Says a last word, and reads nothing more. */
static int
hang_up(struct smtp_server *s, int code, const char *enhanced,
    const char *text)
{
	smtp_reply_add(&s->out, code, enhanced, bytes_of(text));
	s->state = ST_DONE;
	s->pending = 0;
	s->follow = 0;
	return SMTP_SERVER_CLOSE;
}

/* A 421 names the host, RFC 5321 3.8. */
static int
hang_up_421(struct smtp_server *s, const char *enhanced, const char *text)
{
	uint8_t octets[400];
	struct buf line = BUF_ON(octets);

	buf_printf(&line, "%.255s Error: %s", s->config->hostname, text);
	buf_add_octet(&line, 0);
	return hang_up(s, 421, enhanced, (const char *)octets);
}

static int
count_error(struct smtp_server *s)
{
	s->n_errors++;
	if (s->config->max_errors != 0 &&
	    s->n_errors >= s->config->max_errors)
		return hang_up_421(s, "4.7.0", "too many errors");
	return GO_ON;
}

static int
refuse(struct smtp_server *s, int code, const char *enhanced, const char *text)
{
	reply(s, code, enhanced, text);
	return count_error(s);
}

static void
end_transaction(struct smtp_server *s)
{
	s->mail = (struct smtp_server_mail){0};
	s->rcpt = (struct smtp_server_rcpt){0};
	s->n_rcpt = 0;
	s->n_content = 0;
	s->content = (struct bytes){0};
}

/* What the machine goes to once the verb was answered well. */
static void
step_to(struct smtp_server *s, enum smtp_verb verb)
{
	int next = next_state[verb][s->state];

	assert(next != NO);
	if (next == ST_READY)
		end_transaction(s);
	if (next != SAME)
		s->state = next;
}

static int
ask(struct smtp_server *s, enum smtp_server_event event)
{
	s->pending = (int)event;
	return (int)event;
}

/*
 * A name that can stand in a Received field without being quoted. RFC 5321
 * wants a domain or a literal; too many senders have neither.
 */
static bool
is_helo_name(struct bytes b)
{
	for (size_t k = 0; k < b.n; k++)
		if (!ascii_is_graph(b.p[k]) ||
		    strchr("()<>@,;\\\"", b.p[k]) != NULL)
			return false;
	return b.n != 0 && b.n <= 255;
}

static int
run_hello(struct smtp_server *s, struct bytes name, bool is_esmtp)
{
	struct smtp_ehlo ehlo = {
	    .can = SMTP_CAN_PIPELINE | SMTP_CAN_SIZE | SMTP_CAN_ENHANCED,
	    .max_size = s->config->max_message,
	};
	bool was_busy = smtp_server_is_busy(s);

	if (!is_helo_name(name))
		return refuse(s, 501, "5.5.4",
		    is_esmtp ? "Syntax: EHLO hostname" : "Syntax: HELO hostname");
	if (s->config->offer_8bitmime)
		ehlo.can |= SMTP_CAN_8BITMIME;
	memcpy(s->helo_octets, name.p, name.n);
	s->helo = (struct bytes){s->helo_octets, name.n};
	s->is_esmtp = is_esmtp;
	step_to(s, is_esmtp ? SMTP_VERB_EHLO : SMTP_VERB_HELO);
	if (is_esmtp)
		smtp_ehlo_write(&s->out, s->config->hostname, &ehlo);
	else
		reply(s, 250, NULL, s->config->hostname);
	if (!was_busy)
		return SMTP_SERVER_HELO;
	s->follow = SMTP_SERVER_HELO;
	return SMTP_SERVER_RESET;
}

static int
refuse_path(struct smtp_server *s, enum smtp_path_fault fault, bool is_rcpt)
{
	static const char *const text[] = {
		[SMTP_PATH_SYNTAX] = "Bad address syntax",
		[SMTP_PATH_ROUTE] = "Source routes are not accepted",
		[SMTP_PATH_LONG] = "Address too long",
		[SMTP_PATH_UTF8] = "Non-ASCII address, and SMTPUTF8 is not offered",
	};

	return refuse(s, 501, is_rcpt ? "5.1.3" : "5.1.7", text[fault]);
}

struct refusal {
	int code;
	const char *enhanced;
	const char *text;
};

static const struct refusal unsupported = {555, "5.5.4", "Unsupported option"};
static const struct refusal repeated = {501, "5.5.4", "Repeated option"};
static const struct refusal no_param = {501, "5.5.4", "Bad parameter syntax"};
static const struct refusal no_size = {501, "5.5.4", "Syntax: SIZE=octets"};
static const struct refusal no_body = {501, "5.5.4",
    "Syntax: BODY=7BIT or BODY=8BITMIME"};
static const struct refusal too_big = {552, "5.3.4",
    "Message size exceeds fixed limit"};

static int
refuse_as(struct smtp_server *s, const struct refusal *r)
{
	return refuse(s, r->code, r->enhanced, r->text);
}

#define SEEN_SIZE 1U
#define SEEN_BODY 2U

/* One parameter of MAIL. Returns why it is refused, or NULL. */
static const struct refusal *
take_mail_param(struct smtp_server *s, const struct smtp_param *param,
    unsigned *seen)
{
	unsigned bit = 0;

	if (bytes_case_eq(param->keyword, BYTES_LIT("SIZE")))
		bit = SEEN_SIZE;
	else if (bytes_case_eq(param->keyword, BYTES_LIT("BODY")) &&
	    s->config->offer_8bitmime)
		bit = SEEN_BODY;
	if (bit == 0)
		return &unsupported;
	if ((*seen & bit) != 0)
		return &repeated;
	*seen |= bit;
	if (bit == SEEN_SIZE) {
		if (!bytes_number(param->value, UINT64_MAX, &s->mail.size))
			return &no_size;
		if (s->config->max_message != 0 &&
		    s->mail.size > s->config->max_message)
			return &too_big;
	} else if (bytes_case_eq(param->value, BYTES_LIT("8BITMIME"))) {
		s->mail.is_8bit = true;
	} else if (!bytes_case_eq(param->value, BYTES_LIT("7BIT"))) {
		return &no_body;
	}
	return NULL;
}

static int
run_mail(struct smtp_server *s, struct bytes arg)
{
	enum smtp_path_fault fault;
	enum smtp_params_step step;
	const struct refusal *why;
	struct smtp_param param;
	struct bytes rest;
	unsigned seen = 0;

	if (!smtp_command_skip(&arg, BYTES_LIT("FROM:")))
		return refuse(s, 501, "5.5.4", "Syntax: MAIL FROM:<address>");
	end_transaction(s);
	if (arg.n != 0)
		memcpy(s->mail_octets, arg.p, arg.n);
	arg.p = s->mail_octets;
	fault = smtp_path_parse(arg, false, &s->mail.from, &rest);
	if (fault != SMTP_PATH_OK)
		return refuse_path(s, fault, false);
	while ((step = smtp_params_next(&rest, &param)) == SMTP_PARAMS_ONE) {
		why = take_mail_param(s, &param, &seen);
		if (why != NULL)
			return refuse_as(s, why);
	}
	if (step == SMTP_PARAMS_SYNTAX)
		return refuse_as(s, &no_param);
	return ask(s, SMTP_SERVER_MAIL);
}

static int
run_rcpt(struct smtp_server *s, struct bytes arg)
{
	enum smtp_path_fault fault;
	struct smtp_param param;
	struct bytes rest;

	if (!smtp_command_skip(&arg, BYTES_LIT("TO:")))
		return refuse(s, 501, "5.5.4", "Syntax: RCPT TO:<address>");
	fault = smtp_path_parse(arg, true, &s->rcpt.to, &rest);
	if (fault != SMTP_PATH_OK)
		return refuse_path(s, fault, true);
	switch (smtp_params_next(&rest, &param)) {
	case SMTP_PARAMS_ONE:
		return refuse_as(s, &unsupported);
	case SMTP_PARAMS_SYNTAX:
		return refuse_as(s, &no_param);
	case SMTP_PARAMS_END:
		break;
	}
	return ask(s, SMTP_SERVER_RCPT);
}

static int
run_data(struct smtp_server *s)
{
	if (s->is_pipelining)
		return hang_up(s, 554, "5.5.0",
		    "Error: improper pipelining behind DATA");
	s->is_early = false;
	return ask(s, SMTP_SERVER_DATA);
}

static int
run_rset(struct smtp_server *s)
{
	bool was_busy = smtp_server_is_busy(s);

	step_to(s, SMTP_VERB_RSET);
	reply(s, 250, "2.0.0", "Ok");
	return was_busy ? SMTP_SERVER_RESET : GO_ON;
}

static int
refuse_sequence(struct smtp_server *s, enum smtp_verb verb)
{
	const char *text = "Error: need MAIL command";

	if (s->state == ST_GREET)
		text = "Error: send HELO/EHLO first";
	else if (verb == SMTP_VERB_MAIL)
		text = "Error: nested MAIL command";
	else if (verb == SMTP_VERB_DATA && s->state == ST_MAIL)
		text = "Error: need RCPT command";
	return refuse(s, 503, "5.5.1", text);
}

/* DATA, RSET and QUIT have no argument, VRFY must have one. */
static const char *
syntax_of(const struct smtp_command *command)
{
	if (command->verb == SMTP_VERB_DATA && command->arg.n != 0)
		return "Syntax: DATA";
	if (command->verb == SMTP_VERB_RSET && command->arg.n != 0)
		return "Syntax: RSET";
	if (command->verb == SMTP_VERB_QUIT && command->arg.n != 0)
		return "Syntax: QUIT";
	if (command->verb == SMTP_VERB_VRFY && command->arg.n == 0)
		return "Syntax: VRFY address";
	return NULL;
}

static int
run_command(struct smtp_server *s, const struct smtp_command *command)
{
	const char *syntax = syntax_of(command);

	if (next_state[command->verb][s->state] == NO)
		return refuse_sequence(s, command->verb);
	if (syntax != NULL)
		return refuse(s, 501, "5.5.4", syntax);
	switch (command->verb) {
	case SMTP_VERB_EHLO:
		return run_hello(s, command->arg, true);
	case SMTP_VERB_HELO:
		return run_hello(s, command->arg, false);
	case SMTP_VERB_MAIL:
		return run_mail(s, command->arg);
	case SMTP_VERB_RCPT:
		return run_rcpt(s, command->arg);
	case SMTP_VERB_DATA:
		return run_data(s);
	case SMTP_VERB_RSET:
		return run_rset(s);
	case SMTP_VERB_NOOP:
		return reply(s, 250, "2.0.0", "Ok");
	case SMTP_VERB_QUIT:
		return hang_up(s, 221, "2.0.0", "Bye");
	case SMTP_VERB_VRFY:
		return reply(s, 252, "2.5.2",
		    "Cannot VRFY; send mail and delivery is attempted");
	case SMTP_VERB_HELP:
		return reply(s, 214, "2.0.0",
		    "EHLO HELO MAIL RCPT DATA RSET NOOP VRFY QUIT");
	case SMTP_VERB_EXPN:
	case SMTP_VERB_STARTTLS:
	case SMTP_VERB_AUTH:
		return refuse(s, 502, "5.5.1", "Error: command not implemented");
	case SMTP_VERB_BDAT:
		return hang_up(s, 502, "5.5.1", "Error: CHUNKING is not offered");
	case SMTP_VERB_FOREIGN:
		return hang_up(s, 554, "5.5.1", "Error: this is SMTP");
	case SMTP_VERB_UNKNOWN:
	case SMTP_VERB__N:
		break;
	}
	return refuse(s, 500, "5.5.2", "Error: command not recognized");
}

/* What is wrong with the framing of the line just read, or NULL. */
static const char *
line_fault(struct smtp_server *s)
{
	bool was_tainted = s->is_tainted;

	s->is_tainted = s->line.has_bare_lf;
	if (s->line.is_long)
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

static int
read_command(struct smtp_server *s, struct bytes *in)
{
	struct smtp_command command;
	const char *fault;

	switch (smtp_line_read(&s->line, in)) {
	case SMTP_LINE_MORE:
		return SMTP_SERVER_MORE;
	case SMTP_LINE_ENDLESS:
		return hang_up_421(s, "4.7.0", "command line without end");
	case SMTP_LINE_READY:
		break;
	}
	s->is_pipelining = in->n != 0;
	s->n_commands++;
	if (s->config->max_commands != 0 &&
	    s->n_commands > s->config->max_commands)
		return hang_up_421(s, "4.7.0", "too many commands");
	command = smtp_command_parse(smtp_line_octets(&s->line));
	fault = line_fault(s);
	if (fault != NULL && command.verb != SMTP_VERB_BDAT)
		return refuse(s, 500, "5.5.2", fault);
	return run_command(s, &command);
}

/* Octets of content that may still come before it is given up. */
static uint64_t
content_left(const struct smtp_server *s)
{
	uint64_t max = s->config->max_message;
	uint64_t line_max = SMTP_TEXT_LINE_MAX;
	uint64_t left;

	if (s->config->max_line > line_max)
		line_max = s->config->max_line;
	left = s->dot.line < line_max ? line_max - s->dot.line : 0;
	if (max != 0 && max <= UINT64_MAX / 2 && 2 * max - s->n_content < left)
		left = 2 * max - s->n_content;
	return left;
}

static bool
is_too_big(const struct smtp_server *s)
{
	return s->config->max_message != 0 &&
	    s->n_content > s->config->max_message;
}

static bool
is_too_long(const struct smtp_server *s)
{
	return s->config->max_line != 0 &&
	    s->dot.longest > s->config->max_line;
}

/* The dot was read, and all content was taken. */
static int
end_content(struct smtp_server *s)
{
	int event = GO_ON;

	if (!is_too_big(s) && !is_too_long(s) && !s->dot.has_nul)
		return ask(s, SMTP_SERVER_END);
	if (is_too_big(s))
		event = refuse_as(s, &too_big);
	else if (is_too_long(s))
		event = refuse(s, 550, "5.6.0", "Text line too long");
	else
		event = refuse(s, 550, "5.6.0", "Message contains <NUL>");
	if (event != GO_ON)
		return event;
	end_transaction(s);
	s->state = ST_READY;
	return SMTP_SERVER_RESET;
}

static int
read_content(struct smtp_server *s, struct bytes *in)
{
	uint64_t left = content_left(s);
	struct buf out = {s->content_octets, 0,
	    left < SMTP_CONTENT_CHUNK ? (size_t)left : SMTP_CONTENT_CHUNK, false};
	enum dot_step step = dot_decode(&s->dot, in, &out);

	s->n_content += out.n;
	if (step == DOT_BARE_LF)
		return hang_up(s, 550, "5.5.2", "bare <LF> received");
	if (step == DOT_BARE_CR)
		return hang_up(s, 550, "5.5.2", "bare <CR> received");
	if (step == DOT_MORE && in->n != 0 && out.n == 0)
		return hang_up_421(s, "4.7.0", "message without end");
	s->content = buf_bytes(&out);
	if (out.n == 0 || is_too_big(s) || is_too_long(s) || s->dot.has_nul) {
		if (step == DOT_END)
			return end_content(s);
		return in->n == 0 ? SMTP_SERVER_MORE : GO_ON;
	}
	if (step == DOT_END)
		s->follow = SMTP_SERVER_END;
	return SMTP_SERVER_CONTENT;
}

void
smtp_server_init(struct smtp_server *s,
    const struct smtp_server_config *config)
{
	memset(s, 0, sizeof(*s));
	s->config = config;
	s->state = ST_GREET;
	s->out = BUF_ON(s->out_octets);
	smtp_line_init(&s->line, s->line_octets, sizeof(s->line_octets));
	buf_printf(&s->out, "220 %.255s ESMTP\r\n", config->hostname);
}

enum smtp_server_event
smtp_server_next(struct smtp_server *s, struct bytes *in)
{
	int event = GO_ON;

	if (s->state == ST_DONE)
		return SMTP_SERVER_CLOSE;
	if (s->follow != 0) {
		event = s->follow;
		s->follow = 0;
		if (event == SMTP_SERVER_END)
			s->pending = event;
		return (enum smtp_server_event)event;
	}
	if (s->pending != 0) {
		if (s->pending == SMTP_SERVER_DATA && in->n != 0)
			s->is_early = true;
		return SMTP_SERVER_MORE;
	}
	if (!s->is_greeted && in->n != 0) {
		s->is_greeted = s->out.n == 0;
		if (!s->is_greeted) {
			s->out.n = 0;
			return (enum smtp_server_event)hang_up(s, 554, "5.5.0",
			    "Error: you talked before the greeting");
		}
	}
	/* the answer that is asked for, and a 421 behind it, must fit too */
	while (event == GO_ON && buf_room(&s->out) >= 2 * SMTP_REPLY_ROOM)
		event = s->state == ST_DATA ? read_content(s, in) :
		    read_command(s, in);
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
	return code >= 200 && code <= 299;
}

/* The asked step was answered well. */
static void
accept_step(struct smtp_server *s, int asked)
{
	if (asked == SMTP_SERVER_MAIL) {
		step_to(s, SMTP_VERB_MAIL);
	} else if (asked == SMTP_SERVER_RCPT) {
		s->n_rcpt++;
		step_to(s, SMTP_VERB_RCPT);
	} else if (asked == SMTP_SERVER_DATA) {
		dot_init(&s->dot);
		step_to(s, SMTP_VERB_DATA);
	} else {
		s->n_errors = 0;
	}
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
	if (asked == SMTP_SERVER_DATA && code == 354 && s->is_early) {
		hang_up(s, 554, "5.5.0",
		    "Error: improper pipelining behind DATA");
		return;
	}
	smtp_reply_add(&s->out, code, enhanced, text);
	if (code < 400)
		accept_step(s, asked);
	if (asked == SMTP_SERVER_END || (asked == SMTP_SERVER_MAIL && code >= 400)) {
		end_transaction(s);
		s->state = ST_READY;
	}
	if (code == 421)
		s->state = ST_DONE;
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
		hang_up_421(s, "4.4.2", "timeout exceeded");
	else
		hang_up_421(s, "4.3.2", "service shutting down");
}

bool
smtp_server_is_busy(const struct smtp_server *s)
{
	return s->state == ST_MAIL || s->state == ST_RCPT ||
	    s->state == ST_DATA;
}
