#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "daemon/rewrite.h"

#define NOW (303 * 86400LL)	/* the day that is written JP */
#define NOT_SO 571		/* 550 5.7.1 */
#define NOT_HERE 511		/* 550 5.1.1 */
#define TOKEN "hopseal="	/* any of 56 octets */

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
static const struct bytes secret[] = {BYTES_LIT("another secret of theirs"),
    BYTES_LIT("one that is retired")};
static const struct smtp_secrets both = {secret, 2};
static const struct smtp_secrets retired = {secret + 1, 1};
static const struct smtp_secrets none = {NULL, 0};

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
	    "<x@origin.example>", "<nobody@fwd.example>", NOT_HERE, NULL, NULL},
	{"nothing says where what comes back belongs", MAIL_FROM_FIXED,
	    "<>", "<FW@fwd.example>", NOT_SO, NULL, NULL},
	{"a listed client's mail to elsewhere is not ours to change",
	    MAIL_FROM_FIXED, "<x@origin.example>", "<y@far.example>", 0,
	    "<x@origin.example>", "<y@far.example>"},
	{"SRS, under the domain it came to", MAIL_FROM_SRS,
	    "<alice@one.example>", "<any@Other.example>", 0,
	    "<SRS0=9r4Q=JP=one.example=alice@Other.example>",
	    "<all@home.example>"},
	{"SRS leaves what fits", MAIL_FROM_SRS,
	    "<alice@FWD.example>", "<a@fwd.example>", 0,
	    "<alice@FWD.example>", "<A.b@home.example>"},
	{"SRS leaves what is below it", MAIL_FROM_SRS,
	    "<alice@sub.fwd.example>", "<a@fwd.example>", 0,
	    "<alice@sub.fwd.example>", "<A.b@home.example>"},
	{"from another domain of ours it does not fit", MAIL_FROM_SRS,
	    "<alice@other.example>", "<a@fwd.example>", 0,
	    "<SRS0=YfKg=JP=other.example=alice@fwd.example>",
	    "<A.b@home.example>"},
	{"SRS: the null path stays", MAIL_FROM_SRS,
	    "<>", "<a@fwd.example>", 0, "<>", "<A.b@home.example>"},
	{"SRS: a quoted local part has no form there", MAIL_FROM_SRS,
	    "<\"a b\"@one.example>", "<a@fwd.example>", 0,
	    TOKEN, "<A.b@home.example>"},
	{"SRS: nor has a literal", MAIL_FROM_SRS,
	    "<a@[192.0.2.1]>", "<a@fwd.example>", 0,
	    TOKEN, "<A.b@home.example>"},
	{"a token", MAIL_FROM_TOKEN,
	    "<alice@one.example>", "<a@fwd.example>", 0,
	    TOKEN, "<A.b@home.example>"},
	{"a token: the null path stays", MAIL_FROM_TOKEN,
	    "<>", "<a@fwd.example>", 0, "<>", "<A.b@home.example>"},
	{"a token only where it does not fit", MAIL_FROM_TOKEN,
	    "<alice@fwd.example>", "<a@fwd.example>", 0,
	    "<alice@fwd.example>", "<A.b@home.example>"},
	{"an address that we made", MAIL_FROM_SRS,
	    "<>", "<SRS0=9r4Q=JP=one.example=alice@fwd.example>", 0,
	    "<>", "<alice@one.example>"},
	{"its case folded", MAIL_FROM_SRS,
	    "<>", "<srs0=9r4q=jp=one.example=alice@fwd.example>", 0,
	    "<>", "<alice@one.example>"},
	{"but only from <>", MAIL_FROM_TOKEN,
	    "<x@y.example>", "<SRS0=9r4Q=JP=one.example=alice@fwd.example>",
	    NOT_SO, NULL, NULL},
	{"one that we did not make", MAIL_FROM_SRS,
	    "<>", "<SRS0=9r4R=JP=one.example=alice@fwd.example>", NOT_HERE,
	    NULL, NULL},
	{"nor does a line for all take it", MAIL_FROM_SRS,
	    "<>", "<SRS0=9r4R=JP=one.example=alice@other.example>", NOT_HERE,
	    NULL, NULL},
	{"no token of ours", MAIL_FROM_SRS,
	    "<>", "<hopseal=abc@other.example>", NOT_HERE, NULL, NULL},
	{"one of a month ago", MAIL_FROM_KEEP,
	    "<>", "<SRS0=ESd8=IP=one.example=alice@other.example>", NOT_HERE,
	    NULL, NULL},
	{"where we make none, what looks so is as any other", MAIL_FROM_KEEP,
	    "<x@y.example>", "<SRS0=9r4R=JP=one.example=alice@other.example>",
	    0, "<x@y.example>", "<all@home.example>"},
	{"but one of ours is known", MAIL_FROM_KEEP,
	    "<>", "<SRS0=9r4Q=JP=one.example=alice@other.example>", 0,
	    "<>", "<alice@one.example>"},
	{"of a domain that is not ours", MAIL_FROM_SRS,
	    "<>", "<SRS0=9r4Q=JP=one.example=alice@far.example>", 0,
	    "<>", "<SRS0=9r4Q=JP=one.example=alice@far.example>"},
};

static void
parse(const char *text, unsigned how, struct smtp_path *path)
{
	struct bytes rest;

	assert_int_equal(smtp_path_parse(bytes_of(text), how, path, &rest),
	    SMTP_PATH_OK);
}

static void
check_from(struct bytes got, const char *want)
{
	print_message("  %.*s\n", BYTES_FMT(got));
	if (strcmp(want, TOKEN) == 0) {
		assert_true(bytes_starts(got, BYTES_LIT("<" TOKEN)) &&
		    bytes_ends(got, BYTES_LIT("@fwd.example>")));
		assert_int_equal(bytes_index(got, '@'), 57);
	} else {
		assert_true(bytes_eq(got, bytes_of(want)));
	}
}

static void
check_code(const struct rewrite *out, int code)
{
	assert_int_equal(out->code, code > 550 || code == NOT_HERE ? 550 : code);
	if (out->code == 550)
		assert_string_equal(out->enhanced, code == NOT_SO ? "5.7.1" :
		    "5.1.1");
}

static void
the_onward_envelope(void **state)
{
	const struct rewrite_with with = {&both, NOW, NULL, NULL};

	(void)state;
	for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
		const struct config_listener l = {.role = ROLE_FORWARD,
		    .domains = domains, .n_domains = 2, .has_aliases = true,
		    .aliases = {aliases, 5, domains, 2, NULL}, .mail_from = rows[k].mail_from,
		    .mail_from_address = BYTES_LIT("fw@fwd.example")};
		struct arena *a = arena_new(1 << 16);
		struct smtp_path from, to;
		struct rewrite out;

		print_message("%s\n", rows[k].name);
		parse(rows[k].from, 0, &from);
		parse(rows[k].to, SMTP_PATH_IS_RCPT, &to);
		assert_int_equal(rewrite_envelope(&out, &l, &with, &from, &to,
		    a), 0);
		check_code(&out, rows[k].code);
		if (out.code == 0) {
			check_from(out.mail_from, rows[k].from_out);
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
	const struct rewrite_with with = {&both, NOW, NULL, NULL};
	struct rewrite out;

	(void)state;
	parse("<x@origin.example>", 0, &from);
	parse("<e@FWD.example>", SMTP_PATH_IS_RCPT, &to);
	assert_int_equal(rewrite_envelope(&out, &l, &with, &from, &to, a), 0);
	assert_int_equal(out.code, 0);
	assert_true(bytes_eq(out.mail_from, BYTES_LIT("<fw@FWD.example>")));
	assert_int_equal(out.n_rcpts, 3);
	for (size_t k = 0; k < 3; k++)
		assert_true(bytes_eq(out.rcpts[k], bytes_of(want[k])));
	assert_true(bytes_eq(out.rcpt_to, out.rcpts[0]));
	arena_free(&a);
}

/* By any listener that takes mail for the domain, with any secret. */
static void
what_was_made_before_is_known(void **state)
{
	static const enum config_role roles[] = {ROLE_FORWARD, ROLE_INBOUND};
	const struct rewrite_with old = {&retired, NOW, NULL, NULL},
	    with = {&both, NOW, NULL, NULL},
	    later = {&both, NOW + 22 * 86400, NULL, NULL},
	    bare = {&none, NOW, NULL, NULL};
	const struct config_listener maker = {.role = ROLE_FORWARD,
	    .domains = domains, .n_domains = 2, .mail_from = MAIL_FROM_TOKEN};
	struct arena *a = arena_new(1 << 16);
	struct smtp_path from, to, back;
	struct rewrite out;
	char text[80];

	(void)state;
	parse("<alice@one.example>", 0, &from);
	parse("<a@fwd.example>", SMTP_PATH_IS_RCPT, &to);
	assert_int_equal(rewrite_envelope(&out, &maker, &old, &from, &to, a),
	    0);
	snprintf(text, sizeof(text), "%.*s", BYTES_FMT(out.mail_from));
	parse(text, SMTP_PATH_IS_RCPT, &back);
	for (size_t k = 0; k < 2; k++) {
		const struct config_listener l = {.role = roles[k],
		    .domains = domains, .n_domains = 2};

		assert_int_equal(rewrite_envelope(&out, &l, &with, &from,
		    &back, a), 0);
		check_code(&out, NOT_SO);
		assert_int_equal(rewrite_envelope(&out, &l, &later, &from,
		    &back, a), 0);
		check_code(&out, NOT_HERE);
		assert_int_equal(rewrite_envelope(&out, &l, &bare, &from,
		    &back, a), 0);
		check_code(&out, 0);
	}
	/* without a secret none is made, and nothing is sent as it came */
	assert_int_not_equal(rewrite_envelope(&out, &maker, &bare, &from, &to,
	    a), 0);
	arena_free(&a);
}

struct kept {
	size_t n;
	uint8_t id[SMTP_TOKEN_ID];
	struct bytes path;
};

static void
keep(void *arg, const uint8_t id[SMTP_TOKEN_ID], struct bytes path)
{
	struct kept *k = arg;

	k->n++;
	memcpy(k->id, id, sizeof(k->id));
	k->path = path;
}

/* Of a token it is kept where it leads, under what is read from it; SRS says
 * it itself, and what stays needs no way back. */
static void
ways_back_are_kept(void **state)
{
	static const struct {
		enum config_mail_from how;
		const char *from;
		size_t n;
	} made[] = {
		{MAIL_FROM_TOKEN, "<Alice@one.example>", 1},
		{MAIL_FROM_TOKEN, "<alice@fwd.example>", 0},
		{MAIL_FROM_TOKEN, "<>", 0},
		{MAIL_FROM_SRS, "<alice@one.example>", 0},
		{MAIL_FROM_SRS, "<\"a b\"@one.example>", 1},
		{MAIL_FROM_FIXED, "<alice@one.example>", 0},
		{MAIL_FROM_KEEP, "<alice@one.example>", 0},
	};
	struct arena *a = arena_new(1 << 16);

	(void)state;
	for (size_t k = 0; k < sizeof(made) / sizeof(made[0]); k++) {
		const struct config_listener l = {.role = ROLE_FORWARD,
		    .mail_from = made[k].how,
		    .mail_from_address = BYTES_LIT("fw@fwd.example")};
		struct kept kept = {.n = 0};
		const struct rewrite_with with = {&both, NOW, keep, &kept};
		struct smtp_path from, back;
		uint8_t id[SMTP_TOKEN_ID];
		struct bytes path;
		char text[80];

		parse(made[k].from, 0, &from);
		assert_int_equal(rewrite_mail_from(&path, &l, &with, &from,
		    domains[0], a), 0);
		assert_int_equal(kept.n, made[k].n);
		if (kept.n == 0)
			continue;
		assert_true(bytes_eq(kept.path, bytes_of(made[k].from)));
		snprintf(text, sizeof(text), "%.*s", BYTES_FMT(path));
		parse(text, SMTP_PATH_IS_RCPT, &back);
		assert_int_equal(smtp_token_read(&both, back.local,
		    back.domain, NOW, id), SMTP_RETURN_GOOD);
		assert_memory_equal(id, kept.id, sizeof(id));
	}
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_onward_envelope),
		cmocka_unit_test(an_alias_of_several_targets),
		cmocka_unit_test(what_was_made_before_is_known),
		cmocka_unit_test(ways_back_are_kept),
	};

	return cmocka_run_group_tests_name("daemon/rewrite", tests, NULL, NULL);
}
