#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/rewrite.h"

static const struct bytes domains[] = {BYTES_LIT("fwd.example"),
    BYTES_LIT("other.example")};
static const struct bytes targets[] = {BYTES_LIT("all@home.example"),
    BYTES_LIT("A.b@home.example"), BYTES_LIT("b@home.example"),
    BYTES_LIT("c@fwd.example"), BYTES_LIT("d@fwd.example")};
static const struct config_alias aliases[] = {
	{BYTES_LIT("@other.example"), &targets[0], 1, 1},
	{BYTES_LIT("a@fwd.example"), &targets[1], 1, 1},
	{BYTES_LIT("c@fwd.example"), &targets[4], 1, 9},
	{BYTES_LIT("d@fwd.example"), &targets[3], 1, 9},
	{BYTES_LIT("e@fwd.example"), &targets[0], 3, 3},
};

struct row {
	const char *name;
	enum config_mail_from mail_from;
	const char *from, *to;
	int code;
	const char *from_out, *to_out;
};

static const struct row rows[] = {
	{"an alias, and MAIL FROM under the domain it came to", MAIL_FROM_FIXED,
	    "<x@origin.example>", "<a@fwd.example>", 0,
	    "<fw@fwd.example>", "<A.b@home.example>"},
	{"the domain of the recipient, not of the literal", MAIL_FROM_FIXED,
	    "<x@origin.example>", "<any@Other.example>", 0,
	    "<fw@Other.example>", "<all@home.example>"},
	{"the null path stays", MAIL_FROM_FIXED,
	    "<>", "<a@fwd.example>", 0, "<>", "<A.b@home.example>"},
	{"keep keeps", MAIL_FROM_KEEP,
	    "<x@origin.example>", "<a@fwd.example>", 0,
	    "<x@origin.example>", "<A.b@home.example>"},
	{"a circle, which no checked table has", MAIL_FROM_FIXED,
	    "<x@origin.example>", "<c@fwd.example>", 451, NULL, NULL},
	{"an address without a line", MAIL_FROM_FIXED,
	    "<x@origin.example>", "<nobody@fwd.example>", 550, NULL, NULL},
	{"what comes back is not taken yet", MAIL_FROM_FIXED,
	    "<>", "<FW@fwd.example>", 550, NULL, NULL},
	{"a listed client's mail to elsewhere is not ours to change",
	    MAIL_FROM_FIXED, "<x@origin.example>", "<y@far.example>", 0,
	    "<x@origin.example>", "<y@far.example>"},
};

static void
the_onward_envelope(void **state)
{
	(void)state;
	for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
		const struct config_listener l = {.role = ROLE_FORWARD,
		    .domains = domains, .n_domains = 2, .has_aliases = true,
		    .aliases = {aliases, 5, domains, 2, NULL}, .mail_from = rows[k].mail_from,
		    .mail_from_address = BYTES_LIT("fw@fwd.example")};
		struct arena *a = arena_new(1 << 16);
		struct smtp_path from, to;
		struct bytes rest;
		struct rewrite out;

		print_message("%s\n", rows[k].name);
		assert_int_equal(smtp_path_parse(bytes_of(rows[k].from), false,
		    &from, &rest), SMTP_PATH_OK);
		assert_int_equal(smtp_path_parse(bytes_of(rows[k].to), true,
		    &to, &rest), SMTP_PATH_OK);
		assert_int_equal(rewrite_envelope(&out, &l, &from, &to, a), 0);
		assert_int_equal(out.code, rows[k].code);
		if (out.code == 0) {
			assert_true(bytes_eq(out.mail_from,
			    bytes_of(rows[k].from_out)));
			assert_true(bytes_eq(out.rcpt_to,
			    bytes_of(rows[k].to_out)));
		}
		arena_free(&a);
	}
}

static void
an_alias_of_several_targets(void **state)
{
	static const char *const want[] = {"<all@home.example>",
	    "<A.b@home.example>", "<b@home.example>"};
	const struct config_listener l = {.role = ROLE_FORWARD,
	    .domains = domains, .n_domains = 2, .has_aliases = true,
	    .aliases = {aliases, 5, domains, 2, NULL},
	    .mail_from = MAIL_FROM_FIXED,
	    .mail_from_address = BYTES_LIT("fw@fwd.example")};
	struct arena *a = arena_new(1 << 16);
	struct smtp_path from, to;
	struct bytes rest;
	struct rewrite out;

	(void)state;
	assert_int_equal(smtp_path_parse(BYTES_LIT("<x@origin.example>"),
	    false, &from, &rest), SMTP_PATH_OK);
	assert_int_equal(smtp_path_parse(BYTES_LIT("<e@FWD.example>"), true,
	    &to, &rest), SMTP_PATH_OK);
	assert_int_equal(rewrite_envelope(&out, &l, &from, &to, a), 0);
	assert_int_equal(out.code, 0);
	assert_true(bytes_eq(out.mail_from, BYTES_LIT("<fw@FWD.example>")));
	assert_int_equal(out.n_rcpts, 3);
	for (size_t k = 0; k < 3; k++)
		assert_true(bytes_eq(out.rcpts[k], bytes_of(want[k])));
	assert_true(bytes_eq(out.rcpt_to, out.rcpts[0]));
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_onward_envelope),
		cmocka_unit_test(an_alias_of_several_targets),
	};

	return cmocka_run_group_tests_name("daemon/rewrite", tests, NULL, NULL);
}
