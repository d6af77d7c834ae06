#include "dkim2/dkim1_field.h"

#include "base/ascii.h"
#include "base/err.h"
#include "dkim2/draft.h"
#include "dkim2/taglist.h"

#define TIME_MAX 999999999999U	/* 12 digits */
#define KEY_BITS_MIN 1024U	/* RFC 8301 3.2 */

/* Says whether a list with colons holds the word. */
static bool
colons_have(struct bytes list, const char *word)
{
	struct bytes rest = list;

	while (rest.p != NULL)
		if (bytes_eq(taglist_trim(bytes_cut(&rest, ':')),
		    bytes_of(word)))
			return true;
	return false;
}

/* Cuts the next name from the front of h; false where there is none. */
static bool
next_name(struct bytes *h, struct bytes *name)
{
	if (h->p == NULL)
		return false;
	*name = taglist_trim(bytes_cut(h, ':'));
	return true;
}

/* Says whether h= is a list of names, and counts those that are "from". */
static bool
names_are_good(struct bytes h, size_t *n_from)
{
	size_t n = 0;
	struct bytes name;

	*n_from = 0;
	while (next_name(&h, &name)) {
		if (++n > DKIM1_NAMES_MAX || !taglist_is_word(name))
			return false;
		*n_from += bytes_case_eq(name, BYTES_LIT("from"));
	}
	return true;
}

static enum dkim1_reason
read_canon(struct dkim1_field *f, const struct taglist *tags)
{
	struct bytes header, body;

	f->header = f->body = DKIM1_SIMPLE;
	if (!taglist_find(tags, "c", &body))
		return DKIM1_OK;
	header = taglist_trim(bytes_cut(&body, '/'));
	f->header = dkim1_canon_by_name(header);
	if (body.p != NULL)
		f->body = dkim1_canon_by_name(taglist_trim(body));
	return f->header == DKIM1_CANON__N || f->body == DKIM1_CANON__N ?
	    DKIM1_CANON_UNKNOWN : DKIM1_OK;
}

/* The domain of i=, which is that of d= or below it. */
static enum dkim1_reason
read_identity(struct dkim1_field *f, const struct dkim1_signature_result *r)
{
	size_t at = r->i.n;

	f->i_domain = r->d;
	if (r->i.p == NULL)
		return DKIM1_OK;
	while (at != 0 && r->i.p[at - 1] != '@')
		at--;
	f->i_domain = bytes_skip(r->i, at);
	if (at == 0 || !taglist_is_domain(f->i_domain, 2))
		return DKIM1_SYNTAX;
	return dkim2_domain_covers(r->d, f->i_domain) ?
	    DKIM1_OK : DKIM1_DOMAIN_MISMATCH;
}

static enum dkim1_reason
read_time(const struct taglist *tags, const char *name, int64_t *time_s)
{
	struct bytes value;
	uint64_t n;

	if (!taglist_find(tags, name, &value))
		return DKIM1_OK;
	if (!bytes_number(value, TIME_MAX, &n))
		return DKIM1_SYNTAX;
	*time_s = (int64_t)n;
	return DKIM1_OK;
}

static enum dkim1_reason
read_times(struct dkim1_signature_result *r, const struct taglist *tags,
    int64_t now_s)
{
	if (read_time(tags, "t", &r->t) != DKIM1_OK ||
	    read_time(tags, "x", &r->x) != DKIM1_OK ||
	    (r->x >= 0 && r->x <= r->t))
		return DKIM1_SYNTAX;
	if (r->x >= 0 && now_s > r->x)
		return DKIM1_EXPIRED;
	return r->t - DKIM1_FUTURE_S > now_s ? DKIM1_FUTURE : DKIM1_OK;
}

static enum dkim1_reason
read_algorithm(struct dkim1_field *f, struct bytes a)
{
	if (bytes_eq(a, BYTES_LIT("rsa-sha1")))
		return DKIM1_ALGORITHM_HISTORIC;
	f->algorithm = dkim2_algorithm_by_name(a);
	return f->algorithm == DKIM2_RSA_SHA256 ||
	    f->algorithm == DKIM2_ED25519_SHA256 ?
	    DKIM1_OK : DKIM1_ALGORITHM_UNKNOWN;
}

static enum dkim1_reason
read_names(struct dkim1_field *f, struct dkim1_signature_result *r,
    const struct dkim2_message *m)
{
	const struct dkim2_field *top;
	size_t n_signed, n;

	if (!names_are_good(f->h, &n_signed))
		return DKIM1_SYNTAX;
	if (n_signed == 0)
		return DKIM1_FROM_UNSIGNED;
	n = dkim2_message_find(m, BYTES_LIT("From"), &top);
	r->covers_from = n != 0 && n_signed >= n;
	return DKIM1_OK;
}

/* Everything that does not need memory; the first fault found. */
static enum dkim1_reason
read_tags(struct dkim1_field *f, struct dkim1_signature_result *r,
    const struct taglist *tags, const struct dkim2_message *m, int64_t now_s)
{
	struct bytes value;
	enum dkim1_reason fault;
	bool is_whole = r->a.p != NULL && r->b.p != NULL && r->d.p != NULL &&
	    r->s.p != NULL && taglist_find(tags, "h", &f->h) &&
	    taglist_find(tags, "bh", &f->bh) &&
	    taglist_find(tags, "v", &value);

	if (tags->is_bad)
		return DKIM1_SYNTAX;
	if (taglist_find(tags, "v", &value) &&
	    !bytes_eq(value, BYTES_LIT("1")))
		return DKIM1_VERSION;
	if (!is_whole)
		return DKIM1_TAG_MISSING;
	if (!taglist_is_domain(r->d, 2) || !taglist_is_domain(r->s, 1) ||
	    r->s.n + strlen(DRAFT_KEY_LABEL) + r->d.n > DRAFT_DOMAIN_MAX)
		return DKIM1_SYNTAX;
	fault = read_algorithm(f, r->a);
	if (fault == DKIM1_OK)
		fault = read_canon(f, tags);
	if (fault == DKIM1_OK && taglist_find(tags, "q", &value) &&
	    !colons_have(value, "dns/txt"))
		fault = DKIM1_QUERY_UNKNOWN;
	if (fault == DKIM1_OK)
		fault = read_identity(f, r);
	if (fault == DKIM1_OK)
		fault = read_names(f, r, m);
	if (fault == DKIM1_OK)
		fault = read_times(r, tags, now_s);
	if (fault == DKIM1_OK && taglist_find(tags, "l", &value))
		fault = DKIM1_LENGTH;
	return fault;
}

int
dkim1_field_parse(struct dkim1_field *f, struct dkim1_signature_result *r,
    const struct dkim2_message *m, int64_t now_s, struct arena *a)
{
	static const struct bytes none = {NULL, 0};
	const struct dkim2_field *field = r->field;
	struct taglist tags;
	int failed;

	*f = (struct dkim1_field){.algorithm = DKIM2_ALGORITHM__N};
	*r = (struct dkim1_signature_result){.field = field, .d = none,
	    .s = none, .a = none, .i = none, .b = none, .t = -1, .x = -1};
	taglist_parse(&tags, field->value);
	(void)taglist_find(&tags, "d", &r->d);
	(void)taglist_find(&tags, "s", &r->s);
	(void)taglist_find(&tags, "a", &r->a);
	(void)taglist_find(&tags, "i", &r->i);
	(void)taglist_find(&tags, "b", &r->b);
	r->reason = read_tags(f, r, &tags, m, now_s);
	if (r->reason != DKIM1_OK)
		return 0;
	failed = taglist_base64(r->b, a, &f->signature);
	if (failed == 0)
		failed = taglist_base64(f->bh, a, &f->bh);
	if (failed == 0 && (f->signature.p == NULL ||
	    f->bh.n != dkim2_hash_size(DKIM2_SHA256)))
		r->reason = DKIM1_SYNTAX;
	return failed;
}

static int
emit_fields(const struct dkim2_message *m, const struct dkim2_field *own,
    enum dkim1_canon c, struct bytes h, bool *is_taken, void *hasher)
{
	struct bytes name;

	while (next_name(&h, &name)) {
		size_t k = m->n_fields;
		int r;

		while (k != 0 && (is_taken[k - 1] ||
		    &m->fields[k - 1] == own ||
		    !bytes_case_eq(m->fields[k - 1].name, name)))
			k--;
		if (k == 0)
			continue;
		is_taken[k - 1] = true;
		r = dkim1_canon_field(c, &m->fields[k - 1], canon_to_hasher,
		    hasher);
		if (r != 0)
			return r;
	}
	return dkim1_canon_signature(c, own, canon_to_hasher, hasher);
}

int
dkim1_field_digest(const struct dkim2_message *m,
    const struct dkim2_field *own, enum dkim1_canon c, struct bytes h,
    struct arena *a, uint8_t *digest)
{
	bool *is_taken = arena_array(a, m->n_fields + 1, sizeof(*is_taken));
	struct dkim2_hasher hasher;
	int r;

	if (is_taken == NULL)
		return -E_NOMEM;
	r = dkim2_hasher_init(&hasher, DKIM2_SHA256);
	if (r != 0)
		return r;
	r = emit_fields(m, own, c, h, is_taken, &hasher);
	if (r == 0)
		r = dkim2_hasher_end(&hasher, digest);
	dkim2_hasher_fini(&hasher);
	return r;
}

/* ---- key records ----------------------------------------------------------- */

/* What the tags say but for p=. */
static enum dkim1_reason
key_tags(struct dkim1_key *k, const struct taglist *tags,
    const struct dkim1_field *f, struct bytes d)
{
	struct bytes value, type = BYTES_LIT("rsa"), flags = {NULL, 0};

	if (tags->is_bad)
		return DKIM1_KEY_SYNTAX;
	if (taglist_find(tags, "v", &value) &&
	    (!bytes_eq(value, BYTES_LIT(DRAFT_KEY_VERSION)) ||
	    !bytes_eq(tags->tags[0].name, BYTES_LIT("v"))))
		return DKIM1_KEY_SYNTAX;
	if (taglist_find(tags, "h", &value) && !colons_have(value, "sha256"))
		return DKIM1_KEY_HASH;
	if (taglist_find(tags, "s", &value) && !colons_have(value, "*") &&
	    !colons_have(value, "email"))
		return DKIM1_KEY_SERVICE;
	(void)taglist_find(tags, "t", &flags);
	k->is_testing = colons_have(flags, "y");
	if (colons_have(flags, "s") && !bytes_case_eq(f->i_domain, d))
		return DKIM1_KEY_STRICT;
	(void)taglist_find(tags, "k", &type);
	if (!bytes_eq(type, f->algorithm == DKIM2_RSA_SHA256 ?
	    BYTES_LIT("rsa") : BYTES_LIT("ed25519")))
		return DKIM1_KEY_MISMATCH;
	return DKIM1_OK;
}

static enum dkim1_reason
key_size(const struct dkim2_public_key *k)
{
	if (k->algorithm != DKIM2_RSA_SHA256)
		return DKIM1_OK;
	if (k->bits < KEY_BITS_MIN)
		return DKIM1_KEY_SHORT;
	return k->bits > DKIM2_RSA_BITS_MAX ? DKIM1_KEY_LONG : DKIM1_OK;
}

int
dkim1_key_read(struct dkim1_key *k, struct bytes record,
    const struct dkim1_field *f, struct bytes d, struct arena *a,
    enum dkim1_reason *reason)
{
	struct bytes p, octets;
	struct taglist tags;
	bool good;
	int r;

	*k = (struct dkim1_key){.is_testing = false};
	*reason = DKIM1_KEY_SYNTAX;
	if (record.n > DRAFT_KEY_RECORD_MAX)
		return 0;
	taglist_parse(&tags, record);
	*reason = key_tags(k, &tags, f, d);
	if (*reason != DKIM1_OK)
		return 0;
	*reason = DKIM1_KEY_SYNTAX;
	if (!taglist_find(&tags, "p", &p))
		return 0;
	*reason = DKIM1_KEY_REVOKED;
	if (p.n == 0)
		return 0;
	*reason = DKIM1_KEY_MALFORMED;
	r = taglist_base64(p, a, &octets);
	if (r != 0 || octets.p == NULL)
		return r;
	r = dkim2_public_key_init(&k->public, f->algorithm, octets, &good);
	if (r != 0 || !good)
		return r;
	*reason = key_size(&k->public);
	if (*reason != DKIM1_OK)
		dkim2_public_key_fini(&k->public);
	return 0;
}
