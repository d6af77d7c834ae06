#include "dkim2/differ_guess.h"

#include "base/ascii.h"
#include "base/err.h"
#include "dkim2/keyrec.h"
#include "dkim2/taglist.h"

/* One search: the lines of the signing input, instances first. */
struct search {
	const struct chain *chain;
	size_t i, m;			/* the signature, its instance */
	struct bytes value;		/* what it says */
	struct dkim2_public_key key;
	struct arena *arena;
	struct differ_guess *guess;
	struct bytes *lines;
	struct bytes *tried;
	size_t n;
};

/* ---- tries --------------------------------------------------------------- */

static int
say(struct search *s, const char *fmt, const char *field, uint32_t number)
{
	struct buf out;
	int r = arena_buf(s->arena, 512, &out);

	if (r != 0)
		return r;
	buf_add_str(&out, "it fits ");
	buf_add_str(&out, fmt);
	if (field != NULL)
		buf_printf(&out, " %s=%u", field, number);
	s->guess->what = buf_bytes(&out);
	return 0;
}

static bool
is_found(const struct search *s)
{
	return s->guess->what.p != NULL;
}

/* Checks the signature over what the lines are now. */
static int
try_lines(struct search *s, bool *fits)
{
	uint8_t digest[DKIM2_DIGEST];
	struct dkim2_hasher h;
	int r = dkim2_hasher_init(&h, DKIM2_SHA256);

	*fits = false;
	if (r != 0)
		return r;
	for (size_t k = 0; r == 0 && k < s->n; k++)
		r = dkim2_hasher_add(&h, s->tried[k]);
	if (r == 0)
		r = dkim2_hasher_end(&h, digest);
	dkim2_hasher_fini(&h);
	return r != 0 ? r :
	    dkim2_public_key_verify(&s->key, digest, s->value, fits);
}

static void
restore(struct search *s)
{
	memcpy(s->tried, s->lines, s->n * sizeof(s->lines[0]));
}

/* The field of line k, for people. */
static const char *
name_of(const struct search *s, size_t k, uint32_t *number)
{
	*number = (uint32_t)(k < s->m ? k + 1 : k - s->m + 1);
	return k < s->m ? "m" : "i";
}

static const struct dkim2_field *
field_of(const struct search *s, size_t k)
{
	return k < s->m ? s->chain->instances[k].field :
	    s->chain->signatures[k - s->m].field;
}

/* ---- the lines as a whole ------------------------------------------------ */

static int
try_without_one(struct search *s)
{
	int r = 0;

	for (size_t k = 0; r == 0 && k + 1 < s->n && !is_found(s); k++) {
		uint32_t number;
		const char *name = name_of(s, k, &number);
		bool fits;

		s->tried[k].n = 0;
		r = try_lines(s, &fits);
		if (r == 0 && fits)
			r = say(s, k < s->m ? "without the Message-Instance" :
			    "without the DKIM2-Signature", name, number);
		restore(s);
	}
	return r;
}

static void
swap(struct bytes *a, struct bytes *b)
{
	struct bytes c = *a;

	*a = *b;
	*b = c;
}

/* Orders in which a signer may have written the lines. */
static int
try_orders(struct search *s)
{
	static const char *const what[] = {
		"with the signatures before the instances",
		"with instances and signatures from the highest down",
		"with the earlier signatures from the highest down",
		"with the instances from the highest down",
	};
	size_t n_before = s->n - 1 - s->m;
	int r = 0;

	for (size_t k = 0; r == 0 && k < 4 && !is_found(s); k++) {
		bool fits;

		if (k == 0) {
			memcpy(s->tried, s->lines + s->m,
			    n_before * sizeof(s->lines[0]));
			memcpy(s->tried + n_before, s->lines,
			    s->m * sizeof(s->lines[0]));
		}
		if (k == 1 || k == 3)
			for (size_t j = 0; j < s->m / 2; j++)
				swap(&s->tried[j], &s->tried[s->m - 1 - j]);
		if (k == 1 || k == 2)
			for (size_t j = 0; j < n_before / 2; j++)
				swap(&s->tried[s->m + j],
				    &s->tried[s->n - 2 - j]);
		r = try_lines(s, &fits);
		if (r == 0 && fits)
			r = say(s, what[k], NULL, 0);
		restore(s);
	}
	return r;
}

/* ---- the spelling of each line ------------------------------------------- */

static bool
last_semicolon(struct bytes line, struct buf *out)
{
	bool is_there;

	line.n -= 2;
	is_there = bytes_ends(line, BYTES_LIT(";"));
	buf_add(out, bytes_first(line, is_there ? line.n - 1 : line.n));
	if (!is_there)
		buf_add_octet(out, ';');
	buf_add_str(out, "\r\n");
	return true;
}

/* Domains, numbers and selectors mean the same in lower case; base64 not. */
static bool
domains_lower(struct bytes line, struct buf *out)
{
	bool is_domain = false, is_changed = false;

	for (size_t k = 0; k < line.n; k++) {
		uint8_t c = line.p[k];
		struct bytes rest = bytes_skip(line, k);

		if (c == ';' || c == ':')
			is_domain = bytes_starts(bytes_skip(rest, 1),
			    BYTES_LIT("d=")) || bytes_starts(
			    bytes_skip(rest, 1), BYTES_LIT("nd="));
		if (is_domain && ascii_lower(c) != c)
			is_changed = true;
		buf_add_octet(out, is_domain ? ascii_lower(c) : c);
	}
	return is_changed;
}

/* The tags in a usual order; a tag that is not of the draft has no place. */
static bool
sort_tags(struct bytes line, struct buf *out, const char *const *order)
{
	size_t at = bytes_index(line, ':') + 1, n = 0;
	struct bytes list = bytes_skip(line, at);
	struct taglist t;

	list.n -= 2;
	taglist_parse(&t, list);
	if (t.is_bad)
		return false;
	buf_add(out, bytes_first(line, at));
	for (; *order != NULL; order++)
		for (size_t j = 0; j < t.n; j++) {
			if (!bytes_eq(t.tags[j].name, bytes_of(*order)))
				continue;
			buf_add(out, t.tags[j].name);
			buf_add_octet(out, '=');
			buf_add(out, t.tags[j].value);
			buf_add_octet(out, ';');
			n++;
		}
	buf_add_str(out, "\r\n");
	return n == t.n && !bytes_eq(buf_bytes(out), line);
}

static bool
tags_as_draft(struct bytes line, struct buf *out)
{
	static const char *const order[] = {
		"i", "m", "n", "t", "mf", "rt", "nd", "d", "s", "f", "h", "r",
		NULL,
	};

	return sort_tags(line, out, order);
}

static bool
tags_as_usual(struct bytes line, struct buf *out)
{
	static const char *const order[] = {
		"i", "m", "n", "t", "d", "mf", "rt", "nd", "f", "s", "h", "r",
		NULL,
	};

	return sort_tags(line, out, order);
}

static int
try_spelling(struct search *s, size_t k)
{
	static const struct {
		bool (*make)(struct bytes line, struct buf *out);
		const char *what;
	} forms[] = {
		{last_semicolon, "with the last `;` the other way, there or "
		 "not, in"},
		{domains_lower, "with its domains in lower case in"},
		{tags_as_draft, "with the tags in the order of the draft in"},
		{tags_as_usual, "with the tags in the order of most signers "
		 "in"},
	};
	uint32_t number;
	const char *name = name_of(s, k, &number);
	struct buf line;
	int r = arena_buf(s->arena, s->lines[k].n + 80, &line);

	for (size_t j = 0; r == 0 && j < 4 && !is_found(s); j++) {
		bool fits;

		line.n = 0;
		line.full = false;
		if (!forms[j].make(s->lines[k], &line) || line.full)
			continue;
		s->tried[k] = buf_bytes(&line);
		r = try_lines(s, &fits);
		if (r == 0 && fits)
			r = say(s, forms[j].what, name, number);
		restore(s);
	}
	return r;
}

/* ---- the spelling of all lines ------------------------------------------- */

static bool
case_kept(const struct search *s, size_t k, struct buf *out)
{
	struct bytes name = field_of(s, k)->name;

	buf_add(out, name);
	buf_add(out, bytes_skip(s->lines[k], name.n));
	return true;
}

static bool
values_dropped(const struct search *s, size_t k, struct buf *out)
{
	return k >= s->m && canon_signing_line(field_of(s, k)->name,
	    field_of(s, k)->value, true, canon_to_buf, out) == 0;
}

static bool
last_end_dropped(const struct search *s, size_t k, struct buf *out)
{
	buf_add(out, s->lines[k]);
	out->n -= 2;
	return k + 1 == s->n;
}

static int
try_all(struct search *s)
{
	static const struct {
		bool (*make)(const struct search *, size_t, struct buf *);
		const char *what;
	} forms[] = {
		{case_kept, "with the field names as they are written: the "
		 "signer did not put them in lower case"},
		{values_dropped, "with the values of the earlier signatures "
		 "dropped too"},
		{last_end_dropped, "without the last line end"},
	};
	int r = 0;

	for (size_t j = 0; r == 0 && j < 3 && !is_found(s); j++) {
		bool fits;

		for (size_t k = 0; r == 0 && k < s->n; k++) {
			struct buf line;

			r = arena_buf(s->arena, field_of(s, k)->raw.n + 80,
			    &line);
			if (r == 0 && forms[j].make(s, k, &line) && !line.full)
				s->tried[k] = buf_bytes(&line);
		}
		if (r == 0)
			r = try_lines(s, &fits);
		if (r == 0 && fits)
			r = say(s, forms[j].what, NULL, 0);
		restore(s);
	}
	return r;
}

/* Instances that the signature does not name may have been there. */
static int
try_later_instances(struct search *s)
{
	size_t all = s->chain->n_instances, m = s->m;
	bool fits;
	int r = 0;

	if (all == m)
		return 0;
	for (size_t k = 0; k < all - m; k++) {
		const struct dkim2_field *f = s->chain->instances[m + k].field;
		struct buf line;

		if (arena_buf(s->arena, f->raw.n + 8, &line) != 0)
			return -E_NOMEM;
		(void)canon_signing_line(f->name, f->value, false,
		    canon_to_buf, &line);
		s->tried[m + k] = buf_bytes(&line);
	}
	memcpy(s->tried + all, s->lines + m,
	    (s->n - m) * sizeof(s->lines[0]));
	s->n += all - m;
	r = try_lines(s, &fits);
	s->n -= all - m;
	if (r == 0 && fits)
		r = say(s, "with all instances there are in what is signed",
		    NULL, 0);
	restore(s);
	return r;
}

/* ---- keys ---------------------------------------------------------------- */

/* Opens a key; false where the record is none for this algorithm. */
static int
key_open(struct search *s, enum dkim2_algorithm algorithm,
    struct bytes record, bool *good)
{
	struct keyrec k;
	int r = keyrec_parse(&k, record, s->arena, good);

	*good = r == 0 && *good && k.p.p != NULL && k.algorithm == algorithm;
	return *good ? dkim2_public_key_init(&s->key, algorithm, k.p, good) : r;
}

static int
try_keys(struct search *s, enum dkim2_algorithm algorithm,
    const struct differ_key *keys, size_t n)
{
	int r = 0;

	for (size_t k = 0; r == 0 && k < n && !is_found(s); k++) {
		bool good, fits = false;
		struct buf out;

		r = key_open(s, algorithm, keys[k].record, &good);
		if (r != 0 || !good)
			continue;
		r = try_lines(s, &fits);
		dkim2_public_key_fini(&s->key);
		if (r != 0 || !fits)
			continue;
		r = arena_buf(s->arena, keys[k].name.n * 4 + 64, &out);
		if (r != 0)
			break;
		buf_add_str(&out, "it was made with another key: that of ");
		buf_add_escaped(&out, keys[k].name, keys[k].name.n);
		s->guess->what = buf_bytes(&out);
	}
	return r;
}

static int
search_init(struct search *s)
{
	const struct chain *c = s->chain;

	s->n = s->m + s->i;
	s->lines = arena_array(s->arena, s->n, sizeof(s->lines[0]));
	s->tried = arena_array(s->arena, s->n + c->n_instances,
	    sizeof(s->tried[0]));
	if (s->lines == NULL || s->tried == NULL)
		return -E_NOMEM;
	for (size_t k = 0; k < s->n; k++) {
		const struct dkim2_field *f = field_of(s, k);
		struct buf line;

		if (arena_buf(s->arena, f->raw.n + 8, &line) != 0)
			return -E_NOMEM;
		(void)canon_signing_line(f->name, f->value, k + 1 == s->n,
		    canon_to_buf, &line);
		s->lines[k] = buf_bytes(&line);
	}
	restore(s);
	return 0;
}

int
differ_guess_signature(struct differ_guess *g, const struct chain *c,
    size_t i, const struct signature_member *member,
    const struct differ_key *keys, size_t n_keys, struct arena *a)
{
	struct search s = {.chain = c, .i = i, .m = c->signatures[i - 1].m,
	    .value = member->value, .arena = a, .guess = g};
	bool good;
	int r;

	*g = (struct differ_guess){.what = {NULL, 0}};
	if (member->algorithm == DKIM2_ALGORITHM__N || n_keys == 0)
		return 0;
	r = search_init(&s);
	if (r == 0)
		r = key_open(&s, member->algorithm, keys[0].record, &good);
	if (r != 0 || !good)
		return r;
	r = try_without_one(&s);
	for (size_t k = 0; r == 0 && k < s.n && !is_found(&s); k++)
		r = try_spelling(&s, k);
	if (r == 0 && !is_found(&s))
		r = try_orders(&s);
	if (r == 0 && !is_found(&s))
		r = try_all(&s);
	if (r == 0 && !is_found(&s))
		r = try_later_instances(&s);
	dkim2_public_key_fini(&s.key);
	if (r == 0 && !is_found(&s))
		r = try_keys(&s, member->algorithm, keys + 1, n_keys - 1);
	return r;
}
