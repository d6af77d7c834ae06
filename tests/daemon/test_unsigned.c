#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/metrics.h"
#include "daemon/unsigned.h"

static const struct {
	const char *rule;
	unsigned word;
} cases[] = {
	{"no key for the domain of From", UNSIGNED_BY_NO_KEY},
	{"no key covers both the recipient's domain and the new MAIL FROM",
	    UNSIGNED_BY_NO_KEY},
	{"From does not hold exactly one mailbox", UNSIGNED_BY_FROM},
	{"the signing domain does not cover the From domain",
	    UNSIGNED_BY_FROM},
	{"a chain without an arrival record", UNSIGNED_BY_NO_ARRIVAL},
	{"its arrival is too long ago", UNSIGNED_BY_NO_ARRIVAL},
	{"it is of others, and there is no record of its arrival",
	    UNSIGNED_BY_NO_ARRIVAL},
	{"the chain is not Fully Verified", UNSIGNED_BY_VERDICT},
	{"the chain was not verified: verify is off", UNSIGNED_BY_VERDICT},
	{"a signature of the chain is too old by now", UNSIGNED_BY_VERDICT},
	{"no recipe describes what was changed", UNSIGNED_BY_CHANGE},
	{"it was changed, and there is no copy of what came",
	    UNSIGNED_BY_CHANGE},
	{"mail from <> is not adopted", UNSIGNED_BY_ADOPTION},
	{"adopting it needs another From, and from-rewrite leaves it",
	    UNSIGNED_BY_ADOPTION},
	{"From is ours, and no DKIM1 signature shows it",
	    UNSIGNED_BY_ADOPTION},
	{"it came without DKIM2", UNSIGNED_BY_ADOPTION},
	{"the next hop is ours, and signs", UNSIGNED_BY_INTERNAL},
	{"it could not be signed: on-failure", UNSIGNED_BY_FAILURE},
	{"a bounce of the server behind us", UNSIGNED_BY_BOUNCE},
	{"bypass", UNSIGNED_BY_BYPASS},
	{"the chain is as long as it may be", UNSIGNED_BY_OTHER},
};

/* P7: a word of a closed list for each sentence of the log. */
static void
sentences_have_a_word_P7(void **state)
{
	(void)state;
	for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++)
		assert_int_equal(unsigned_rule(cases[k].rule),
		    cases[k].word);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sentences_have_a_word_P7),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
