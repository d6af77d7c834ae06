#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "dkim2/dmarc.h"
#include "tests/dkim2/kit.h"

#define NONE DMARC_POLICY_NONE
#define QUARANTINE DMARC_POLICY_QUARANTINE
#define REJECT DMARC_POLICY_REJECT

static const struct {
	const char *text;
	enum dmarc_parse parsed;
	struct dmarc_record r;
} records[] = {
	{"v=DMARC1; p=none", DMARC_RECORD, {NONE, NONE, false, false, 100}},
	{"v=DMARC1;p=reject;", DMARC_RECORD,
	    {REJECT, REJECT, false, false, 100}},
	{" v = DMARC1 ;\tp = Reject ; sp=QUARANTINE ; adkim = S; aspf=s; "
	    "pct=0", DMARC_RECORD, {REJECT, QUARANTINE, true, true, 0}},
	{"v=DMARC1; p=quarantine; adkim=r; aspf=r; pct=99; ri=1; fo=0:1; "
	    "ruf=mailto:x@y; x=y", DMARC_RECORD,
	    {QUARANTINE, QUARANTINE, false, false, 99}},
	/* p= need not come second: what follows v= is read as it comes */
	{"v=DMARC1; rua=mailto:a@b; p=reject", DMARC_RECORD,
	    {REJECT, REJECT, false, false, 100}},
	/* nonsense is as if it were not there */
	{"v=DMARC1; p=reject; adkim=x; pct=101; ;; junk; =", DMARC_RECORD,
	    {REJECT, REJECT, false, false, 100}},
	{"v=DMARC1; p=reject; pct=-1", DMARC_RECORD,
	    {REJECT, REJECT, false, false, 100}},
	{"v=DMARC1; p=reject; p=none", DMARC_RECORD,
	    {REJECT, REJECT, false, false, 100}},
	{"v=DMARC1; p=reject; P=none", DMARC_RECORD,
	    {REJECT, REJECT, false, false, 100}},
	/* RFC 7489 6.6.3: no usable p= or sp= */
	{"v=DMARC1", DMARC_UNUSABLE, {NONE, NONE, false, false, 100}},
	{"v=DMARC1; p=", DMARC_UNUSABLE, {NONE, NONE, false, false, 100}},
	{"v=DMARC1; p=rejected", DMARC_UNUSABLE,
	    {NONE, NONE, false, false, 100}},
	{"v=DMARC1; p=reject; sp=all", DMARC_UNUSABLE,
	    {NONE, NONE, false, false, 100}},
	{"v=DMARC1; p=x; rua=mailto:a@b.example", DMARC_RECORD,
	    {NONE, NONE, false, false, 100}},
	{"v=DMARC1; rua=x, MAILTO:a@b.example!10m", DMARC_RECORD,
	    {NONE, NONE, false, false, 100}},
	{"v=DMARC1; p=reject; sp=all; rua=mailto:a@b", DMARC_RECORD,
	    {NONE, NONE, false, false, 100}},
	{"v=DMARC1; rua=mailto:nobody", DMARC_UNUSABLE,
	    {NONE, NONE, false, false, 100}},
	/* not ours */
	{"", DMARC_OTHER, {NONE, NONE, false, false, 100}},
	{"v=DMARC1x; p=none", DMARC_OTHER, {NONE, NONE, false, false, 100}},
	{"v=dmarc1; p=none", DMARC_OTHER, {NONE, NONE, false, false, 100}},
	{"V=DMARC1; p=none", DMARC_OTHER, {NONE, NONE, false, false, 100}},
	{"p=none; v=DMARC1", DMARC_OTHER, {NONE, NONE, false, false, 100}},
	{"v=DMARC1 p=none", DMARC_OTHER, {NONE, NONE, false, false, 100}},
	{"v=DMARC2; p=none", DMARC_OTHER, {NONE, NONE, false, false, 100}},
	{"v=spf1 -all", DMARC_OTHER, {NONE, NONE, false, false, 100}},
	{"DMARC1", DMARC_OTHER, {NONE, NONE, false, false, 100}},
};

static void
records_are_read_with_patience(void **state)
{
	(void)state;
	for (size_t k = 0; k < COUNT(records); k++) {
		struct dmarc_record r;

		if (dmarc_record_parse(&r, bytes_of(records[k].text)) !=
		    records[k].parsed || r.p != records[k].r.p)
			print_message("%s\n", records[k].text);
		assert_int_equal(dmarc_record_parse(&r,
		    bytes_of(records[k].text)), records[k].parsed);
		assert_int_equal(r.p, records[k].r.p);
		assert_int_equal(r.sp, records[k].r.sp);
		assert_true(r.is_dkim_strict == records[k].r.is_dkim_strict);
		assert_true(r.is_spf_strict == records[k].r.is_spf_strict);
		assert_int_equal(r.pct, records[k].r.pct);
	}
}

static const struct {
	const char *domain, *organisation;
} organisations[] = {
	{"example.com", "example.com"},
	{"a.b.Example.COM", "Example.COM"},
	{"example.co.uk", "example.co.uk"},
	{"mail.example.co.uk", "example.co.uk"},
	{"co.uk", "co.uk"},
	{"com", "com"},
	{"localhost", "localhost"},
	{"a.b.c.unknown-suffix", "c.unknown-suffix"},
	{"www.city.kawasaki.jp", "city.kawasaki.jp"},	/* an exception */
	{"a.b.kawasaki.jp", "a.b.kawasaki.jp"},		/* a wildcard */
	{"x.user.github.io", "user.github.io"},		/* a private one */
	{"a.b.xn--p1ai", "b.xn--p1ai"},
	{"a.b.xn--55qx5d.cn", "b.xn--55qx5d.cn"},
	{"", ""},
	{"a..com", "a..com"},
	{"a.com.", "a.com."},
	{"[192.0.2.1]", "[192.0.2.1]"},
};

static void
organisations_are_those_of_the_list(void **state)
{
	(void)state;
	for (size_t k = 0; k < COUNT(organisations); k++)
		kit_assert_bytes(dmarc_organisation(
		    bytes_of(organisations[k].domain)),
		    organisations[k].organisation);
}

static const struct {
	const char *a, *b;
	bool relaxed, strict;
} pairs[] = {
	{"example.org", "Example.ORG", true, true},
	{"example.org", "mail.example.org", true, false},
	{"a.example.org", "b.example.org", true, false},
	{"example.org", "xample.org", false, false},
	{"a.co.uk", "b.co.uk", false, false},
	{"co.uk", "b.co.uk", false, false},
	{"a.github.io", "b.github.io", false, false},
	{"", "", false, false},
	{"example.org", "", false, false},
	{"b\xc3\xbc""cher.example", "xn--bcher-kva.example", true, true},
	{"a.b\xc3\xbc""cher.example", "XN--bcher-kva.example", true, false},
	{"[192.0.2.1]", "[192.0.2.1]", false, false},
	{"\xff.example", "\xff.example", false, false},
};

static void
domains_are_aligned_or_not(void **state)
{
	(void)state;
	for (size_t k = 0; k < COUNT(pairs); k++) {
		struct bytes a = bytes_of(pairs[k].a), b = bytes_of(pairs[k].b);

		assert_true(dmarc_aligned(a, b, false) == pairs[k].relaxed);
		assert_true(dmarc_aligned(b, a, false) == pairs[k].relaxed);
		assert_true(dmarc_aligned(a, b, true) == pairs[k].strict);
	}
}

#define TEMPFAIL "!"	/* in place of a record */

static const struct {
	const char *from;
	const char *own, *own2, *above;		/* NULL: none */
	const char *signer, *spf;
	size_t n_asked;
	enum dmarc_state state;
	enum dmarc_policy policy;
} searches[] = {
	{"example.org", "v=DMARC1; p=reject", NULL, NULL, "example.org", "",
	    1, DMARC_PASS, REJECT},
	{"Example.org", "v=DMARC1; p=reject", NULL, NULL, "a.example.ORG", "",
	    1, DMARC_PASS, REJECT},
	{"example.org", "v=DMARC1; p=reject; adkim=s", NULL, NULL,
	    "a.example.org", "", 1, DMARC_FAIL, REJECT},
	{"example.org", "v=DMARC1; p=reject", NULL, NULL, NULL, "", 1,
	    DMARC_FAIL, REJECT},
	{"example.org", "v=DMARC1; p=reject", NULL, NULL, NULL,
	    "b.example.org", 1, DMARC_PASS, REJECT},
	{"example.org", "v=DMARC1; p=reject; aspf=s", NULL, NULL, NULL,
	    "b.example.org", 1, DMARC_FAIL, REJECT},
	{"example.org", "v=DMARC1; p=reject", NULL, NULL, "evil.example",
	    "evil.example", 1, DMARC_FAIL, REJECT},
	{"example.org", NULL, NULL, NULL, "example.org", "", 1, DMARC_NONE,
	    NONE},
	/* the organisation's record holds for subdomains */
	{"a.b.example.org", NULL, NULL, "v=DMARC1; p=reject; sp=quarantine",
	    "example.org", "", 2, DMARC_PASS, QUARANTINE},
	{"a.b.example.org", NULL, NULL, "v=DMARC1; p=reject", NULL, "", 2,
	    DMARC_FAIL, REJECT},
	{"a.example.org", "v=DMARC1; p=none", NULL,
	    "v=DMARC1; p=reject", NULL, "", 1, DMARC_FAIL, NONE},
	{"a.example.org", "v=DMARC1; p=none; sp=reject", NULL, NULL, NULL, "",
	    1, DMARC_FAIL, NONE},
	{"a.example.org", NULL, NULL, NULL, NULL, "", 2, DMARC_NONE, NONE},
	{"a.example.org", "v=spf1 -all", NULL, "v=DMARC1; p=reject", NULL, "",
	    2, DMARC_FAIL, REJECT},
	{"a.example.co.uk", NULL, NULL, "v=DMARC1; p=reject", NULL, "", 2,
	    DMARC_FAIL, REJECT},
	{"co.uk", NULL, NULL, NULL, NULL, "", 1, DMARC_NONE, NONE},
	/* several, unusable, unavailable */
	{"a.example.org", "v=DMARC1; p=none", "v=DMARC1; p=none",
	    "v=DMARC1; p=reject", NULL, "", 1, DMARC_PERMERROR, NONE},
	{"example.org", "v=DMARC1; p=none", "other", NULL, NULL, "", 1,
	    DMARC_FAIL, NONE},
	{"example.org", "v=DMARC1; p=none", "v=DMARC1", NULL, NULL, "", 1,
	    DMARC_PERMERROR, NONE},
	{"a.example.org", "v=DMARC1", NULL, "v=DMARC1; p=reject", NULL, "", 1,
	    DMARC_PERMERROR, NONE},
	{"a.example.org", TEMPFAIL, NULL, "v=DMARC1; p=reject",
	    "a.example.org", "", 1, DMARC_TEMPERROR, NONE},
	{"a.example.org", NULL, NULL, TEMPFAIL, "a.example.org", "", 2,
	    DMARC_TEMPERROR, NONE},
	/* nobody to ask */
	{"", NULL, NULL, NULL, "example.org", "", 0, DMARC_NONE, NONE},
	{"[192.0.2.1]", NULL, NULL, NULL, NULL, "", 0, DMARC_NONE, NONE},
	{"a..org", NULL, NULL, NULL, NULL, "", 0, DMARC_NONE, NONE},
	{"\xc3.example", NULL, NULL, NULL, NULL, "", 0, DMARC_NONE, NONE},
};

/* Answers from row k; how often it was asked. */
static size_t
search(struct dmarc *d, size_t k)
{
	size_t n_asked = 0;

	while (dmarc_step(d) == DKIM2_WANT_KEY) {
		const char *text = n_asked == 0 ? searches[k].own :
		    searches[k].above;
		struct bytes found[2];
		size_t n = 0;

		assert_true(bytes_starts(dmarc_want(d), BYTES_LIT("_dmarc.")));
		if (text != NULL && strcmp(text, TEMPFAIL) == 0) {
			dmarc_answer(d, DKIM2_KEY_TEMPFAIL, NULL, 0);
			n_asked++;
			continue;
		}
		if (text != NULL)
			found[n++] = bytes_of(text);
		if (n_asked == 0 && searches[k].own2 != NULL)
			found[n++] = bytes_of(searches[k].own2);
		dmarc_answer(d, n == 0 ? DKIM2_KEY_ABSENT : DKIM2_KEY_TXT,
		    found, n);
		n_asked++;
	}
	return n_asked;
}

static void
a_policy_is_found_and_judged(void **state)
{
	(void)state;
	for (size_t k = 0; k < COUNT(searches); k++) {
		struct arena *a = arena_new(4096);
		struct dmarc *d;
		struct dmarc_verdict v;
		struct bytes signer = {NULL, 0};

		assert_int_equal(dmarc_new(&d, a, bytes_of(searches[k].from)),
		    0);
		assert_int_equal(search(d, k), searches[k].n_asked);
		/* a late answer changes nothing */
		dmarc_answer(d, DKIM2_KEY_TEMPFAIL, NULL, 0);
		if (searches[k].signer != NULL)
			signer = bytes_of(searches[k].signer);
		v = dmarc_judge(d, &signer, searches[k].signer != NULL,
		    bytes_of(searches[k].spf));
		if (v.state != searches[k].state)
			print_message("%zu %s: %s\n", k, searches[k].from,
			    dmarc_state_name(v.state));
		assert_int_equal(v.state, searches[k].state);
		assert_int_equal(v.policy, searches[k].policy);
		assert_true(v.has_policy == (v.state == DMARC_PASS ||
		    v.state == DMARC_FAIL));
		assert_true(bytes_case_eq(v.from, bytes_of(searches[k].from)));
		arena_free(&a);
	}
}

static void
the_names_asked_for_are_these(void **state)
{
	struct arena *a = arena_new(4096);
	struct dmarc *d;
	struct bytes other = BYTES_LIT("x"), record = BYTES_LIT(
	    "v=DMARC1; p=reject; pct=7");

	(void)state;
	assert_int_equal(dmarc_new(&d, a, BYTES_LIT("A.B.Example.Co.UK")), 0);
	kit_assert_bytes(dmarc_want(d), "_dmarc.a.b.example.co.uk");
	dmarc_answer(d, DKIM2_KEY_TXT, &other, 1);
	kit_assert_bytes(dmarc_want(d), "_dmarc.example.co.uk");
	dmarc_answer(d, DKIM2_KEY_TXT, &record, 1);
	assert_int_equal(dmarc_step(d), DKIM2_DONE);
	assert_int_equal(dmarc_judge(d, NULL, 0, other).pct, 7);
	kit_assert_bytes(dmarc_judge(d, NULL, 0, other).from,
	    "a.b.example.co.uk");
	assert_int_equal(dmarc_new(&d, a, BYTES_LIT("M.B\xc3\xbc""cher.De")), 0);
	kit_assert_bytes(dmarc_want(d), "_dmarc.m.xn--bcher-kva.de");
	dmarc_answer(d, DKIM2_KEY_ABSENT, NULL, 0);
	kit_assert_bytes(dmarc_want(d), "_dmarc.xn--bcher-kva.de");
	arena_free(&a);
}

static void
a_full_arena_is_an_error(void **state)
{
	bool is_done = false;

	(void)state;
	for (size_t cap = 8; !is_done; cap += 8) {
		struct arena *a = arena_new(cap);
		struct dmarc *d;
		int r = dmarc_new(&d, a, BYTES_LIT("a.example.org"));

		assert_true(r == 0 || r == -E_NOMEM);
		is_done = r == 0;
		arena_free(&a);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_are_read_with_patience),
		cmocka_unit_test(organisations_are_those_of_the_list),
		cmocka_unit_test(domains_are_aligned_or_not),
		cmocka_unit_test(a_policy_is_found_and_judged),
		cmocka_unit_test(the_names_asked_for_are_these),
		cmocka_unit_test(a_full_arena_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
