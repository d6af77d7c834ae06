#include "daemon/dnsanswer.h"

#include "base/ascii.h"

enum { CLASS_IN = 1 };
enum { RCODE_NONE = 0, RCODE_NXDOMAIN = 3 };

static bool
get16(struct dnsanswer *w, unsigned *v)
{
	if (w->m.n - w->at < 2)
		return false;
	*v = (unsigned)w->m.p[w->at] << 8 | w->m.p[w->at + 1];
	w->at += 2;
	return true;
}

bool
dnsanswer_name(struct bytes name, struct buf *out)
{
	if (name.n != 0 && name.p[name.n - 1] == '.')
		name.n--;
	if (name.n == 0)
		return false;
	while (name.p != NULL) {
		struct bytes label = bytes_cut(&name, '.');

		if (label.n == 0 || label.n > 63)
			return false;
		buf_add_octet(out, (uint8_t)label.n);
		for (size_t k = 0; k < label.n; k++) {
			/* a backslash would be an escape to c-ares */
			if (!ascii_is_graph(label.p[k]) || label.p[k] == '\\')
				return false;
			buf_add_octet(out, ascii_lower(label.p[k]));
		}
	}
	buf_add_octet(out, 0);
	return !out->full && out->n <= DNSANSWER_NAME_MAX;
}

/* A pointer leads to before itself, so that all ends. RFC 1035 4.1.4. */
bool
dnsanswer_read_name(struct bytes m, size_t *at, struct buf *out)
{
	size_t p = *at, limit = m.n;
	bool has_jumped = false;

	for (;;) {
		unsigned n;

		if (p >= limit)
			return false;
		n = m.p[p];
		if (n >= 0xc0) {
			if (m.n - p < 2)
				return false;
			if (!has_jumped)
				*at = p + 2;
			has_jumped = true;
			limit = p;
			p = (size_t)(n & 0x3f) << 8 | m.p[p + 1];
			continue;
		}
		if (n > 63 || n > m.n - p - 1)
			return false;
		buf_add_octet(out, (uint8_t)n);
		for (size_t k = 1; k <= n; k++)
			buf_add_octet(out, ascii_lower(m.p[p + k]));
		p += n + 1;
		if (out->full)
			return false;
		if (n == 0)
			break;
	}
	if (!has_jumped)
		*at = p;
	return true;
}

static bool
read_rr(struct dnsanswer *w, struct dnsanswer_rr *r)
{
	uint8_t room[DNSANSWER_NAME_MAX];
	struct buf name = BUF_ON(room);
	unsigned high, low, n;

	r->owner = w->at;
	if (!dnsanswer_read_name(w->m, &w->at, &name) || !get16(w, &r->type) ||
	    !get16(w, &r->class) || !get16(w, &high) || !get16(w, &low) ||
	    !get16(w, &n) || n > w->m.n - w->at)
		return false;
	r->ttl_s = (uint32_t)high << 16 | low;
	if (high & 0x8000)
		r->ttl_s = 0;	/* RFC 2181 8 */
	r->data = w->at;
	r->rdata = (struct bytes){w->m.p + w->at, n};
	w->at += n;
	return true;
}

static bool
is_owner(const struct dnsanswer *w, const struct dnsanswer_rr *r)
{
	uint8_t room[DNSANSWER_NAME_MAX];
	struct buf owner = BUF_ON(room);
	size_t at = r->owner;

	return r->class == CLASS_IN &&
	    dnsanswer_read_name(w->m, &at, &owner) &&
	    bytes_eq(buf_bytes(&owner), (struct bytes){w->owner, w->n_owner});
}

/* Reads header, question and answer section; the name is in w->owner. */
static bool
read_sections(struct dnsanswer *w, enum dnsanswer_type type, unsigned *rcode)
{
	uint8_t room[DNSANSWER_NAME_MAX];
	struct buf name = BUF_ON(room);
	unsigned id, flags, n_questions, n, ignored, asked, class;

	if (!get16(w, &id) || !get16(w, &flags) || !get16(w, &n_questions) ||
	    !get16(w, &n) || !get16(w, &ignored) || !get16(w, &ignored))
		return false;
	*rcode = flags & 0xf;
	/* it is an answer (QR), whole (not TC), to one question: ours */
	if (!(flags & 0x8000) || (flags & 0x0200) || n_questions != 1 ||
	    n > DNSANSWER_RRS_MAX)
		return false;
	if (!dnsanswer_read_name(w->m, &w->at, &name) ||
	    !bytes_eq(buf_bytes(&name),
	    (struct bytes){w->owner, w->n_owner}) ||
	    !get16(w, &asked) || !get16(w, &class) ||
	    asked != (unsigned)type || class != CLASS_IN)
		return false;
	for (; w->n < n; w->n++)
		if (!read_rr(w, &w->rrs[w->n]))
			return false;
	return true;
}

const struct dnsanswer_rr *
dnsanswer_next(struct dnsanswer *w, enum dnsanswer_type type, size_t *k)
{
	for (; *k < w->n; ++*k) {
		const struct dnsanswer_rr *r = &w->rrs[*k];

		if (r->type != (unsigned)type || !is_owner(w, r))
			continue;
		if (r->ttl_s < w->ttl_s)
			w->ttl_s = r->ttl_s;
		++*k;
		return r;
	}
	return NULL;
}

/* Follows the CNAMEs from w->owner, which becomes where they end. */
static bool
follow(struct dnsanswer *w)
{
	for (int n = 0; n <= DNSANSWER_CHAIN_MAX; n++) {
		size_t k = 0, at;
		const struct dnsanswer_rr *r = dnsanswer_next(w,
		    DNSTYPE_CNAME, &k);
		struct buf name = BUF_ON(w->owner);

		if (r == NULL)
			return true;
		at = r->data;
		if (!dnsanswer_read_name(w->m, &at, &name) ||
		    at != r->data + r->rdata.n)
			return false;
		w->n_owner = name.n;
	}
	return false;		/* a loop, or as good as one */
}

enum dnsanswer_found
dnsanswer_read(struct dnsanswer *w, struct bytes answer, struct bytes name,
    enum dnsanswer_type type)
{
	struct buf owner = BUF_ON(w->owner);
	unsigned rcode;

	w->m = answer;
	w->at = 0;
	w->n = 0;
	w->ttl_s = UINT32_MAX;
	if (!dnsanswer_name(name, &owner))
		return DNSANSWER_TEMPFAIL;
	w->n_owner = owner.n;
	if (!read_sections(w, type, &rcode))
		return DNSANSWER_TEMPFAIL;
	if (rcode == RCODE_NXDOMAIN)
		return DNSANSWER_ABSENT;
	if (rcode != RCODE_NONE || !follow(w))
		return DNSANSWER_TEMPFAIL;
	return DNSANSWER_THERE;
}
