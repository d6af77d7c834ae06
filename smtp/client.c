#include "smtp/client.h"

#include <assert.h>

/* Each state has what happened last. */
enum state {
	ST_INIT,	/* the connection: the banner is due */
	ST_BANNER,	/* the banner: EHLO or HELO is under way */
	ST_READY,	/* the greeting is done: steps may be asked for */
	ST_OVER,	/* refused, QUIT or 421: nothing may be asked for */
	ST_BROKEN,	/* nothing that comes can be believed */
};

/* What a reply may answer, and the event that it makes. */
enum asked {
	ASKED_BANNER,
	ASKED_EHLO,
	ASKED_HELO,
	ASKED_MAIL,
	ASKED_RCPT,
	ASKED_DATA,
	ASKED_END,
	ASKED_RSET,
	ASKED_QUIT,
};

static const enum smtp_client_event event_of[] = {
	[ASKED_MAIL] = SMTP_CLIENT_MAIL,
	[ASKED_RCPT] = SMTP_CLIENT_RCPT,
	[ASKED_DATA] = SMTP_CLIENT_DATA,
	[ASKED_END] = SMTP_CLIENT_END,
	[ASKED_RSET] = SMTP_CLIENT_RSET,
	[ASKED_QUIT] = SMTP_CLIENT_QUIT,
};

static void
push_asked(struct smtp_client *c, enum asked asked)
{
	assert(c->n_asked < SMTP_CLIENT_ASKED);
	c->asked[c->n_asked++] = (uint8_t)asked;
}

static enum asked
pop_asked(struct smtp_client *c)
{
	enum asked oldest = (enum asked)c->asked[0];

	c->n_asked--;
	memmove(c->asked, c->asked + 1, c->n_asked);
	return oldest;
}

void
smtp_client_init(struct smtp_client *c, const char *hostname)
{
	memset(c, 0, sizeof(*c));
	c->hostname = hostname;
	c->state = ST_INIT;
	c->out = BUF_ON(c->out_octets);
	smtp_replyparse_init(&c->parse);
	push_asked(c, ASKED_BANNER);
}

static enum smtp_client_event
broken(struct smtp_client *c, const char *fault)
{
	c->state = ST_BROKEN;
	c->is_content = false;
	c->fault = fault;
	return SMTP_CLIENT_BROKEN;
}

static void
say_hello(struct smtp_client *c, const char *verb, enum asked asked)
{
	buf_printf(&c->out, "%s %.255s\r\n", verb, c->hostname);
	push_asked(c, asked);
}

/* Banner, EHLO and HELO. MORE: the greeting goes on. */
static enum smtp_client_event
greet(struct smtp_client *c, enum asked asked)
{
	bool is_good = c->reply.code < 300;

	if (asked == ASKED_BANNER && c->reply.code == 220) {
		c->state = ST_BANNER;
		say_hello(c, "EHLO", ASKED_EHLO);
		return SMTP_CLIENT_MORE;
	}
	if (asked == ASKED_EHLO && !is_good && c->reply.code != 421) {
		say_hello(c, "HELO", ASKED_HELO);
		return SMTP_CLIENT_MORE;
	}
	if (asked == ASKED_BANNER && is_good)
		return broken(c, "not a banner");
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

/* A whole reply to the oldest command. */
static enum smtp_client_event
take_reply(struct smtp_client *c)
{
	enum asked asked = pop_asked(c);
	int class = c->reply.code / 100;

	if (asked == ASKED_DATA ? class == 2 || (class == 3 &&
	    c->reply.code != 354) : class == 3)
		return broken(c, "a reply that the command can not have");
	if (asked <= ASKED_HELO)
		return greet(c, asked);
	if (asked == ASKED_MAIL && class != 2)
		c->is_mail = false;
	if (asked == ASKED_RCPT && class == 2)
		c->n_rcpt++;
	if (asked == ASKED_DATA && class == 3) {
		c->is_content = true;
		dot_encoder_init(&c->dot);
	}
	if (asked == ASKED_QUIT || c->reply.code == 421)
		c->state = ST_OVER;
	return event_of[asked];
}

enum smtp_client_event
smtp_client_next(struct smtp_client *c, struct bytes *in)
{
	enum smtp_client_event event;

	if (c->state == ST_BROKEN)
		return SMTP_CLIENT_BROKEN;
	for (;;) {
		if (c->n_asked == 0 && in->n != 0)
			c->is_unasked = true;
		switch (smtp_replyparse_next(&c->parse, in)) {
		case SMTP_REPLYPARSE_MORE:
			return SMTP_CLIENT_MORE;
		case SMTP_REPLYPARSE_BROKEN:
			c->reply = (struct smtp_reply){0};
			return broken(c, c->parse.fault);
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
			return broken(c, "a reply that nobody asked for");
		event = take_reply(c);
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

/* Likewise behind others that are under way, RFC 2920 3.1. */
static bool
may_pipeline(const struct smtp_client *c)
{
	uint8_t last;

	if (!may_ask(c) || c->n_asked == 0)
		return may_ask(c);
	last = c->asked[c->n_asked - 1];
	return (c->can & SMTP_CAN_PIPELINE) != 0 && (last == ASKED_MAIL ||
	    last == ASKED_RCPT || last == ASKED_RSET);
}

/* Whether a path can stand in a command and never be more than that. */
static bool
is_path(struct bytes path)
{
	for (size_t k = 0; k < path.n; k++)
		if (path.p[k] < ' ' || path.p[k] == 0x7f)
			return false;
	return path.n >= 2 && path.p[0] == '<' && path.p[path.n - 1] == '>';
}

/* Takes the command back where it did not fit. */
static bool
asked_or_undone(struct smtp_client *c, size_t before, enum asked asked)
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
smtp_client_mail(struct smtp_client *c, struct bytes path, uint64_t size,
    bool is_8bit)
{
	size_t before = c->out.n;

	if (!may_pipeline(c) || c->is_mail || !is_path(path))
		return false;
	buf_add(&c->out, BYTES_LIT("MAIL FROM:"));
	buf_add(&c->out, path);
	if (size != 0 && (c->can & SMTP_CAN_SIZE) != 0) {
		buf_add(&c->out, BYTES_LIT(" SIZE="));
		buf_add_number(&c->out, size);
	}
	if (is_8bit && (c->can & SMTP_CAN_8BITMIME) != 0)
		buf_add(&c->out, BYTES_LIT(" BODY=8BITMIME"));
	buf_add(&c->out, BYTES_LIT("\r\n"));
	if (!asked_or_undone(c, before, ASKED_MAIL))
		return false;
	c->is_mail = true;
	c->n_rcpt = 0;
	return true;
}

bool
smtp_client_rcpt(struct smtp_client *c, struct bytes path)
{
	size_t before = c->out.n;

	if (!may_pipeline(c) || !c->is_mail || !is_path(path))
		return false;
	buf_add(&c->out, BYTES_LIT("RCPT TO:"));
	buf_add(&c->out, path);
	buf_add(&c->out, BYTES_LIT("\r\n"));
	return asked_or_undone(c, before, ASKED_RCPT);
}

bool
smtp_client_data(struct smtp_client *c)
{
	size_t before = c->out.n;

	if (!may_ask(c) || c->n_asked != 0 || !c->is_mail || c->n_rcpt == 0)
		return false;
	buf_add(&c->out, BYTES_LIT("DATA\r\n"));
	return asked_or_undone(c, before, ASKED_DATA);
}

bool
smtp_client_rset(struct smtp_client *c)
{
	size_t before = c->out.n;

	if (!may_pipeline(c))
		return false;
	buf_add(&c->out, BYTES_LIT("RSET\r\n"));
	if (!asked_or_undone(c, before, ASKED_RSET))
		return false;
	c->is_mail = false;
	return true;
}

bool
smtp_client_quit(struct smtp_client *c)
{
	size_t before = c->out.n;

	if (!may_ask(c) || c->n_asked != 0)
		return false;
	buf_add(&c->out, BYTES_LIT("QUIT\r\n"));
	return asked_or_undone(c, before, ASKED_QUIT);
}

bool
smtp_client_content(struct smtp_client *c, struct bytes *octets)
{
	if (c->state != ST_READY || !c->is_content)
		return false;
	if (dot_encode(&c->dot, octets, &c->out))
		return true;
	broken(c, "bare CR or LF in the message");
	return false;
}

bool
smtp_client_end(struct smtp_client *c)
{
	if (c->state != ST_READY || !c->is_content)
		return false;
	if (c->dot.is_cr)
		broken(c, "bare CR at the end of the message");
	if (!dot_encode_end(&c->dot, &c->out))
		return false;
	c->is_content = false;
	c->is_mail = false;
	push_asked(c, ASKED_END);
	return true;
}

const char *
smtp_client_fault(const struct smtp_client *c)
{
	return c->fault;
}
