#include "daemon/annotate.h"

#include "base/err.h"

/* The header block without the octets of the cuts, which are in order. */
static int
leave_out(struct bytes header, const struct bytes *cuts, size_t n,
    struct arena *a, struct bytes *left)
{
	struct buf out;

	*left = header;
	if (n == 0)
		return 0;
	if (arena_buf(a, header.n, &out) != 0)
		return -E_NOMEM;
	for (size_t k = 0; k < n; k++) {
		size_t at = (size_t)(cuts[k].p - header.p);

		buf_add(&out, bytes_first(header, at));
		header = bytes_skip(header, at + cuts[k].n);
	}
	buf_add(&out, header);
	*left = buf_bytes(&out);
	return 0;
}

int
annotate(struct annotation *out, const struct dkim2_message *m,
    const struct authres *facts, struct arena *a)
{
	uint8_t room[AUTHRES_MAX];
	struct buf field = BUF_ON(room);
	const struct bytes *cuts;
	size_t n;
	int r;

	*out = (struct annotation){.header = m->header};
	r = authres_find(m, facts->id, a, &cuts, &n);
	if (r == 0)
		r = leave_out(m->header, cuts, n, a, &out->header);
	if (r != 0 || (facts->dkim2 == NULL && facts->dkim1 == NULL &&
	    facts->dmarc == NULL))
		return r;
	r = authres_write(facts, &field);
	if (r != 0)
		return r;
	out->field = arena_copy(a, buf_bytes(&field));
	return out->field.p == NULL ? -E_NOMEM : 0;
}
