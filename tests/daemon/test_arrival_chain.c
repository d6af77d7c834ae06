#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <sodium.h>

#include "daemon/arrival.h"

#define S1 "DKIM2-Signature: i=1; m=1; d=a.example; s=x:ed25519-sha256:AAAA;\r\n"
#define S2 "DKIM2-Signature: i=2; m=1; d=b.example; s=y:ed25519-sha256:BBBB;\r\n"
#define M1 "Message-Instance: m=1; h=sha256:CCCC:DDDD;\r\n"

static bool
digest(const char *header, uint8_t out[ARRIVAL_DIGEST])
{
	struct arena *a = arena_new(1 << 20);
	struct dkim2_message m;
	bool r;

	assert_non_null(a);
	assert_int_equal(dkim2_message_parse(&m, bytes_of(header), 1000, a),
	    0);
	r = arrival_chain(&m, out);
	arena_free(&a);
	return r;
}

/* What list managers do to it leaves it as it is. */
static void
white_space_and_order_do_not_count(void **state)
{
	static const char *const same[] = {
		S2 S1 M1,
		M1 S1 S2,
		"Received: x\r\n" S2 "To: a@b.example\r\n" M1 S1 "Subject: c\r\n",
		"dkim2-signature: i=1; m=1; d=a.example;\r\n"
		    " s=x:ed25519-sha256:AA\r\n\tAA;\r\n" M1 S2,
		"DKIM2-Signature:i=1;m=1;d=a.example;s=x:ed25519-sha256:AAAA;\r\n"
		    "Message-Instance:\r\n m=1; \t h=sha256:CCCC:DDDD;  \r\n" S2,
	};
	uint8_t one[ARRIVAL_DIGEST], other[ARRIVAL_DIGEST];

	(void)state;
	assert_true(digest(S1 S2 M1, one));
	for (size_t k = 0; k < sizeof(same) / sizeof(same[0]); k++) {
		assert_true(digest(same[k], other));
		assert_memory_equal(one, other, sizeof(one));
	}
}

static void
anything_else_counts(void **state)
{
	static const char *const others[] = {
		S1 M1,				/* a field less */
		S1 S2,
		S1 S2 M1 M1,			/* a field more */
		S1 S1 S2 M1,
		"DKIM2-Signature: I=1; m=1; d=a.example; s=x:ed25519-sha256:"
		    "AAAA;\r\n" S2 M1,
		/* octets that move from field to field */
		"DKIM2-Signature: i=1; m=1; d=a.example; s=x:ed25519-sha256:"
		    "AAAA\r\nDKIM2-Signature: ;i=2; m=1; d=b.example; "
		    "s=y:ed25519-sha256:BBBB;\r\n" M1,
		/* or from name to name */
		"Message-Instance: i=1; m=1; d=a.example; s=x:ed25519-sha256:"
		    "AAAA;\r\n" S2 M1,
	};
	uint8_t one[ARRIVAL_DIGEST], other[ARRIVAL_DIGEST];

	(void)state;
	assert_true(digest(S1 S2 M1, one));
	for (size_t k = 0; k < sizeof(others) / sizeof(others[0]); k++) {
		assert_true(digest(others[k], other));
		assert_memory_not_equal(one, other, sizeof(one));
	}
}

static void
without_a_field_there_is_none(void **state)
{
	uint8_t out[ARRIVAL_DIGEST];

	(void)state;
	assert_false(digest("", out));
	assert_false(digest("DKIM-Signature: v=1\r\nTo: a@b.example\r\n"
	    "DKIM2-Signatures: i=1\r\n", out));
}

/* More than are sorted: bounded, and each still counts. */
static void
many_fields_are_digested_all(void **state)
{
	static char header[700 * 32];
	uint8_t out[3][ARRIVAL_DIGEST];

	(void)state;
	for (int n = 0; n < 3; n++) {
		size_t at = 0;

		for (int k = 0; k < 600 + n / 2; k++)
			at += (size_t)snprintf(header + at, sizeof(header) - at,
			    "Message-Instance: m=%d\r\n",
			    n == 1 && k == 599 ? 7 : k);
		assert_true(digest(header, out[n]));
	}
	assert_memory_not_equal(out[0], out[1], ARRIVAL_DIGEST);
	assert_memory_not_equal(out[0], out[2], ARRIVAL_DIGEST);
	assert_memory_not_equal(out[1], out[2], ARRIVAL_DIGEST);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(white_space_and_order_do_not_count),
		cmocka_unit_test(anything_else_counts),
		cmocka_unit_test(without_a_field_there_is_none),
		cmocka_unit_test(many_fields_are_digested_all),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
