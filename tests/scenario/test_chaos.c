/*
 * Clients that try until they have an answer, a next hop that fails at random,
 * all in one process and without waiting: what was acknowledged was delivered,
 * nothing behind an answer that came in, and a retry is octet for octet the
 * same (Q12, Q13, Q14, V8); also where an RCPT becomes several. A run has the
 * seeds 1 to 150, with LONG 2,000 from a fresh one on; SEED=N begins there,
 * SEEDS=N is how many.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/buf.h"
#include "tests/scenario/memory.h"
#include "tests/scenario/site.h"

#define MAILS 5
#define RCPTS 5		/* a@ to e@; the content is refused for d@, and e@ at RCPT */
#define HOPS 24
#define CONTENT 8192
#define TRIES 20000
#define TURNS 200000	/* all that fails at random: some seeds need many */

/* What became of a message for a recipient: of the client, of the next hop. */
struct fate {
	bool is_wanted;
	bool is_done;		/* the client has a final answer */
	bool is_acknowledged;	/* and it is 250 */
	unsigned n_sure;	/* 250 of the next hop that came in */
	char doubt[CONTENT];	/* of a try without an answer */
};

/* Whom the aliases lead to: bits of the next hop's a@ to e@. */
static const unsigned leads_to[RCPTS] = {1 | 2, 2 | 4, 4, 1 | 8, 1 | 16};

struct client {
	struct wire *wire;	/* NULL: it is between two tries */
	unsigned at;		/* commands answered */
	unsigned asked[RCPTS], n_asked, n_accepted;
	bool accepted[RCPTS];
	bool is_content;
	unsigned heard;		/* by LMTP, of whom there was a last answer */
	unsigned n_tries;
};

struct hop {
	struct wire *wire;
	bool rcpts[RCPTS];
	unsigned order[RCPTS], n;	/* as they were asked for */
	bool is_content;
	bool is_late;		/* its answer to a dot comes, or never does */
	unsigned mail;
};

static struct fate fates[MAILS][RCPTS];
static struct client clients[MAILS];
static struct hop hops[HOPS];
static bool is_lmtp, is_lmtp_in, is_signing, is_alias, is_split;
static char signed_by[MAILS][CONTENT];	/* the chain, where there is one */
static bool is_flaky;		/* the memory: then doubles may be */
static uint64_t seed, state;
static unsigned n_doubts, n_second;

static unsigned
dice(unsigned n)
{
	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (unsigned)(state >> 33) % n;
}

static void
wrong(unsigned m, const char *what)
{
	struct bytes log = world_log();

	fail_msg("SEED=%llu: message %u: %s\n%.*s", (unsigned long long)seed,
	    m, what, BYTES_FMT(bytes_skip(log, log.n > 3000 ? log.n - 3000
	                                                   : 0)));
}

static void
say(struct wire *w, const char *line)
{
	wire_send(w, bytes_of(line));
	wire_send(w, BYTES_LIT("\r\n"));
}

/* ---- the clients ---- */

static bool
is_open(const struct fate *f)
{
	return f->is_wanted && !f->is_done;
}

static bool
is_over(unsigned m)
{
	for (unsigned r = 0; r < RCPTS; r++)
		if (is_open(&fates[m][r]))
			return false;
	return true;
}

static void
hang_up(struct client *c)
{
	if (dice(2) == 0)
		c->wire->is_reset = true;
	else
		c->wire->has_fin = true;
	world_forget(c->wire);
	c->wire = NULL;
}

static void
connect_client(unsigned m)
{
	struct client *c = &clients[m];
	const struct config_addr from = {.ip = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	    0xff, 0xff, 192, 0, 2, (uint8_t)dice(250)}, .port = 4025};

	c->wire = world_connect(site_listener(0), &from);
	c->at = c->n_asked = c->n_accepted = 0;
	c->is_content = false;
	c->heard = 0;
	if (c->n_tries++ > TRIES)
		wrong(m, "tried without an end");
	for (unsigned r = 0; r < RCPTS; r++) {
		c->accepted[r] = false;
		if (is_open(&fates[m][r]))
			c->asked[c->n_asked++] = r;
	}
}

static void
settle(unsigned m, unsigned r, int code)
{
	struct fate *f = &fates[m][r];

	f->is_done = code / 100 != 4;
	f->is_acknowledged = code / 100 == 2;
	for (unsigned k = 0; k < RCPTS; k++)
		if (f->is_acknowledged && fates[m][k].n_sure == 0 &&
		    (is_alias ? leads_to[r] >> k & 1 : k == r))
			wrong(m, "acknowledged, and not delivered");
}

/* a and c are named; the others are hidden, where we sign. */
static void
write_content(unsigned m, struct buf *out)
{
	buf_printf(out, "From: <alice@one.example>\r\n"
	    "To: <a@two.example>, <c@two.example>\r\nMessage-ID: <%u@x>\r\n"
	    "\r\nmessage %u\r\n", m, m);
}

static void
sign_content(unsigned m)
{
	char text[600];
	struct buf content = BUF_ON(text), out = BUF_ON(signed_by[m]);

	write_content(m, &content);
	site_sign(buf_bytes(&content), BYTES_LIT("one.example"),
	    "<alice@one.example>",
	    "<a@two.example> <b@two.example> <c@two.example> <d@two.example> "
	    "<e@two.example>", &out);
	assert_false(out.full);
	signed_by[m][out.n] = '\0';
}

static void
send_content(unsigned m)
{
	char text[600];
	struct buf content = BUF_ON(text);

	if (is_alias && is_signing)
		wire_send(clients[m].wire, bytes_of(signed_by[m]));
	else
		write_content(m, &content);
	buf_add_str(&content, ".\r\n");
	wire_send(clients[m].wire, buf_bytes(&content));
	clients[m].is_content = true;
}

static void
say_next(unsigned m)
{
	struct client *c = &clients[m];
	char line[100];

	if (c->at == 1) {
		say(c->wire, is_lmtp_in ? "LHLO client.example"
					: "EHLO client.example");
	} else if (c->at == 2) {
		say(c->wire, "MAIL FROM:<alice@one.example>");
	} else if (c->at - 3 < c->n_asked) {
		snprintf(line, sizeof(line), "RCPT TO:<%c@two.example>",
		    'a' + (int)c->asked[c->at - 3]);
		say(c->wire, line);
	} else if (c->n_accepted != 0) {
		say(c->wire, "DATA");
	} else {
		hang_up(c);
	}
}

/* The answer to the dot: by SMTP everybody's, by LMTP that of the next. */
static void
hear_end(unsigned m, int code)
{
	struct client *c = &clients[m];
	unsigned n = 0;

	for (unsigned k = 0; k < c->n_asked; k++) {
		unsigned r = c->asked[k];

		if (c->accepted[r] && (!is_lmtp_in || n++ == c->heard))
			settle(m, r, code);
	}
	if (++c->heard == c->n_accepted || !is_lmtp_in)
		hang_up(c);
}

/* The reply to what was said last. */
static void
hear(unsigned m, int code)
{
	struct client *c = &clients[m];
	unsigned r;

	c->at++;
	if (c->is_content) {
		hear_end(m, code);
	} else if (code == 354) {
		send_content(m);
	} else if (c->at > 3 && c->at - 4 < c->n_asked) {
		r = c->asked[c->at - 4];
		c->accepted[r] = code / 100 == 2;
		c->n_accepted += c->accepted[r];
		if (code / 100 == 5)
			settle(m, r, code);
		say_next(m);
	} else if (code >= 400) {
		hang_up(c);
	} else {
		say_next(m);
	}
}

static bool
client_on(unsigned m)
{
	struct client *c = &clients[m];
	struct bytes line;
	int code;
	bool is_last;

	if (c->wire == NULL)
		return false;
	line = wire_line(c->wire);
	if (dice(60) == 0 || (line.n == 0 && c->wire->is_closed)) {
		hang_up(c);
		return true;
	}
	if (line.n == 0)
		return false;
	code = atoi((const char *)line.p);
	is_last = line.p[3] == ' ';
	wire_drop(c->wire, line.n);
	/* the 250 to its dot may be lost on the way */
	if (is_last && c->is_content && dice(5) == 0)
		hang_up(c);
	else if (is_last)
		hear(m, code);
	return true;
}

/* ---- the next hop ---- */

static void
cut(struct hop *h)
{
	if (dice(2) == 0)
		h->wire->is_reset = true;
	else
		h->wire->has_fin = true;
	world_forget(h->wire);
	h->wire = NULL;
}

/* It is all there: what it is to each recipient, before there is an answer. */
static void
look_at_content(const struct hop *h, struct bytes content, unsigned m,
    bool is_answered)
{
	for (unsigned r = 0; r < RCPTS; r++) {
		struct fate *f = &fates[m][r];

		if (!h->rcpts[r])
			continue;
		if (f->n_sure != 0 && !is_flaky)
			wrong(m, "delivered a second time");
		if (f->doubt[0] != '\0') {
			n_second++;
			if (!is_flaky &&
			    !bytes_eq(content, bytes_of(f->doubt)))
				wrong(m, "the retry is another message");
		}
		if (is_answered)
			continue;
		n_doubts++;
		memcpy(f->doubt, content.p, content.n);
		f->doubt[content.n] = '\0';
	}
}

/* most  recipients that hear of it, by LMTP */
static void
answer_content(struct hop *h, unsigned m, bool is_later, unsigned most)
{
	bool has_d = h->rcpts[3];

	for (unsigned k = 0; k < h->n; k++) {
		unsigned r = h->order[k];
		bool is_good = !is_later && (is_lmtp ? r != 3 : !has_d);

		if (is_lmtp && k == most)
			return;
		fates[m][r].n_sure += is_good;
		if (!is_later)
			fates[m][r].doubt[0] = '\0';
		if (is_lmtp)
			say(h->wire, is_good ? "250 2.0.0 taken" : is_later
			    ? "451 4.3.0 later" : "550 5.7.1 not this");
	}
	if (!is_lmtp)
		say(h->wire, is_later ? "451 4.3.0 later" : has_d
		    ? "550 5.7.1 not this" : "250 2.0.0 taken");
}

static void
take_content(struct hop *h, struct bytes content)
{
	enum {CUT, LATER, PART, GOOD, LUCK = 8} luck = dice(LUCK);
	size_t at = bytes_find(content, BYTES_LIT("Message-ID: <"));
	unsigned m = (unsigned)(content.p[at + 13] - '0');

	assert_true(m < MAILS && content.n < CONTENT);
	if (luck == PART && !is_lmtp)
		luck = GOOD;
	look_at_content(h, content, m, luck != CUT && luck != PART);
	h->is_content = false;
	h->mail = m;
	h->is_late = luck == CUT && dice(2) == 0;
	if (luck == PART) {
		answer_content(h, m, false, 1);
		h->wire->has_fin = true;	/* behind that answer */
		world_forget(h->wire);
		h->wire = NULL;
	} else if (luck != CUT) {
		answer_content(h, m, luck == LATER, RCPTS);
	} else if (!h->is_late) {
		cut(h);
	}
}

static void
take_line(struct hop *h, struct bytes line)
{
	unsigned luck = dice(25);
	const char *reply = "250 2.0.0 ok";

	if (bytes_starts(line, BYTES_LIT("MAIL "))) {
		memset(h->rcpts, 0, sizeof(h->rcpts));
		h->n = 0;
	}
	if (luck == 0) {
		cut(h);
		return;
	}
	if (luck == 1)
		reply = "421 4.3.2 I go";
	else if (luck == 2)
		reply = "451 4.3.0 later";
	else if (luck == 3 && dice(4) == 0)
		return;				/* and never answers */
	else if (bytes_starts(line, BYTES_LIT("RCPT TO:<e")))
		reply = "550 5.1.1 who";
	else if (bytes_starts(line, BYTES_LIT("RCPT TO:<")))
		h->rcpts[h->order[h->n++] = line.p[9] - 'a'] = true;
	else if (bytes_starts(line, BYTES_LIT("DATA")))
		reply = "354 go on";
	h->is_content = strcmp(reply, "354 go on") == 0;
	say(h->wire, reply);
}

static bool
hop_on(struct hop *h)
{
	static const struct config_addr at = {.ip = {0, 0, 0, 0, 0, 0, 0, 0, 0,
	    0, 0xff, 0xff, 10, 0, 0, 2}, .port = 25};
	struct wire *w = h->wire;	/* the daemon's end; it may be cut */
	struct bytes out, line;
	size_t n;

	if (w == NULL || w->is_closed) {
		if (w != NULL)
			world_forget(w);
		*h = (struct hop){.wire = world_accept(&at)};
		if (h->wire != NULL)
			say(h->wire, "220 mx");
		return h->wire != NULL;
	}
	if (h->is_late && dice(40) == 0) {
		h->is_late = false;
		answer_content(h, h->mail, false, RCPTS);
		return true;
	}
	out = (struct bytes){w->out, w->n_out};
	n = bytes_find(out, BYTES_LIT("\r\n.\r\n"));
	if (h->is_content && n != out.n) {
		take_content(h, bytes_first(out, n + 2));
		wire_drop(w, n + 5);
		return true;
	}
	line = wire_line(w);
	if (h->is_content || line.n == 0)
		return false;
	take_line(h, line);
	wire_drop(w, line.n);
	return true;
}

/* ---- all ---- */

static void
begin(void)
{
	static const struct config_addr hop = {.ip = {0, 0, 0, 0, 0, 0, 0, 0,
	    0, 0, 0xff, 0xff, 10, 0, 0, 2}, .port = 25};
	static const char forward[] = "role: forward, domains: [two.example], "
	    "mail-from: back@two.example, aliases: {"
	    "a@two.example: [a@three.example, b@three.example], "
	    "b@two.example: [b@three.example, c@three.example], "
	    "c@two.example: c@three.example, "
	    "d@two.example: [d@three.example, a@three.example], "
	    "e@two.example: [a@three.example, e@three.example]}";
	char listener[1000], said[1000];
	struct buf why = BUF_ON(said);

	memset(fates, 0, sizeof(fates));
	memset(clients, 0, sizeof(clients));
	memset(hops, 0, sizeof(hops));
	state = seed * 2654435761U + 1;
	is_lmtp = dice(2) == 0;
	is_lmtp_in = dice(3) == 0;
	is_signing = dice(2) == 0;
	is_flaky = dice(5) == 0;
	is_alias = dice(3) == 0;
	is_split = dice(3) == 0;
	snprintf(listener, sizeof(listener), "  l: {listen: "
	    "[\"%s127.0.0.1:25\"], max-per-destination: %u, max-idle: %u, "
	    "through-wait: %um, %s, next-hop: \"%s://10.0.0.2:25\"}\n",
	    is_lmtp_in ? "lmtp://" : "", 1 + dice(5), dice(3), 1 + dice(9),
	    is_alias ? forward : is_signing ? is_split
	    ? "role: egress, clients: [192.0.2.0/24], senders: [one.example], "
	    "split-first-hop: yes" : "role: egress, clients: [192.0.2.0/24], "
	    "senders: [one.example]" : "role: inbound, domains: [two.example]",
	    is_lmtp ? "lmtp" : "smtp");
	if (!site_begin(bytes_of(listener), bytes_of(""), bytes_of(""), &why))
		fail_msg("%.*s", BYTES_FMT(buf_bytes(&why)));
	world_listen(&hop, 0);
	for (unsigned m = 0; m < MAILS; m++)
		sign_content(m);
	for (unsigned m = 0; m < MAILS; m++)
		for (unsigned r = 0; r < RCPTS; r++)
			fates[m][r].is_wanted = dice(2) == 0;
}

/* One step of everybody. Returns whether somebody has still to do something. */
static bool
turn(void)
{
	bool is_moving = false, is_left = false;

	for (unsigned k = 0; k < HOPS; k++)
		is_moving |= hop_on(&hops[k]);
	for (unsigned m = 0; m < MAILS; m++) {
		is_moving |= client_on(m);
		if (is_over(m) && clients[m].wire == NULL)
			continue;
		is_left = true;
		if (clients[m].wire == NULL && dice(4) == 0)
			connect_client(m);
	}
	if (is_flaky && dice(30) == 0)
		scenario_memory_is_out(dice(2) == 0);
	if (dice(3) != 0)	/* else two things come in one turn */
		world_run();
	if (!is_moving)
		world_pass(1 + dice(60000));
	return is_left;
}

static void
clients_get_their_answers(void **arg)
{
	const char *from = getenv("SEED"), *n = getenv("SEEDS");
	bool is_long = getenv("LONG") != NULL;
	uint64_t first = from != NULL ? strtoull(from, NULL, 10) :
	    is_long ? randombytes_random() : 1;
	uint64_t end = first + (n != NULL ? strtoull(n, NULL, 10) :
	    is_long ? 2000 : 150);

	(void)arg;
	printf("SEED=%llu SEEDS=%llu\n", (unsigned long long)first,
	    (unsigned long long)(end - first));
	for (seed = first; seed != end; seed++) {
		unsigned k = 0;

		begin();
		while (turn())
			if (k++ == TURNS)
				wrong(0, "it never ends");
		if (site_end() != NULL)
			wrong(0, "something is left");
	}
	printf("%u tries without an answer, %u retries\n", n_doubts, n_second);
	assert_true(n_doubts != 0 && n_second != 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(clients_get_their_answers),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
