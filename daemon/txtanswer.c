#include "daemon/txtanswer.h"

#include "base/ascii.h"
#include "base/err.h"

enum { TYPE_CNAME = 5, TYPE_TXT = 16, CLASS_IN = 1 };
enum { RCODE_NONE = 0, RCODE_NXDOMAIN = 3 };

/* One record of the answer section. */
struct rr {
	size_t owner;		/* offset of its name */
	unsigned type;
	unsigned class;
	uint32_t ttl_s;
	size_t data;		/* offset */
	struct bytes rdata;
};

struct answer {
	struct bytes m;		/* the whole message: names point into it */
	size_t at;
	struct rr rrs[TXTANSWER_RRS_MAX];
	size_t n;
};

static bool
get16(struct answer *w, unsigned *v)
{
	if (w->m.n - w->at < 2)
		return false;
	*v = (unsigned)w->m.p[w->at] << 8 | w->m.p[w->at + 1];
	w->at += 2;
	return true;
}

bool
txtanswer_name(struct bytes name, struct buf *out)
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
	return !out->full && out->n <= TXTANSWER_NAME_MAX;
}

/*
 * Reads the name at *at, which is moved behind it, into out (not NULL) as
 * txtanswer_name() writes it. A pointer leads to before itself, so that all
 * ends. Source RFC 1035 4.1.4.
 */
static bool
read_name(struct bytes m, size_t *at, struct buf *out)
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
read_rr(struct answer *w, struct rr *r)
{
	uint8_t room[TXTANSWER_NAME_MAX];
	struct buf name = BUF_ON(room);
	unsigned high, low, n;

	r->owner = w->at;
	if (!read_name(w->m, &w->at, &name) || !get16(w, &r->type) ||
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
is_owner(const struct answer *w, const struct rr *r, struct bytes name)
{
	uint8_t room[TXTANSWER_NAME_MAX];
	struct buf owner = BUF_ON(room);
	size_t at = r->owner;

	return r->class == CLASS_IN && read_name(w->m, &at, &owner) &&
	    bytes_eq(buf_bytes(&owner), name);
}

/* Reads header, question and answer section. */
static bool
read_sections(struct answer *w, struct bytes name, unsigned *rcode)
{
	uint8_t room[TXTANSWER_NAME_MAX];
	struct buf question = BUF_ON(room);
	unsigned id, flags, n_questions, n, ignored;

	if (!get16(w, &id) || !get16(w, &flags) || !get16(w, &n_questions) ||
	    !get16(w, &n) || !get16(w, &ignored) || !get16(w, &ignored))
		return false;
	*rcode = flags & 0xf;
	/* it is an answer (QR), whole (not TC), to one question: ours */
	if (!(flags & 0x8000) || (flags & 0x0200) || n_questions != 1 ||
	    n > TXTANSWER_RRS_MAX)
		return false;
	if (!read_name(w->m, &w->at, &question) ||
	    !bytes_eq(buf_bytes(&question), name) ||
	    !get16(w, &ignored) || !get16(w, &ignored))
		return false;
	for (; w->n < n; w->n++)
		if (!read_rr(w, &w->rrs[w->n]))
			return false;
	return true;
}

static const struct rr *
find(const struct answer *w, unsigned type, struct bytes owner)
{
	for (size_t k = 0; k < w->n; k++)
		if (w->rrs[k].type == type && is_owner(w, &w->rrs[k], owner))
			return &w->rrs[k];
	return NULL;
}

/* Follows the CNAMEs from name, which is replaced by where they end. */
static bool
follow(const struct answer *w, struct buf *name, uint32_t *ttl_s)
{
	for (int k = 0; k <= TXTANSWER_CHAIN_MAX; k++) {
		const struct rr *r = find(w, TYPE_CNAME, buf_bytes(name));
		size_t at;

		if (r == NULL)
			return true;
		if (r->ttl_s < *ttl_s)
			*ttl_s = r->ttl_s;
		at = r->data;
		name->n = 0;
		if (!read_name(w->m, &at, name) ||
		    at != r->data + r->rdata.n)
			return false;
	}
	return false;		/* a loop, or as good as one */
}

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

static int
collect(const struct answer *w, struct bytes owner, struct txtanswer *t,
    struct arena *a)
{
	struct bytes *records = arena_array(a, w->n, sizeof(*records));
	struct buf text;

	if (records == NULL || arena_buf(a, TXTANSWER_TEXT_MAX, &text) != 0)
		return -E_NOMEM;
	for (size_t k = 0; k < w->n; k++) {
		const struct rr *r = &w->rrs[k];
		size_t from = text.n;

		if (r->type != TYPE_TXT || !is_owner(w, r, owner))
			continue;
		if (!join(r->rdata, &text)) {
			t->n = 0;
			t->found = DKIM2_KEY_TEMPFAIL;
			return 0;
		}
		records[t->n++] = text.full ? (struct bytes){text.p, 0} :
		    (struct bytes){text.p + from, text.n - from};
		if (r->ttl_s < t->ttl_s)
			t->ttl_s = r->ttl_s;
	}
	t->records = records;
	t->found = t->n != 0 ? DKIM2_KEY_TXT : DKIM2_KEY_ABSENT;
	return 0;
}

int
txtanswer_parse(struct txtanswer *t, struct bytes answer, struct bytes name,
    struct arena *a)
{
	struct answer w = {.m = answer};
	uint8_t room[TXTANSWER_NAME_MAX];
	struct buf owner = BUF_ON(room);
	unsigned rcode;

	*t = (struct txtanswer){.found = DKIM2_KEY_TEMPFAIL,
	    .ttl_s = UINT32_MAX};
	if (!txtanswer_name(name, &owner) ||
	    !read_sections(&w, buf_bytes(&owner), &rcode))
		return 0;
	if (rcode == RCODE_NXDOMAIN) {
		t->found = DKIM2_KEY_ABSENT;
		return 0;
	}
	if (rcode != RCODE_NONE || !follow(&w, &owner, &t->ttl_s))
		return 0;
	return collect(&w, buf_bytes(&owner), t, a);
}
