/*
 * Whatever comes as a DSN: nothing that is found in it reaches outside it,
 * reading it twice finds the same, and what is checked of it does not depend
 * on the order of the answers.
 */
#include <stdlib.h>

#include <sodium.h>

#include "dsn/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
need(bool holds)
{
	if (!holds)
		abort();
}

static void
need_inside(struct bytes part, struct bytes whole)
{
	need(part.n == 0 || (part.p >= whole.p && part.n <= whole.n &&
	    (size_t)(part.p - whole.p) <= whole.n - part.n));
}

static void
need_same(struct bytes a, struct bytes b)
{
	need(a.p == b.p && a.n == b.n);
}

static enum dsn_parsed
parse(struct dsn_report *r, const struct dkim2_message *m, struct bytes body,
    struct arena *a)
{
	enum dsn_parsed verdict;

	need(dsn_report_parse(r, m, body, a, &verdict) == 0);
	need_inside(r->returned.header, body);
	need_inside(r->returned_body, body);
	need_inside(r->reporting_mta, body);
	need_inside(r->envelope_id, body);
	for (size_t k = 0; k < r->n_recipients; k++) {
		need_inside(r->recipients[k].final, body);
		need_inside(r->recipients[k].original, body);
		need_inside(r->recipients[k].status, body);
		need_inside(r->recipients[k].diagnostic, body);
		need(r->recipients[k].action < DSN_ACTION__N);
		need(r->recipients[k].final.n != 0);
	}
	for (size_t k = 0; k < r->returned.n_fields; k++)
		need_inside(r->returned.fields[k].raw, r->returned.header);
	need((r->returned.n_fields != 0) == (verdict == DSN_PARSED));
	need((r->n_recipients != 0) == (verdict != DSN_NO_REPORT &&
	    verdict != DSN_MALFORMED));
	return verdict;
}

static void
answer(struct dsn_check *c, size_t k, struct bytes name)
{
	static const struct bytes a = BYTES_LIT(
	    "k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="),
	    b = BYTES_LIT(
	    "k=ed25519; p=PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=");

	if (bytes_eq(name, BYTES_LIT("ed1._domainkey.example.org")))
		need(dsn_check_answer(c, k, DKIM2_KEY_TXT, &a, 1) == 0);
	else if (bytes_eq(name, BYTES_LIT("l1._domainkey.lists.example")))
		need(dsn_check_answer(c, k, DKIM2_KEY_TXT, &b, 1) == 0);
	else
		need(dsn_check_answer(c, k, name.n % 2 == 0 ?
		    DKIM2_KEY_TEMPFAIL : DKIM2_KEY_ABSENT, NULL, 0) == 0);
}

/* The verdict and its text. */
static enum dkim2_state
check(const struct dkim2_message *m, struct bytes body, bool is_backwards,
    struct arena *a, struct buf *text)
{
	static const struct bytes rcpt = BYTES_LIT("<alice@example.org>");
	struct dkim2_envelope e = {BYTES_LIT("<>"), &rcpt, 1};
	struct dsn_check_options o = {.now_s = 1795341660, .envelope = &e};
	const struct dsn_result *r;
	const struct bytes *names;
	enum dkim2_state state;
	struct dsn_check *c;
	size_t n;

	need(dsn_check_new(&c, a, m, body, &o) == 0);
	n = dsn_check_wants(c, &names);
	for (size_t k = 0; k < n; k++)
		for (size_t j = 0; j < k; j++)
			need(!bytes_eq(names[j], names[k]));
	for (size_t k = 0; k < n; k++) {
		size_t at = is_backwards ? n - 1 - k : k;

		need(dsn_check_step(c) == DKIM2_WANT_KEY);
		answer(c, at, names[at]);
	}
	need(dsn_check_step(c) == DKIM2_DONE);
	r = dsn_check_result(c);
	need(r != NULL && (r->state == DKIM2_PASS) == (r->reason == DSN_OK));
	need(r->state != DKIM2_NONE);
	dsn_result_text(r, text);
	need(!text->full && (text->n == 0) == (r->state == DKIM2_PASS));
	for (size_t k = 0; k < text->n; k++)
		need(text->p[k] >= ' ' && text->p[k] < 0x7f);
	state = r->state;
	dsn_check_fini(c);
	return state;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes octets = {p, n}, body;
	struct arena *a = arena_new(256 << 20);
	char one[2048], other[2048];
	struct buf x = BUF_ON(one), y = BUF_ON(other);
	struct dsn_report r, again;
	struct dkim2_message m;
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
	need(parse(&r, &m, body, a) == parse(&again, &m, body, a));
	need_same(r.returned.header, again.returned.header);
	need_same(r.returned_body, again.returned_body);
	need(r.n_recipients == again.n_recipients);
	need(check(&m, body, false, a, &x) == check(&m, body, true, a, &y));
	need(bytes_eq(buf_bytes(&x), buf_bytes(&y)));
	arena_free(&a);
	return 0;
}
