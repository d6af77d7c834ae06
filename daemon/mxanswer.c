#include "daemon/mxanswer.h"

#include "base/err.h"

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

/* A name as on the wire with dots between its labels. */
static void
add_host(struct bytes name, struct buf *out)
{
	for (bool is_first = true; name.n != 0 && name.p[0] != 0;
	    is_first = false) {
		if (!is_first)
			buf_add_octet(out, '.');
		buf_add(out, bytes_first(bytes_skip(name, 1), name.p[0]));
		name = bytes_skip(name, 1U + name.p[0]);
	}
}

/* Makes a record of ours from one of theirs. False: it does not parse. */
static bool
add_mx(const struct dnsanswer *w, const struct dnsanswer_rr *r,
    struct buf *out)
{
	uint8_t room[DNSANSWER_NAME_MAX];
	struct buf name = BUF_ON(room);
	size_t at = r->data + 2;

	if (r->rdata.n < 3 || !dnsanswer_read_name(w->m, &at, &name) ||
	    at != r->data + r->rdata.n)
		return false;
	buf_add(out, bytes_first(r->rdata, 2));
	add_host(buf_bytes(&name), out);
	return true;
}

static bool
add_addr(const struct dnsanswer *w, const struct dnsanswer_rr *r,
    struct buf *out)
{
	(void)w;
	if (r->rdata.n != (r->type == DNSTYPE_A ? 4 : 16))
		return false;
	if (r->type == DNSTYPE_A)
		buf_add(out, (struct bytes){mapped, sizeof(mapped)});
	buf_add(out, r->rdata);
	return true;
}

typedef bool add_record(const struct dnsanswer *w,
    const struct dnsanswer_rr *r, struct buf *out);

int
mxanswer_parse(struct dnsanswer_records *t, struct bytes answer,
    struct bytes name, enum dnsanswer_type type, struct arena *a)
{
	add_record *add = type == DNSTYPE_MX ? add_mx : add_addr;
	const struct dnsanswer_rr *r;
	struct bytes *records;
	struct dnsanswer w;
	struct buf text;
	size_t k = 0;

	*t = (struct dnsanswer_records){.found = dnsanswer_read(&w, answer,
	    name, type), .ttl_s = UINT32_MAX};
	if (t->found != DNSANSWER_THERE)
		return 0;
	records = arena_array(a, w.n, sizeof(*records));
	if (records == NULL ||
	    arena_buf(a, w.n * (DNSANSWER_NAME_MAX + 1), &text) != 0)
		return -E_NOMEM;
	while ((r = dnsanswer_next(&w, type, &k)) != NULL) {
		size_t from = text.n;

		if (!add(&w, r, &text)) {
			t->n = 0;
			t->found = DNSANSWER_TEMPFAIL;
			return 0;
		}
		records[t->n++] = bytes_skip(buf_bytes(&text), from);
	}
	t->records = records;
	t->found = t->n != 0 ? DNSANSWER_THERE : DNSANSWER_ABSENT;
	t->ttl_s = w.ttl_s;
	return 0;
}

struct mxanswer_host
mxanswer_host(struct bytes record)
{
	return (struct mxanswer_host){(unsigned)record.p[0] << 8 |
	    record.p[1], bytes_skip(record, 2)};
}

bool
mxanswer_is_null(const struct dnsanswer_records *t)
{
	return t->n == 1 && mxanswer_host(t->records[0]).name.n == 0;
}

/* One number out of another; the constants are those of Numerical Recipes. */
static uint32_t
next_random(uint32_t *random)
{
	*random = *random * 1664525U + 1013904223U;
	return *random >> 8;
}

static void
swap(struct mxanswer_host *a, struct mxanswer_host *b)
{
	struct mxanswer_host was = *a;

	*a = *b;
	*b = was;
}

void
mxanswer_order(struct mxanswer_host *hosts, size_t n, uint32_t random)
{
	/* all shuffled, then sorted so that the same stay as they are */
	for (size_t k = n; k > 1; k--)
		swap(&hosts[k - 1], &hosts[next_random(&random) % k]);
	for (size_t k = 1; k < n; k++)
		for (size_t i = k; i > 0 &&
		    hosts[i - 1].preference > hosts[i].preference; i--)
			swap(&hosts[i - 1], &hosts[i]);
}
