/* The sender by DKIM1 and DMARC, over a loop and a resolver of this file. */
#include "daemon/sender.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sodium.h>

#include "daemon/hub.h"
#include "daemon/log.h"
#include "dkim2/crypto.h"

#define NOW 1764100000
#define TAG ((uint64_t)7 << 32)

/* ---- the world --------------------------------------------------------- */

static struct {
	char names[16][256];	/* asked for, in order */
	uint64_t tags[16];
	size_t n;
	loop_call *timer;
	void *timer_arg;
	int64_t timer_ms;	/* -1: it does not run */
	unsigned n_done;
	struct hub hub;
	struct arena *arena;
	struct dkim2_message message;
} world;

struct loop_timer {
	int unused;
};

struct loop_timer *
loop_timer_new(struct loop *l, loop_call *call, void *arg)
{
	(void)l;
	world.timer = call;
	world.timer_arg = arg;
	world.timer_ms = -1;
	return calloc(1, sizeof(struct loop_timer));
}

void
loop_timer_start(struct loop_timer *t, int64_t ms)
{
	(void)t;
	world.timer_ms = ms;
}

void
loop_timer_stop(struct loop_timer *t)
{
	(void)t;
	world.timer_ms = -1;
}

void
loop_timer_free(struct loop_timer **t)
{
	free(*t);
	*t = NULL;
}

int64_t
loop_time_s(const struct loop *l)
{
	(void)l;
	return NOW;
}

void
log_line(enum log_level level, const char *format, ...)
{
	(void)level;
	(void)format;
}

void
resolve_ask_txt(struct resolve *r, struct bytes name, uint64_t tag)
{
	(void)r;
	assert_true(world.n < 16 && name.n < 256);
	memcpy(world.names[world.n], name.p, name.n);
	world.names[world.n][name.n] = '\0';
	world.tags[world.n++] = tag;
}

static void
done(void *arg)
{
	(void)arg;
	world.n_done++;
}

/* ---- messages ----------------------------------------------------------- */

#define BODY "hello\r\n"
#define HEADER "From: a@news.one.example\r\nSubject: s\r\n"

/* A header with signatures of these domains on top, by one key. */
static struct bytes
make(struct dkim2_private_key *key, const char *const *domains, size_t n)
{
	struct bytes header = BYTES_LIT(HEADER);

	for (size_t k = 0; k < n; k++) {
		const struct dkim2_signing_key with = {BYTES_LIT("s"),
		    DKIM2_ED25519_SHA256};
		const struct dkim1_sign_options opts = {
		    .domain = bytes_of(domains[k]),
		    .keys = &with,
		    .n_keys = 1,
		    .timestamp_s = NOW,
		};
		uint8_t octets[DKIM2_SIGNATURE_MAX];
		struct buf signature = BUF_ON(octets), out;
		enum dkim1_refusal why;
		struct dkim2_message m;
		struct dkim1_sign *s;

		assert_int_equal(dkim2_message_parse(&m, header, 100,
		    world.arena), 0);
		assert_int_equal(dkim1_sign_new(&s, world.arena, &m, &opts,
		    &why), 0);
		assert_int_equal(dkim1_sign_body(s, BYTES_LIT(BODY)), 0);
		assert_int_equal(dkim1_sign_end(s), 0);
		assert_int_equal(dkim2_private_key_sign(key,
		    dkim1_sign_want(s, 0).p, &signature), 0);
		assert_int_equal(dkim1_sign_answer(s, 0,
		    buf_bytes(&signature)), 0);
		assert_int_equal(arena_buf(world.arena, 1 << 16, &out), 0);
		buf_add(&out, dkim1_sign_fields(s));
		buf_add(&out, header);
		header = buf_bytes(&out);
		dkim1_sign_fini(s);
	}
	return header;
}

static struct dkim2_private_key *key;
static char record[256];

static int
begin(void **state)
{
	struct buf out = BUF_ON(record);

	(void)state;
	assert_true(sodium_init() >= 0);
	memset(&world, 0, sizeof(world));
	world.arena = arena_new(4 << 20);
	assert_int_equal(dkim2_private_key_generate(&key,
	    DKIM2_ED25519_SHA256), 0);
	assert_int_equal(dkim2_private_key_record(key, &out), 0);
	record[out.n] = '\0';
	return 0;
}

static int
over(void **state)
{
	(void)state;
	dkim2_private_key_free(&key);
	arena_free(&world.arena);
	return 0;
}

static struct sender *
start(struct bytes header, bool wants_policy)
{
	const struct sender_start with = {
	    .hub = &world.hub,
	    .tag = TAG,
	    .message = &world.message,
	    .wants_policy = wants_policy,
	    .done = done,
	};

	assert_int_equal(dkim2_message_parse(&world.message, header, 100,
	    world.arena), 0);
	return sender_new(&with);
}

/* Answers the k-th question; text NULL is a temporary failure. */
static void
answer(struct sender *s, size_t k, const char *text)
{
	struct bytes one = {NULL, 0};
	struct resolve_txt txt = {.found = DKIM2_KEY_TEMPFAIL};

	if (text != NULL && *text != '\0') {
		one = bytes_of(text);
		txt = (struct resolve_txt){DKIM2_KEY_TXT, &one, 1, 60};
	} else if (text != NULL) {
		txt.found = DKIM2_KEY_ABSENT;
	}
	sender_answer(s, SLOT_PART(world.tags[k]), &txt);
}

/* ---- tests -------------------------------------------------------------- */

static void
without_a_signature_nothing_is_asked(void **state)
{
	(void)state;
	assert_null(start(BYTES_LIT(HEADER), false));
	assert_int_equal(world.n, 0);
	assert_true(sender_is_done(NULL));
	assert_null(sender_dkim1(NULL));
	assert_null(sender_dmarc(NULL));
	assert_false(sender_is_aligned(NULL, BYTES_LIT("one.example")));
	sender_body(NULL, BYTES_LIT(BODY));
	sender_end(NULL, 1000);
	sender_answer(NULL, SENDER_PART, NULL);
}

/* Keys and policy are asked for at once, with the header, and each name once;
 * the organisation's policy when the domain's own is not there. */
static void
all_is_asked_at_once(void **state)
{
	static const char *const domains[] = {"one.example", "two.example",
	    "one.example"};
	struct sender *s = start(make(key, domains, 3), false);

	(void)state;
	assert_int_equal(world.n, 3);
	assert_string_equal(world.names[0], "s._domainkey.one.example");
	assert_string_equal(world.names[1], "s._domainkey.two.example");
	assert_string_equal(world.names[2], "_dmarc.news.one.example");
	for (size_t k = 0; k < 3; k++)
		assert_true(world.tags[k] >> 16 == TAG >> 16 &&
		    SLOT_PART(world.tags[k]) >= SENDER_PART);
	sender_body(s, BYTES_LIT("hel"));
	answer(s, 2, "");
	assert_int_equal(world.n, 4);
	assert_string_equal(world.names[3], "_dmarc.one.example");
	sender_body(s, BYTES_LIT("lo\r\n"));
	sender_end(s, 60000);
	assert_false(sender_is_done(s));
	assert_null(sender_dkim1(s));
	assert_int_equal(world.timer_ms, SENDER_WAIT_MS);
	answer(s, 0, record);
	answer(s, 3, "v=DMARC1; p=reject; sp=quarantine");
	assert_int_equal(world.n_done, 0);
	answer(s, 1, "v=DKIM1; p=");
	assert_int_equal(world.n_done, 1);
	assert_int_equal(world.timer_ms, -1);
	assert_int_equal(sender_dkim1(s)->n_signatures, 3);
	assert_int_equal(sender_dkim1(s)->signatures[0].state, DKIM1_PASS);
	assert_int_equal(sender_dkim1(s)->signatures[1].state,
	    DKIM1_PERMERROR);
	assert_int_equal(sender_dmarc(s)->state, DMARC_PASS);
	assert_int_equal(sender_dmarc(s)->policy, DMARC_POLICY_QUARANTINE);
	assert_true(sender_is_aligned(s, BYTES_LIT("bounce.one.example")));
	assert_false(sender_is_aligned(s, BYTES_LIT("two.example")));
	sender_free(&s);
}

/* Everything was there before the body: nobody is called. */
static void
what_is_known_at_the_end_is_not_called(void **state)
{
	static const char *const domains[] = {"two.example"};
	struct sender *s = start(make(key, domains, 1), false);

	(void)state;
	assert_int_equal(world.n, 1);	/* no policy: it could not align */
	answer(s, 0, record);
	sender_body(s, BYTES_LIT(BODY));
	sender_end(s, 60000);
	assert_true(sender_is_done(s));
	assert_int_equal(world.n_done, 0);
	assert_int_equal(world.timer_ms, -1);
	assert_int_equal(sender_dkim1(s)->signatures[0].state, DKIM1_PASS);
	assert_null(sender_dmarc(s));
	sender_free(&s);
}

/* Nobody is waited for longer than said: temperror, and late answers come to
 * nothing. */
static void
who_does_not_answer_is_a_temporary_error(void **state)
{
	static const char *const domains[] = {"one.example", "two.example"};
	struct sender *s = start(make(key, domains, 2), false);

	(void)state;
	sender_body(s, BYTES_LIT(BODY));
	answer(s, 0, record);
	sender_end(s, 500);
	assert_int_equal(world.timer_ms, 500);
	world.timer(world.timer_arg);
	assert_int_equal(world.n_done, 1);
	assert_true(sender_is_done(s));
	assert_int_equal(sender_dkim1(s)->signatures[0].state, DKIM1_PASS);
	assert_int_equal(sender_dkim1(s)->signatures[1].state,
	    DKIM1_TEMPERROR);
	assert_int_equal(sender_dmarc(s)->state, DMARC_TEMPERROR);
	answer(s, 1, record);
	answer(s, 2, "v=DMARC1; p=reject");
	assert_int_equal(world.n_done, 1);
	assert_int_equal(sender_dkim1(s)->signatures[1].state,
	    DKIM1_TEMPERROR);
	assert_false(sender_dmarc(s)->has_policy);
	sender_free(&s);
}

/* For From rewriting the policy is wanted without a signature, too. */
static void
the_policy_alone(void **state)
{
	struct sender *s = start(BYTES_LIT(HEADER), true);

	(void)state;
	assert_int_equal(world.n, 1);
	sender_body(s, BYTES_LIT(BODY));
	sender_end(s, 1000);
	answer(s, 0, "v=DMARC1; p=reject");
	assert_int_equal(world.n_done, 1);
	assert_null(sender_dkim1(s));
	assert_int_equal(sender_dmarc(s)->state, DMARC_FAIL);
	assert_int_equal(sender_dmarc(s)->policy, DMARC_POLICY_REJECT);
	sender_free(&s);
	/* nobody to ask about: done at once */
	s = start(BYTES_LIT("Subject: x\r\n"), true);
	assert_non_null(s);
	sender_end(s, 1000);
	assert_true(sender_is_done(s));
	assert_null(sender_dmarc(s));
	sender_free(&s);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    without_a_signature_nothing_is_asked, begin, over),
		cmocka_unit_test_setup_teardown(all_is_asked_at_once, begin,
		    over),
		cmocka_unit_test_setup_teardown(
		    what_is_known_at_the_end_is_not_called, begin, over),
		cmocka_unit_test_setup_teardown(
		    who_does_not_answer_is_a_temporary_error, begin, over),
		cmocka_unit_test_setup_teardown(the_policy_alone, begin,
		    over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
