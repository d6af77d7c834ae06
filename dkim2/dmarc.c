#include "dkim2/dmarc.h"

#include <assert.h>

#include <libpsl.h>

#include "base/ascii.h"
#include "base/err.h"
#include "dkim2/draft.h"
#include "dkim2/idn.h"
#include "dkim2/taglist.h"

#define LABEL "_dmarc."
#define NAME_MAX_OCTETS (sizeof(LABEL) - 1 + DRAFT_DOMAIN_MAX)

static const char *const policy_names[] = {
	[DMARC_POLICY_NONE] = "none",
	[DMARC_POLICY_QUARANTINE] = "quarantine",
	[DMARC_POLICY_REJECT] = "reject",
};

static const char *const state_names[] = {
	[DMARC_NONE] = "none",
	[DMARC_PASS] = "pass",
	[DMARC_FAIL] = "fail",
	[DMARC_TEMPERROR] = "temperror",
	[DMARC_PERMERROR] = "permerror",
};

const char *
dmarc_policy_name(enum dmarc_policy p)
{
	assert(p <= DMARC_POLICY_REJECT);
	return policy_names[p];
}

const char *
dmarc_state_name(enum dmarc_state s)
{
	assert(s <= DMARC_PERMERROR);
	return state_names[s];
}

/* ---- records -------------------------------------------------------------- */

static bool
policy_parse(struct bytes value, enum dmarc_policy *policy)
{
	for (size_t k = 0; k <= DMARC_POLICY_REJECT; k++) {
		if (bytes_case_eq(value, bytes_of(policy_names[k]))) {
			*policy = (enum dmarc_policy)k;
			return true;
		}
	}
	return false;
}

/* A tag of the list; false where piece has no "=". */
static bool
tag_split(struct bytes piece, struct bytes *name, struct bytes *value)
{
	*value = piece;
	*name = taglist_trim(bytes_cut(value, '='));
	*value = taglist_trim(*value);
	return value->p != NULL;
}

/* Whether one of the addresses for reports has a scheme. */
static bool
has_address(struct bytes list)
{
	while (list.p != NULL) {
		struct bytes address = taglist_trim(bytes_cut(&list, ','));

		if (bytes_case_starts(address, BYTES_LIT("mailto:")) &&
		    bytes_index(address, '@') != address.n)
			return true;
	}
	return false;
}

/* What the tags behind v= came to. */
struct reading {
	struct dmarc_record *record;
	bool has_p, has_sp, is_sp_bad, has_rua;
};

static void
tag_read(struct reading *r, struct bytes name, struct bytes value)
{
	struct dmarc_record *record = r->record;
	uint64_t n;

	if (bytes_eq(name, BYTES_LIT("p")) && !r->has_p) {
		r->has_p = policy_parse(value, &record->p);
	} else if (bytes_eq(name, BYTES_LIT("sp")) && !r->has_sp) {
		r->has_sp = policy_parse(value, &record->sp);
		r->is_sp_bad = r->is_sp_bad || !r->has_sp;
	} else if (bytes_eq(name, BYTES_LIT("rua"))) {
		r->has_rua = r->has_rua || has_address(value);
	} else if (bytes_eq(name, BYTES_LIT("adkim"))) {
		record->is_dkim_strict =
		    bytes_case_eq(value, BYTES_LIT("s"));
	} else if (bytes_eq(name, BYTES_LIT("aspf"))) {
		record->is_spf_strict = bytes_case_eq(value, BYTES_LIT("s"));
	} else if (bytes_eq(name, BYTES_LIT("pct")) &&
	    bytes_number(value, 100, &n)) {
		record->pct = (unsigned)n;
	}
}

enum dmarc_parse
dmarc_record_parse(struct dmarc_record *record, struct bytes text)
{
	struct bytes rest = text, name, value;
	struct reading r = {.record = record};

	*record = (struct dmarc_record){.pct = 100};
	if (!tag_split(bytes_cut(&rest, ';'), &name, &value) ||
	    !bytes_eq(name, BYTES_LIT("v")) ||
	    !bytes_eq(value, BYTES_LIT("DMARC1")))
		return DMARC_OTHER;
	while (rest.p != NULL)
		if (tag_split(bytes_cut(&rest, ';'), &name, &value))
			tag_read(&r, name, value);
	if (!r.has_p || r.is_sp_bad) {
		record->p = record->sp = DMARC_POLICY_NONE;
		return r.has_rua ? DMARC_RECORD : DMARC_UNUSABLE;
	}
	if (!r.has_sp)
		record->sp = record->p;
	return DMARC_RECORD;
}

/* ---- alignment --------------------------------------------------------------- */

struct bytes
dmarc_organisation(struct bytes domain)
{
	char name[DRAFT_DOMAIN_MAX + 1];
	const char *found;

	if (!taglist_is_domain(domain, 1))
		return domain;
	for (size_t k = 0; k < domain.n; k++)
		name[k] = (char)ascii_lower(domain.p[k]);
	name[domain.n] = '\0';
	found = psl_registrable_domain(psl_builtin(), name);
	if (found == NULL)
		return domain;
	return bytes_skip(domain, (size_t)(found - name));
}

/* Writes a domain with A-labels; false where it is no name for DNS. */
static bool
to_ascii(struct bytes domain, struct buf *out)
{
	return idn_to_ascii(domain, out) &&
	    taglist_is_domain(buf_bytes(out), 1);
}

bool
dmarc_aligned(struct bytes a, struct bytes b, bool is_strict)
{
	uint8_t room_a[DRAFT_DOMAIN_MAX], room_b[DRAFT_DOMAIN_MAX];
	struct buf ascii_a = BUF_ON(room_a), ascii_b = BUF_ON(room_b);

	if (!to_ascii(a, &ascii_a) || !to_ascii(b, &ascii_b))
		return false;
	if (is_strict)
		return bytes_eq(buf_bytes(&ascii_a), buf_bytes(&ascii_b));
	return bytes_eq(dmarc_organisation(buf_bytes(&ascii_a)),
	    dmarc_organisation(buf_bytes(&ascii_b)));
}

/* ---- finding the policy --------------------------------------------------------- */

struct dmarc {
	struct buf name;		/* LABEL and the From domain */
	struct bytes from, organisation;
	struct bytes want;		/* a view of name, or of the next */
	struct buf next;		/* LABEL and the organisation */
	enum dkim2_step step;
	enum dmarc_state trouble;	/* DMARC_NONE: none */
	bool has_record;
	bool is_subdomain;		/* the record is the organisation's */
	struct dmarc_record record;
};

static int
name_make(struct buf *b, struct arena *a, struct bytes domain)
{
	if (arena_buf(a, NAME_MAX_OCTETS, b) != 0)
		return -E_NOMEM;
	buf_add_str(b, LABEL);
	buf_add(b, domain);
	assert(!b->full);
	return 0;
}

int
dmarc_new(struct dmarc **to, struct arena *a, struct bytes from)
{
	struct dmarc *d = arena_alloc(a, sizeof(*d));
	uint8_t room[DRAFT_DOMAIN_MAX];
	struct buf ascii = BUF_ON(room);

	*to = d;
	if (d == NULL)
		return -E_NOMEM;
	d->step = DKIM2_DONE;
	if (!to_ascii(from, &ascii)) {
		d->from = arena_copy(a, from);
		return d->from.p == NULL ? -E_NOMEM : 0;
	}
	if (name_make(&d->name, a, buf_bytes(&ascii)) != 0)
		return -E_NOMEM;
	d->from = bytes_skip(buf_bytes(&d->name), sizeof(LABEL) - 1);
	d->organisation = dmarc_organisation(d->from);
	if (name_make(&d->next, a, d->organisation) != 0)
		return -E_NOMEM;
	d->want = buf_bytes(&d->name);
	d->step = DKIM2_WANT_KEY;
	return 0;
}

enum dkim2_step
dmarc_step(const struct dmarc *d)
{
	return d->step;
}

struct bytes
dmarc_want(const struct dmarc *d)
{
	return d->want;
}

/* Whether the second name is the one that was asked for. */
static bool
is_at_organisation(const struct dmarc *d)
{
	return d->want.p == d->next.p;
}

/* Takes the one record that is one (RFC 7489 6.6.3). Returns how many. */
static size_t
take_records(struct dmarc *d, const struct bytes *records, size_t n)
{
	size_t n_found = 0;

	for (size_t k = 0; k < n; k++) {
		struct dmarc_record record;
		enum dmarc_parse parsed =
		    dmarc_record_parse(&record, records[k]);

		if (parsed == DMARC_OTHER)
			continue;
		n_found++;
		d->record = record;
		d->has_record = parsed == DMARC_RECORD;
	}
	return n_found;
}

void
dmarc_answer(struct dmarc *d, enum dkim2_key found,
    const struct bytes *records, size_t n)
{
	size_t n_found;

	if (d->step == DKIM2_DONE)
		return;
	d->step = DKIM2_DONE;
	if (found == DKIM2_KEY_TEMPFAIL) {
		d->trouble = DMARC_TEMPERROR;
		return;
	}
	n_found = found == DKIM2_KEY_TXT ? take_records(d, records, n) : 0;
	if (n_found > 1)
		d->has_record = false;
	if (n_found > 1 || (n_found == 1 && !d->has_record)) {
		d->trouble = DMARC_PERMERROR;
		return;
	}
	d->is_subdomain = is_at_organisation(d);
	if (n_found == 0 && !is_at_organisation(d) &&
	    !bytes_eq(d->from, d->organisation)) {
		d->want = buf_bytes(&d->next);
		d->step = DKIM2_WANT_KEY;
	}
}

struct dmarc_verdict
dmarc_judge(const struct dmarc *d, const struct bytes *signers,
    size_t n_signers, struct bytes spf)
{
	struct dmarc_verdict v = {.state = d->trouble, .from = d->from};
	bool is_aligned;

	assert(d->step == DKIM2_DONE);
	if (!d->has_record)
		return v;
	v.has_policy = true;
	v.policy = d->is_subdomain ? d->record.sp : d->record.p;
	v.pct = d->record.pct;
	is_aligned = dmarc_aligned(d->from, spf, d->record.is_spf_strict);
	for (size_t k = 0; k < n_signers && !is_aligned; k++)
		is_aligned = dmarc_aligned(d->from, signers[k],
		    d->record.is_dkim_strict);
	v.state = is_aligned ? DMARC_PASS : DMARC_FAIL;
	return v;
}
