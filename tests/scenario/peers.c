#include "tests/scenario/peers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOPS 8
#define LINE 400

/* A client that says one line after the other, whatever it is told. */
struct sender {
	const struct peers_mail *mail;
	struct wire *wire;
	size_t at;		/* lines said; see next_line() */
	size_t n_rcpts;
	size_t n_due;		/* replies that are still to come */
	bool is_sent;		/* with its end */
	bool is_over;
	struct peers_fate fate;
};

/* A connection to the next hop, which says yes to everything. */
struct taker {
	struct wire *wire;
	bool is_content;
	unsigned n_rcpts;
	uint32_t letters;	/* recipients of the transaction */
};

static struct taker takers[HOPS];
static uint32_t has;
static bool is_lmtp_behind;

static struct config_addr
address(uint8_t last, uint16_t port)
{
	return (struct config_addr){.ip = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff,
	    0xff, 10, 0, 0, last}, .port = port};
}

static uint32_t
bit(char letter)
{
	return 1U << (letter - 'a');
}

void
peers_begin(bool is_lmtp)
{
	const struct config_addr hop = address(2, 25);

	memset(takers, 0, sizeof(takers));
	has = 0;
	is_lmtp_behind = is_lmtp;
	world_listen(&hop, 0);
}

bool
peers_has(char letter)
{
	return (has & bit(letter)) != 0;
}

static void
say(struct wire *w, const char *line)
{
	wire_send(w, bytes_of(line));
	wire_send(w, BYTES_LIT("\r\n"));
}

/* ---- the client ---- */

/* All content in two chunks; the dot at its end is none of it. */
static void
send_chunks(struct sender *s)
{
	struct bytes all = bytes_first(s->mail->content,
	    s->mail->content.n - 3);
	char line[LINE];

	snprintf(line, sizeof(line), "BDAT %zu", all.n / 2);
	say(s->wire, line);
	wire_send(s->wire, bytes_first(all, all.n / 2));
	snprintf(line, sizeof(line), "BDAT %zu LAST", all.n - all.n / 2);
	say(s->wire, line);
	wire_send(s->wire, bytes_skip(all, all.n / 2));
	s->n_due = 2;
	s->is_sent = true;
}

/* EHLO, MAIL, each RCPT, then the content. */
static void
say_next(struct sender *s)
{
	const struct peers_mail *m = s->mail;
	char line[LINE];
	size_t at = s->at++;

	if (at == 0) {
		say(s->wire, m->is_lmtp ? "LHLO c" : "EHLO c");
	} else if (at == 1) {
		snprintf(line, sizeof(line), "MAIL FROM:%s", m->reverse_path);
		say(s->wire, line);
	} else if (at - 2 < s->n_rcpts) {
		snprintf(line, sizeof(line), "RCPT TO:<%s>", m->rcpts[at - 2]);
		say(s->wire, line);
	} else if (m->is_chunked) {
		send_chunks(s);
	} else {
		say(s->wire, "DATA");
	}
}

/* A whole reply came. */
static void
hear(struct sender *s, struct bytes line)
{
	int code = atoi((const char *)line.p);

	if (code >= 400)
		snprintf(s->fate.reply, sizeof(s->fate.reply), "%.*s",
		    (int)line.n - 2, (const char *)line.p);
	if (code == 354) {
		wire_send(s->wire, s->mail->content);
		s->is_sent = true;
		s->n_due = s->mail->is_lmtp ? s->n_rcpts : 1;
	} else if (s->is_sent || code >= 400) {
		s->is_over = --s->n_due == 0 || code >= 400;
		s->fate.is_taken = s->is_over && s->is_sent && code == 250;
	} else {
		say_next(s);
	}
}

/* Returns whether it moved. */
static bool
send_on(struct sender *s)
{
	struct bytes line = wire_line(s->wire);

	if (s->is_over || line.n == 0) {
		s->is_over = s->is_over || s->wire->is_closed;
		return false;
	}
	if (line.n < 4 || line.p[3] == ' ')
		hear(s, line);
	wire_drop(s->wire, line.n);
	return true;
}

/* ---- the next hop ---- */

static void
take_content(struct taker *t, size_t n)
{
	unsigned replies = is_lmtp_behind ? t->n_rcpts : 1;

	wire_drop(t->wire, n);
	has |= t->letters;
	for (unsigned k = 0; k < replies; k++)
		say(t->wire, "250 2.0.0 taken");
	t->is_content = false;
}

static void
take_line(struct taker *t, struct bytes line)
{
	static const char rcpt[] = "RCPT TO:<";

	t->is_content = bytes_starts(line, BYTES_LIT("DATA"));
	if (bytes_starts(line, BYTES_LIT("PROXY ")))
		return;
	if (bytes_starts(line, BYTES_LIT("MAIL "))) {
		t->n_rcpts = 0;
		t->letters = 0;
	} else if (bytes_starts(line, bytes_of(rcpt))) {
		t->n_rcpts++;
		t->letters |= bit((char)line.p[sizeof(rcpt) - 1]);
	}
	say(t->wire, t->is_content ? "354 go on" : "250 2.0.0 ok");
}

static bool
take_on(struct taker *t)
{
	const struct config_addr at = address(2, 25);
	struct bytes out, line;
	size_t n;

	if (t->wire == NULL || t->wire->is_closed) {
		*t = (struct taker){.wire = world_accept(&at)};
		if (t->wire != NULL)
			say(t->wire, "220 mx");
		return t->wire != NULL;
	}
	out = (struct bytes){t->wire->out, t->wire->n_out};
	n = bytes_find(out, BYTES_LIT("\r\n.\r\n"));
	if (t->is_content && n != out.n) {
		take_content(t, n + 5);
		return true;
	}
	line = wire_line(t->wire);
	if (t->is_content || line.n == 0)
		return false;
	n = line.n;
	take_line(t, line);
	wire_drop(t->wire, n);
	return true;
}

/* ---- both ---- */

struct peers_fate
peers_transaction(const struct peers_mail *mail)
{
	const struct config_addr from = address(9, 4025);
	struct sender s = {.mail = mail, .n_due = 1};
	bool is_moving = true;

	while (s.n_rcpts < PEERS_RCPTS && mail->rcpts[s.n_rcpts] != NULL)
		s.n_rcpts++;
	s.wire = world_connect(site_listener(0), &from);
	if (mail->header != NULL)
		say(s.wire, mail->header);
	while (is_moving) {
		world_run();
		is_moving = send_on(&s);
		for (size_t k = 0; k < HOPS; k++)
			is_moving |= take_on(&takers[k]);
		if (!is_moving && !s.is_over && world_has_timer()) {
			world_pass(60 * 1000);
			is_moving = true;
		}
	}
	s.wire->is_reset = true;
	world_run();
	return s.fate;
}
