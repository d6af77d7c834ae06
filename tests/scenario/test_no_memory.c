#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include <sodium.h>

#include "tests/scenario/message.h"
#include "tests/scenario/peers.h"
#include "tests/scenario/queue.h"

#define MOST 5000
#define CAPS 200	/* of arenas, from nothing to all that is needed */

struct kind {
	const char *name;
	const char *listener;	/* what follows its address */
	const char *scheme;	/* of that address */
	const char *message;
	const char *have;	/* letters that the onward recipients begin
				   with; empty: it is queued */
	bool is_lmtp_behind;
	struct peers_mail mail;
};

#define EGRESS "clients: [10.0.0.9], role: egress, senders: [one.example], "
#define ALICE "<alice@one.example>"
#define SIGNED "signed " ALICE " <bob@two.example>"
#define SMTP "next-hop: \"smtp://10.0.0.2:25\""

static const struct kind kinds[] = {
	{"egress", EGRESS SMTP, "", "plain", "b", false,
	    {NULL, false, false, ALICE, {"bob@two.example"}, {NULL, 0}}},
	{"inbound", "role: inbound, verify: enforce, domains: [two.example], "
	    SMTP, "", SIGNED, "b", false,
	    {NULL, false, false, ALICE, {"bob@two.example"}, {NULL, 0}}},
	{"forward", "role: forward, domains: [two.example], "
	    "mail-from: back@two.example, "
	    "aliases: {\"bob@two.example\": \"rob@three.example\"}, " SMTP,
	    "", SIGNED, "r", false,
	    {NULL, false, false, ALICE, {"bob@two.example"}, {NULL, 0}}},
	{"another From in a chain", "role: forward, domains: [two.example], "
	    "mail-from: back@two.example, from-rewrite: always, "
	    "aliases: {\"bob@two.example\": \"rob@three.example\"}, " SMTP,
	    "", "both " ALICE " <bob@two.example>", "r", false,
	    {NULL, false, false, ALICE, {"bob@two.example"}, {NULL, 0}}},
	{"adopted", "role: forward, domains: [two.example], "
	    "mail-from: back@two.example, from-rewrite: dmarc, adopt: always, "
	    "aliases: {\"bob@two.example\": \"rob@three.example\"}, " SMTP,
	    "", "dkim1 one.example", "r", false,
	    {NULL, false, false, ALICE, {"bob@two.example"}, {NULL, 0}}},
	{"an alias of three", "role: forward, domains: [two.example], "
	    "mail-from: back@two.example, aliases: {\"bob@two.example\": "
	    "[rob@three.example, sam@three.example, tim@three.example]}, "
	    SMTP, "", SIGNED, "rst", false,
	    {NULL, false, false, ALICE, {"bob@two.example"}, {NULL, 0}}},
	{"list-in", "role: list-in, domains: [two.example], " SMTP "}\n"
	    "  o: {role: list-out, listen: 26, clients: [10.0.0.9], pair: l, "
	    "next-hop: mx", "", SIGNED, "b", false,
	    {NULL, false, false, ALICE, {"bob@two.example"}, {NULL, 0}}},
	{"what comes back", "role: egress, clients: [10.0.0.9], "
	    "senders: [two.example], extend: trusting, " SMTP, "", SIGNED,
	    "b", false, {NULL, false, false, "<x@two.example>",
	    {"bob@two.example"}, {NULL, 0}}},
	{"a large body", EGRESS SMTP, "", "big 400000", "b", false,
	    {NULL, false, false, ALICE, {"bob@two.example"}, {NULL, 0}}},
	{"two in a copy", EGRESS SMTP, "",
	    "to bob@two.example, carol@two.example", "bc", false,
	    {NULL, false, false, ALICE, {"bob@two.example",
	    "carol@two.example"}, {NULL, 0}}},
	{"three copies", EGRESS SMTP, "", "to x@three.example", "bcd", false,
	    {NULL, false, false, ALICE, {"bob@two.example",
	    "carol@two.example", "dave@two.example"}, {NULL, 0}}},
	{"split", EGRESS "split-first-hop: yes, " SMTP, "",
	    "to x@three.example", "bc", false,
	    {NULL, false, false, ALICE, {"bob@two.example",
	    "carol@two.example"}, {NULL, 0}}},
	{"lmtp in", EGRESS SMTP, "lmtp://", "plain", "bc", false,
	    {NULL, true, false, ALICE, {"bob@two.example",
	    "carol@two.example"}, {NULL, 0}}},
	{"lmtp out", "role: inbound, domains: [two.example], "
	    "next-hop: \"lmtp://10.0.0.2:25\"", "", "plain", "bc", true,
	    {NULL, false, false, ALICE, {"bob@two.example",
	    "carol@two.example"}, {NULL, 0}}},
	{"proxy in and out", "role: inbound, domains: [two.example], "
	    "proxy: [10.0.0.9], pass-client: proxy-v1, " SMTP, "", "plain",
	    "b", false, {"PROXY TCP4 203.0.113.9 192.0.2.1 40000 25", false,
	    false, ALICE, {"bob@two.example"}, {NULL, 0}}},
	{"queue", EGRESS "delivery: queue, " SMTP, "", "plain", "", false,
	    {NULL, false, false, ALICE, {"bob@two.example",
	    "carol@two.example", "dave@two.example"}, {NULL, 0}}},
	{"queue by lmtp", EGRESS "delivery: queue, " SMTP, "lmtp://", "plain",
	    "", false, {NULL, true, false, ALICE, {"bob@two.example",
	    "carol@two.example"}, {NULL, 0}}},
	{"repaired", EGRESS "delivery: queue, repair: yes, " SMTP, "",
	    "no-date", "", false, {NULL, false, true, ALICE,
	    {"bob@two.example"}, {NULL, 0}}},
	{"repaired, through", EGRESS "repair: yes, " SMTP, "", "no-date", "b",
	    false, {NULL, false, false, ALICE, {"bob@two.example"},
	    {NULL, 0}}},
	{"chunks", EGRESS SMTP, "", "no-date", "b", false,
	    {NULL, false, true, ALICE, {"bob@two.example"}, {NULL, 0}}},
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* A worker that is asked for nothing so far. */
static void
begin(const struct kind *k, struct peers_mail *mail)
{
	static uint8_t octets[MESSAGE_MAX];
	struct buf content = BUF_ON(octets);
	char listener[600], said[1000];
	struct buf why = BUF_ON(said);

	snprintf(listener, sizeof(listener),
	    "  l: {listen: [\"%s127.0.0.1:25\"], %s}\n", k->scheme,
	    k->listener);
	assert_true(site_begin(bytes_of(listener), bytes_of(""), bytes_of(""),
	    &why));
	assert_true(message_make(bytes_of(k->message), &content));
	*mail = k->mail;
	mail->content = buf_bytes(&content);
	peers_begin(k->is_lmtp_behind);
}

static void
everybody_has_it(const struct kind *k)
{
	if (*k->have == '\0')
		assert_true(scenario_queue_take(true).n != 0);
	for (const char *letter = k->have; *letter != '\0'; letter++)
		assert_true(peers_has(*letter));
}

/* The day after: each recipient alone, as where answers differed. */
static void
life_goes_on(const struct kind *k, const struct peers_mail *mail)
{
	world_pass(24 * 3600 * 1000);
	for (size_t r = 0; mail->rcpts[r] != NULL; r++) {
		struct peers_mail alone = *mail;
		struct peers_fate fate;

		memset(alone.rcpts, 0, sizeof(alone.rcpts));
		alone.rcpts[0] = mail->rcpts[r];
		fate = peers_transaction(&alone);
		if (!fate.is_taken)
			fail_msg("%s", fate.reply);
	}
	if (*k->have != '\0')
		everybody_has_it(k);
	assert_int_equal(scenario_queue_take(false).n, 0);
	assert_null(site_end());
}

/* P5: each request for memory fails in turn: an answer, and life goes on. */
static void
every_request_fails_once(void **state)
{
	const struct kind *k = *state;
	bool is_met = true;
	size_t n = 0;

	for (size_t at = 1; is_met; at++) {
		struct peers_mail mail;

		assert_true(at < MOST);
		begin(k, &mail);
		world_memory_fail(at);
		if (peers_transaction(&mail).is_taken)
			everybody_has_it(k);
		is_met = world_memory_failed();
		n += is_met;
		world_memory_fail(0);
		life_goes_on(k, &mail);
	}
	printf("%s: %zu requests for memory failed in turn\n", k->name, n);
	assert_true(n > 5);
}

/* Nobody has it, or some have; by LMTP there may be no room to say who. */
static bool
is_refusal_for_now(const struct peers_mail *mail, const char *reply)
{
	return strncmp(reply, "452 4.3.1", 9) == 0 ||
	    (mail->rcpts[1] != NULL && strncmp(reply, "451 4.5.3", 9) == 0) ||
	    (mail->is_lmtp && strncmp(reply, "451 4.3.1", 9) == 0);
}

/*
 * P5: a message that needs more than it may have is refused for now, wherever
 * it comes to that; nobody else is concerned.
 */
static void
every_cap_is_an_answer(void **state)
{
	const struct kind *k = *state;
	size_t n = 0, cap = 16;
	bool is_taken = false;

	for (; !is_taken; cap += cap / 32 + 16) {
		struct peers_mail mail;
		struct peers_fate fate;

		assert_true(n++ < CAPS);
		begin(k, &mail);
		world_arena_cap(cap);
		fate = peers_transaction(&mail);
		world_arena_cap(0);
		is_taken = fate.is_taken;
		if (is_taken)
			everybody_has_it(k);
		else if (!is_refusal_for_now(&mail, fate.reply))
			fail_msg("%zu: %s", cap, fate.reply);
		life_goes_on(k, &mail);
	}
	printf("%s: %zu caps, %zu octets are enough\n", k->name, n, cap);
}

int
main(void)
{
	struct CMUnitTest tests[2 * KINDS];

	if (sodium_init() < 0)
		return 1;
	for (size_t k = 0; k < KINDS; k++) {
		tests[2 * k] = (struct CMUnitTest){kinds[k].name,
		    every_request_fails_once, NULL, NULL, (void *)&kinds[k]};
		tests[2 * k + 1] = (struct CMUnitTest){kinds[k].name,
		    every_cap_is_an_answer, NULL, NULL, (void *)&kinds[k]};
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
