#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include <sodium.h>

#include "tests/scenario/message.h"
#include "tests/scenario/site.h"

#define MOST 5000

/* A client that says one line after the other, whatever it is told. */
struct sender {
	struct wire *wire;
	const char *const *lines;
	struct bytes content;
	size_t at;
	bool is_sent;		/* with its final dot */
	bool is_taken;		/* the reply to that is 250 */
	bool is_over;
};

/* A next hop that says yes to everything. */
struct taker {
	struct wire *wire;
	bool is_content;
	size_t n_taken;
};

static struct config_addr
address(uint8_t last, uint16_t port)
{
	return (struct config_addr){.ip = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff,
	    0xff, 10, 0, 0, last}, .port = port};
}

static void
say(struct wire *w, const char *line)
{
	wire_send(w, bytes_of(line));
	wire_send(w, BYTES_LIT("\r\n"));
}

/* The next step, where a reply is complete. Returns whether it moved. */
static bool
send_on(struct sender *s)
{
	struct bytes line = wire_line(s->wire);
	bool is_last;
	int code;

	if (s->is_over || line.n == 0) {
		s->is_over = s->is_over || s->wire->is_closed;
		return false;
	}
	is_last = line.n < 4 || line.p[3] == ' ';
	code = atoi((const char *)line.p);
	wire_drop(s->wire, line.n);
	if (!is_last)
		return true;
	if (code == 354) {
		wire_send(s->wire, s->content);
		s->is_sent = true;
	} else if (s->is_sent || code >= 400) {
		s->is_taken = s->is_sent && code == 250;
		s->is_over = true;
	} else {
		say(s->wire, s->lines[s->at++]);
	}
	return true;
}

static bool
take_on(struct taker *t, const struct config_addr *at)
{
	struct bytes line, out;
	size_t n;

	if (t->wire == NULL || t->wire->is_closed) {
		t->wire = world_accept(at);
		t->is_content = false;
		if (t->wire != NULL)
			say(t->wire, "220 mx");
		return t->wire != NULL;
	}
	out = (struct bytes){t->wire->out, t->wire->n_out};
	if (t->is_content) {
		n = bytes_find(out, BYTES_LIT("\r\n.\r\n"));
		if (n == out.n)
			return false;
		wire_drop(t->wire, n + 5);
		t->is_content = false;
		t->n_taken++;
		say(t->wire, "250 2.0.0 taken");
		return true;
	}
	line = wire_line(t->wire);
	if (line.n == 0)
		return false;
	t->is_content = bytes_starts(line, BYTES_LIT("DATA"));
	wire_drop(t->wire, line.n);
	say(t->wire, t->is_content ? "354 go on" : "250 2.0.0 ok");
	return true;
}

/* One message. Returns whether it was acknowledged. */
static bool
transaction(const char *const *lines, struct bytes content, struct taker *t)
{
	const struct config_addr from = address(9, 4025), hop = address(2, 25);
	struct sender s = {.lines = lines, .content = content};
	bool is_moving = true;

	s.wire = world_connect(site_listener(0), &from);
	while (is_moving) {
		world_run();
		is_moving = send_on(&s);
		is_moving |= take_on(t, &hop);
		if (!is_moving && !s.is_over && world_has_timer()) {
			world_pass(60 * 1000);
			is_moving = true;
		}
	}
	s.wire->is_reset = true;
	world_run();
	/* now, or before, which the delivered memory knows */
	if (s.is_taken)
		assert_true(t->n_taken != 0);
	return s.is_taken;
}

struct kind {
	const char *listener;
	const char *const *lines;
	const char *message;
};

static const char *const single[] = {"EHLO c",
    "MAIL FROM:<alice@one.example>", "RCPT TO:<bob@two.example>", "DATA", NULL};

static const struct kind kinds[] = {
	{"  l: {role: egress, listen: [\"127.0.0.1:25\"], clients: [10.0.0.9], "
	    "senders: [one.example], next-hop: \"smtp://10.0.0.2:25\"}\n",
	    single, "plain"},
	{"  l: {role: inbound, listen: [\"127.0.0.1:25\"], verify: enforce, "
	    "domains: [two.example], next-hop: \"smtp://10.0.0.2:25\"}\n",
	    single, "signed <alice@one.example> <bob@two.example>"},
	{"  l: {role: forward, listen: [\"127.0.0.1:25\"], "
	    "domains: [two.example], mail-from: back@two.example, "
	    "aliases: {\"bob@two.example\": \"rob@three.example\"}, "
	    "next-hop: \"smtp://10.0.0.2:25\"}\n",
	    single, "signed <alice@one.example> <bob@two.example>"},
	{"  l: {role: egress, listen: [\"127.0.0.1:25\"], clients: [10.0.0.9], "
	    "senders: [one.example], next-hop: \"smtp://10.0.0.2:25\"}\n",
	    single, "big 400000"},
};

/* P5: each request for memory fails in turn: an answer, and life goes on. */
static void
every_request_fails_once(void **state)
{
	const struct kind *k = *state;
	static uint8_t octets[MESSAGE_MAX];
	bool is_met = true;
	size_t n = 0;

	for (size_t at = 1; is_met; at++) {
		struct buf content = BUF_ON(octets);
		char said[1000];
		struct buf why = BUF_ON(said);
		struct taker taker = {0};
		const struct config_addr hop = address(2, 25);

		assert_true(at < MOST);
		assert_true(site_begin(bytes_of(k->listener), bytes_of(""),
		    bytes_of(""), &why));
		world_listen(&hop, 0);
		assert_true(message_make(bytes_of(k->message), &content));
		world_memory_fail(at);
		(void)transaction(k->lines, buf_bytes(&content), &taker);
		is_met = world_memory_failed();
		n += is_met;
		world_memory_fail(0);
		/* the day after, the same client is served */
		world_pass(24 * 3600 * 1000);
		assert_true(transaction(k->lines, buf_bytes(&content), &taker));
		assert_null(site_end());
	}
	printf("%zu requests for memory failed in turn\n", n);
	assert_true(n > 5);
}

int
main(void)
{
	struct CMUnitTest tests[sizeof(kinds) / sizeof(kinds[0])];

	if (sodium_init() < 0)
		return 1;
	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
		tests[k] = (struct CMUnitTest){kinds[k].listener,
		    every_request_fails_once, NULL, NULL, (void *)&kinds[k]};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
