/* L1: what a message carries from its earlier rounds. */
#include "daemon/loopcheck.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"
#include "daemon/received.h"

#define HOST "mx.example.org"

static struct dkim2_message
parse(struct arena *a, const char *text)
{
	struct dkim2_message m;

	assert_int_equal(dkim2_message_parse(&m, bytes_of(text), 1000, a), 0);
	return m;
}

static enum loopcheck_finding
find(const char *text, uint32_t max)
{
	struct arena *a = arena_new(1 << 20);
	struct dkim2_message m = parse(a, text);
	const struct loopcheck c = {.message = &m, .hostname = HOST,
	    .max_received = max};
	enum loopcheck_finding f = loopcheck_message(&c);

	arena_free(&a);
	return f;
}

/* n times our own field, as we write it. */
static const char *
own(unsigned n, const char *hostname)
{
	static char text[20 * RECEIVED_MAX];
	struct buf out = BUF_ON(text);
	const struct received r = {.helo = BYTES_LIT("c.example"),
	    .ip = "192.0.2.1", .hostname = hostname, .id = "4fQk2x",
	    .is_esmtp = true, .rcpt = BYTES_LIT("<a@b.example>"),
	    .tls = "TLSv1.3", .cipher = "TLS_AES_256_GCM_SHA384"};

	for (unsigned k = 0; k < n; k++)
		received_write(&r, &out);
	buf_add_str(&out, "From: a@b.example\r\n");
	buf_add_octet(&out, '\0');
	assert_false(out.full);
	return text;
}

static void
received_fields_are_counted(void **state)
{
	static const char three[] = "Received: by a\r\nreceived: by b\r\n"
	    "X-Received: by c\r\nRECEIVED: by\r\n\td\r\n";

	(void)state;
	assert_int_equal(find(three, 3), LOOPCHECK_NONE);
	assert_int_equal(find(three, 2), LOOPCHECK_HOPS);
	assert_int_equal(find("", 1), LOOPCHECK_NONE);
}

static void
our_own_received_fields_are_counted(void **state)
{
	char text[12 * 80] = "";

	(void)state;
	assert_int_equal(find(own(LOOPCHECK_OWN_MAX, HOST), 50),
	    LOOPCHECK_NONE);
	assert_int_equal(find(own(LOOPCHECK_OWN_MAX + 1, HOST), 50),
	    LOOPCHECK_OWN);
	assert_int_equal(find(own(LOOPCHECK_OWN_MAX + 1, "MX.Example.org"),
	    50), LOOPCHECK_OWN);
	assert_int_equal(find(own(LOOPCHECK_OWN_MAX + 1, "mx.example.com"),
	    50), LOOPCHECK_NONE);
	/* folded by others, and by other programs of this host */
	for (unsigned k = 0; k <= LOOPCHECK_OWN_MAX; k++)
		(void)strcat(text, "Received: from x by\r\n  " HOST
		    "\r\n\t(hopseal) with SMTP\r\n");
	assert_int_equal(find(text, 50), LOOPCHECK_OWN);
	text[0] = '\0';
	for (unsigned k = 0; k <= LOOPCHECK_OWN_MAX; k++)
		(void)strcat(text, "Received: from x by " HOST
		    " (Postfix) with SMTP\r\n");
	assert_int_equal(find(text, 50), LOOPCHECK_NONE);
}

/* What came back has the field of the time before; a second try has not. */
static void
what_came_back_has_our_id(void **state)
{
	static const struct {
		const char *text, *id;
		bool is_there;
	} row[] = {
		{"Received: from x by " HOST " (hopseal) with SMTP id abc;\r\n"
		    " date\r\n", "abc", true},
		{"Received: from x by " HOST " (hopseal) with SMTP id abc\r\n"
		    " for <a@b>;\r\n date\r\n", "abc", true},
		{"Received: from x by " HOST " (hopseal) with SMTP id abcd;"
		    "\r\n", "abc", false},
		{"Received: from x by " HOST " (Postfix) with SMTP id abc;"
		    "\r\n", "abc", false},
		{"X-Received: from x by " HOST " (hopseal) with SMTP id abc;"
		    "\r\n", "abc", false},
		{"Received: by " HOST " (hopseal)\r\n", "abc", false},
		{"Received: by " HOST " (hopseal) with SMTP id abc;\r\n"
		    "Received: by " HOST " (hopseal) with SMTP id def;\r\n",
		    "def", true},
	};

	(void)state;
	for (size_t k = 0; k < sizeof(row) / sizeof(row[0]); k++) {
		struct arena *a = arena_new(1 << 16);
		struct dkim2_message m = parse(a, row[k].text);

		assert_int_equal(loopcheck_passed(&m, "MX.example.org",
		    bytes_of(row[k].id)), row[k].is_there);
		arena_free(&a);
	}
}

#define SIGNED(domain, ...) {.d = BYTES_LIT(domain), \
	.rt = (const struct bytes[]){__VA_ARGS__}, \
	.n_rt = sizeof((const struct bytes[]){__VA_ARGS__}) / \
	sizeof(struct bytes)}
#define A BYTES_LIT("<a@x.example>")
#define B BYTES_LIT("<b@x.example>")

static void
the_same_signature_twice_is_a_loop(void **state)
{
	static const struct keydir_entry entries[] = {
		{.domain = BYTES_LIT("own.example")},
		{.domain = BYTES_LIT("also.example")},
	};
	const struct keydir keys = {entries, 2};
	const struct dkim2_signature_result row[][3] = {
		{SIGNED("own.example", A), SIGNED("x.example", B),
		    SIGNED("Own.Example", BYTES_LIT("<a@X.example>"))},
		{SIGNED("x.example", A), SIGNED("own.example", A, B),
		    SIGNED("own.example", B, A)},
		/* none of these */
		{SIGNED("x.example", A), SIGNED("own.example", A),
		    SIGNED("x.example", A)},
		{SIGNED("own.example", A), SIGNED("own.example", B),
		    SIGNED("also.example", A)},
		{SIGNED("own.example", A), SIGNED("own.example", A, B),
		    SIGNED("own.example", BYTES_LIT("<A@x.example>"))},
		{{.d = BYTES_LIT("own.example")},
		    {.d = BYTES_LIT("own.example")}, SIGNED("x.example", A)},
	};
	struct arena *a = arena_new(1 << 16);
	struct dkim2_message m = parse(a, "From: a@b.example\r\n");

	(void)state;
	for (size_t k = 0; k < sizeof(row) / sizeof(row[0]); k++) {
		const struct dkim2_result result = {.signatures = row[k],
		    .n_signatures = 3};
		struct loopcheck c = {.message = &m, .hostname = HOST,
		    .max_received = 50, .result = &result, .keys = &keys};

		assert_int_equal(loopcheck_message(&c), k < 2 ?
		    LOOPCHECK_SIGNED : LOOPCHECK_NONE);
		c.keys = NULL;
		assert_int_equal(loopcheck_message(&c), LOOPCHECK_NONE);
		c.keys = &keys;
		c.result = NULL;
		assert_int_equal(loopcheck_message(&c), LOOPCHECK_NONE);
	}
	arena_free(&a);
}

/* What a new signature would say is compared before it is made. */
static void
l1_a_signature_that_is_there_is_not_repeated(void **state)
{
	const struct dkim2_signature_result row[] = {
	    SIGNED("own.example", A), SIGNED("x.example", B, A)};
	const struct dkim2_result result = {.signatures = row,
	    .n_signatures = 2};
	const struct bytes a = A, both[] = {A, B}, c = BYTES_LIT("<c@x.y>");
	const struct bytes own = BYTES_LIT("own.example");
	const struct bytes x = BYTES_LIT("X.example");

	(void)state;
	assert_true(loopcheck_repeats(&result, own,
	    &(struct dkim2_envelope){A, &a, 1}));
	assert_true(loopcheck_repeats(&result, x,
	    &(struct dkim2_envelope){A, both, 2}));
	assert_false(loopcheck_repeats(&result, x,
	    &(struct dkim2_envelope){A, &a, 1}));
	assert_false(loopcheck_repeats(&result, own,
	    &(struct dkim2_envelope){A, both, 2}));
	assert_false(loopcheck_repeats(&result, own,
	    &(struct dkim2_envelope){A, &c, 1}));
}

/* F6: or a header full of recipients would be compared for minutes. */
static void
signatures_for_very_many_are_not_compared(void **state)
{
	static const struct keydir_entry entry = {
	    .domain = BYTES_LIT("own.example")};
	const struct keydir keys = {&entry, 1};
	struct bytes rt[LOOPCHECK_RT_MAX + 1];
	struct arena *a = arena_new(1 << 16);
	struct dkim2_message m = parse(a, "From: a@b.example\r\n");

	(void)state;
	for (size_t n = LOOPCHECK_RT_MAX; n <= LOOPCHECK_RT_MAX + 1; n++) {
		const struct dkim2_signature_result s = {
		    .d = BYTES_LIT("own.example"), .rt = rt, .n_rt = n};
		const struct dkim2_signature_result two[] = {s, s};
		const struct dkim2_result result = {.signatures = two,
		    .n_signatures = 2};
		const struct loopcheck c = {.message = &m, .hostname = HOST,
		    .max_received = 50, .result = &result, .keys = &keys};

		for (size_t k = 0; k < n; k++)
			rt[k] = A;
		assert_int_equal(loopcheck_message(&c),
		    n == LOOPCHECK_RT_MAX ? LOOPCHECK_SIGNED :
		    LOOPCHECK_NONE);
	}
	arena_free(&a);
}

static void
who_had_it_is_named(void **state)
{
	static const struct {
		const char *field, *rcpt;
		bool is_there;
	} row[] = {
		{"Delivered-To: a@x.example", "<a@x.example>", true},
		{"delivered-TO:a@X.Example \t", "<a@x.example>", true},
		{"Delivered-To:\r\n\t<a@x.example>", "a@x.EXAMPLE", true},
		{"Delivered-To: a@b\xc3\xbc" "cher.example",
		    "<a@xn--bcher-kva.example>", true},
		{"Delivered-To: A@x.example", "<a@x.example>", false},
		{"Delivered-To: a@x.example.org", "<a@x.example>", false},
		{"Delivered-To: ba@x.example", "<a@x.example>", false},
		{"Delivered-To: a", "<a@x.example>", false},
		{"Delivered-To:", "<a@x.example>", false},
		{"Delivered-To:", "<postmaster>", false},
		{"X-Delivered-To: a@x.example", "<a@x.example>", false},
	};

	(void)state;
	for (size_t k = 0; k < sizeof(row) / sizeof(row[0]); k++) {
		struct arena *a = arena_new(1 << 16);
		struct dkim2_message m;
		char text[200];

		(void)snprintf(text, sizeof(text), "Subject: x\r\n%s\r\n",
		    row[k].field);
		m = parse(a, text);
		if (loopcheck_delivered(&m, bytes_of(row[k].rcpt)) !=
		    row[k].is_there)
			fail_msg("%s", row[k].field);
		arena_free(&a);
	}
}

static void
each_finding_has_a_text(void **state)
{
	(void)state;
	assert_null(loopcheck_text(LOOPCHECK_NONE));
	for (unsigned f = LOOPCHECK_HOPS; f <= LOOPCHECK_PASSED; f++)
		assert_non_null(loopcheck_text((enum loopcheck_finding)f));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(received_fields_are_counted),
		cmocka_unit_test(our_own_received_fields_are_counted),
		cmocka_unit_test(what_came_back_has_our_id),
		cmocka_unit_test(the_same_signature_twice_is_a_loop),
		cmocka_unit_test(l1_a_signature_that_is_there_is_not_repeated),
		cmocka_unit_test(signatures_for_very_many_are_not_compared),
		cmocka_unit_test(who_had_it_is_named),
		cmocka_unit_test(each_finding_has_a_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
