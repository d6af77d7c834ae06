#include "daemon/annotate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/err.h"

#define ID BYTES_LIT("mx.example.org")
#define A "Received: from x by y; date\r\n"
#define B "AUTHENTICATION-RESULTS: mx.example.com; dkim=pass\r\n"
#define C "Subject: Authentication-Results: mx.example.org; x\r\n"
#define D "From: a@b.example\r\n"
#define E "X-Authentication-Results: mx.example.org; dkim=pass\r\n"
#define FORGED "Authentication-Results: mx.example.org; dkim2=pass\r\n"
#define FOLDED "authentication-RESULTS:\r\n\t(a\r\n comment) MX.example.ORG\r\n" \
	" 1; dkim2=pass\r\n"

static struct annotation
run(struct arena *a, const char *header, const struct dkim2_result *result)
{
	const struct authres facts = {.id = ID, .dkim2 = result};
	struct annotation n;
	struct dkim2_message m;

	assert_int_equal(dkim2_message_parse(&m, bytes_of(header), 1000, a),
	    0);
	assert_int_equal(annotate(&n, &m, &facts, a), 0);
	return n;
}

/* V20: forged fields go, wherever they stand, and nothing else is touched. */
static void
v20_forged_fields_are_left_out(void **state)
{
	static const struct {
		const char *in, *out;
	} row[] = {
		{A B C D E, A B C D E},
		{FORGED, ""},
		{FORGED A FOLDED B FORGED FORGED C FOLDED FORGED D FORGED
		    FOLDED E FORGED FOLDED, A B C D E},
		{A FORGED, A}, {FOLDED A, A}, {"", ""},
	};

	(void)state;
	for (size_t k = 0; k < sizeof(row) / sizeof(row[0]); k++) {
		struct arena *a = arena_new(1 << 20);
		struct annotation n = run(a, row[k].in, NULL);

		assert_true(bytes_eq(n.header, bytes_of(row[k].out)));
		assert_int_equal(n.field.n, 0);
		arena_free(&a);
	}
}

/* What is not touched is not copied either. */
static void
a_header_without_forgeries_is_what_came(void **state)
{
	static const char header[] = A B C D E;
	struct arena *a = arena_new(1 << 20);
	struct annotation n = run(a, header, NULL);

	(void)state;
	assert_ptr_equal(n.header.p, header);
	arena_free(&a);
}

static void
our_field_tells_the_verdict(void **state)
{
	static const struct {
		struct dkim2_verdict full;
		const char *want;
	} row[] = {
		{{.state = DKIM2_NONE}, "Authentication-Results: "
		    "mx.example.org;\r\n\tdkim2=none\r\n"},
		{{.state = DKIM2_PASS}, "Authentication-Results: "
		    "mx.example.org;\r\n\tdkim2=pass (0 hops)\r\n"},
		/* the text is the draft's: see test_authres */
		{{.state = DKIM2_FAIL, .reason = DKIM2_BODY_HASH, .number = 1,
		    .value = BYTES_LIT("sha256")}, "Authentication-Results: "
		    "mx.example.org;\r\n\tdkim2=fail (Message-Instance m=1"},
	};

	(void)state;
	for (size_t k = 0; k < sizeof(row) / sizeof(row[0]); k++) {
		const struct dkim2_result result = {.full = row[k].full};
		struct arena *a = arena_new(1 << 20);
		struct annotation n = run(a, FORGED A, &result);

		assert_true(bytes_starts(n.field, bytes_of(row[k].want)));
		assert_true(bytes_ends(n.field, BYTES_LIT("\r\n")));
		assert_true(bytes_eq(n.header, BYTES_LIT(A)));
		arena_free(&a);
	}
}

/* P5: at each bound of the arena: an error and no half of anything. */
static void
without_memory_it_says_so(void **state)
{
	const struct dkim2_result result = {.full = {.state = DKIM2_PASS}};
	const struct authres facts = {.id = ID, .dkim2 = &result};
	struct arena *room = arena_new(1 << 20);
	struct dkim2_message m;
	struct annotation n;
	int r = -E_NOMEM;

	(void)state;
	assert_int_equal(dkim2_message_parse(&m, BYTES_LIT(FORGED A B), 1000,
	    room), 0);
	for (size_t cap = 16; r != 0; cap += 16) {
		struct arena *a = arena_new(cap);

		assert_true(cap < (1 << 16));
		if (a == NULL)
			continue;
		r = annotate(&n, &m, &facts, a);
		assert_true(r == 0 || r == -E_NOMEM);
		arena_free(&a);
	}
	arena_free(&room);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(v20_forged_fields_are_left_out),
		cmocka_unit_test(a_header_without_forgeries_is_what_came),
		cmocka_unit_test(our_field_tells_the_verdict),
		cmocka_unit_test(without_memory_it_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
