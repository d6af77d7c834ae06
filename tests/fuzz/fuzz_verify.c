/*
 * The verifier: neither the splitting of the body nor the order of answers
 * changes a verdict; what is fully verified is provisionally verified too;
 * and of the worked example, only what is not hashed may change.
 */
#include <stdlib.h>

#include <sodium.h>

#include "dkim2/dkim2.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
need(bool holds)
{
	if (!holds)
		abort();
}

static void
answer(struct dkim2_verify *v, size_t k, struct bytes name)
{
	static const struct bytes a = BYTES_LIT(
	    "k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="),
	    b = BYTES_LIT(
	    "k=ed25519; p=PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=");

	if (bytes_eq(name, BYTES_LIT("ed1._domainkey.example.org")))
		need(dkim2_verify_answer(v, k, DKIM2_KEY_TXT, &a, 1) == 0);
	else if (bytes_eq(name, BYTES_LIT("l1._domainkey.lists.example")))
		need(dkim2_verify_answer(v, k, DKIM2_KEY_TXT, &b, 1) == 0);
	else
		need(dkim2_verify_answer(v, k, name.n % 2 == 0 ?
		    DKIM2_KEY_TEMPFAIL : DKIM2_KEY_ABSENT, NULL, 0) == 0);
}

/* Each failure with its text, and both verdicts. */
static struct bytes
verify(const struct dkim2_message *m, struct bytes body, size_t split,
    bool is_late, struct arena *a, enum dkim2_state *full)
{
	static const struct bytes rcpt = BYTES_LIT("<bob@example.net>");
	struct dkim2_envelope e = {BYTES_LIT("<l-bounces@lists.example>"),
	    &rcpt, 1};
	struct dkim2_verify_options o = {.now_s = 1795341660, .envelope = &e};
	const struct dkim2_result *r;
	const struct bytes *names;
	struct dkim2_verify *v;
	struct buf out;
	size_t n;

	need(dkim2_verify_new(&v, a, &o) == 0);
	need(dkim2_verify_header(v, m) == 0);
	n = dkim2_verify_wants(v, &names);
	for (size_t k = 0; !is_late && k < n; k++)
		answer(v, k, names[k]);
	need(dkim2_verify_body(v, bytes_first(body, split)) == 0);
	need(dkim2_verify_body(v, bytes_skip(body, split)) == 0);
	need(dkim2_verify_end(v, body) == 0);
	for (size_t k = n; is_late && k-- != 0; )
		answer(v, k, names[k]);
	need(dkim2_verify_step(v) == DKIM2_DONE);
	r = dkim2_verify_result(v);
	need(r != NULL && arena_buf(a, 1 << 18, &out) == 0);
	need((r->full.state == DKIM2_PASS) == (r->n_all == 0));
	need(r->full.state != DKIM2_PASS ||
	    r->provisional.state == DKIM2_PASS);
	dkim2_verdict_text(&r->full, &out);
	dkim2_verdict_text(&r->provisional, &out);
	for (size_t k = 0; k < r->n_all; k++)
		dkim2_verdict_text(&r->all[k], &out);
	need(!out.full);
	for (size_t k = 0; k < out.n; k++)
		need(out.p[k] >= ' ' && out.p[k] < 0x7f);
	*full = r->full.state;
	dkim2_verify_fini(v);
	return buf_bytes(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes octets = {p, n}, body, one, other;
	struct arena *a = arena_new(256 << 20);
	struct dkim2_message m;
	enum dkim2_state x, y;
	size_t body_at = n;
	size_t header = dkim2_header_end(octets, &body_at);

	if (a == NULL || sodium_init() < 0)
		abort();
	if (n > 65536 || dkim2_message_parse(&m, bytes_first(octets, header),
	    1000, a) != 0) {
		arena_free(&a);
		return 0;
	}
	body = bytes_skip(octets, body_at);
	one = verify(&m, body, body.n, false, a, &x);
	other = verify(&m, body, body.n / 2, true, a, &y);
	need(x == y && bytes_eq(one, other));
	arena_free(&a);
	return 0;
}
