#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "dkim2/authres.h"
#include "tests/dkim2/kit.h"
#include "tests/dkim2/arparse.h"

#define ID "mx.example.org"

/* ---- forged fields: V20 ---------------------------------------------------- */

static const struct {
	const char *field;
	bool is_ours;
} fields[] = {
	/* plainly ours */
	{"Authentication-Results: mx.example.org; dkim=pass", true},
	{"AUTHENTICATION-results: MX.Example.ORG; dkim=pass", true},
	{"Authentication-Results :mx.example.org;dkim=pass", true},
	{"Authentication-Results:\r\n\tmx.example.org;\r\n dkim=pass", true},
	{"Authentication-Results: mx.example.org 1; none", true},
	{"Authentication-Results: mx.example.org\t12 ;none", true},
	{"Authentication-Results: mx.example.org", true},
	{"Authentication-Results: \"mx.example.org\"; none", true},
	{"Authentication-Results: \"mx\\.example.org\"; none", true},
	{"Authentication-Results: (x) mx.example.org; none", true},
	{"Authentication-Results: (a(b)c)(d)\r\n (e) mx.example.org(f)1; none",
	    true},
	{"Authentication-Results: (\\() mx.example.org; none", true},
	{"Authentication-Results: (\\)) mx.example.org; none", true},
	/* ours to someone */
	{"Authentication-Results: mx.example.org.; none", true},
	{"Authentication-Results: mx.example.org/25; none", true},
	{"Authentication-Results: mx.example.org:25; none", true},
	{"Authentication-Results: mx.example.org, x; none", true},
	{"Authentication-Results: mx.example.org dkim=pass", true},
	{"Authentication-Results: mx.example.org dkim=pass; none", true},
	{"Authentication-Results: ; mx.example.org; dkim=pass", true},
	{"Authentication-Results: ;;(x); mx.example.org; dkim=pass", true},
	{"Authentication-Results: (a (b) mx.example.org; none", true},
	{"Authentication-Results: (a (b) mx.example.org; x) other.example; none",
	    true},
	{"Authentication-Results: (a \\) mx.example.org; x) other.example; none",
	    true},
	{"Authentication-Results: (mx.example.org; dkim=pass", true},
	{"Authentication-Results: \"mx.example.org; dkim=pass", true},
	{"Authentication-Results: \"x mx.example.org; dkim=pass", true},
	{"Authentication-Results: \"mx.example.org ; x\"; dkim=pass", true},
	{"Authentication-Results: mx.example.org\"\"x; dkim=pass", true},
	{"Authentication-Results: mx.exam\r\n ple.org; dkim=pass", true},
	{"Authentication-Results: mx(x).example.(y)org; dkim=pass", true},
	{"Authentication-Results: mx.example.org\x01; none", true},
	{"Authentication-Results: \xc2\xa0mx.example.org\xc2\xa0; none", true},
	{"Authentication-Results: \xef\xbb\xbfmx.example.org; none", true},
	{"Authentication-Results: mx.exa\xc2\xadmple.org; none", true},
	/* of others */
	{"Authentication-Results: other.example; dkim=pass", false},
	{"Authentication-Results: other.example (mx.example.org); none",
	    false},
	{"Authentication-Results: other.example; x=y (mx.example.org; none)",
	    false},
	{"Authentication-Results: other.example; mx.example.org; none",
	    false},
	{"Authentication-Results: (mx.example.org) other.example; none",
	    false},
	{"Authentication-Results: (mx.example.org (x)) other.example; none",
	    false},
	{"Authentication-Results: \"other mx.example.org\"; none", false},
	{"Authentication-Results: \"a ; mx.example.org\"; none", false},
	{"Authentication-Results: \"(\" mx.example.org; dkim=pass ()", false},
	{"Authentication-Results: xmx.example.org; none", false},
	{"Authentication-Results: mx.example.orgx; none", false},
	{"Authentication-Results: mx.example.org.evil.example; none", false},
	{"Authentication-Results: mx.example.org-x; none", false},
	{"Authentication-Results: amx.example.org; none", false},
	{"Authentication-Results: x.mx.example.org; none", false},
	{"Authentication-Results: example.org; none", false},
	{"Authentication-Results: mx.example.or; none", false},
	{"Authentication-Results: (other.example", false},
	{"Authentication-Results: (xmx.example.org", false},
	{"Authentication-Results:", false},
	{"Authentication-Results: ;;;", false},
	{"Authentication-Results: (((((", false},
	{"Authentication-Results: \\", false},
	/* of other names */
	{"ARC-Authentication-Results: i=1; mx.example.org; none", false},
	{"X-Authentication-Results: mx.example.org; none", false},
	{"Authentication-Result: mx.example.org; none", false},
	{"Subject: mx.example.org; none", false},
};

static struct dkim2_field
field_of(const char *text, struct arena *a)
{
	struct dkim2_message m;

	(void)kit_split(bytes_of(text), &m, a);
	assert_int_equal(m.n_fields, 1);
	return m.fields[0];
}

static void
each_field_is_ours_or_not(void **state)
{
	(void)state;
	for (size_t k = 0; k < COUNT(fields); k++) {
		struct arena *a = arena_new(KIT_ARENA);
		struct dkim2_field f = field_of(fields[k].field, a);

		if (authres_claims(&f, BYTES_LIT(ID)) != fields[k].is_ours)
			print_message("%s\n", fields[k].field);
		assert_true(authres_claims(&f, BYTES_LIT(ID)) ==
		    fields[k].is_ours);
		assert_true(authres_claims(&f, BYTES_LIT("MX.EXAMPLE.ORG")) ==
		    fields[k].is_ours);
		assert_false(authres_claims(&f, BYTES_LIT("")));
		arena_free(&a);
	}
}

static const struct {
	const char *id, *field;
	bool is_ours;
} others[] = {
	/* a version is not a part of the name */
	{"mx1", "Authentication-Results: mx 1; none", false},
	{"mx1", "Authentication-Results: mx1 1; none", true},
	{"mx-1.example", "Authentication-Results: mx- 1.example; none", true},
	/* U-labels */
	{"mx.xn--bcher-kva.example",
	    "Authentication-Results: mx.b\xc3\xbc""cher.example; none", true},
	{"mx.xn--bcher-kva.example",
	    "Authentication-Results: (x) \"MX.b\xc3\xbc""cher.example.\" 1; x=y",
	    true},
	{"mx.xn--bcher-kva.example",
	    "Authentication-Results: mx.b\xc3\xbc""cher.example.net; none",
	    false},
	{"mx.xn--bcher-kva.example",
	    "Authentication-Results: (mx.b\xc3\xbc""cher.example) x; none",
	    false},
};

static void
other_ids_are_found_too(void **state)
{
	(void)state;
	for (size_t k = 0; k < COUNT(others); k++) {
		struct arena *a = arena_new(KIT_ARENA);
		struct dkim2_field f = field_of(others[k].field, a);

		if (authres_claims(&f, bytes_of(others[k].id)) !=
		    others[k].is_ours)
			print_message("%s\n", others[k].field);
		assert_true(authres_claims(&f, bytes_of(others[k].id)) ==
		    others[k].is_ours);
		arena_free(&a);
	}
}

/* A NUL ends a C string, and so the id for some readers. */
static void
nul_octets_hide_nothing(void **state)
{
	static const struct bytes header = BYTES_LIT(
	    "Authentication-Results: mx.example.org\0x; none\r\n"
	    "Authentication-Results: mx.exam\0ple.org; none\r\n"
	    "Authentication-Results: \0mx.example.org; none\r\n");
	struct arena *a = arena_new(KIT_ARENA);
	struct dkim2_message m;
	const struct bytes *cuts;
	size_t n;

	(void)state;
	(void)kit_split(header, &m, a);
	assert_int_equal(authres_find(&m, BYTES_LIT(ID), a, &cuts, &n), 0);
	assert_int_equal(n, 3);
	arena_free(&a);
}

/* V20: all of them go in one pass, and not an octet more. */
static void
what_is_left_is_untouched(void **state)
{
	static const size_t mixes[] = {1, 2, 3, 5, 7, 11};
	struct arena *a = arena_new(KIT_ARENA);

	(void)state;
	for (size_t mix = 0; mix < COUNT(mixes); mix++) {
		struct buf all, rest, left;
		struct dkim2_message m;
		const struct bytes *cuts;
		size_t n, n_ours = 0, at = 0;

		assert_int_equal(arena_buf(a, 65536, &all), 0);
		assert_int_equal(arena_buf(a, 65536, &rest), 0);
		assert_int_equal(arena_buf(a, 65536, &left), 0);
		for (size_t k = 0; k < COUNT(fields); k++) {
			size_t j = k * mixes[mix] % COUNT(fields);

			buf_printf(&all, "%s\r\nReceived: %zu\r\n",
			    fields[j].field, k);
			if (fields[j].is_ours)
				n_ours++;
			else
				buf_printf(&rest, "%s\r\n", fields[j].field);
			buf_printf(&rest, "Received: %zu\r\n", k);
		}
		assert_int_equal(dkim2_message_parse(&m, buf_bytes(&all), 1000,
		    a), 0);
		assert_int_equal(authres_find(&m, BYTES_LIT(ID), a, &cuts,
		    &n), 0);
		assert_int_equal(n, n_ours);
		for (size_t k = 0; k < n; k++) {
			size_t from = (size_t)(cuts[k].p - all.p);

			buf_add(&left, bytes_between(all.p + at,
			    all.p + from));
			at = from + cuts[k].n;
		}
		buf_add(&left, bytes_skip(buf_bytes(&all), at));
		assert_true(bytes_eq(buf_bytes(&left), buf_bytes(&rest)));
	}
	arena_free(&a);
}

static void
no_memory_is_an_error(void **state)
{
	struct arena *big = arena_new(KIT_ARENA), *a = arena_new(8);
	struct dkim2_message m;
	const struct bytes *cuts;
	size_t n;

	(void)state;
	(void)kit_split(BYTES_LIT("A: b\r\n"), &m, big);
	assert_int_equal(authres_find(&m, BYTES_LIT(ID), a, &cuts, &n),
	    -E_NOMEM);
	arena_free(&a);
	arena_free(&big);
}

/* ---- our field -------------------------------------------------------------------- */

#define NOBODY {NULL, 0}

static const struct dkim2_signature_result hops[] = {
	{.i = 1, .d = BYTES_LIT("example.com")},
	{.i = 2, .d = BYTES_LIT("lists.example")},
};

static const struct dkim1_signature_result signatures[] = {
	{.state = DKIM1_PASS, .d = BYTES_LIT("example.com"),
	    .s = BYTES_LIT("sel.one"), .a = BYTES_LIT("rsa-sha256"),
	    .i = BYTES_LIT("joe.x@mail.example.com"), .t = -1, .x = -1,
	    .b = BYTES_LIT("AbC\r\n\tdEf12345="), .covers_from = true,
	    .bits = 2048},
	{.state = DKIM1_FAIL, .reason = DKIM1_BODY_HASH,
	    .d = BYTES_LIT("example.com"), .s = BYTES_LIT("ed1"),
	    .a = BYTES_LIT("ed25519-sha256"), .b = BYTES_LIT("a/+=bcde"),
	    .covers_from = true, .is_testing = true, .bits = 256},
	/* what does not read is not repeated */
	{.state = DKIM1_NEUTRAL, .reason = DKIM1_SYNTAX,
	    .d = BYTES_LIT("a b; dkim=pass"), .s = BYTES_LIT("\"x"),
	    .a = BYTES_LIT("a=b"), .i = BYTES_LIT("a\"b@example.com"),
	    .b = BYTES_LIT("(abcdefghi")},
};

static const struct {
	struct authres r;
	struct dkim2_result dkim2;
	struct dkim1_result dkim1;
	struct dmarc_verdict dmarc;
	bool has_dkim2, has_dkim1, has_dmarc;
	const char *field;
} written[] = {
	{.field = "Authentication-Results: mx.example.org; none\r\n"},
	{.has_dkim2 = true, .dkim2 = {.full = {DKIM2_NONE, DKIM2_NO_FIELDS,
	    0, 0, NOBODY}}, .has_dkim1 = true, .has_dmarc = true,
	    .field = "Authentication-Results: mx.example.org;\r\n"
	    "\tdkim2=none;\r\n"
	    "\tdkim=none;\r\n"
	    "\tdmarc=none\r\n"},
	{.has_dkim2 = true, .dkim2 = {.full = {DKIM2_PASS, DKIM2_OK, 0, 0,
	    NOBODY}, .signatures = hops, .n_signatures = 2},
	    .field = "Authentication-Results: mx.example.org;\r\n"
	    "\tdkim2=pass (2 hops) header.d=example.com\r\n"},
	{.has_dkim2 = true, .dkim2 = {.full = {DKIM2_FAIL,
	    DKIM2_SIGNATURE_WRONG, 2, 0, BYTES_LIT("sel")}, .signatures = hops,
	    .n_signatures = 2},
	    .field = "Authentication-Results: mx.example.org;\r\n"
	    "\tdkim2=fail (DKIM2-Signature i=2 selector sel incorrect signature)"
	    "\r\n\theader.d=example.com header.i=2\r\n"},
	/* m= is no number of a signature */
	{.has_dkim2 = true, .dkim2 = {.full = {DKIM2_FAIL, DKIM2_BODY_HASH, 2,
	    0, BYTES_LIT("sha256")}, .signatures = hops, .n_signatures = 2},
	    .field = "Authentication-Results: mx.example.org;\r\n"
	    "\tdkim2=fail (Message-Instance m=2 body hash sha256 mismatch)\r\n"
	    "\theader.d=example.com\r\n"},
	{.has_dkim2 = true, .dkim2 = {.full = {DKIM2_FAIL,
	    DKIM2_MAIL_FROM_OTHER, 1, 0, BYTES_LIT("<a(\"\\\r\n;@x>")}},
	    .field = "Authentication-Results: mx.example.org;\r\n"
	    "\tdkim2=fail (DKIM2-Signature i=1 MAIL FROM "
	    "<a\\('\\\\134\\\\015\\\\012,@x> did\r\n"
	    "\tnot match) header.i=1\r\n"},
	{.has_dkim1 = true, .dkim1 = {signatures, 3, 2},
	    .has_dmarc = true, .dmarc = {DMARC_PASS, true,
	    DMARC_POLICY_REJECT, 100, BYTES_LIT("example.com")},
	    .field = "Authentication-Results: mx.example.org;\r\n"
	    "\tdkim=pass (2048-bit key) header.d=example.com\r\n"
	    "\theader.i=joe.x@mail.example.com header.s=sel.one "
	    "header.a=rsa-sha256\r\n"
	    "\theader.b=AbCdEf12;\r\n"
	    "\tdkim=fail (body hash did not verify, 256-bit key, test mode)\r\n"
	    "\theader.d=example.com header.s=ed1 header.a=ed25519-sha256\r\n"
	    "\theader.b=\"a/+=bcde\";\r\n"
	    "\tdkim=neutral (signature syntax error, 2 more signatures not "
	    "looked at);\r\n"
	    "\tdmarc=pass (p=reject) header.from=example.com\r\n"},
	{.has_dmarc = true, .dmarc = {DMARC_FAIL, true, DMARC_POLICY_NONE, 5,
	    BYTES_LIT("b\xc3\xbc.example")},
	    .field = "Authentication-Results: mx.example.org;\r\n"
	    "\tdmarc=fail (p=none pct=5)\r\n"},
};

static void
fields_look_as_they_should(void **state)
{
	(void)state;
	for (size_t k = 0; k < COUNT(written); k++) {
		struct authres r = {.id = BYTES_LIT(ID)};
		uint8_t room[AUTHRES_MAX];
		struct buf out = BUF_ON(room);
		static struct ar ar;
		struct dkim2_field f;

		if (written[k].has_dkim2)
			r.dkim2 = &written[k].dkim2;
		if (written[k].has_dkim1)
			r.dkim1 = &written[k].dkim1;
		if (written[k].has_dmarc)
			r.dmarc = &written[k].dmarc;
		assert_int_equal(authres_write(&r, &out), 0);
		kit_assert_bytes(buf_bytes(&out), written[k].field);
		/* it reads, and is one that we would take out */
		f.raw = buf_bytes(&out);
		f.name = bytes_first(f.raw, strlen(AUTHRES_FIELD));
		f.value = bytes_skip(f.raw, f.name.n + 1);
		f.value.n -= 2;
		assert_true(authres_claims(&f, r.id));
		assert_true(ar_parse(&ar, f.value));
		kit_assert_bytes(buf_bytes(&ar.id), ID);
		/* each size of the buffer is seen */
		for (size_t n = 0; n < f.raw.n; n++) {
			out = (struct buf){room, 0, n, false};
			assert_int_equal(authres_write(&r, &out), -E_LIMIT);
		}
	}
}

/* The RFC's own examples are read by the reader that checks ours. */
static void
the_reader_of_the_tests_reads_those_of_the_rfc(void **state)
{
	static const char *const good[] = {
		" example.org 1; none",
		" example.com;\r\n          spf=pass "
		    "smtp.mailfrom=example.net",
		" example.com;\r\n\tauth=pass (cram-md5) "
		    "smtp.auth=sender@example.net;\r\n"
		    " spf=pass smtp.mailfrom=example.net",
		" foo.example.net (foobar) 1 (baz);\r\n dkim=fail (wait(for)it)",
	};
	static const char *const bad[] = {
		"", " ;", " example.org", " example.org;", " a b; none", " a 1 2; none",
		" a; dkim=pass;", " a; dkim=pass header.d=", " a; dkim=(x",
		" a; dkim=pass header.d=a/b", " a; dkim=pass\r\nx.y=z",
	};
	static struct ar ar;

	(void)state;
	for (size_t k = 0; k < COUNT(good); k++)
		assert_true(ar_parse(&ar, bytes_of(good[k])));
	for (size_t k = 0; k < COUNT(bad); k++)
		assert_false(ar_parse(&ar, bytes_of(bad[k])));
}

static void
ids_are_quoted_or_refused(void **state)
{
	uint8_t room[AUTHRES_MAX], long_id[254];
	struct buf out = BUF_ON(room);
	struct authres r = {.id = BYTES_LIT("a/\"\\b")};

	(void)state;
	assert_int_equal(authres_write(&r, &out), 0);
	kit_assert_bytes(buf_bytes(&out),
	    "Authentication-Results: \"a/\\\"\\\\b\"; none\r\n");
	memset(long_id, 'a', sizeof(long_id));
	r.id = (struct bytes){long_id, 253};
	assert_int_equal(authres_write(&r, &out), 0);
	r.id.n++;
	assert_int_equal(authres_write(&r, &out), -E_SYNTAX);
	r.id = BYTES_LIT("");
	assert_int_equal(authres_write(&r, &out), -E_SYNTAX);
	r.id = BYTES_LIT("a b");
	assert_int_equal(authres_write(&r, &out), -E_SYNTAX);
	r.id = BYTES_LIT("b\xc3\xbc");
	assert_int_equal(authres_write(&r, &out), -E_SYNTAX);
}

/* All at their longest: AUTHRES_MAX is enough, and no line is too long. */
static void
the_longest_field_fits(void **state)
{
	char label[64] = "", domain[256], identity[512], value[4096];
	uint8_t room[AUTHRES_MAX];
	struct buf out = BUF_ON(room);
	struct dkim1_signature_result many[DKIM1_SIGNATURES_MAX];
	struct dkim2_signature_result hop = {.i = 1};
	struct dkim1_result dkim1 = {many, DKIM1_SIGNATURES_MAX, SIZE_MAX};
	struct dmarc_verdict dmarc = {DMARC_FAIL, true,
	    DMARC_POLICY_QUARANTINE, 99, NOBODY};
	struct dkim2_result dkim2 = {.full = {DKIM2_PERMERROR,
	    DKIM2_INSTANCE_RECIPE, UINT32_MAX, 0, NOBODY}, .signatures = &hop,
	    .n_signatures = 1};
	struct authres r = {
		.dkim2 = &dkim2, .condition = "never-entered",
		.dkim1 = &dkim1, .dmarc = &dmarc,
	};

	(void)state;
	memset(label, 'a', 63);
	(void)snprintf(domain, sizeof(domain), "%s.%s.%s.%.61s", label, label,
	    label, label);
	(void)snprintf(identity, sizeof(identity), "%.253s@%s", domain, domain);
	memset(value, ';', sizeof(value));
	hop.d = r.id = dmarc.from = bytes_of(domain);
	dkim2.full.value = (struct bytes){(uint8_t *)value, sizeof(value)};
	for (size_t k = 0; k < COUNT(many); k++)
		many[k] = (struct dkim1_signature_result){
			.state = DKIM1_PERMERROR, .reason = DKIM1_LENGTH,
			.d = bytes_of(domain), .s = bytes_of(domain),
			.i = bytes_of(identity), .a = bytes_first(
			bytes_of(domain), 63), .b = BYTES_LIT("////////"),
			.is_testing = true, .bits = 4096,
		};
	assert_int_equal(authres_write(&r, &out), 0);
	assert_true(out.n > 8000);
	for (size_t at = 0, n; at < out.n; at += n + 2) {
		n = bytes_find(bytes_skip(buf_bytes(&out), at),
		    BYTES_LIT("\r\n"));
		assert_in_range(n, 1, 998);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_field_is_ours_or_not),
		cmocka_unit_test(other_ids_are_found_too),
		cmocka_unit_test(nul_octets_hide_nothing),
		cmocka_unit_test(what_is_left_is_untouched),
		cmocka_unit_test(no_memory_is_an_error),
		cmocka_unit_test(fields_look_as_they_should),
		cmocka_unit_test(the_reader_of_the_tests_reads_those_of_the_rfc),
		cmocka_unit_test(ids_are_quoted_or_refused),
		cmocka_unit_test(the_longest_field_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
