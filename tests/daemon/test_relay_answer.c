#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/relay_answer.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void
assert_text(struct bytes b, const char *text)
{
	assert_true(bytes_eq(b, bytes_of(text)));
}

/* The next hop's words in the client's session. */
static void
replies_become_answers(void **state)
{
	static const struct {
		int code;
		const char *enhanced, *text;
		int said;
		const char *said_enhanced, *said_text;
	} row[] = {
		{250, "2.6.0", "taken", 250, "2.6.0", "taken"},
		{550, "5.1.1", "no", 550, "5.1.1", "no"},
		{421, "4.3.2", "bye", 451, "4.3.2", "bye"},
		{421, "", "bye", 451, "4.0.0", "bye"},
		{250, "", "", 250, "2.0.0", "Ok"},
		{550, "2.0.0", "odd", 550, "5.0.0", "odd"},
		{452, "5.2.2", "odd", 452, "4.0.0", "odd"},
	};
	struct arena *a = arena_new(1 << 16);

	(void)state;
	for (size_t k = 0; k < COUNT(row); k++) {
		const struct smtp_reply reply = {
		    .code = row[k].code,
		    .enhanced = bytes_of(row[k].enhanced),
		    .text = bytes_of(row[k].text),
		};
		struct relay_answer got = relay_answer_of(&reply, a);

		assert_int_equal(got.code, row[k].said);
		assert_string_equal(got.enhanced, row[k].said_enhanced);
		assert_text(got.text, row[k].said_text);
	}
	arena_free(&a);
}

/* Q14: one answer for all; codes are the recipients', in order. */
static void
q14_answers_are_mixed(void **state)
{
	static const struct {
		int codes[4];
		int said;
		bool differ;
	} row[] = {
		{{250}, 250, false},
		{{550}, 550, false},
		{{250, 250, 250}, 250, false},
		{{250, 251}, 250, false},
		{{550, 552, 554}, 550, false},
		{{451, 452}, 451, false},
		{{250, 550}, 451, true},
		{{550, 250}, 451, true},
		{{250, 451}, 451, true},
		{{451, 550}, 451, true},
		{{250, 250, 250, 450}, 451, true},
	};

	(void)state;
	for (size_t k = 0; k < COUNT(row); k++) {
		struct relay_answer answers[4], got;
		const struct relay_answer *list[4];
		size_t n = 0;

		for (; n < 4 && row[k].codes[n] != 0; n++) {
			answers[n] = relay_answer_say(row[k].codes[n], "x",
			    n == 0 ? "first" : "other");
			list[n] = &answers[n];
		}
		assert_int_equal(relay_answers_mix(list, n, &got),
		    row[k].differ);
		assert_int_equal(got.code, row[k].said);
		if (!row[k].differ)
			assert_text(got.text, "first");
	}
}

/* Of one RCPT: what may still come about, what failed, what was delivered. */
static void
what_counts_for_an_alias(void **state)
{
	static const int order[] = {250, 251, 550, 554, 421, 451, 452};

	(void)state;
	for (size_t k = 0; k < 7; k++)
		for (size_t i = 0; i < 7; i++) {
			struct relay_answer a = {.code = order[k]};
			struct relay_answer b = {.code = order[i]};

			assert_int_equal(relay_answer_counts_more(&a, &b),
			    k > i && order[k] / 100 != order[i] / 100);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replies_become_answers),
		cmocka_unit_test(what_counts_for_an_alias),
		cmocka_unit_test(q14_answers_are_mixed),
	};

	return cmocka_run_group_tests_name("daemon/relay_answer", tests, NULL,
	    NULL);
}
