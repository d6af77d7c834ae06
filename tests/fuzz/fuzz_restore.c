/*
 * Two messages, cut at the first "\xff\xff\r\n" (or in the middle): what came,
 * and what came back. What is put back is what stood there; done a second
 * time there is nothing left to do, and no field is lost or made.
 */
#include <stdint.h>
#include <stdlib.h>

#include "dkim2/restore.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static bool
split(struct bytes octets, struct dkim2_message *m, struct bytes *body,
    struct arena *a)
{
	size_t body_at = octets.n, end = dkim2_header_end(octets, &body_at);

	*body = bytes_skip(octets, body_at);
	return dkim2_message_parse(m, bytes_first(octets, end == SIZE_MAX ?
	    octets.n : end), 1000, a) == 0;
}

/* Field by field the chain of old, or what is no chain in now. */
static void
compare(const struct dkim2_message *out, const struct dkim2_message *m,
    bool are_chains, bool has_from)
{
	size_t at = 0;

	for (size_t k = 0; k < m->n_fields; k++) {
		const struct dkim2_field *f = m->fields + k;

		if (restore_is_chain_field(f) != are_chains)
			continue;
		while (at < out->n_fields && restore_is_chain_field(
		    out->fields + at) != are_chains)
			at++;
		if (at == out->n_fields)
			abort();
		if (!bytes_eq(out->fields[at].value, f->value) &&
		    !(has_from && bytes_case_eq(f->name, BYTES_LIT("From"))))
			abort();
		at++;
	}
	for (; at < out->n_fields; at++)
		if (restore_is_chain_field(out->fields + at) == are_chains)
			abort();
}

static void
restore(const struct dkim2_message *old, struct bytes old_body,
    const struct dkim2_message *now, struct bytes now_body, struct arena *a)
{
	struct dkim2_message out, again;
	unsigned done, more;
	bool has_chain;

	if (dkim2_restore(&done, &out, a, old, old_body, now, now_body) != 0)
		abort();
	has_chain = (done & ~DKIM2_RESTORED_FROM) != 0;
	compare(&out, has_chain ? old : now, true, false);
	compare(&out, now, false, (done & DKIM2_RESTORED_FROM) != 0);
	if (dkim2_restore(&more, &again, a, old, old_body, &out, now_body) !=
	    0 || more != 0)
		abort();
}

static void
read_twice(struct bytes value, struct arena *a)
{
	struct restore_from x, y;
	bool good;

	if (restore_from_read(&x, value, a, &good) != 0)
		abort();
	if (!good)
		return;
	if (x.local.n == 0 || x.domain.n == 0 || x.name.n > 3 * value.n ||
	    restore_from_read(&y, value, a, &good) != 0 ||
	    !restore_from_is_same(&x, &y))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes all = {p, n}, old_body, now_body, body;
	size_t at = bytes_find(all, BYTES_LIT("\xff\xff\r\n"));
	struct dkim2_message old, now, inner;
	struct arena *a;
	bool is_there;

	if (n > 8192)
		return 0;
	a = arena_new(64U << 20);
	read_twice(all, a);
	if (split(bytes_first(all, at == n ? n / 2 : at), &old, &old_body,
	    a) && split(bytes_skip(all, at == n ? n / 2 : at + 4), &now,
	    &now_body, a)) {
		restore(&old, old_body, &now, now_body, a);
		if (dkim2_wrapped(&is_there, &inner, &body, a, &now,
		    now_body) != 0)
			abort();
		if (is_there && (body.p < now_body.p || body.p + body.n >
		    now_body.p + now_body.n))
			abort();
	}
	arena_free(&a);
	return 0;
}
