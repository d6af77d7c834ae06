/*
 * Authentication-Results. Of a header: once what is found is left out, nothing
 * is found, and the rest is there octet by octet; a field that a strict reader
 * takes for ours is found, one that it takes for another host's is not. Of
 * values from the net: what we write reads back, whatever they hold. V20
 */
#include <stdlib.h>

#include "dkim2/authres.h"
#include "tests/dkim2/arparse.h"

#define ID "mx.example.org"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
need(bool holds)
{
	if (!holds)
		abort();
}

static bool
is_name(struct bytes b)
{
	for (size_t k = 0; k < b.n; k++)
		if (!ascii_is_alnum(b.p[k]) && b.p[k] != '-' &&
		    b.p[k] != '.')
			return false;
	return b.n != 0;
}

/* Holds a field against the strict reader. */
static void
check_field(const struct dkim2_field *f)
{
	static struct ar ar;
	struct bytes id;

	if (!bytes_case_eq(f->name, BYTES_LIT(AUTHRES_FIELD)) ||
	    !ar_parse(&ar, f->value))
		return;
	id = buf_bytes(&ar.id);
	if (bytes_case_eq(id, BYTES_LIT(ID)))
		need(authres_claims(f, BYTES_LIT(ID)));
	else if (is_name(id) && !bytes_case_eq(id, BYTES_LIT(ID ".")) &&
	    bytes_index(f->value, '(') == f->value.n &&
	    bytes_index(f->value, '"') == f->value.n)
		need(!authres_claims(f, BYTES_LIT(ID)));
}

static void
check_header(struct bytes header, struct arena *a)
{
	struct dkim2_message m, rest;
	const struct bytes *cuts, *none;
	size_t n, n_none, at = 0;
	struct buf left;

	if (dkim2_message_parse(&m, header, 1000, a) != 0)
		return;
	for (size_t k = 0; k < m.n_fields; k++)
		check_field(&m.fields[k]);
	need(authres_find(&m, BYTES_LIT(ID), a, &cuts, &n) == 0);
	need(arena_buf(a, header.n + 1, &left) == 0);
	for (size_t k = 0; k < n; k++) {
		size_t from = (size_t)(cuts[k].p - header.p);

		need(from >= at && from + cuts[k].n <= header.n);
		buf_add(&left, bytes_between(header.p + at, header.p + from));
		at = from + cuts[k].n;
	}
	buf_add(&left, bytes_skip(header, at));
	need(dkim2_message_parse(&rest, buf_bytes(&left), 1000, a) == 0);
	need(rest.n_fields == m.n_fields - n);
	need(authres_find(&rest, BYTES_LIT(ID), a, &none, &n_none) == 0);
	need(n_none == 0);
}

/* A property either is not there or says what it was given. */
static void
check_property(const struct ar_result *r, const char *name,
    struct bytes value)
{
	const struct buf *b = ar_find(r, name);

	need(b == NULL || bytes_eq(buf_bytes(b), value));
}

static void
check_written(struct bytes in, struct arena *a)
{
	static struct ar ar;
	struct bytes rest = in, d = bytes_cut(&rest, '\n');
	struct bytes s = bytes_cut(&rest, '\n'), i = bytes_cut(&rest, '\n');
	struct dkim1_signature_result signature = {.state = DKIM1_FAIL,
	    .reason = DKIM1_BODY_HASH, .d = d, .s = s, .i = i, .a = rest,
	    .b = rest, .bits = 7, .is_testing = true};
	struct dkim1_result dkim1 = {&signature, 1, in.n % 3};
	struct dkim2_signature_result hop = {.i = 1, .d = d};
	struct dkim2_result dkim2 = {.full = {DKIM2_FAIL,
	    DKIM2_MAIL_FROM_OTHER, 1, 0, rest}, .signatures = &hop,
	    .n_signatures = 1};
	struct dmarc_verdict dmarc = {DMARC_PASS, true, DMARC_POLICY_REJECT,
	    50, s};
	struct authres r = {BYTES_LIT(ID), &dkim2, in.n % 2 == 0 ? NULL :
	    "never-left", &dkim1, &dmarc};
	struct dkim2_message m;
	struct buf out;

	need(arena_buf(a, AUTHRES_MAX, &out) == 0);
	need(authres_write(&r, &out) == 0);
	need(dkim2_message_parse(&m, buf_bytes(&out), 1, a) == 0);
	need(authres_claims(&m.fields[0], BYTES_LIT(ID)));
	need(ar_parse(&ar, m.fields[0].value) && ar.n == 3);
	need(bytes_eq(buf_bytes(&ar.id), BYTES_LIT(ID)));
	need(bytes_eq(ar.results[0].state, BYTES_LIT("fail")) &&
	    bytes_eq(ar.results[1].state, BYTES_LIT("fail")) &&
	    bytes_eq(ar.results[2].state, BYTES_LIT("pass")));
	check_property(&ar.results[0], "d", d);
	check_property(&ar.results[0], "i", BYTES_LIT("1"));
	check_property(&ar.results[1], "d", d);
	check_property(&ar.results[1], "s", s);
	check_property(&ar.results[1], "i", i);
	check_property(&ar.results[1], "a", rest);
	check_property(&ar.results[2], "from", s);
	for (size_t k = 0; k < out.n; k++)
		need(out.p[k] < 0x7f && (out.p[k] >= ' ' ||
		    out.p[k] == '\t' || out.p[k] == '\r' ||
		    out.p[k] == '\n'));
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes in = {n == 0 ? (const uint8_t *)"" : p, n};
	struct arena *a = arena_new(16U << 20);

	need(a != NULL);
	check_header(in, a);
	check_written(in, a);
	arena_free(&a);
	return 0;
}
