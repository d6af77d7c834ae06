/*
 * DKIM1, of whole messages: the canonical bodies and all results are the same
 * at every split and in whatever order keys come; relaxed is relaxed already;
 * what we sign passes.
 */
#include <stdlib.h>

#include <sodium.h>

#include "base/err.h"
#include "dkim2/crypto.h"
#include "dkim2/dkim1.h"
#include "dkim2/dkim1_canon.h"

#define NOW 1528637910

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* RFC 8032 test key 1, that of RFC 8463 A too; never used for anything else */
static const char pem[] = "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
    "-----END PRIVATE KEY-----\n";
static const struct bytes ed1_record = BYTES_LIT(
    "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");

static void
need(bool holds)
{
	if (!holds)
		abort();
}

static struct bytes
body_of(enum dkim1_canon c, struct bytes in, size_t step, struct arena *a)
{
	struct dkim1_body b;
	struct buf out;

	need(arena_buf(a, in.n + 8, &out) == 0);
	dkim1_body_init(&b, c, canon_to_buf, &out);
	for (; in.n != 0; in = bytes_skip(in, step))
		need(dkim1_body_add(&b, bytes_first(in, step)) == 0);
	need(dkim1_body_end(&b) == 0);
	return buf_bytes(&out);
}

static void
check_body(struct bytes in, struct arena *a)
{
	for (int k = 0; k < DKIM1_CANON__N; k++) {
		enum dkim1_canon c = (enum dkim1_canon)k;
		struct bytes whole = body_of(c, in, in.n + 1, a);

		need(bytes_eq(whole, body_of(c, in, 1, a)));
		need(bytes_eq(whole, body_of(c, in, 7, a)));
		need(bytes_eq(whole, body_of(c, whole, 3, a)));
		need(whole.n == 0 || bytes_ends(whole, BYTES_LIT("\r\n")));
		need(whole.n < 4 || !bytes_ends(whole,
		    BYTES_LIT("\r\n\r\n")));
		if (c == DKIM1_RELAXED)
			need(bytes_find(whole, BYTES_LIT(" \r\n")) == whole.n &&
			    bytes_find(whole, BYTES_LIT("  ")) == whole.n &&
			    bytes_index(whole, '\t') == whole.n);
	}
}

/* The key of the corpus for "brisbane", else the first line of the body. */
static void
answer(struct dkim1_verify *v, size_t k, struct bytes body)
{
	const struct bytes *names;
	size_t n = dkim1_verify_wants(v, &names);
	struct bytes record = bytes_first(body,
	    bytes_find(body, BYTES_LIT("\r\n")));

	need(k < n && n <= DKIM1_SIGNATURES_MAX);
	for (size_t j = 0; j < k; j++)
		need(!bytes_eq(names[j], names[k]));
	if (bytes_starts(names[k], BYTES_LIT("brisbane.")) ||
	    bytes_starts(names[k], BYTES_LIT("ed1.")))
		record = ed1_record;
	need(dkim1_verify_answer(v, k, DKIM2_KEY_TXT, &record, 1) == 0);
}

static struct dkim1_verify *
verify(const struct dkim2_message *m, struct bytes body, size_t step,
    bool keys_first, struct arena *a)
{
	const struct bytes *names;
	struct bytes rest = body;
	struct dkim1_verify *v;
	size_t n;

	need(dkim1_verify_new(&v, a, NOW) == 0);
	need(dkim1_verify_header(v, m) == 0);
	n = dkim1_verify_wants(v, &names);
	for (size_t k = 0; keys_first && k < n; k++)
		answer(v, k, body);
	for (; rest.n != 0; rest = bytes_skip(rest, step))
		need(dkim1_verify_body(v, bytes_first(rest, step)) == 0);
	need(dkim1_verify_step(v) == DKIM2_MORE);
	need(dkim1_verify_end(v) == 0);
	for (size_t k = n; !keys_first && k-- != 0;)
		answer(v, k, body);
	need(dkim1_verify_step(v) == DKIM2_DONE);
	return v;
}

static void
check_verify(const struct dkim2_message *m, struct bytes body,
    struct arena *a)
{
	struct dkim1_verify *v = verify(m, body, body.n + 1, true, a);
	struct dkim1_verify *w = verify(m, body, 1, false, a);
	const struct dkim1_result *r = dkim1_verify_result(v);
	const struct dkim1_result *s = dkim1_verify_result(w);

	need(r->n_signatures == s->n_signatures &&
	    r->n_ignored == s->n_ignored);
	for (size_t k = 0; k < r->n_signatures; k++) {
		need(r->signatures[k].reason == s->signatures[k].reason);
		need(r->signatures[k].state ==
		    dkim1_reason_state(r->signatures[k].reason));
	}
	dkim1_verify_fini(v);
	dkim1_verify_fini(w);
}

static void
check_sign(const struct dkim2_message *m, struct bytes body, struct arena *a)
{
	static const struct dkim2_signing_key key = {BYTES_LIT("ed1"),
	    DKIM2_ED25519_SHA256};
	static struct dkim2_private_key *private;
	struct dkim1_sign_options o = {BYTES_LIT("example.org"), &key, 1,
	    NOW, NOW + 1};
	uint8_t room[DKIM2_SIGNATURE_MAX];
	struct buf signature = BUF_ON(room), all;
	enum dkim1_refusal why;
	struct dkim2_message out;
	struct dkim1_verify *v;
	struct dkim1_sign *s;

	if (private == NULL)
		need(dkim2_private_key_load(&private, bytes_of(pem), NULL) ==
		    0);
	need(dkim1_sign_new(&s, a, m, &o, &why) == 0);
	if (why != DKIM1_MAY_SIGN)
		return;
	need(dkim1_sign_body(s, body) == 0 && dkim1_sign_end(s) == 0);
	need(dkim2_private_key_sign(private, dkim1_sign_want(s, 0).p,
	    &signature) == 0);
	need(dkim1_sign_answer(s, 0, buf_bytes(&signature)) == 0);
	need(dkim1_sign_step(s) == DKIM2_DONE);
	dkim1_sign_fini(s);
	need(arena_buf(a, m->header.n + 8192, &all) == 0);
	buf_add(&all, dkim1_sign_fields(s));
	buf_add(&all, m->header);
	need(!all.full);
	need(dkim2_message_parse(&out, buf_bytes(&all), 1001, a) == 0);
	need(out.n_fields == m->n_fields + 1);
	v = verify(&out, body, body.n + 1, true, a);
	need(dkim1_counts(&dkim1_verify_result(v)->signatures[0]));
	dkim1_verify_fini(v);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes in = {p, n}, body;
	struct arena *a = arena_new(64U << 20);
	struct dkim2_message m;
	size_t body_at = n;
	size_t n_header = dkim2_header_end(in, &body_at);

	need(a != NULL && sodium_init() >= 0);
	body = bytes_skip(in, body_at);
	check_body(body, a);
	if (n_header == SIZE_MAX)
		check_body(in, a);
	else if (dkim2_message_parse(&m, bytes_first(in, n_header), 1000,
	    a) == 0) {
		check_verify(&m, body, a);
		check_sign(&m, body, a);
	}
	arena_free(&a);
	return 0;
}
