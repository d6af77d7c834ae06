#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/keywatch.h"

#define ED "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
#define ED2 "v=DKIM1; k=ed25519; p=21qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="

static const struct {
	const char *records[2];
	const char *why;
} cases[] = {
	{{ED}, NULL},
	{{"p=11qYAYKxCrfVS/7TyWQHOg7hcvPa piMlrwIaaPcHURo=; k=ed25519;"
	    " n=a note"}, NULL},
	{{NULL}, "is not in the DNS"},
	{{ED, ED}, "in the DNS is one of several, and verifiers take none"},
	{{ED2}, "in the DNS is that of another key"},
	{{"v=DKIM1; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="},
	    "in the DNS is that of another key"},
	{{"v=DKIM1; k=ed25519; p="}, "in the DNS is revoked (p= is empty)"},
	{{"hello"}, "in the DNS is no key record"},
};

static void
records_are_compared_as_keys(void **state)
{
	(void)state;
	for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
		struct arena *a = arena_new(1 << 16);
		struct bytes records[2];
		size_t n = 0;
		const char *why;

		for (; n < 2 && cases[k].records[n] != NULL; n++)
			records[n] = bytes_of(cases[k].records[n]);
		why = keywatch_compare(BYTES_LIT(ED), records, n, a);
		if (cases[k].why == NULL)
			assert_null(why);
		else
			assert_string_equal(why, cases[k].why);
		arena_free(&a);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_are_compared_as_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
