#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "daemon/policy.h"

#define V4 [10] = 0xff, [11] = 0xff

static const struct config_net inside[] = {
	{{V4, 10, 0, 0, 0}, 104},
	{{V4, 192, 0, 2, 7}, 128},
};
static const struct bytes banks[] = {BYTES_LIT("bank.example"),
    BYTES_LIT("x.post.example")};

/* The last two are of the first condition again: the first that fits counts. */
static const struct config_policy rules[] = {
	{CONDITION_LEFT, ACTION_ACCEPT, inside, 2, NULL, 0},
	{CONDITION_LEFT, ACTION_ANNOTATE, NULL, 0, banks, 2},
	{CONDITION_NEVER_ENTERED, ACTION_REFUSE, NULL, 0, banks, 2},
	{CONDITION_NEVER_LEFT, ACTION_REFUSE, inside, 2, banks, 2},
	{CONDITION_LEFT, ACTION_REFUSE, NULL, 0, NULL, 0},
};

static const struct {
	enum dkim2_condition condition;
	uint8_t client[16];
	const char *mail_from, *from;
	int rule;		/* from 1; 0: none */
} rows[] = {
	{DKIM2_LEFT, {V4, 10, 255, 0, 1}, "bank.example", "bank.example", 1},
	{DKIM2_LEFT, {V4, 192, 0, 2, 7}, "", "", 1},
	{DKIM2_LEFT, {V4, 192, 0, 2, 8}, "a.BANK.example", "other.example", 2},
	{DKIM2_LEFT, {V4, 11, 0, 0, 1}, "other.example", "x.post.example", 2},
	{DKIM2_LEFT, {V4, 11, 0, 0, 1}, "", "post.example", 5},
	{DKIM2_LEFT, {V4, 11, 0, 0, 1}, "xbank.example", "", 5},
	{DKIM2_NEVER_ENTERED, {V4, 11, 0, 0, 1}, "", "bank.example", 3},
	{DKIM2_NEVER_ENTERED, {V4, 10, 0, 0, 1}, "", "", 0},
	{DKIM2_NEVER_ENTERED, {V4, 10, 0, 0, 1}, "o.example", "p.example", 0},
	{DKIM2_NEVER_LEFT, {V4, 10, 0, 0, 1}, "bank.example", "", 4},
	{DKIM2_NEVER_LEFT, {V4, 11, 0, 0, 1}, "bank.example", "", 0},
	{DKIM2_NEVER_LEFT, {V4, 10, 0, 0, 1}, "o.example", "", 0},
	{DKIM2_UNCLEAR, {V4, 10, 0, 0, 1}, "bank.example", "bank.example", 0},
};

static void
the_first_rule_that_fits(void **state)
{
	static const struct config_listener l = {.policy = rules,
	    .n_policy = 5}, none = {.n_policy = 0};

	(void)state;
	for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
		const struct policy_facts f = {rows[k].condition,
		    rows[k].client, bytes_of(rows[k].mail_from),
		    bytes_of(rows[k].from)};
		const struct config_policy *rule = policy_find(&l, &f);

		assert_int_equal(rule == NULL ? 0 : rule - rules + 1,
		    rows[k].rule);
		assert_null(policy_find(&none, &f));
	}
	for (size_t k = 0; k < 5; k++)
		assert_in_range(strlen(policy_text(&rules[k])), 20, 200);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_rule_that_fits),
	};

	return cmocka_run_group_tests_name("daemon/policy", tests, NULL, NULL);
}
