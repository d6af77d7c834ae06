/*
 * Header and body: fields are the header, octet for octet; the canonical
 * form stays what it is; the end of the header and the form of the body do
 * not depend on how the octets come.
 */
#include <stdlib.h>

#include "base/err.h"
#include "dkim2/canon.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
need(bool holds)
{
	if (!holds)
		abort();
}

static struct bytes
header_form(struct bytes header, struct arena *a)
{
	struct dkim2_message m;
	struct canon_header h;
	struct buf out;

	need(dkim2_message_parse(&m, header, SIZE_MAX, a) == 0);
	need(canon_header_sort(&h, &m, a) == 0);
	/* A line end may come to each field that has none. */
	need(arena_buf(a, header.n + 2, &out) == 0);
	need(canon_header_emit(&h, canon_to_buf, &out) == 0);
	return buf_bytes(&out);
}

/* Fields of one name are turned around each time, so two times are none. */
static void
check_header(struct bytes header, struct arena *a)
{
	struct dkim2_message m;
	const uint8_t *at = header.p;
	struct bytes domain = {NULL, 0}, once;

	if (dkim2_message_parse(&m, header, 1000, a) != 0)
		return;
	for (size_t k = 0; k < m.n_fields; k++) {
		const struct dkim2_field *f = &m.fields[k];

		need(f->raw.p == at && f->name.p == at && f->name.n != 0);
		at += f->raw.n;
		need(f->value.p > f->name.p && f->value.p + f->value.n <= at);
	}
	need(at == header.p + header.n);
	if (dkim2_message_from(&m, a, &domain) == DKIM2_FROM_ONE)
		need(domain.n != 0 && domain.p > header.p &&
		    domain.p + domain.n <= at);
	once = header_form(header, a);
	need(bytes_eq(once, header_form(header_form(once, a), a)));
}

static void
check_header_end(struct bytes octets)
{
	size_t body_at = 0, at = 0;
	size_t n = dkim2_header_end(octets, &body_at);

	for (size_t k = 0; k <= octets.n; k++) {
		size_t got = dkim2_header_end_from(bytes_first(octets, k),
		    k == 0 ? 0 : k - 1, &at);

		need(got == SIZE_MAX || (got == n && at == body_at && k == at));
		if (got != SIZE_MAX)
			return;
	}
	need(n == SIZE_MAX);
}

static struct bytes
body_form(struct bytes body, size_t at, size_t then, struct arena *a)
{
	struct canon_body c;
	struct buf out;

	need(arena_buf(a, body.n + 2, &out) == 0);
	canon_body_init(&c, canon_to_buf, &out);
	need(canon_body_add(&c, bytes_first(body, at)) == 0);
	need(canon_body_add(&c, bytes_first(bytes_skip(body, at), then)) == 0);
	need(canon_body_add(&c, bytes_skip(body, at + then)) == 0);
	need(canon_body_end(&c) == 0);
	return buf_bytes(&out);
}

static void
check_body(struct bytes body, struct arena *a)
{
	struct bytes whole = body_form(body, 0, 0, a);
	struct bytes plain = body;

	need(bytes_eq(whole, body_form(body, body.n / 2, 1, a)));
	need(bytes_eq(whole, body_form(body, body.n / 3, 2, a)));
	while (bytes_ends(plain, BYTES_LIT("\r\n")))
		plain.n -= 2;
	need(bytes_starts(whole, plain) && whole.n == plain.n + 2 &&
	    bytes_ends(whole, BYTES_LIT("\r\n")));
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes octets = {p, n};
	struct arena *a = arena_new(64 << 20);
	size_t body_at = n;
	size_t header = dkim2_header_end(octets, &body_at);

	if (a == NULL || n > 65536) {
		arena_free(&a);
		return 0;
	}
	check_header_end(octets);
	check_header(bytes_first(octets, header), a);
	check_body(bytes_skip(octets, body_at), a);
	arena_free(&a);
	return 0;
}
