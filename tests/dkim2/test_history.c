#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sodium.h>

#include "base/err.h"
#include "dkim2/history.h"
#include "tests/dkim2/kit.h"
#include "tests/dkim2/craft.h"

static int
open_arena(void **state)
{
	*state = arena_new(KIT_ARENA);
	return *state == NULL || sodium_init() < 0;
}

static int
close_arena(void **state)
{
	arena_free((struct arena **)state);
	return 0;
}

#define SIGNED(i, m, d) "DKIM2-Signature: i=" i "; m=" m "; t=1; d=" d ";" \
	" mf=PD4=; rt=PD4=; s=x:ed25519-sha256:AAAA;\r\n"
#define ONE SIGNED("1", "1", "a.example") "Message-Instance: m=1; h=$H;\r\n"
#define TWO(json) SIGNED("2", "2", "b.example") \
	"Message-Instance: m=2; h=$H; r=$J(" json ")$;\r\n"

static void
read_text(struct history *h, struct dkim2_message *m, const char *text,
    struct arena *a)
{
	struct bytes octets = craft(a, text);
	struct bytes body = kit_split(octets, m, a);

	assert_int_equal(history_read(h, m, body, a), 0);
}

static void
states_are_rebuilt_and_checked(void **state)
{
	struct dkim2_message m;
	struct history h;

	/* H2 is the hash of all of it; the instance below has the same. */
	read_text(&h, &m, TWO("{\"h\":{\"list-id\":[]},\"b\":[{\"c\":[1,1]}]}")
	    ONE "From: a@a.example\r\nList-Id: <l>\r\n\r\none\r\ntwo\r\n",
	    *state);
	assert_int_equal(h.n_states, 2);
	assert_true(h.states[1].is_known && h.states[0].is_known);
	assert_int_equal(h.states[1].verdict.state, DKIM2_PASS);
	assert_null(h.states[1].header_fault);
	assert_null(h.states[1].body_fault);
	assert_int_equal(h.states[0].verdict.reason, DKIM2_HEADER_HASH);
	assert_non_null(h.states[0].header_fault);
	assert_non_null(h.states[0].body_fault);
	kit_assert_bytes(h.states[0].body, "one\r\n");
	kit_assert_bytes(h.states[1].body, "one\r\ntwo\r\n");
}

static void
one_good_group_is_enough(void **state)
{
	struct dkim2_message m;
	struct history h;

	read_text(&h, &m, SIGNED("1", "1", "a.example") "Message-Instance: "
	    "m=1; h=$H|sha512:AAAA:AAAA;\r\nFrom: a@a.example\r\n\r\nx\r\n",
	    *state);
	assert_int_equal(h.n_states, 1);
	assert_int_equal(h.states[0].verdict.state, DKIM2_PASS);
	assert_null(h.states[0].header_fault);
}

static void
what_is_no_chain_has_no_states(void **state)
{
	static const char *const texts[] = {
		"From: a@a.example\r\n\r\nx\r\n",
		SIGNED("2", "1", "a.example")
		"Message-Instance: m=1; h=$H;\r\n\r\nx\r\n",
		SIGNED("1", "1", "a.example") "\r\n",
	};

	for (size_t k = 0; k < COUNT(texts); k++) {
		struct dkim2_message m;
		struct history h;

		read_text(&h, &m, texts[k], *state);
		assert_int_equal(h.n_states, 0);
	}
}

static void
a_recipe_that_does_not_fit_ends_it(void **state)
{
	static const struct {
		const char *json;
		enum dkim2_reason reason;
	} row[] = {
		{"{\"b\":[{\"c\":[1,9]}]}", DKIM2_INSTANCE_RECIPE},
		{"{\"h\":{\"from\":[{\"c\":[2,2]}]}}", DKIM2_INSTANCE_RECIPE},
		{"{\"b\":null}", DKIM2_INSTANCE_NULL_RECIPE},
		{"{", DKIM2_INSTANCE_JSON},
	};

	for (size_t k = 0; k < COUNT(row); k++) {
		struct dkim2_message m;
		struct history h;
		char text[1024];

		snprintf(text, sizeof(text), SIGNED("2", "2", "b.example")
		    "Message-Instance: m=2; h=$H; r=$J(%s)$;\r\n" ONE
		    "From: a@a.example\r\n\r\nx\r\n", row[k].json);
		read_text(&h, &m, text, *state);
		assert_int_equal(h.n_states, 2);
		assert_true(h.states[1].is_known);
		assert_false(h.states[0].is_known);
		assert_int_equal(h.lost.reason, row[k].reason);
	}
}

/* The header of hop 1, but for its two DKIM2 fields. */
static void
fields_go_back_to_their_places(void **state)
{
	static const struct {
		const char *label, *json, *now, *was;
	} row[] = {
		{"octets stay, folds and all", "{\"b\":[]}",
		    "A:  1\r\n\t2 \r\nb : 3\r\n", "A:  1\r\n\t2 \r\nb : 3\r\n"},
		{"one in the place of another",
		    "{\"h\":{\"b\":[{\"d\":[\"old\"]}]}}",
		    "A: 1\r\nB: new\r\nC: 3\r\n", "A: 1\r\nB: old\r\nC: 3\r\n"},
		{"the name as it was written",
		    "{\"h\":{\"list-id\":[{\"d\":[\" x\"]}]}}",
		    "LIST-ID: y\r\n", "LIST-ID: x\r\n"},
		{"a field taken away", "{\"h\":{\"b\":[]}}",
		    "A: 1\r\nB: 2\r\nB: 3\r\nC: 4\r\n", "A: 1\r\nC: 4\r\n"},
		{"none was left: at the end",
		    "{\"h\":{\"list-id\":[{\"d\":[\"1\",\"2\"]}]}}",
		    "A: 1\r\n", "A: 1\r\nList-Id: 2\r\nList-Id: 1\r\n"},
		{"above the one before it",
		    "{\"h\":{\"b\":[{\"c\":[1,1]},{\"d\":[\"x\",\"y\"]}]}}",
		    "A: 1\r\nB: 2\r\nC: 3\r\n",
		    "A: 1\r\nB: y\r\nB: x\r\nB: 2\r\nC: 3\r\n"},
		{"below the one after it",
		    "{\"h\":{\"b\":[{\"d\":[\"x\",\"y\"]},{\"c\":[1,1]}]}}",
		    "A: 1\r\nB: 2\r\nC: 3\r\n",
		    "A: 1\r\nB: 2\r\nB: y\r\nB: x\r\nC: 3\r\n"},
		{"between two, from the bottom up",
		    "{\"h\":{\"b\":[{\"c\":[1,1]},{\"d\":[\"x\"]},"
		    "{\"c\":[4,4]}]}}",
		    "B: 4\r\nA: 1\r\nB: 3\r\nB: 2\r\nC: 3\r\nB: 1\r\n",
		    "B: 4\r\nA: 1\r\nB: x\r\nC: 3\r\nB: 1\r\n"},
		{"more values than places",
		    "{\"h\":{\"b\":[{\"d\":[\"x\",\"y\",\"z\"]},"
		    "{\"c\":[3,3]}]}}",
		    "B: 3\r\nA: 1\r\nB: 2\r\nB: 1\r\n",
		    "B: 3\r\nA: 1\r\nB: z\r\nB: y\r\nB: x\r\n"},
		{"what is signed is no recipe's to undo",
		    "{\"h\":{\"dkim2-signature\":[],"
		    "\"message-instance\":[{\"d\":[\"m=9\"]}]}}",
		    "A: 1\r\n", "A: 1\r\n"},
		{"not hashed, below the signature",
		    "{\"h\":{\"received\":[{\"d\":[\"x\"]}]}}",
		    "Received: y\r\nA: 1\r\n", "Received: x\r\nA: 1\r\n"},
		{"an empty value", "{\"h\":{\"a\":[{\"d\":[\"\"]}]}}",
		    "A: 1\r\n", "A: \r\n"},
	};

	for (size_t k = 0; k < COUNT(row); k++) {
		struct dkim2_message m;
		struct history h;
		struct bytes header;
		char text[2048];
		const char *fields = "Message-Instance: m=1; h=";

		snprintf(text, sizeof(text), "X-Later: 1\r\nReceived: late\r\n"
		    SIGNED("2", "2", "b.example")
		    "Message-Instance: m=2; h=$H; r=$J(%s)$;\r\n" ONE
		    "%s\r\nx\r\n", row[k].json, row[k].now);
		read_text(&h, &m, text, *state);
		assert_int_equal(h.n_states, 2);
		assert_true(h.states[0].is_known);
		assert_int_equal(history_header(&h, &m, 1, *state, &header),
		    0);
		if (!bytes_ends(header, bytes_of(row[k].was)))
			print_message("%s: %.*s\n", row[k].label,
			    BYTES_FMT(header));
		assert_true(bytes_starts(header,
		    BYTES_LIT("DKIM2-Signature: i=1;")));
		header = bytes_skip(header, bytes_find(header,
		    bytes_of(fields)));
		header = bytes_skip(header, bytes_find(header,
		    BYTES_LIT("\r\n")) + 2);
		kit_assert_bytes(header, row[k].was);
	}
}

static void
the_last_hop_is_the_message(void **state)
{
	struct dkim2_message m;
	struct history h;
	struct bytes header;

	read_text(&h, &m, "Received: late\r\n"
	    TWO("{\"h\":{\"a\":[]}}") "Received: x\r\n" ONE
	    "From: a@a.example\r\nA: 1\r\n\r\nx\r\n", *state);
	assert_int_equal(history_header(&h, &m, 2, *state, &header), 0);
	assert_true(bytes_eq(header, bytes_skip(m.header,
	    sizeof("Received: late\r\n") - 1)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(states_are_rebuilt_and_checked,
		    open_arena, close_arena),
		cmocka_unit_test_setup_teardown(one_good_group_is_enough,
		    open_arena, close_arena),
		cmocka_unit_test_setup_teardown(what_is_no_chain_has_no_states,
		    open_arena, close_arena),
		cmocka_unit_test_setup_teardown(
		    a_recipe_that_does_not_fit_ends_it, open_arena,
		    close_arena),
		cmocka_unit_test_setup_teardown(fields_go_back_to_their_places,
		    open_arena, close_arena),
		cmocka_unit_test_setup_teardown(the_last_hop_is_the_message,
		    open_arena, close_arena),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
