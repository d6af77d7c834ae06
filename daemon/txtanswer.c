#include "daemon/txtanswer.h"

#include "base/err.h"

/* Joins the strings of a record. False where they do not fill it exactly. */
static bool
join(struct bytes rdata, struct buf *out)
{
	while (rdata.n != 0) {
		size_t n = rdata.p[0];

		if (n > rdata.n - 1)
			return false;
		buf_add(out, bytes_first(bytes_skip(rdata, 1), n));
		rdata = bytes_skip(rdata, 1 + n);
	}
	return true;
}

int
txtanswer_parse(struct dnsanswer_records *t, struct bytes answer,
    struct bytes name, struct arena *a)
{
	const struct dnsanswer_rr *r;
	struct bytes *records;
	struct dnsanswer w;
	struct buf text;
	size_t k = 0;

	*t = (struct dnsanswer_records){.found = dnsanswer_read(&w, answer,
	    name, DNSTYPE_TXT), .ttl_s = UINT32_MAX};
	if (t->found != DNSANSWER_THERE)
		return 0;
	records = arena_array(a, w.n, sizeof(*records));
	if (records == NULL || arena_buf(a, TXTANSWER_TEXT_MAX, &text) != 0)
		return -E_NOMEM;
	while ((r = dnsanswer_next(&w, DNSTYPE_TXT, &k)) != NULL) {
		size_t from = text.n;

		if (!join(r->rdata, &text)) {
			t->n = 0;
			t->found = DNSANSWER_TEMPFAIL;
			return 0;
		}
		records[t->n++] = text.full ? (struct bytes){text.p, 0} :
		    (struct bytes){text.p + from, text.n - from};
	}
	t->records = records;
	t->found = t->n != 0 ? DNSANSWER_THERE : DNSANSWER_ABSENT;
	t->ttl_s = w.ttl_s;
	return 0;
}
