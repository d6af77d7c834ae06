#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sodium.h>

#include "base/err.h"
#include "dkim2/dkim1.h"
#include "tests/dkim2/kit.h"
#include "tests/dkim2/dkim1_kit.h"

#define NOW 1700000000
#define HEAD \
	"DKIM2-Signature: i=1; m=1; s=x;\r\n" \
	"Message-Instance: m=1; h=y;\r\n" \
	"Received: from a\r\n" \
	"DKIM-Signature: v=1; b=\r\n" \
	"Authentication-Results: x; none\r\n" \
	"From: Alice <alice@example.org>\r\n" \
	"To: bob@example.net\r\n" \
	"SUBJECT: one\r\n" \
	" two\r\n" \
	"Date: Sun, 22 Nov 2026 10:00:00 +0000\r\n" \
	"List-Id: <l.example.org>\r\n" \
	"Return-Path: <x@example.org>\r\n" \
	"X-Other: 1\r\n"
#define BODY "Hello,  list. \r\n\r\nbye\r\n\r\n"

static int
open_arena(void **state)
{
	*state = arena_new(KIT_ARENA);
	return *state == NULL;
}

static int
close_arena(void **state)
{
	arena_free((struct arena **)state);
	return 0;
}

static const struct dkim2_signing_key ed1[] = {
	{BYTES_LIT("ed1"), DKIM2_ED25519_SHA256},
};

#define PLAIN {BYTES_LIT("example.org"), ed1, 1, NOW, 0}

static const struct dkim1_sign_options plain = PLAIN;

/* Signs with one private key for each key of the options. */
static struct bytes
sign(const char *head, struct bytes body, size_t step,
    const struct dkim1_sign_options *o, struct dkim2_private_key *const *keys,
    struct arena *a)
{
	struct dkim2_message m;
	struct dkim1_sign *s;
	enum dkim1_refusal why;
	struct bytes fields;

	(void)kit_split(bytes_of(head), &m, a);
	assert_int_equal(dkim1_sign_new(&s, a, &m, o, &why), 0);
	assert_int_equal(why, DKIM1_MAY_SIGN);
	for (; body.n != 0; body = bytes_skip(body, step))
		assert_int_equal(dkim1_sign_body(s, bytes_first(body, step)),
		    0);
	assert_int_equal(dkim1_sign_step(s), DKIM2_MORE);
	assert_int_equal(dkim1_sign_want(s, 0).n, 0);
	assert_int_equal(dkim1_sign_end(s), 0);
	for (size_t k = o->n_keys; k-- != 0;) {
		uint8_t room[DKIM2_SIGNATURE_MAX];
		struct buf signature = BUF_ON(room);

		assert_int_equal(dkim1_sign_step(s), DKIM2_WANT_SIG);
		assert_int_equal(dkim1_sign_fields(s).n, 0);
		assert_int_equal(dkim1_sign_want(s, k).n, 32);
		assert_int_equal(dkim2_private_key_sign(keys[k],
		    dkim1_sign_want(s, k).p, &signature), 0);
		assert_int_equal(dkim1_sign_answer(s, k,
		    buf_bytes(&signature)), 0);
		/* a second answer changes nothing */
		assert_int_equal(dkim1_sign_answer(s, k, BYTES_LIT("x")), 0);
	}
	assert_int_equal(dkim1_sign_step(s), DKIM2_DONE);
	fields = dkim1_sign_fields(s);
	dkim1_sign_fini(s);
	return fields;
}

static void
the_field_looks_as_it_should(void **state)
{
	struct dkim2_private_key *key = kit_key(ED1_PEM);
	struct bytes first = sign(HEAD, BYTES_LIT(BODY), 1000, &plain, &key,
	    *state);
	size_t at = bytes_find(first, BYTES_LIT(" b=")) - 1;

	/* V4: no l=; nothing of DKIM2, of others or of the trace is named */
	kit_assert_bytes(bytes_first(first, at + 1),
	    "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;"
	    " d=example.org;\r\n"
	    "\ts=ed1; t=1700000000; h=From:From:Reply-To:Subject:Subject:To:"
	    "To:Cc:Date:\r\n"
	    "\tDate:List-Id; bh=ZT7dUGEj7zezvK78XOPgasGkONpRq/bSJy4Gsyow76M=;");
	/* any split of the body, and Ed25519 has no randomness */
	for (size_t step = 1; step < sizeof(BODY); step++)
		assert_true(bytes_eq(first, sign(HEAD, BYTES_LIT(BODY), step,
		    &plain, &key, *state)));
	dkim2_private_key_free(&key);
}

static void
lines_are_short_and_every_key_has_its_field(void **state)
{
	struct dkim2_signing_key keys[] = {
		{BYTES_LIT("a-long-selector.of.two"), DKIM2_RSA_SHA256},
		{BYTES_LIT("ed1"), DKIM2_ED25519_SHA256},
	};
	struct dkim1_sign_options o = {
		.domain = BYTES_LIT("example.org"), .keys = keys, .n_keys = 2,
		.timestamp_s = NOW, .expires_s = NOW + 86400,
	};
	struct dkim2_private_key *private[2] = {NULL, kit_key(ED1_PEM)};
	uint8_t room[1024];
	struct buf text = BUF_ON(room), out;
	struct record records[2] = {
		{"a-long-selector.of.two._domainkey.example.org", NULL},
		{"ed1._domainkey.example.org", ED1_RECORD},
	};
	struct dkim1_verify *v;
	const struct dkim1_result *r;

	assert_int_equal(dkim2_private_key_generate(&private[0],
	    DKIM2_RSA_SHA256), 0);
	assert_int_equal(dkim2_private_key_record(private[0], &text), 0);
	buf_add_octet(&text, 0);
	records[0].text = (const char *)room;
	assert_int_equal(arena_buf(*state, 65536, &out), 0);
	buf_add(&out, sign(HEAD, BYTES_LIT(BODY), 3, &o, private, *state));
	for (size_t at = 0; at < out.n;) {
		size_t n = bytes_find(bytes_skip(buf_bytes(&out), at),
		    BYTES_LIT("\r\n"));

		assert_in_range(n, 1, 76);
		at += n + 2;
	}
	buf_add_str(&out, HEAD "\r\n" BODY);
	v = kit_verify(buf_bytes(&out), 1, NOW, records, 2, *state);
	r = dkim1_verify_result(v);
	assert_int_equal(r->n_signatures, 3);	/* and the one without tags */
	for (size_t k = 0; k < 2; k++) {
		assert_int_equal(r->signatures[k].state, DKIM1_PASS);
		assert_true(dkim1_counts(&r->signatures[k]));
		assert_int_equal(r->signatures[k].t, NOW);
		assert_int_equal(r->signatures[k].x, NOW + 86400);
		kit_assert_bytes(r->signatures[k].a,
		    k == 0 ? "rsa-sha256" : "ed25519-sha256");
	}
	dkim1_verify_fini(v);
	dkim2_private_key_free(&private[0]);
	dkim2_private_key_free(&private[1]);
}

/* What may be added below, above or beside, and what may not. */
static const struct {
	const char *field;
	bool is_harmless;
} additions[] = {
	{"From: eve@evil.example", false},
	{"Reply-To: eve@evil.example", false},
	{"Subject: other", false},
	{"To: other", false},
	{"Cc: other", false},
	{"Date: other", false},
	{"List-Id: other", false},		/* below; above it would do */
	{"Message-ID: <1@x>", true},		/* there was none */
	{"MIME-Version: 1.0", true},
	{"Sender: list@example.org", true},
	{"List-Post: x", true},
	{"Received: from b", true},
	{"DKIM2-Signature: i=2", true},
	{"Message-Instance: m=2", true},
	{"DKIM-Signature: v=1", true},
	{"Return-Path: <>", true},
	{"X-Other: 2", true},
};

static void
what_is_put_beside_breaks_what_is_oversigned(void **state)
{
	struct dkim2_private_key *key = kit_key(ED1_PEM);
	struct record record = {"ed1._domainkey.example.org", ED1_RECORD};
	struct bytes fields = sign(HEAD, BYTES_LIT(BODY), 1000, &plain, &key,
	    *state);

	for (size_t k = 0; k < COUNT(additions); k++) {
		struct buf out;
		struct dkim1_verify *v;

		assert_int_equal(arena_buf(*state, 65536, &out), 0);
		buf_add(&out, fields);
		buf_add_str(&out, HEAD);
		buf_add_str(&out, additions[k].field);
		buf_add_str(&out, "\r\n\r\n" BODY);
		v = kit_verify(buf_bytes(&out), 999, NOW, &record, 1, *state);
		if ((dkim1_verify_result(v)->signatures[0].state ==
		    DKIM1_PASS) != additions[k].is_harmless)
			print_message("%s\n", additions[k].field);
		assert_true((dkim1_verify_result(v)->signatures[0].state ==
		    DKIM1_PASS) == additions[k].is_harmless);
		dkim1_verify_fini(v);
	}
	dkim2_private_key_free(&key);
}

static const struct dkim2_signing_key bad_keys[] = {
	{BYTES_LIT("a b"), DKIM2_RSA_SHA256},
	{BYTES_LIT("a"), DKIM2_ALGORITHM__N},
	{BYTES_LIT(""), DKIM2_RSA_SHA256},
};
static const struct dkim2_signing_key many_keys[DKIM1_KEYS_MAX + 1];

static const struct {
	const char *head;
	struct dkim1_sign_options o;
	enum dkim1_refusal why;
} refusals[] = {
	{"To: x\r\n", PLAIN, DKIM1_REFUSE_FROM},
	{"From: x\r\nfrom: y\r\n", PLAIN, DKIM1_REFUSE_FROM},
	{HEAD, {BYTES_LIT("example.org"), ed1, 0, NOW, 0},
	    DKIM1_REFUSE_OPTIONS},
	{HEAD, {BYTES_LIT("example.org"), many_keys, DKIM1_KEYS_MAX + 1, NOW,
	    0}, DKIM1_REFUSE_OPTIONS},
	{HEAD, {BYTES_LIT("org"), ed1, 1, NOW, 0}, DKIM1_REFUSE_OPTIONS},
	{HEAD, {BYTES_LIT("a;b.org"), ed1, 1, NOW, 0}, DKIM1_REFUSE_OPTIONS},
	{HEAD, {BYTES_LIT("example.org"), ed1, 1, -1, 0},
	    DKIM1_REFUSE_OPTIONS},
	{HEAD, {BYTES_LIT("example.org"), ed1, 1, NOW, NOW},
	    DKIM1_REFUSE_OPTIONS},
	{HEAD, {BYTES_LIT("example.org"), bad_keys, 1, NOW, 0},
	    DKIM1_REFUSE_OPTIONS},
	{HEAD, {BYTES_LIT("example.org"), bad_keys + 1, 1, NOW, 0},
	    DKIM1_REFUSE_OPTIONS},
	{HEAD, {BYTES_LIT("example.org"), bad_keys + 2, 1, NOW, 0},
	    DKIM1_REFUSE_OPTIONS},
};

static void
each_refusal_has_its_reason(void **state)
{
	struct buf many;
	struct dkim2_message m;
	struct dkim1_sign *s;
	enum dkim1_refusal why;

	for (size_t k = 0; k < COUNT(refusals); k++) {
		(void)kit_split(bytes_of(refusals[k].head), &m, *state);
		assert_int_equal(dkim1_sign_new(&s, *state, &m,
		    &refusals[k].o, &why), 0);
		assert_int_equal(why, refusals[k].why);
		assert_null(s);
	}
	assert_int_equal(arena_buf(*state, 8192, &many), 0);
	buf_add_str(&many, "From: x\r\n");
	for (size_t k = 0; k < 130; k++)
		buf_add_str(&many, "List-Unsubscribe-Post: x\r\n");
	(void)kit_split(buf_bytes(&many), &m, *state);
	assert_int_equal(dkim1_sign_new(&s, *state, &m, &plain, &why), 0);
	assert_int_equal(why, DKIM1_REFUSE_FIELDS);
	dkim1_sign_fini(s);
}

/* The longest that is not refused fits: names, domain, selector, signature. */
static void
the_longest_field_fits(void **state)
{
	char label[64] = "", head[8192] = "From: x\r\n", domain[256] = "";
	uint8_t octets[DKIM2_SIGNATURE_MAX] = {0};
	struct dkim2_signing_key key = {{NULL, 0}, DKIM2_ED25519_SHA256};
	struct dkim1_sign_options o = plain;
	struct dkim2_message m;
	struct dkim1_sign *s;
	enum dkim1_refusal why;

	memset(label, 'x', 63);
	(void)snprintf(domain, sizeof(domain), "%s.%s", label, label);
	key.selector = bytes_of(label);
	o.keys = &key;
	o.domain = bytes_of(domain);
	o.expires_s = 999999999999;
	for (size_t k = 0; k < 128 - 6; k++)
		strcat(head, "List-Unsubscribe-Post: x\r\n");
	(void)kit_split(bytes_of(head), &m, *state);
	assert_int_equal(dkim1_sign_new(&s, *state, &m, &o, &why), 0);
	assert_int_equal(why, DKIM1_MAY_SIGN);
	assert_int_equal(dkim1_sign_end(s), 0);
	assert_int_equal(dkim1_sign_answer(s, 0, (struct bytes){octets, 0}),
	    -E_LIMIT);
	assert_int_equal(dkim1_sign_answer(s, 0, (struct bytes){octets,
	    DKIM2_SIGNATURE_MAX + 1}), -E_LIMIT);
	assert_int_equal(dkim1_sign_answer(s, 0, (struct bytes){octets,
	    DKIM2_SIGNATURE_MAX}), 0);
	assert_int_equal(dkim1_sign_step(s), DKIM2_DONE);
	assert_true(dkim1_sign_fields(s).n > 4000);
	dkim1_sign_fini(s);
}

static void
a_full_arena_is_an_error(void **state)
{
	struct dkim2_message m;
	bool is_done = false;

	(void)kit_split(BYTES_LIT(HEAD), &m, *state);
	for (size_t cap = 256; !is_done; cap += 256) {
		struct arena *a = arena_new(cap);
		struct dkim1_sign *s = NULL;
		enum dkim1_refusal why;
		int r = dkim1_sign_new(&s, a, &m, &plain, &why);

		if (r == 0)
			r = dkim1_sign_end(s);
		assert_true(r == 0 || r == -E_NOMEM);
		is_done = r == 0;
		dkim1_sign_fini(s);
		arena_free(&a);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_arena, close_arena)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_field_looks_as_it_should),
		TEST(lines_are_short_and_every_key_has_its_field),
		TEST(what_is_put_beside_breaks_what_is_oversigned),
		TEST(each_refusal_has_its_reason),
		TEST(the_longest_field_fits),
		TEST(a_full_arena_is_an_error),
	};

	assert_true(sodium_init() >= 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
