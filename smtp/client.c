#include "smtp/client_state.h"

#include <assert.h>

static const enum smtp_client_event event_of[] = {
	[ASKED_MAIL] = SMTP_CLIENT_MAIL,
	[ASKED_RCPT] = SMTP_CLIENT_RCPT,
	[ASKED_DATA] = SMTP_CLIENT_DATA,
	[ASKED_END] = SMTP_CLIENT_END,
	[ASKED_RSET] = SMTP_CLIENT_RSET,
	[ASKED_QUIT] = SMTP_CLIENT_QUIT,
};

static void
push_asked(struct smtp_client *c, enum smtp_client_asked asked)
{
	assert(c->n_asked < SMTP_CLIENT_ASKED);
	c->asked[c->n_asked++] = (uint8_t)asked;
}

static enum smtp_client_asked
pop_asked(struct smtp_client *c)
{
	enum smtp_client_asked oldest = (enum smtp_client_asked)c->asked[0];

	c->n_asked--;
	memmove(c->asked, c->asked + 1, c->n_asked);
	return oldest;
}

void
smtp_client_init(struct smtp_client *c, const char *hostname, bool is_lmtp)
{
	memset(c, 0, sizeof(*c));
	c->hostname = hostname;
	c->is_lmtp = is_lmtp;
	c->state = ST_INIT;
	c->out = BUF_ON(c->out_octets);
	smtp_replyparse_init(&c->parse);
	push_asked(c, ASKED_BANNER);
}

enum smtp_client_event
smtp_client_broken(struct smtp_client *c, const char *fault)
{
	c->state = ST_BROKEN;
	c->is_content = false;
	c->fault = fault;
	return SMTP_CLIENT_BROKEN;
}

static void
say_hello(struct smtp_client *c, const char *verb, enum smtp_client_asked asked)
{
	buf_printf(&c->out, "%s %.255s\r\n", verb, c->hostname);
	push_asked(c, asked);
}

void
smtp_client_hello(struct smtp_client *c)
{
	c->can = 0;
	c->max_size = 0;
	c->ehlo = (struct smtp_ehlo){0};
	c->state = ST_BANNER;
	say_hello(c, c->is_lmtp ? "LHLO" : "EHLO", ASKED_EHLO);
}

/* Banner, EHLO and HELO. MORE: the greeting goes on. */
static enum smtp_client_event
greet(struct smtp_client *c, enum smtp_client_asked asked)
{
	bool is_good = c->reply.code < 300;

	if (asked == ASKED_BANNER && c->reply.code == 220) {
		smtp_client_hello(c);
		return SMTP_CLIENT_MORE;
	}
	if (asked == ASKED_EHLO && !is_good && c->reply.code != 421 &&
	    !c->is_lmtp) {
		say_hello(c, "HELO", ASKED_HELO);
		return SMTP_CLIENT_MORE;
	}
	if (asked == ASKED_BANNER && is_good)
		return smtp_client_broken(c, "not a banner");
	if (!is_good) {
		c->state = ST_OVER;
		return SMTP_CLIENT_REFUSED;
	}
	if (asked == ASKED_EHLO) {
		c->can = c->ehlo.can;
		c->max_size = c->ehlo.max_size;
	}
	c->state = ST_READY;
	return SMTP_CLIENT_READY;
}

/* Whether a command can have a reply of that code at all. */
static bool
is_possible(enum smtp_client_asked asked, int code)
{
	switch (code / 100) {
	case 2:
		return asked != ASKED_DATA;
	case 3:
		return (asked == ASKED_DATA && code == 354) ||
		    (asked == ASKED_AUTH && code == 334);
	default:
		return true;
	}
}

/* What a transaction learns from a reply. */
static void
note_reply(struct smtp_client *c, enum smtp_client_asked asked)
{
	int class = c->reply.code / 100;

	if (asked == ASKED_MAIL && class != 2)
		c->is_mail = false;
	if (asked == ASKED_RCPT && class == 2)
		c->n_rcpt++;
	if (asked == ASKED_DATA && class == 3) {
		c->is_content = true;
		dot_encoder_init(&c->dot);
	}
	if (asked == ASKED_END && --c->n_ends != 0)
		push_asked(c, ASKED_END);
	else if (asked == ASKED_QUIT || c->reply.code == 421)
		c->state = ST_OVER;
}

/* A whole reply to the oldest command. */
static enum smtp_client_event
take_reply(struct smtp_client *c)
{
	enum smtp_client_asked asked = pop_asked(c);

	if (!is_possible(asked, c->reply.code))
		return smtp_client_broken(c,
		    "a reply that the command can not have");
	if (asked <= ASKED_HELO)
		return greet(c, asked);
	note_reply(c, asked);
	switch (asked) {
	case ASKED_STARTTLS:
		return smtp_client_on_starttls(c);
	case ASKED_XCLIENT:
		return smtp_client_on_xclient(c);
	case ASKED_AUTH:
		return smtp_client_on_auth(c);
	default:
		return event_of[asked];
	}
}

enum smtp_client_event
smtp_client_next(struct smtp_client *c, struct bytes *in)
{
	enum smtp_client_event event;

	if (c->state == ST_BROKEN)
		return SMTP_CLIENT_BROKEN;
	for (;;) {
		if (c->state == ST_TLS && in->n != 0)
			return smtp_client_broken(c,
			    "octets in plain behind the answer to STARTTLS");
		if (c->n_asked == 0 && in->n != 0)
			c->is_unasked = true;
		switch (smtp_replyparse_next(&c->parse, in)) {
		case SMTP_REPLYPARSE_MORE:
			return SMTP_CLIENT_MORE;
		case SMTP_REPLYPARSE_BROKEN:
			c->reply = (struct smtp_reply){0};
			return smtp_client_broken(c, c->parse.fault);
		case SMTP_REPLYPARSE_LINE:
		case SMTP_REPLYPARSE_READY:
			if (c->n_asked != 0 && c->asked[0] == ASKED_EHLO &&
			    c->parse.n_lines > 1)
				smtp_ehlo_read(&c->ehlo, c->parse.last_line);
			if (!c->parse.is_ready)
				continue;
			break;
		}
		c->reply = smtp_replyparse_reply(&c->parse);
		if (c->is_unasked)
			return smtp_client_broken(c, "a reply that nobody asked for");
		event = take_reply(c);
		if (c->state == ST_TLS && in->n != 0)
			continue;	/* is broken */
		if (c->is_content && in->n != 0)
			return smtp_client_broken(c,
			    "a reply to content that was not sent");
		if (event != SMTP_CLIENT_MORE)
			return event;
	}
}

/* Whether a command can be asked for now. */
static bool
may_ask(const struct smtp_client *c)
{
	return c->state == ST_READY && !c->is_unasked && !c->is_content &&
	    c->n_asked < SMTP_CLIENT_ASKED;
}

bool
smtp_client_may_ask(const struct smtp_client *c)
{
	return may_ask(c) && c->n_asked == 0 && !c->is_auth_open;
}

/* Likewise behind others that are under way, RFC 2920 3.1. */
static bool
may_pipeline(const struct smtp_client *c)
{
	uint8_t last;

	if (!may_ask(c) || c->is_auth_open || c->n_asked == 0)
		return may_ask(c) && !c->is_auth_open;
	last = c->asked[c->n_asked - 1];
	return (c->can & SMTP_CAN_PIPELINE) != 0 && (last == ASKED_MAIL ||
	    last == ASKED_RCPT || last == ASKED_RSET);
}

/* Whether a path can stand in a command and never be more than that. */
static bool
is_path(const struct smtp_client *c, struct bytes path)
{
	for (size_t k = 0; k < path.n; k++)
		if (path.p[k] < ' ' || path.p[k] == 0x7f ||
		    (path.p[k] > 0x7f && !(c->can & SMTP_CAN_SMTPUTF8)))
			return false;
	return path.n >= 2 && path.p[0] == '<' && path.p[path.n - 1] == '>';
}

/* Likewise the value of a parameter. */
static bool
is_value(struct bytes value)
{
	for (size_t k = 0; k < value.n; k++)
		if (value.p[k] <= ' ' || value.p[k] == 0x7f)
			return false;
	return true;
}

static void
add_parameter(struct smtp_client *c, unsigned can, const char *name,
    struct bytes value)
{
	if (value.n == 0 || (c->can & can) == 0)
		return;
	buf_printf(&c->out, " %s=", name);
	buf_add(&c->out, value);
}

bool
smtp_client_asked(struct smtp_client *c, size_t before,
    enum smtp_client_asked asked)
{
	if (c->out.full) {
		c->out.n = before;
		c->out.full = false;
		return false;
	}
	push_asked(c, asked);
	return true;
}

bool
smtp_client_mail(struct smtp_client *c, const struct smtp_client_mail *m)
{
	size_t before = c->out.n;

	if (!may_pipeline(c) || c->is_mail || !is_path(c, m->path) ||
	    !is_value(m->ret) || !is_value(m->envid))
		return false;
	buf_add(&c->out, BYTES_LIT("MAIL FROM:"));
	buf_add(&c->out, m->path);
	if (m->size != 0 && (c->can & SMTP_CAN_SIZE) != 0) {
		buf_add(&c->out, BYTES_LIT(" SIZE="));
		buf_add_number(&c->out, m->size);
	}
	if (m->is_8bit)
		add_parameter(c, SMTP_CAN_8BITMIME, "BODY",
		    BYTES_LIT("8BITMIME"));
	if (m->is_utf8 && (c->can & SMTP_CAN_SMTPUTF8) != 0)
		buf_add(&c->out, BYTES_LIT(" SMTPUTF8"));
	add_parameter(c, SMTP_CAN_DSN, "RET", m->ret);
	add_parameter(c, SMTP_CAN_DSN, "ENVID", m->envid);
	buf_add(&c->out, BYTES_LIT("\r\n"));
	if (!smtp_client_asked(c, before, ASKED_MAIL))
		return false;
	c->is_mail = true;
	c->n_rcpt = 0;
	return true;
}

bool
smtp_client_rcpt(struct smtp_client *c, const struct smtp_client_rcpt *r)
{
	size_t before = c->out.n;

	if (!may_pipeline(c) || !c->is_mail || !is_path(c, r->path) ||
	    !is_value(r->notify) || !is_value(r->orcpt))
		return false;
	buf_add(&c->out, BYTES_LIT("RCPT TO:"));
	buf_add(&c->out, r->path);
	add_parameter(c, SMTP_CAN_DSN, "NOTIFY", r->notify);
	add_parameter(c, SMTP_CAN_DSN, "ORCPT", r->orcpt);
	buf_add(&c->out, BYTES_LIT("\r\n"));
	return smtp_client_asked(c, before, ASKED_RCPT);
}

bool
smtp_client_data(struct smtp_client *c)
{
	size_t before = c->out.n;

	if (!smtp_client_may_ask(c) || !c->is_mail || c->n_rcpt == 0)
		return false;
	buf_add(&c->out, BYTES_LIT("DATA\r\n"));
	return smtp_client_asked(c, before, ASKED_DATA);
}

bool
smtp_client_rset(struct smtp_client *c)
{
	size_t before = c->out.n;

	if (!may_pipeline(c))
		return false;
	buf_add(&c->out, BYTES_LIT("RSET\r\n"));
	if (!smtp_client_asked(c, before, ASKED_RSET))
		return false;
	c->is_mail = false;
	return true;
}

bool
smtp_client_quit(struct smtp_client *c)
{
	size_t before = c->out.n;

	if (!smtp_client_may_ask(c))
		return false;
	buf_add(&c->out, BYTES_LIT("QUIT\r\n"));
	return smtp_client_asked(c, before, ASKED_QUIT);
}

bool
smtp_client_content(struct smtp_client *c, struct bytes *octets)
{
	if (c->state != ST_READY || !c->is_content)
		return false;
	if (dot_encode(&c->dot, octets, &c->out))
		return true;
	smtp_client_broken(c, "bare CR or LF in the message");
	return false;
}

struct bytes
smtp_client_run(struct smtp_client *c, struct bytes *octets, size_t max)
{
	if (c->state != ST_READY || !c->is_content)
		return (struct bytes){NULL, 0};
	return dot_encode_run(&c->dot, octets, max);
}

bool
smtp_client_end(struct smtp_client *c)
{
	if (c->state != ST_READY || !c->is_content)
		return false;
	if (c->dot.is_cr)
		smtp_client_broken(c, "bare CR at the end of the message");
	if (!dot_encode_end(&c->dot, &c->out))
		return false;
	c->is_content = false;
	c->is_mail = false;
	c->n_ends = c->is_lmtp ? c->n_rcpt : 1;
	push_asked(c, ASKED_END);
	return true;
}

const char *
smtp_client_fault(const struct smtp_client *c)
{
	return c->fault;
}
