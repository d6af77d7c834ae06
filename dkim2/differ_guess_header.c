#include "dkim2/differ_guess.h"

#include "base/ascii.h"
#include "base/err.h"
#include "dkim2/unsigned.h"

#define SUBJECT_CUTS 80U	/* octets put before or behind it, at most */
#define PAIRS_MAX 48U		/* fields of which two are left out */

/* One search: the lines that are hashed, and what is tried in their place. */
struct search {
	const struct differ_target *target;
	struct differ_work *work;
	struct arena *arena;
	struct differ_guess *guess;
	const struct canon_field **fields;	/* those that are hashed */
	struct bytes *lines;		/* "name:value\r\n" each */
	struct bytes *tried;		/* n + 1 of them; empty: left out */
	size_t n;
	struct buf line;		/* room for one that is rewritten */
	struct buf value;
	struct bytes base;		/* what is said of the lines left out */
};

static int
search_init(struct search *s, const struct canon_header *is)
{
	size_t n = 16, longest = 0;
	struct bytes rest;
	struct buf all;

	for (size_t k = 0; k < is->n; k++) {
		size_t line = is->fields[k].name.n + is->fields[k].value.n + 3;

		n += line;
		longest = line > longest ? line : longest;
	}
	s->fields = arena_array(s->arena, is->n, sizeof(s->fields[0]));
	s->lines = arena_array(s->arena, is->n, sizeof(s->lines[0]));
	s->tried = arena_array(s->arena, is->n + 1, sizeof(s->tried[0]));
	if (s->fields == NULL || s->lines == NULL || s->tried == NULL ||
	    arena_buf(s->arena, n, &all) != 0 ||
	    arena_buf(s->arena, 3 * longest + 128, &s->line) != 0 ||
	    arena_buf(s->arena, 2 * longest + 64, &s->value) != 0)
		return -E_NOMEM;
	(void)canon_header_emit(is, canon_to_buf, &all);
	rest = buf_bytes(&all);
	for (size_t k = 0; k < is->n; k++) {
		size_t name = is->fields[k].name.n + 1;

		if (unsigned_is(is->fields[k].name))
			continue;
		n = name + bytes_find(bytes_skip(rest, name),
		    BYTES_LIT("\r\n")) + 2;
		s->fields[s->n] = &is->fields[k];
		s->tried[s->n] = s->lines[s->n] = bytes_first(rest, n);
		rest = bytes_skip(rest, n);
		s->n++;
	}
	return 0;
}

static bool
is_found(const struct search *s)
{
	return s->guess->what.p != NULL;
}

/* ---- a try -------------------------------------------------------------- */

static int
hash_tried(struct search *s, struct dkim2_hasher *h)
{
	struct bytes run = {NULL, 0};
	int r = 0;

	/* Lines that stand together are hashed together. */
	for (size_t k = 0; r == 0 && k <= s->n; k++) {
		if (s->tried[k].n == 0)
			continue;
		if (run.n != 0 && run.p + run.n == s->tried[k].p) {
			run.n += s->tried[k].n;
			continue;
		}
		r = dkim2_hasher_add(h, run);
		run = s->tried[k];
	}
	return r == 0 ? dkim2_hasher_add(h, run) : r;
}

/* The lines that fit, as a header. */
static int
keep(struct search *s)
{
	size_t octets = 0, n = 0;
	struct bytes rest;
	struct buf all;

	for (size_t k = 0; k <= s->n; k++)
		octets += s->tried[k].n;
	if (arena_buf(s->arena, octets, &all) != 0)
		return -E_NOMEM;
	for (size_t k = 0; k <= s->n; k++)
		buf_add(&all, s->tried[k]);
	s->guess->header.fields = arena_array(s->arena, s->n + 2,
	    sizeof(s->guess->header.fields[0]));
	if (s->guess->header.fields == NULL)
		return -E_NOMEM;
	for (rest = buf_bytes(&all); rest.n != 0; n++) {
		struct canon_field *f = &s->guess->header.fields[n];
		size_t name = bytes_index(rest, ':');
		struct bytes value = bytes_skip(rest, name + 1);
		size_t end = bytes_find(value, BYTES_LIT("\r\n"));

		*f = (struct canon_field){bytes_first(rest, name),
		    bytes_first(value, end)};
		rest = bytes_skip(value, end + 2);
	}
	s->guess->header.n = n;
	return 0;
}

/*
 * Hashes the lines that are to be tried.
 *
 * what     how they are made, behind "it fits "
 */
static int
try_lines(struct search *s, struct bytes what)
{
	uint8_t digest[DKIM2_HASH_MAX];
	struct dkim2_hasher h;
	struct buf said;
	int r;

	if (is_found(s) || !guess_spend(s->work, s->lines[s->n - 1].n +
	    (size_t)(s->lines[s->n - 1].p - s->lines[0].p)))
		return 0;
	r = dkim2_hasher_init(&h, s->target->algorithm);
	if (r != 0)
		return r;
	r = hash_tried(s, &h);
	if (r == 0)
		r = dkim2_hasher_end(&h, digest);
	dkim2_hasher_fini(&h);
	if (r != 0 || !guess_is_digest(s->target, digest))
		return r;
	if (arena_buf(s->arena, what.n + s->base.n + 32, &said) != 0)
		return -E_NOMEM;
	buf_add_str(&said, "it fits ");
	buf_add(&said, s->base);
	if (s->base.n != 0 && what.n != 0)
		buf_add_str(&said, ", and ");
	buf_add(&said, what);
	s->guess->what = buf_bytes(&said);
	return keep(s);
}

/* "the `Subject` field", or "... field 2" where there are more. */
static void
say_field(const struct search *s, size_t k, struct buf *out)
{
	struct bytes name = s->fields[k]->name;
	size_t below = k;

	while (below != 0 && bytes_case_eq(s->fields[below - 1]->name, name))
		below--;
	buf_add_str(out, "the `");
	buf_add_escaped(out, name, 60);
	buf_add_str(out, "` field");
	if (below != k || (k + 1 < s->n &&
	    bytes_case_eq(s->fields[k + 1]->name, name)))
		buf_printf(out, " (the %zu. from below)", k - below + 1);
}

/* ---- fields left out, or put in ----------------------------------------- */

/* Drafts before -08 did not hash these. */
static bool
is_hashed_of_late(struct bytes name)
{
	return bytes_case_eq(name, BYTES_LIT("Auto-Submitted")) ||
	    bytes_case_eq(name, BYTES_LIT("VBR-Info"));
}

static int
try_without_one(struct search *s)
{
	int r = 0;

	for (size_t k = 0; r == 0 && k < s->n && !is_found(s); k++) {
		struct bytes line = s->tried[k];
		char text[256];
		struct buf what = BUF_ON(text);

		if (line.n == 0)
			continue;
		buf_add_str(&what, "without ");
		say_field(s, k, &what);
		buf_add_str(&what, is_hashed_of_late(s->fields[k]->name) ?
		    ": it was added later, or the signer follows a draft "
		    "before -08, which does not hash it" :
		    ": it was added later");
		s->tried[k].n = 0;
		r = try_lines(s, buf_bytes(&what));
		s->tried[k] = line;
	}
	return r;
}

static int
try_without_two(struct search *s)
{
	int r = 0;

	if (s->n > PAIRS_MAX)
		return 0;
	for (size_t k = 0; r == 0 && k < s->n && !is_found(s); k++) {
		s->tried[k].n = 0;
		for (size_t j = k + 1; r == 0 && j < s->n; j++) {
			char text[512];
			struct buf what = BUF_ON(text);

			buf_add_str(&what, "without ");
			say_field(s, k, &what);
			buf_add_str(&what, " and ");
			say_field(s, j, &what);
			buf_add_str(&what, ": they were added later");
			s->tried[j].n = 0;
			r = try_lines(s, buf_bytes(&what));
			s->tried[j] = s->lines[j];
		}
		s->tried[k] = s->lines[k];
	}
	return r;
}

/* Fields that one line says everything about, which servers may drop. */
static int
try_lost(struct search *s)
{
	static const char *const lost[] = {
		"auto-submitted:no\r\n",
		"content-language:en-US\r\n",
		"content-transfer-encoding:7bit\r\n",
		"content-transfer-encoding:8bit\r\n",
		"content-transfer-encoding:quoted-printable\r\n",
		"content-type:text/plain\r\n",
		"content-type:text/plain; charset=us-ascii\r\n",
		"content-type:text/plain; charset=utf-8\r\n",
		"content-type:text/plain; charset=UTF-8\r\n",
		"importance:normal\r\n",
		"mime-version:1.0\r\n",
		"precedence:bulk\r\n",
		"precedence:list\r\n",
		"subject:\r\n",
	};
	int r = 0;

	for (size_t j = 0; r == 0 && j < sizeof(lost) / sizeof(lost[0]); j++) {
		struct bytes line = bytes_of(lost[j]);
		struct bytes name = bytes_first(line, bytes_index(line, ':'));
		char text[256];
		struct buf what = BUF_ON(text);
		struct bytes old;
		size_t k = 0;

		while (k < s->n &&
		    canon_name_compare(s->fields[k]->name, name) < 0)
			k++;
		if (k < s->n && bytes_case_eq(s->fields[k]->name, name))
			continue;
		buf_printf(&what, "with a field `%.*s`: it was lost on the "
		    "way", (int)line.n - 2, lost[j]);
		old = s->tried[k];
		s->line.n = 0;
		buf_add(&s->line, line);
		buf_add(&s->line, old);
		s->tried[k] = buf_bytes(&s->line);
		r = try_lines(s, buf_bytes(&what));
		s->tried[k] = old;
	}
	return r;
}

/* ---- values ------------------------------------------------------------- */

/* Tries another value, not yet canonical, for field k. */
static int
try_value(struct search *s, size_t k, struct bytes value, const char *how)
{
	struct canon_field f = {s->fields[k]->name, value};
	const struct canon_header one = {&f, 1};
	struct bytes old = s->tried[k];
	char text[512];
	struct buf what = BUF_ON(text);
	int r;

	s->line.n = 0;
	s->line.full = false;
	if (old.n == 0 || canon_header_emit(&one, canon_to_buf, &s->line) != 0)
		return 0;
	say_field(s, k, &what);
	buf_printf(&what, " %s", how);
	s->tried[k] = buf_bytes(&s->line);
	r = bytes_eq(s->tried[k], old) ? 0 : try_lines(s, buf_bytes(&what));
	s->tried[k] = old;
	return r;
}

static int
try_forms(struct search *s)
{
	int r = 0;

	for (size_t k = 0; r == 0 && k < s->n; k++)
		for (size_t j = 0; r == 0 && j < guess_n_forms; j++) {
			char how[256];
			struct buf said = BUF_ON(how);

			s->value.n = 0;
			s->value.full = false;
			if (is_found(s) || !guess_forms[j].make(
			    s->fields[k]->value, &s->value))
				continue;
			buf_printf(&said, "%s", guess_forms[j].what);
			buf_add_octet(&said, '\0');
			r = try_value(s, k, buf_bytes(&s->value), how);
		}
	return r;
}

static bool
is_address_list(struct bytes name)
{
	static const char *const names[] = {
		"From", "To", "Cc", "Bcc", "Reply-To", "Sender",
	};

	for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++)
		if (bytes_case_eq(name, bytes_of(names[k])))
			return true;
	return false;
}

/* One server writes all addresses in its own way. */
static int
try_addresses(struct search *s, const struct guess_form *form)
{
	size_t n = 0;
	char text[256];
	struct buf what = BUF_ON(text);
	int r = 0;

	for (size_t k = 0; k < s->n; k++) {
		struct canon_field f = {s->fields[k]->name, {NULL, 0}};
		const struct canon_header one = {&f, 1};
		struct buf line;

		s->value.n = 0;
		s->value.full = false;
		if (!is_address_list(f.name) || s->tried[k].n == 0 ||
		    !form->make(s->fields[k]->value, &s->value))
			continue;
		f.value = buf_bytes(&s->value);
		if (arena_buf(s->arena, f.name.n + f.value.n + 3, &line) != 0)
			return -E_NOMEM;
		(void)canon_header_emit(&one, canon_to_buf, &line);
		s->tried[k] = buf_bytes(&line);
		n++;
	}
	buf_printf(&what, "all addresses %s", form->what);
	if (n > 1)
		r = try_lines(s, buf_bytes(&what));
	for (size_t k = 0; k < s->n; k++)
		if (is_address_list(s->fields[k]->name) && s->tried[k].n != 0)
			s->tried[k] = s->lines[k];
	return r;
}

static int
try_encodings(struct search *s)
{
	static const char *const values[] = {
		"7bit", "8bit", "binary", "quoted-printable", "base64",
	};
	int r = 0;

	for (size_t k = 0; k < s->n; k++) {
		if (!bytes_case_eq(s->fields[k]->name,
		    BYTES_LIT("Content-Transfer-Encoding")))
			continue;
		for (size_t j = 0; r == 0 && j < 5; j++) {
			char how[64];
			struct buf said = BUF_ON(how);

			buf_printf(&said, "as `%s`", values[j]);
			buf_add_octet(&said, '\0');
			r = try_value(s, k, bytes_of(values[j]), how);
		}
	}
	return r;
}

/* Where a prefix may have been put in: in front, or behind "Re:". */
static size_t
reply_mark(struct bytes v)
{
	static const char *const marks[] = {
		"Re:", "Fwd:", "Fw:", "Aw:", "Wg:", "Sv:",
	};

	for (size_t k = 0; k < sizeof(marks) / sizeof(marks[0]); k++)
		if (bytes_case_starts(v, bytes_of(marks[k])))
			return strlen(marks[k]);
	return 0;
}

/* The Subject without n octets from `at` on. */
static int
try_cut(struct search *s, size_t k, size_t at, size_t n)
{
	struct bytes v = bytes_skip(s->lines[k], sizeof("subject:") - 1);
	char how[512];
	struct buf said = BUF_ON(how);

	v.n -= 2;
	/* The blank beside it would go too: that is said by the next try. */
	if (at + n < v.n ? v.p[at + n] == ' ' : at != 0 && v.p[at - 1] == ' ')
		return 0;
	buf_add_str(&said, "without `");
	buf_add_escaped(&said, bytes_first(bytes_skip(v, at), n), n);
	buf_printf(&said, "` %s", at + n == v.n ? "at its end" :
	    at == 0 ? "at its front" : "behind the mark of a reply");
	buf_add_octet(&said, '\0');
	s->value.n = 0;
	s->value.full = false;
	buf_add(&s->value, bytes_first(v, at));
	buf_add(&s->value, bytes_skip(v, at + n));
	return try_value(s, k, buf_bytes(&s->value), how);
}

static int
try_subject(struct search *s)
{
	int r = 0;

	for (size_t k = 0; r == 0 && k < s->n; k++) {
		struct bytes v = bytes_skip(s->lines[k],
		    sizeof("subject:") - 1);
		size_t marks[2] = {0, 0};

		if (!bytes_case_eq(s->fields[k]->name, BYTES_LIT("Subject")))
			continue;
		v.n -= 2;
		marks[1] = reply_mark(v);
		for (size_t j = 0; j < 2; j++) {
			size_t at = marks[j];

			if (marks[1] != 0 && j == 1 && at < v.n &&
			    v.p[at] == ' ')
				at++;
			if (j == 1 && at == 0)
				break;
			for (size_t n = 1; r == 0 && n <= SUBJECT_CUTS &&
			    n <= v.n - at && !is_found(s); n++)
				r = try_cut(s, k, at, n);
		}
		for (size_t n = 1; r == 0 && n <= SUBJECT_CUTS && n < v.n &&
		    !is_found(s); n++)
			r = try_cut(s, k, v.n - n, n);
	}
	return r;
}

/* ---- order -------------------------------------------------------------- */

/* Fields of one name that stand the other way round, all or two of them. */
static int
try_order(struct search *s)
{
	int r = 0;

	for (size_t k = 0, n; r == 0 && k < s->n; k += n) {
		char text[256];
		struct buf what = BUF_ON(text);

		for (n = 1; k + n < s->n && bytes_case_eq(
		    s->fields[k]->name, s->fields[k + n]->name);)
			n++;
		if (n == 1)
			continue;
		buf_add_str(&what, "with its `");
		buf_add_escaped(&what, s->fields[k]->name, 60);
		buf_add_str(&what, "` fields in another order");
		for (size_t j = 0; j < n; j++)
			s->tried[k + j] = s->lines[k + n - 1 - j];
		r = try_lines(s, buf_bytes(&what));
		for (size_t j = 0; j < n; j++)
			s->tried[k + j] = s->lines[k + j];
		for (size_t j = 0; r == 0 && j + 1 < n && n > 2; j++) {
			s->tried[k + j] = s->lines[k + j + 1];
			s->tried[k + j + 1] = s->lines[k + j];
			r = try_lines(s, buf_bytes(&what));
			s->tried[k + j] = s->lines[k + j];
			s->tried[k + j + 1] = s->lines[k + j + 1];
		}
	}
	return r;
}

/* ---- several fields at once --------------------------------------------- */

static bool
is_above(const struct search *s, size_t k)
{
	const uint8_t *p = s->fields[k]->name.p;
	struct bytes above = s->target->above;

	return above.n != 0 && (uintptr_t)p >= (uintptr_t)above.p &&
	    (uintptr_t)p < (uintptr_t)above.p + above.n;
}

/* Fields of list managers and of the checks on the way. */
static bool
is_of_list(const struct search *s, size_t k)
{
	static const char *const names[] = {
		"Errors-To", "Mailing-List", "Precedence", "Sender",
		"Archived-At",
	};
	struct bytes name = s->fields[k]->name;

	if (bytes_case_starts(name, BYTES_LIT("List-")))
		return true;
	for (size_t j = 0; j < sizeof(names) / sizeof(names[0]); j++)
		if (bytes_case_eq(name, bytes_of(names[j])))
			return true;
	return false;
}

/* Leaves out the lines of a kind; how many there were. */
static size_t
leave_out(struct search *s, bool (*is_one)(const struct search *, size_t))
{
	size_t n = 0;

	for (size_t k = 0; k < s->n; k++)
		if (is_one(s, k)) {
			s->tried[k].n = 0;
			n++;
		}
	return n;
}

/* Everything that can be tried of one field, on what is left of the lines. */
static int
try_single(struct search *s)
{
	static const struct bytes nothing = {NULL, 0};
	int r = s->base.n != 0 ? try_lines(s, nothing) : 0;

	if (r == 0)
		r = try_without_one(s);
	if (r == 0)
		r = try_subject(s);
	if (r == 0)
		r = try_encodings(s);
	if (r == 0)
		r = try_forms(s);
	for (size_t k = 0; r == 0 && k < guess_n_forms; k++)
		r = try_addresses(s, &guess_forms[k]);
	return r == 0 ? try_lost(s) : r;
}

static int
try_sets(struct search *s)
{
	static const struct {
		bool (*is_one)(const struct search *, size_t);
		const char *what;
	} sets[] = {
		{is_above, "without the fields above the signature: they were "
		 "put on top later"},
		{is_of_list, "without the fields that list managers add"},
	};
	int r = 0;

	for (size_t k = 0; r == 0 && k < 2; k++) {
		s->base = bytes_of(sets[k].what);
		if (leave_out(s, sets[k].is_one) != 0)
			r = try_single(s);
		for (size_t j = 0; j < s->n; j++)
			s->tried[j] = s->lines[j];
		s->base = (struct bytes){NULL, 0};
	}
	return r;
}

int
differ_guess_header(struct differ_guess *g, const struct canon_header *is,
    const struct differ_target *t, struct differ_work *work, struct arena *a)
{
	struct search s = {.target = t, .work = work, .arena = a, .guess = g};
	int r = search_init(&s, is);

	*g = (struct differ_guess){.what = {NULL, 0}};
	if (r != 0 || s.n == 0)
		return r;
	r = try_single(&s);
	if (r == 0)
		r = try_sets(&s);
	if (r == 0)
		r = try_order(&s);
	return r == 0 ? try_without_two(&s) : r;
}
