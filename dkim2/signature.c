#include "dkim2/signature.h"

#include "base/ascii.h"
#include "base/err.h"
#include "base/utf8.h"
#include "dkim2/crypto.h"
#include "dkim2/draft.h"
#include "dkim2/reason.h"
#include "dkim2/taglist.h"

static void
syntax(struct signature *s)
{
	s->fault = reason_plain(DKIM2_SIGNATURE_SYNTAX, s->i);
}

bool
signature_is_path(struct bytes b)
{
	if (b.n < 2 || b.p[0] != '<' || b.p[b.n - 1] != '>')
		return false;
	while (b.n != 0) {
		size_t n = utf8_length(b);

		if (n == 0 || b.p[0] < ' ' || b.p[0] == 0x7f)
			return false;
		b = bytes_skip(b, n);
	}
	return true;
}

/* Decodes one path; out->p == NULL where it is none. */
static int
path_decode(struct bytes value, struct arena *a, struct bytes *out)
{
	struct bytes path;
	int r = taglist_base64(value, a, &path);

	*out = (struct bytes){NULL, 0};
	if (r == 0 && signature_is_path(path))
		*out = path;
	return r;
}

static size_t
count(struct bytes b, uint8_t c)
{
	size_t n = 0;

	for (size_t k = 0; k < b.n; k++)
		n += b.p[k] == c;
	return n;
}

static int
rt_parse(struct signature *s, struct bytes value, struct arena *a)
{
	struct bytes rest = value;

	s->rt = arena_array(a, count(value, ',') + 1, sizeof(s->rt[0]));
	if (s->rt == NULL)
		return -E_NOMEM;
	while (rest.p != NULL) {
		struct bytes path;
		int r = path_decode(bytes_cut(&rest, ','), a, &path);

		if (r != 0)
			return r;
		/* The null path is no recipient. */
		if (path.p == NULL || path.n == 2) {
			syntax(s);
			return 0;
		}
		s->rt[s->n_rt++] = path;
	}
	return 0;
}

static int
flags_parse(struct signature *s, struct bytes value, struct arena *a)
{
	struct bytes rest = value;

	s->flags = arena_array(a, count(value, ',') + 1, sizeof(s->flags[0]));
	if (s->flags == NULL)
		return -E_NOMEM;
	while (rest.p != NULL) {
		struct bytes flag = taglist_trim(bytes_cut(&rest, ','));

		if (!taglist_is_name(flag)) {
			syntax(s);
			return 0;
		}
		s->flags[s->n_flags++] = flag;
	}
	return 0;
}

/* "selector:algorithm:signature"; p of value is NULL where it is not that. */
static int
member_parse(struct signature_member *m, struct bytes d, struct bytes member,
    struct arena *a)
{
	struct bytes rest = member;

	m->selector = taglist_trim(bytes_cut(&rest, ':'));
	m->name = taglist_trim(bytes_cut(&rest, ':'));
	if (rest.p == NULL || !taglist_is_domain(m->selector, 1) ||
	    !taglist_is_name(m->name) || m->selector.n + d.n +
	    sizeof(DRAFT_KEY_LABEL) - 1 > DRAFT_DOMAIN_MAX)
		return 0;
	m->algorithm = dkim2_algorithm_by_name(m->name);
	return taglist_base64(rest, a, &m->value);
}

static bool
is_selector_twice(const struct signature *s, struct bytes selector)
{
	for (size_t k = 0; k < s->n_members; k++)
		if (bytes_case_eq(s->members[k].selector, selector))
			return true;
	return false;
}

static int
members_parse(struct signature *s, struct bytes value,
    const struct dkim2_limits *limits, struct arena *a)
{
	struct taglist_members list;
	struct bytes member;
	unsigned group;
	bool is_twice = false;

	s->members = arena_array(a, limits->max_members,
	    sizeof(s->members[0]));
	if (s->members == NULL)
		return -E_NOMEM;
	taglist_members_init(&list, value);
	while (taglist_members_next(&list, &member, &group)) {
		struct signature_member m = {.group = group};
		int r;

		if (s->n_members == limits->max_members) {
			s->fault = reason_plain(
			    DKIM2_SIGNATURE_SELECTORS_MANY, s->i);
			return 0;
		}
		r = member_parse(&m, s->d, member, a);
		if (r != 0)
			return r;
		if (m.value.p == NULL) {
			syntax(s);
			return 0;
		}
		is_twice = is_twice || is_selector_twice(s, m.selector);
		s->members[s->n_members++] = m;
	}
	if (is_twice)
		s->fault = reason_plain(DKIM2_SIGNATURE_SELECTOR_TWICE, s->i);
	return 0;
}

/* The tags that must be there, in the order of the draft (10.1-10.9). */
static bool
all_tags_are_there(struct signature *s, const struct taglist *t)
{
	static const char *const needed[] = {"i", "m", "t", "mf", "rt", "d",
	    "s"};
	struct bytes value;
	bool is_imaginary = taglist_find(t, "nd", &value);

	for (size_t k = 0; k < sizeof(needed) / sizeof(needed[0]); k++) {
		bool is_path = k == 3 || k == 4;

		if (is_path && is_imaginary)
			continue;
		if (taglist_find(t, needed[k], &value))
			continue;
		s->fault = reason_verdict(DKIM2_SIGNATURE_TAG_MISSING, s->i,
		    bytes_of(needed[k]));
		return false;
	}
	if (is_imaginary && (taglist_find(t, "mf", &value) ||
	    taglist_find(t, "rt", &value))) {
		s->fault = reason_verdict(DKIM2_SIGNATURE_TAG_UNEXPECTED, s->i,
		    BYTES_LIT("nd"));
		return false;
	}
	return true;
}

/* The values that are no lists. Returns false with a syntax error. */
static bool
words_parse(struct signature *s, const struct taglist *t)
{
	struct bytes value;
	uint64_t number;

	if (!s->has_m || !taglist_find(t, "t", &value) ||
	    !bytes_number(value, INT64_MAX, &number))
		return false;
	s->t = (int64_t)number;
	if (!taglist_find(t, "d", &s->d) || !taglist_is_domain(s->d, 2))
		return false;
	if (taglist_find(t, "nd", &s->nd) && !taglist_is_domain(s->nd, 2))
		return false;
	if (taglist_find(t, "n", &s->n) && s->n.n != 0 &&
	    (s->n.n > DRAFT_NONCE_MAX || !taglist_is_word(s->n)))
		return false;
	return true;
}

static int
lists_parse(struct signature *s, const struct taglist *t,
    const struct dkim2_limits *limits, struct arena *a)
{
	struct bytes value;
	int r = 0;

	if (taglist_find(t, "mf", &value)) {
		r = path_decode(value, a, &s->mf);
		if (r == 0 && s->mf.p == NULL)
			syntax(s);
	}
	if (r == 0 && s->fault.state == DKIM2_PASS &&
	    taglist_find(t, "rt", &value))
		r = rt_parse(s, value, a);
	if (r == 0 && s->fault.state == DKIM2_PASS &&
	    taglist_find(t, "f", &value))
		r = flags_parse(s, value, a);
	if (r == 0 && s->fault.state == DKIM2_PASS &&
	    taglist_find(t, "s", &value))
		r = members_parse(s, value, limits, a);
	return r;
}

int
signature_parse(struct signature *s, const struct dkim2_field *field,
    const struct dkim2_limits *limits, struct arena *a)
{
	struct taglist t;
	struct bytes value;
	uint64_t number;

	*s = (struct signature){.field = field, .fault = reason_pass()};
	taglist_parse(&t, field->value);
	if (taglist_find(&t, "i", &value) &&
	    bytes_number(value, UINT32_MAX, &number))
		s->i = (uint32_t)number;
	if (taglist_find(&t, "m", &value) &&
	    bytes_number(value, UINT32_MAX, &number)) {
		s->m = (uint32_t)number;
		s->has_m = true;
	}
	if (t.is_bad) {
		syntax(s);
		return 0;
	}
	if (!all_tags_are_there(s, &t))
		return 0;
	if (!words_parse(s, &t)) {
		syntax(s);
		return 0;
	}
	return lists_parse(s, &t, limits, a);
}

bool
signature_has_flag(const struct signature *s, const char *name)
{
	for (size_t k = 0; k < s->n_flags; k++)
		if (bytes_eq(s->flags[k], bytes_of(name)))
			return true;
	return false;
}
