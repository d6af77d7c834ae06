/*
 * A server machine with a scripted owner around it: octets in, one line of
 * text for the events, the replies and the content out. Used by the tests
 * and by the fuzz targets.
 */
#ifndef TESTS_SMTP_SESSION_H
#define TESTS_SMTP_SESSION_H

#include <stdlib.h>

#include "smtp/server.h"

struct session {
	struct smtp_server s;
	struct smtp_server_room room[2];
	struct buf events;	/* "helo x; mail <a@b>; rcpt <c@d>; data; ..." */
	struct buf out;
	struct buf content;	/* of messages that ended, dot line behind each */
	size_t n_content;	/* of the message under way */
	uint64_t n_seen;	/* content octets in all, kept or not */
	bool is_closed;
	struct buf from;	/* the domain that MAIL said */
	uint8_t from_octets[SMTP_COMMAND_MAX];
	uint8_t event_octets[65536];
	uint8_t out_octets[262144];
	uint8_t content_octets[65536];
};

static inline void
session_init(struct session *t, const struct smtp_server_config *config)
{
	t->n_content = 0;
	t->n_seen = 0;
	t->is_closed = false;
	t->events = BUF_ON(t->event_octets);
	t->out = BUF_ON(t->out_octets);
	t->content = BUF_ON(t->content_octets);
	t->from = BUF_ON(t->from_octets);
	smtp_server_init(&t->s, config, &t->room[0]);
	buf_add(&t->out, buf_bytes(&t->s.out));
	t->s.out.n = 0;
}

/* Another room, where that makes no difference; the old one is spoiled. */
static inline void
session_move(struct session *t)
{
	struct smtp_server_room *old = t->s.room;

	if (!smtp_server_is_resting(&t->s))
		return;
	smtp_server_lend(&t->s, NULL);
	memset(old, 'R', sizeof(*old));
	smtp_server_lend(&t->s, old == t->room ? t->room + 1 : t->room);
}

static inline void
session_drain(struct session *t)
{
	if (t->s.out.full)
		abort();
	buf_add(&t->out, buf_bytes(&t->s.out));
	t->s.out.n = 0;
}

static inline void
session_note(struct session *t, const char *what, struct bytes b)
{
	buf_add_str(&t->events, what);
	if (b.n != 0)
		buf_add_octet(&t->events, ' ');
	buf_add(&t->events, b);
	buf_add_str(&t->events, "; ");
}

/*
 * The owner: a local part of digits is the code that the path is answered
 * with ("<451@x>"); the domain "d421" and so on does it for DATA, "e421" for
 * the dot. Everything else is accepted.
 */
static inline int
session_code(struct bytes b, int otherwise)
{
	uint64_t code;

	return bytes_number(b, 599, &code) && code >= 200 ? (int)code :
	    otherwise;
}

static inline int
session_code_behind(struct bytes domain, uint8_t letter, int otherwise)
{
	if (domain.n == 0 || domain.p[0] != letter)
		return otherwise;
	return session_code(bytes_skip(domain, 1), otherwise);
}

static inline void
session_answer(struct session *t, enum smtp_server_event event)
{
	struct smtp_server *s = &t->s;
	int code = 250;

	if (event == SMTP_SERVER_MAIL) {
		session_note(t, s->mail.is_8bit ? "mail8" : "mail", s->mail.from.raw);
		code = session_code(s->mail.from.local, 250);
		t->from.n = 0;
		buf_add(&t->from, s->mail.from.domain);
	} else if (event == SMTP_SERVER_RCPT) {
		session_note(t, "rcpt", s->rcpt.to.raw);
		code = session_code(s->rcpt.to.local, 250);
	} else if (event == SMTP_SERVER_DATA) {
		session_note(t, s->is_chunked ? "bdat" : "data",
		    (struct bytes){0});
		code = session_code_behind(buf_bytes(&t->from), 'd', 354);
		t->n_content = t->content.n;
	} else if (event == SMTP_SERVER_STARTTLS) {
		session_note(t, "starttls", (struct bytes){0});
		code = 220;
	} else if (event == SMTP_SERVER_AUTH) {
		session_note(t, "auth", s->sasl.said.user);
		session_note(t, "with", s->sasl.said.password);
		code = session_code(s->sasl.said.password, 235);
	} else if (event == SMTP_SERVER_XCLIENT) {
		session_note(t, "xclient", s->xclient.login);
		code = session_code(s->xclient.login, 220);
	} else if (event == SMTP_SERVER_END_RCPT) {
		session_note(t, "next", (struct bytes){0});
		code = s->n_answered % 2 == 1 ? 550 : 250;
	} else {
		session_note(t, "end", (struct bytes){0});
		code = session_code_behind(buf_bytes(&t->from), 'e', 250);
		buf_add_str(&t->content, ".");
		t->n_content = t->content.n;
	}
	smtp_server_answer(s, code, NULL, BYTES_LIT("x"));
}

/* Feeds octets as if one read had brought them. */
static inline void
session_feed(struct session *t, struct bytes in)
{
	while (!t->is_closed) {
		size_t before = in.n;
		enum smtp_server_event event;

		session_move(t);
		event = smtp_server_next(&t->s, &in);

		switch (event) {
		case SMTP_SERVER_MORE:
			if (t->s.out.n != 0) {
				session_drain(t);
				break;
			}
			if (in.n == 0)
				return;
			if (in.n == before)
				abort();	/* it would never go on */
			break;
		case SMTP_SERVER_CONTENT:
			if (t->s.content.n == 0)
				abort();
			t->n_seen += t->s.content.n;
			buf_add(&t->content, t->s.content);
			break;
		case SMTP_SERVER_HELO:
			session_note(t, t->s.is_esmtp ? "ehlo" : "helo",
			    t->s.helo);
			break;
		case SMTP_SERVER_RESET:
			session_note(t, "reset", (struct bytes){0});
			t->content.n = t->n_content;
			t->content.full = false;
			break;
		case SMTP_SERVER_CLOSE:
			session_note(t, "close", (struct bytes){0});
			session_drain(t);
			t->content.n = t->n_content;
			t->is_closed = true;
			break;
		default:
			session_answer(t, event);
		}
	}
}

/*
 * Octets of in before the end of its first line that is DATA, or ends so (a
 * chunk may stand in front of it): a client waits there for the 354, whatever
 * the sizes of its writes.
 */
static inline size_t
session_until_data(struct bytes in)
{
	size_t line = 0;

	for (size_t k = 0; k < in.n; k++) {
		struct bytes b = {in.p + line, k - line};

		if (in.p[k] != '\n')
			continue;
		line = k + 1;
		while (b.n != 0 && (b.p[b.n - 1] == '\r' ||
		    b.p[b.n - 1] == ' ' || b.p[b.n - 1] == '\t'))
			b.n--;
		if (b.n >= 4 && bytes_case_eq(bytes_skip(b, b.n - 4),
		    BYTES_LIT("DATA")))
			return line;
	}
	return in.n;
}

/*
 * Feeds all of in, in pieces of at most piece octets, the first one ending
 * at cut.
 */
static inline void
session_run(struct session *t, struct bytes in, size_t cut, size_t piece)
{
	size_t used = 0;
	size_t stop = session_until_data(in);

	while (used < in.n && !t->is_closed) {
		struct bytes now = bytes_first(bytes_skip(in, used),
		    stop - used);

		now = bytes_first(now, piece);
		if (used < cut)
			now = bytes_first(now, cut - used);
		session_feed(t, now);
		used += now.n;
		if (used == stop)
			stop += session_until_data(bytes_skip(in, stop));
	}
}

#endif
