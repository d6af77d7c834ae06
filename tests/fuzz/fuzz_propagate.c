/*
 * A message that a DSN returns, taken back by one hop and told of in a DSN of
 * ours: what is undone never has our top signature, no octet of it is new but
 * where a recipe says so, our reader finds in the DSN just what was to be
 * returned, and the domain that signs it covers one of the paths.
 */
#include <stdlib.h>

#include <sodium.h>

#include "dkim2/history.h"
#include "dsn/report.h"
#include "dsn/route.h"
#include "dsn/undo.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
need(bool holds)
{
	if (!holds)
		abort();
}

static bool
is_ours(void *arg, struct bytes domain)
{
	(void)arg;
	return bytes_case_eq(domain, BYTES_LIT("lists.example"));
}

static bool
has_key(void *arg, struct bytes domain)
{
	(void)arg;
	return bytes_eq(domain, BYTES_LIT("lists.example")) ||
	    bytes_eq(domain, BYTES_LIT("example"));
}

/* Written and read again. */
static void
report(struct bytes header, struct bytes body, bool has_body,
    const struct dsn_failed *failed, size_t n, struct arena *a)
{
	const struct dsn_made d = {
		.domain = BYTES_LIT("lists.example"),
		.to = BYTES_LIT("<alice@example.org>"),
		.hostname = BYTES_LIT("mx.lists.example"),
		.id = BYTES_LIT("x"),
		.envid = bytes_first(header, 20),
		.rcpts = failed,
		.n_rcpts = n,
		.returned_header = header,
		.returned_body = body,
		.has_returned_body = has_body,
	};
	struct dkim2_message m;
	struct bytes h, b;
	enum dsn_parsed parsed;
	struct dsn_report r;
	bool is_8bit;

	need(dsn_report_write(&d, a, &h, &b, &is_8bit) == 0);
	for (size_t k = 0; !is_8bit && k < b.n; k++)
		need(b.p[k] < 0x80);
	need(dkim2_message_parse(&m, h, 100, a) == 0 && m.n_fields == 8);
	need(dsn_report_parse(&r, &m, b, a, &parsed) == 0);
	need(parsed == DSN_PARSED && r.n_recipients == n);
	need(bytes_starts(r.returned.header, header));
	need(r.has_returned_body == has_body);
	need(!has_body || bytes_eq(r.returned_body, body));
}

static void
tell(const struct dsn_undone *u, struct bytes text, struct arena *a)
{
	const struct bytes *told;
	struct bytes domain;
	bool is_covering = false;
	struct dsn_failed *f;
	size_t n;

	need(dsn_route_domain(&domain, u->rcpts, u->n_rcpts, has_key, NULL,
	    a) == 0);
	for (size_t k = 0; k < u->n_rcpts; k++)
		is_covering = is_covering || dkim2_domain_covers(domain,
		    dkim2_path_domain(u->rcpts[k]));
	need(domain.n == 0 || is_covering);
	need(dsn_route_told(&told, &n, u->rcpts, u->n_rcpts, u->domain,
	    a) == 0 && n <= u->n_rcpts);
	need((n == 0) == (u->n_rcpts == 0));
	if (n == 0 || u->header.n == 0)
		return;
	f = calloc(n, sizeof(*f));
	need(f != NULL);
	for (size_t k = 0; k < n; k++)
		f[k] = (struct dsn_failed){.final = told[k],
		    .original = text, .status = bytes_first(text, 5),
		    .diagnostic = text};
	report(u->header, u->body, u->has_body, f, n, a);
	free(f);
}

/* What is left has one signature of ours less, or no chain at all. */
static void
check_undone(const struct dsn_undone *u, const struct dkim2_message *was,
    struct arena *a)
{
	const struct dkim2_field *f;
	struct dkim2_message m;
	struct history h;

	need(u->signature.n == 32 && is_ours(NULL, u->domain));
	need(dkim2_message_parse(&m, u->header, SIZE_MAX, a) == 0);
	need(dkim2_message_find(&m, BYTES_LIT("DKIM2-Signature"), &f) <
	    dkim2_message_find(was, BYTES_LIT("DKIM2-Signature"), &f));
	need(history_read_header(&h, &m, a) == 0);
	if (u->n_rcpts == 0)
		return;
	need(h.n_states != 0 &&
	    h.states[h.n_states - 1].verdict.state == DKIM2_PASS);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const struct dsn_ours us = {is_ours, NULL,
	    BYTES_LIT("mx.lists.example")};
	struct bytes octets = {p, n}, header, trace;
	struct arena *a = arena_new(256 << 20);
	enum dsn_undo_verdict v;
	struct dkim2_message m;
	struct dsn_undone u;
	size_t body_at = n;

	if (a == NULL || sodium_init() < 0)
		abort();
	header = bytes_first(octets, dkim2_header_end(octets, &body_at));
	if (n <= 65536 && dkim2_message_parse(&m, header, 1000, a) == 0) {
		const struct dsn_route_facts facts = {
		    bytes_first(octets, 3), n % 2 == 0, true, &m};

		need(dsn_bar_text(dsn_route_forbids(&facts)) != NULL);
		need(dsn_undo_trace(&trace, &m, us.hostname, a) == 0);
		need(trace.n <= m.header.n);
		for (unsigned k = 0; k < 2; k++) {
			need(dsn_undo(&u, &m, bytes_skip(octets, body_at),
			    k == 0, &us, a, &v) == 0);
			if (v != DSN_UNDONE)
				continue;
			check_undone(&u, &m, a);
			tell(&u, octets, a);
		}
	}
	arena_free(&a);
	return 0;
}
