#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "dkim2/instance.h"
#include "dkim2/keyrec.h"
#include "dkim2/signature.h"
#include "dkim2/taglist.h"
#include "tests/dkim2/kit.h"

#define L63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

/* V13: what a tag list is. */
static void
tag_lists(void **state)
{
	static const struct {
		const char *in;
		bool is_good;
		size_t n;
	} row[] = {
		{"a=b", true, 1},
		{" a = b ; c=d ; ", true, 2},
		{"\r\n\ta=\r\n b c\r\n ;\r\n c=d", true, 2},
		{"a=", true, 1},
		{"a=b=c", true, 1},
		{"a=1;A=2;a_1=3", true, 3},
		{"", false, 0},
		{";", false, 0},
		{" \r\n ", false, 0},
		{"a=b;;", false, 1},
		{"a=b;;c=d", false, 2},
		{";a=b", false, 1},
		{"a", false, 0},
		{"a b=c", false, 0},
		{"=c", false, 0},
		{"1a=c", false, 0},
		{"_a=c", false, 0},
		{"a-b=c", false, 0},
		{"a=1;a=1", false, 1},
		{"x=1;i=2;x=3", false, 2},
		{"a=\x01", false, 1},
		{"a=\xc3\xa9", false, 1},
		{"a=b\rc", false, 1},
		{"a=b\nc", false, 1},
		{"a=b\r", false, 1},
	};

	(void)state;
	for (size_t k = 0; k < COUNT(row); k++) {
		struct taglist t;

		taglist_parse(&t, bytes_of(row[k].in));
		assert_int_equal(t.is_bad, !row[k].is_good);
		assert_int_equal(t.n, row[k].n);
	}
}

/* V13: an octet behind a NUL is looked at like any other. */
static void
a_nul_is_an_octet(void **state)
{
	struct taglist t;
	struct bytes value;

	(void)state;
	taglist_parse(&t, BYTES_LIT("a=b\0;c=d"));
	assert_true(t.is_bad);
	assert_true(taglist_find(&t, "c", &value));
}

static void
tags_are_bounded(void **state)
{
	(void)state;
	for (unsigned n = TAGLIST_MAX; n <= TAGLIST_MAX + 1; n++) {
		uint8_t room[1000];
		struct buf text = BUF_ON(room);
		struct taglist t;

		for (unsigned k = 0; k < n; k++)
			buf_printf(&text, "a%u=;", k);
		taglist_parse(&t, buf_bytes(&text));
		assert_int_equal(t.n, TAGLIST_MAX);
		assert_int_equal(t.is_bad, n > TAGLIST_MAX);
	}
}

static enum dkim2_reason
instance_reason(const char *value, struct instance *in, struct arena *a)
{
	struct dkim2_field f = {.value = bytes_of(value)};
	struct dkim2_limits limits;

	dkim2_limits_default(&limits);
	assert_int_equal(instance_parse(in, &f, &limits, a), 0);
	assert_int_equal(in->fault.number, in->fault.state == DKIM2_PASS ? 0 :
	    in->m);
	return in->fault.reason;
}

/* V12: base64 is canonical once white space is out. */
static void
instances(void **state)
{
	static const struct {
		const char *value;
		enum dkim2_reason reason;
		uint32_t m;
	} row[] = {
		{"m=1;h=sha256:AAAA:BBBB", DKIM2_OK, 1},
		{" m = 001 ; h = sha256 : AA\r\n AA : BB BB | x:AAAA:AA==; ",
		 DKIM2_OK, 1},
		{"h=sha256:AAAA:BBBB;m=4294967295;zz=", DKIM2_OK, 4294967295},
		{"m=4294967296;h=sha256:AAAA:BBBB", DKIM2_OK, 0},
		{"m=4294967297;h=sha256:AAAA:BBBB", DKIM2_OK, 0},
		{"m=18446744073709551617;h=sha256:AAAA:BBBB", DKIM2_OK, 0},
		{"m=+1;h=sha256:AAAA:BBBB", DKIM2_OK, 0},
		{"m=-1;h=sha256:AAAA:BBBB", DKIM2_OK, 0},
		{"m=1 1;h=sha256:AAAA:BBBB", DKIM2_OK, 0},
		{"m=;h=sha256:AAAA:BBBB", DKIM2_OK, 0},
		{"M=1;h=sha256:AAAA:BBBB", DKIM2_OK, 0},
		{"m=7", DKIM2_INSTANCE_TAG_MISSING, 7},
		{"m=7;H=sha256:AAAA:BBBB", DKIM2_INSTANCE_TAG_MISSING, 7},
		{"m=7;h=sha256:AAAA:BBBB;m=8", DKIM2_INSTANCE_SYNTAX, 7},
		{"m=1;h=", DKIM2_INSTANCE_SYNTAX, 1},
		{"m=1;h=sha256", DKIM2_INSTANCE_SYNTAX, 1},
		{"m=1;h=sha256:AAAA", DKIM2_INSTANCE_SYNTAX, 1},
		{"m=1;h=sha256:AAAA:", DKIM2_INSTANCE_SYNTAX, 1},
		{"m=1;h=sha256::AAAA", DKIM2_INSTANCE_SYNTAX, 1},
		{"m=1;h=:AAAA:AAAA", DKIM2_INSTANCE_SYNTAX, 1},
		{"m=1;h=sha 256:AAAA:AAAA", DKIM2_INSTANCE_SYNTAX, 1},
		{"m=1;h=sha256:AAAA:AAAA:AAAA", DKIM2_INSTANCE_SYNTAX, 1},
		{"m=1;h=sha256:AAA:AAAA", DKIM2_INSTANCE_SYNTAX, 1},
		{"m=1;h=sha256:AA:AAAA", DKIM2_INSTANCE_SYNTAX, 1},
		{"m=1;h=sha256:AB==:AAAA", DKIM2_INSTANCE_SYNTAX, 1},
		{"m=1;h=sha256:A-_A:AAAA", DKIM2_INSTANCE_SYNTAX, 1},
		{"m=1;h=sha256:AAAA:AA==AAAA", DKIM2_INSTANCE_SYNTAX, 1},
		{"m=1;h=sha256:AAAA:BBBB,", DKIM2_INSTANCE_SYNTAX, 1},
		{"m=1;h=sha256:AAAA:BBBB||x:AAAA:AAAA", DKIM2_INSTANCE_SYNTAX,
		 1},
		{"m=1;h=|sha256:AAAA:BBBB", DKIM2_INSTANCE_SYNTAX, 1},
		{"m=1;h=a:AAAA:AAAA,b:AAAA:AAAA|a:AAAA:AAAA",
		 DKIM2_INSTANCE_HASH_TWICE, 1},
		{"m=1;h=a:AAAA:AAAA,A:AAAA:AAAA", DKIM2_OK, 1},
		{"m=1;h=1:AAAA:AAAA,2:AAAA:AAAA,3:AAAA:AAAA,4:AAAA:AAAA,"
		 "5:AAAA:AAAA,6:AAAA:AAAA,7:AAAA:AAAA,8:AAAA:AAAA", DKIM2_OK,
		 1},
		{"m=1;h=1:AAAA:AAAA,2:AAAA:AAAA,3:AAAA:AAAA,4:AAAA:AAAA,"
		 "5:AAAA:AAAA,6:AAAA:AAAA,7:AAAA:AAAA,8:AAAA:AAAA,"
		 "9:AAAA:AAAA", DKIM2_INSTANCE_SYNTAX, 1},
		{"m=1;h=sha256:AAAA:BBBB;r=", DKIM2_INSTANCE_SYNTAX, 1},
		{"m=1;h=sha256:AAAA:BBBB;r=*", DKIM2_INSTANCE_SYNTAX, 1},
		{"m=1;h=sha256:AAAA:BBBB;r=AAAA", DKIM2_INSTANCE_JSON, 1},
		{"m=1;h=sha256:AAAA:BBBB;r=W10=", DKIM2_INSTANCE_RECIPE, 1},
		{"m=2;h=sha256:AAAA:BBBB;r=eyJiIjpudWxsfQ==",
		 DKIM2_INSTANCE_NULL_RECIPE, 2},
	};
	struct arena *a = arena_new(KIT_ARENA);

	(void)state;
	for (size_t k = 0; k < COUNT(row); k++) {
		struct instance in;

		if (instance_reason(row[k].value, &in, a) != row[k].reason)
			print_message("%s\n", row[k].value);
		assert_int_equal(in.fault.reason, row[k].reason);
		assert_int_equal(in.m, row[k].m);
	}
	arena_free(&a);
}

/* A recipe past the limit is not even read. */
static void
recipes_have_a_limit(void **state)
{
	/* {"b":[]} */
	struct dkim2_field f = {.value =
	    BYTES_LIT("m=2;h=sha256:AAAA:BBBB;r=eyJiIjpbXX0=")};
	struct arena *a = arena_new(KIT_ARENA);
	struct dkim2_limits limits;
	struct instance in;

	(void)state;
	dkim2_limits_default(&limits);
	for (limits.max_recipe = 7; limits.max_recipe <= 8;
	    limits.max_recipe++) {
		assert_int_equal(instance_parse(&in, &f, &limits, a), 0);
		assert_int_equal(in.fault.reason, limits.max_recipe == 8 ?
		    DKIM2_OK : DKIM2_RECIPE_WORK);
	}
	arena_free(&a);
}

static void
signatures(void **state)
{
#define MF "mf=PGFAYi5leGFtcGxlPg=="	/* <a@b.example> */
#define RT "rt=PGFAYi5leGFtcGxlPg=="
#define SIG(t, d, p, s) "i=1;m=1;t=" t ";d=" d ";" p ";s=" s
#define PLAIN(more) SIG("1", "b.example", MF ";" RT more, "k:x:AAAA")
	static const struct {
		const char *value;
		enum dkim2_reason reason;
		const char *tag;
	} row[] = {
		{PLAIN(""), DKIM2_OK, NULL},
		{PLAIN(";n="), DKIM2_OK, NULL},
		{PLAIN(";n=a:b/c=d"), DKIM2_OK, NULL},
		{PLAIN(";n=" L63 "a"), DKIM2_OK, NULL},
		{PLAIN(";n=" L63 "ab"), DKIM2_SIGNATURE_SYNTAX, NULL},
		{PLAIN(";n=a b"), DKIM2_SIGNATURE_SYNTAX, NULL},
		{PLAIN(";f=exploded , zork_1"), DKIM2_OK, NULL},
		{PLAIN(";f=feedback,"), DKIM2_SIGNATURE_SYNTAX, NULL},
		{PLAIN(";f="), DKIM2_SIGNATURE_SYNTAX, NULL},
		{PLAIN(";f=a b"), DKIM2_SIGNATURE_SYNTAX, NULL},
		{PLAIN(",PD4="), DKIM2_SIGNATURE_SYNTAX, NULL},
		{PLAIN(","), DKIM2_SIGNATURE_SYNTAX, NULL},
		{PLAIN(";nd=c.example"), DKIM2_SIGNATURE_TAG_UNEXPECTED, "nd"},
		/* V11: times */
		{SIG("1000000000000", "b.example", MF ";" RT, "k:x:AAAA"),
		 DKIM2_OK, NULL},
		{SIG("9223372036854775807", "b.example", MF ";" RT,
		    "k:x:AAAA"), DKIM2_OK, NULL},
		{SIG("9223372036854775808", "b.example", MF ";" RT,
		    "k:x:AAAA"), DKIM2_SIGNATURE_SYNTAX, NULL},
		{SIG("-1", "b.example", MF ";" RT, "k:x:AAAA"),
		 DKIM2_SIGNATURE_SYNTAX, NULL},
		{SIG("1e9", "b.example", MF ";" RT, "k:x:AAAA"),
		 DKIM2_SIGNATURE_SYNTAX, NULL},
		{SIG("", "b.example", MF ";" RT, "k:x:AAAA"),
		 DKIM2_SIGNATURE_SYNTAX, NULL},
		/* D10: names that are none cost no look-up */
		{SIG("1", L63 "." L63 "." L63 ".b-_c.example", MF ";" RT,
		    "k:x:AAAA"), DKIM2_OK, NULL},
		{SIG("1", L63 "a.example", MF ";" RT, "k:x:AAAA"),
		 DKIM2_SIGNATURE_SYNTAX, NULL},
		{SIG("1", L63 "." L63 "." L63 "." L63, MF ";" RT, "k:x:AAAA"),
		 DKIM2_SIGNATURE_SYNTAX, NULL},
		{SIG("1", "example", MF ";" RT, "k:x:AAAA"),
		 DKIM2_SIGNATURE_SYNTAX, NULL},
		{SIG("1", "b..example", MF ";" RT, "k:x:AAAA"),
		 DKIM2_SIGNATURE_SYNTAX, NULL},
		{SIG("1", ".b.example", MF ";" RT, "k:x:AAAA"),
		 DKIM2_SIGNATURE_SYNTAX, NULL},
		{SIG("1", "b.example.", MF ";" RT, "k:x:AAAA"),
		 DKIM2_SIGNATURE_SYNTAX, NULL},
		{SIG("1", "*.example", MF ";" RT, "k:x:AAAA"),
		 DKIM2_SIGNATURE_SYNTAX, NULL},
		{SIG("1", "b .example", MF ";" RT, "k:x:AAAA"),
		 DKIM2_SIGNATURE_SYNTAX, NULL},
		{SIG("1", "", MF ";" RT, "k:x:AAAA"), DKIM2_SIGNATURE_SYNTAX,
		 NULL},
		{SIG("1", L63 "." L63 "." L63 ".example", MF ";" RT,
		    L63 ":x:AAAA"), DKIM2_SIGNATURE_SYNTAX, NULL},
		{SIG("1", "b.example", "nd=c.example", "k:x:AAAA"), DKIM2_OK,
		 NULL},
		{SIG("1", "b.example", "nd=c.example;" RT, "k:x:AAAA"),
		 DKIM2_SIGNATURE_TAG_UNEXPECTED, "nd"},
		{SIG("1", "b.example", "nd=" L63 "." L63 "." L63 "." L63,
		    "k:x:AAAA"), DKIM2_SIGNATURE_SYNTAX, NULL},
		{SIG("1", "b.example", "nd=example", "k:x:AAAA"),
		 DKIM2_SIGNATURE_SYNTAX, NULL},
		{SIG("1", "b.example", "nd=", "k:x:AAAA"),
		 DKIM2_SIGNATURE_SYNTAX, NULL},
		/* paths */
		{SIG("1", "b.example", "mf=PD4=;" RT, "k:x:AAAA"), DKIM2_OK,
		 NULL},
		{SIG("1", "b.example", "mf=;" RT, "k:x:AAAA"),
		 DKIM2_SIGNATURE_SYNTAX, NULL},
		{SIG("1", "b.example", "mf=YUBiLmV4YW1wbGU=;" RT, "k:x:AAAA"),
		 DKIM2_SIGNATURE_SYNTAX, NULL},
		{SIG("1", "b.example", "mf=PGENCkBiPg==;" RT, "k:x:AAAA"),
		 DKIM2_SIGNATURE_SYNTAX, NULL},
		{SIG("1", "b.example", "mf=PGFAYg==;" RT, "k:x:AAAA"),
		 DKIM2_SIGNATURE_SYNTAX, NULL},	/* <a@b */
		{SIG("1", "b.example", "mf=PGF/Pg==;" RT, "k:x:AAAA"),
		 DKIM2_SIGNATURE_SYNTAX, NULL},	/* <a DEL > */
		{SIG("1", "b.example", "mf=PMOpQGIuYz4=;" RT, "k:x:AAAA"),
		 DKIM2_OK, NULL},		/* e acute in UTF-8 */
		{SIG("1", "b.example", "mf=POlAYi5jPg==;" RT, "k:x:AAAA"),
		 DKIM2_SIGNATURE_SYNTAX, NULL},	/* in Latin-1 */
		{SIG("1", "b.example", "mf=PA==;" RT, "k:x:AAAA"),
		 DKIM2_SIGNATURE_SYNTAX, NULL},
		{SIG("1", "b.example", RT, "k:x:AAAA"),
		 DKIM2_SIGNATURE_TAG_MISSING, "mf"},
		{SIG("1", "b.example", MF, "k:x:AAAA"),
		 DKIM2_SIGNATURE_TAG_MISSING, "rt"},
		/* members */
		{SIG("1", "b.example", MF ";" RT, "a.b:x:AA\r\n AA | c:y:AA=="),
		 DKIM2_OK, NULL},
		{SIG("1", "b.example", MF ";" RT, ""), DKIM2_SIGNATURE_SYNTAX,
		 NULL},
		{SIG("1", "b.example", MF ";" RT, "k:x"),
		 DKIM2_SIGNATURE_SYNTAX, NULL},
		{SIG("1", "b.example", MF ";" RT, "k:x:"),
		 DKIM2_SIGNATURE_SYNTAX, NULL},
		{SIG("1", "b.example", MF ";" RT, "k::AAAA"),
		 DKIM2_SIGNATURE_SYNTAX, NULL},
		{SIG("1", "b.example", MF ";" RT, "k.:x:AAAA"),
		 DKIM2_SIGNATURE_SYNTAX, NULL},
		{SIG("1", "b.example", MF ";" RT, "k:x:AAA"),
		 DKIM2_SIGNATURE_SYNTAX, NULL},
		{SIG("1", "b.example", MF ";" RT, "k:x:AAAA,,j:x:AAAA"),
		 DKIM2_SIGNATURE_SYNTAX, NULL},
		{SIG("1", "b.example", MF ";" RT, "k:x:AAAA|"),
		 DKIM2_SIGNATURE_SYNTAX, NULL},
		{SIG("1", "b.example", MF ";" RT, "k:x:AAAA|j:x:AAAA,K:y:AA=="),
		 DKIM2_SIGNATURE_SELECTOR_TWICE, NULL},
		/* what is missing, in the order of the draft */
		{"i=1;x=y", DKIM2_SIGNATURE_TAG_MISSING, "m"},
		{"i=1;m=1", DKIM2_SIGNATURE_TAG_MISSING, "t"},
		{"i=1;m=1;t=1", DKIM2_SIGNATURE_TAG_MISSING, "mf"},
		{"i=1;m=1;t=1;" MF ";" RT, DKIM2_SIGNATURE_TAG_MISSING, "d"},
		{"i=1;m=1;t=1;nd=c.example;d=b.example",
		 DKIM2_SIGNATURE_TAG_MISSING, "s"},
		{"i=1;m=x;t=1;" MF ";" RT ";d=b.example;s=k:x:AAAA",
		 DKIM2_SIGNATURE_SYNTAX, NULL},
		/* A1: other case, other tag; A2: twice is twice */
		{PLAIN(";S=x;M=2"), DKIM2_OK, NULL},
		{PLAIN(";S=x;S=x"), DKIM2_SIGNATURE_SYNTAX, NULL},
		{PLAIN(";d=b.example"), DKIM2_SIGNATURE_SYNTAX, NULL},
	};
	struct arena *a = arena_new(KIT_ARENA);
	struct dkim2_limits limits;

	(void)state;
	dkim2_limits_default(&limits);
	for (size_t k = 0; k < COUNT(row); k++) {
		struct dkim2_field f = {.value = bytes_of(row[k].value)};
		struct signature s;

		assert_int_equal(signature_parse(&s, &f, &limits, a), 0);
		if (s.fault.reason != row[k].reason)
			print_message("%s\n", row[k].value);
		assert_int_equal(s.fault.reason, row[k].reason);
		assert_int_equal(s.i, 1);
		if (row[k].tag != NULL)
			kit_assert_bytes(s.fault.value, row[k].tag);
	}
	arena_free(&a);
}

static void
a_signature_in_full(void **state)
{
	struct arena *a = arena_new(KIT_ARENA);
	struct dkim2_limits limits;
	struct dkim2_field f = {.value = BYTES_LIT(" i=02; m=3; n=x;"
	    "t=1000000000000; d=B.example; mf=PGFAYi5leGFtcGxlPg==;"
	    "rt=PGFAYi5leGFtcGxlPg==, PHhAeT4=; f=feedback,exploded;"
	    "s=a:rsa-sha256:AAAA,b:ed25519-sha256:BBBB|c:zz:CCCC")};
	struct signature s;

	(void)state;
	dkim2_limits_default(&limits);
	assert_int_equal(signature_parse(&s, &f, &limits, a), 0);
	assert_int_equal(s.fault.reason, DKIM2_OK);
	assert_int_equal(s.i, 2);
	assert_int_equal(s.m, 3);
	assert_int_equal(s.t, 1000000000000);
	kit_assert_bytes(s.d, "B.example");
	kit_assert_bytes(s.mf, "<a@b.example>");
	assert_int_equal(s.n_rt, 2);
	kit_assert_bytes(s.rt[1], "<x@y>");
	assert_null(s.nd.p);
	kit_assert_bytes(s.n, "x");
	assert_true(signature_has_flag(&s, "exploded"));
	assert_false(signature_has_flag(&s, "Exploded"));
	assert_int_equal(s.n_members, 3);
	assert_int_equal(s.members[1].algorithm, DKIM2_ED25519_SHA256);
	assert_int_equal(s.members[1].group, 0);
	assert_int_equal(s.members[2].algorithm, DKIM2_ALGORITHM__N);
	assert_int_equal(s.members[2].group, 1);
	kit_assert_base64(s.members[2].value, "CCCC");
	arena_free(&a);
}

/* D8: key records, their tricks and their retired tags. */
static void
key_records(void **state)
{
	enum { NONE = DKIM2_ALGORITHM__N };
	static const struct {
		const char *text;
		bool is_good;
		enum dkim2_algorithm algorithm;
		const char *p;		/* NULL: none that is base64 */
		bool is_revoked, is_testing;
	} row[] = {
		{"p=AAAA", true, DKIM2_RSA_SHA256, "AAAA", false, false},
		{"v=DKIM1; k=rsa; p=AA AA;", true, DKIM2_RSA_SHA256, "AAAA",
		 false, false},
		{" v = DKIM1 ;\tk = ed25519 ; p = AAAA ", true,
		 DKIM2_ED25519_SHA256, "AAAA", false, false},
		{"k=ed25519; h=sha1; n=note x; s=other; t=s; p=AAAA; zz=",
		 true, DKIM2_ED25519_SHA256, "AAAA", false, false},
		{"k=rsa; t=s:y; p=AAAA", true, DKIM2_RSA_SHA256, "AAAA", false,
		 true},
		{"k=magic; p=AAAA", true, (enum dkim2_algorithm)NONE, "AAAA",
		 false, false},
		{"k=Ed25519; p=AAAA", true, (enum dkim2_algorithm)NONE, "AAAA",
		 false, false},
		{"v=DKIM1; p=", true, DKIM2_RSA_SHA256, NULL, true, false},
		{"p=AAA", true, DKIM2_RSA_SHA256, NULL, false, false},
		{"p=AA*A", true, DKIM2_RSA_SHA256, NULL, false, false},
		{"p=; p=AAAA", false, 0, NULL, false, false},
		{"v=DKIM2; p=AAAA", false, 0, NULL, false, false},
		{"v=dkim1; p=AAAA", false, 0, NULL, false, false},
		{"k=rsa; v=DKIM1; p=AAAA", false, 0, NULL, false, false},
		{"v=DKIM1; k=rsa", false, 0, NULL, false, false},
		{"v=DKIM1; P=AAAA", false, 0, NULL, false, false},
		{"v=DKIM1;; p=AAAA", false, 0, NULL, false, false},
		{"v=spf1 -all", false, 0, NULL, false, false},
		{"hello", false, 0, NULL, false, false},
		{"", false, 0, NULL, false, false},
		{"p=AAAA; n=\xc3\xa9", false, 0, NULL, false, false},
	};
	struct arena *a = arena_new(KIT_ARENA);
	struct keyrec r;
	struct bytes long_one = {arena_alloc(a, 16385), 16385};
	bool good;

	(void)state;
	for (size_t k = 0; k < COUNT(row); k++) {
		assert_int_equal(keyrec_parse(&r, bytes_of(row[k].text), a,
		    &good), 0);
		if (good != row[k].is_good)
			print_message("%s\n", row[k].text);
		assert_int_equal(good, row[k].is_good);
		if (!good)
			continue;
		assert_int_equal(r.algorithm, row[k].algorithm);
		assert_int_equal(r.is_revoked, row[k].is_revoked);
		assert_int_equal(r.is_testing, row[k].is_testing);
		if (row[k].p == NULL)
			assert_null(r.p.p);
		else
			kit_assert_base64(r.p, row[k].p);
	}
	/* D5: 16 KiB and no more */
	memset((uint8_t *)long_one.p, ' ', long_one.n);
	memcpy((uint8_t *)long_one.p, "p=AAAA;", 7);
	assert_int_equal(keyrec_parse(&r, bytes_first(long_one, 16384), a,
	    &good), 0);
	assert_true(good);
	assert_int_equal(keyrec_parse(&r, long_one, a, &good), 0);
	assert_false(good);
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tag_lists),
		cmocka_unit_test(a_nul_is_an_octet),
		cmocka_unit_test(tags_are_bounded),
		cmocka_unit_test(instances),
		cmocka_unit_test(recipes_have_a_limit),
		cmocka_unit_test(signatures),
		cmocka_unit_test(a_signature_in_full),
		cmocka_unit_test(key_records),
	};

	return cmocka_run_group_tests_name("dkim2/fields", tests, NULL, NULL);
}
