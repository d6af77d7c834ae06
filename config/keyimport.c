#include "config/keyimport.h"

#include <stdlib.h>

#include "base/ascii.h"
#include "base/err.h"
#include "config/lines.h"
#include "config/value.h"

/* ---- tables --------------------------------------------------------------- */

struct row {
	struct row *next;
	struct bytes key;
	struct bytes value;
	struct config_place at;
	struct config_place value_at;
	bool is_used;
};

struct rows {
	const struct keyimport_to *to;
	struct row *first;	/* in the order of the file, */
	struct row **end;
	struct row **sorted;	/* and by key without case */
	size_t n;
};

/* config_lines_add */
static void
row_add(void *table, struct bytes key, struct config_place at,
    struct bytes value, struct config_place value_at)
{
	struct rows *t = table;
	struct row *row;

	if (t->n == KEYIMPORT_LINES_MAX) {
		config_fault_add(t->to->faults, at, "there are more than %u "
		    "lines; import a part of them", KEYIMPORT_LINES_MAX);
		t->n++;
	}
	if (t->n > KEYIMPORT_LINES_MAX)
		return;
	row = arena_alloc(t->to->arena, sizeof(*row));
	if (row == NULL) {
		t->to->faults->is_full = true;
		return;
	}
	*row = (struct row){NULL, key, value, at, value_at, false};
	*t->end = row;
	t->end = &row->next;
	t->n++;
}

static int
key_compare(struct bytes a, struct bytes b)
{
	for (size_t k = 0; k < a.n && k < b.n; k++) {
		int r = ascii_lower(a.p[k]) - ascii_lower(b.p[k]);

		if (r != 0)
			return r;
	}
	return a.n == b.n ? 0 : a.n < b.n ? -1 : 1;
}

/* Of the same key in the order of the file. */
static int
row_compare(const void *va, const void *vb)
{
	const struct row *a = *(struct row *const *)va;
	const struct row *b = *(struct row *const *)vb;
	int r = key_compare(a->key, b->key);

	return r != 0 ? r : a->at.line < b->at.line ? -1 :
	    a->at.line > b->at.line;
}

static int
rows_read(struct rows *t, const struct keyimport_table *table,
    unsigned file_no, const char *key_name, const char *value_name)
{
	const struct config_lines lines = {t->to->faults, row_add, t, key_name,
	    value_name, NULL};
	size_t n = 0;

	t->end = &t->first;
	config_lines_read(&lines, table->octets, table->file, file_no);
	t->sorted = arena_array(t->to->arena, t->n, sizeof(*t->sorted));
	if (t->sorted == NULL)
		return -E_NOMEM;
	for (struct row *row = t->first; row != NULL; row = row->next)
		t->sorted[n++] = row;
	t->n = n;
	if (n != 0)
		qsort(t->sorted, n, sizeof(*t->sorted), row_compare);
	return 0;
}

static int
row_search(const void *vkey, const void *vrow)
{
	return key_compare(*(const struct bytes *)vkey,
	    (*(struct row *const *)vrow)->key);
}

/* A key that stands there twice is told where the keys are unique. */
static struct row *
row_find(struct rows *t, struct bytes key)
{
	struct row **row = t->n == 0 ? NULL : bsearch(&key, t->sorted, t->n,
	    sizeof(*t->sorted), row_search);

	if (row == NULL)
		return NULL;
	(*row)->is_used = true;
	return *row;
}

static void
unique_check(struct rows *t, const char *what)
{
	for (size_t k = 1; k < t->n; k++)
		if (key_compare(t->sorted[k - 1]->key, t->sorted[k]->key) == 0)
			config_fault_add(t->to->faults, t->sorted[k]->at,
			    "%s `%s` stands in line %u already; keep one of "
			    "them", what, config_fault_show(t->to->faults,
			    t->sorted[k]->key), t->sorted[k - 1]->at.line);
}

static size_t
unused_count(const struct rows *t)
{
	size_t n = 0;

	for (size_t k = 0; k < t->n; k++)
		n += !t->sorted[k]->is_used;
	return n;
}

/* ---- what comes out --------------------------------------------------------- */

struct made {
	struct made *next;
	struct keyimport_key key;
};

struct making {
	const struct keyimport_to *to;
	struct made *first;
	size_t n;
};

static void
bad(const struct making *m, struct config_place at, const char *what,
    struct bytes text, const char *why)
{
	config_fault_add(m->to->faults, at, "%s `%s` %s", what,
	    config_fault_show(m->to->faults, text), why);
}

/* What a word in a path stands for. */
struct word {
	struct bytes word;
	struct bytes value;
};

/* Puts the words in. NULL after a complaint, or without memory. */
static const char *
path_fill(const struct making *m, struct bytes path, const struct word *words,
    size_t n_words, struct config_place at)
{
	struct bytes rest = path;
	struct buf out;

	if (path.n == 0 || path.p[0] != '/' || bytes_index(path, 0) != path.n) {
		bad(m, at, "key", path, "is no absolute path; write that of a "
		    "PEM file");
		return NULL;
	}
	if (arena_buf(m->to->arena, KEYIMPORT_PATH_MAX < 2 * path.n + 600 ?
	    KEYIMPORT_PATH_MAX : 2 * path.n + 600, &out) != 0) {
		m->to->faults->is_full = true;
		return NULL;
	}
	out.cap--;		/* a NUL is behind it */
	while (rest.n != 0) {
		size_t k = 0;

		while (k < n_words && !bytes_starts(rest, words[k].word))
			k++;
		if (k == n_words) {
			buf_add_octet(&out, rest.p[0]);
			rest = bytes_skip(rest, 1);
		} else {
			buf_add(&out, words[k].value);
			rest = bytes_skip(rest, words[k].word.n);
		}
	}
	if (!out.full)
		return (const char *)out.p;
	bad(m, at, "path", path, "is too long");
	return NULL;
}

static struct bytes
lower_copy(const struct making *m, struct bytes text)
{
	struct buf out;

	if (arena_buf(m->to->arena, text.n + 1, &out) != 0) {
		m->to->faults->is_full = true;
		return (struct bytes){NULL, 0};
	}
	for (size_t k = 0; k < text.n; k++)
		buf_add_octet(&out, ascii_lower(text.p[k]));
	return buf_bytes(&out);
}

/* Both names, as a folder of keys has them. False after a complaint. */
static bool
names_read(const struct making *m, struct keyimport_key *key,
    struct bytes domain, struct bytes selector)
{
	const char *why = config_value_domain(domain, m->to->arena,
	    &key->domain);

	if (why != NULL) {
		bad(m, key->at, "domain", domain, why);
		return false;
	}
	why = config_value_selector(selector);
	if (why != NULL) {
		bad(m, key->at, "selector", selector, why);
		return false;
	}
	key->selector = lower_copy(m, selector);
	return key->selector.p != NULL;
}

static void
key_add(struct making *m, const struct keyimport_key *key)
{
	struct made *made;

	if (key->path == NULL)
		return;
	made = arena_alloc(m->to->arena, sizeof(*made));
	if (made == NULL) {
		m->to->faults->is_full = true;
		return;
	}
	*made = (struct made){m->first, *key};
	m->first = made;
	m->n++;
}

static int
made_compare(const void *va, const void *vb)
{
	const struct keyimport_key *a = va, *b = vb;
	int r = bytes_compare(a->domain, b->domain);

	if (r == 0)
		r = bytes_compare(a->selector, b->selector);
	if (r == 0)
		r = strcmp(a->path, b->path);
	return r != 0 ? r : a->at.line < b->at.line ? -1 :
	    a->at.line > b->at.line;
}

/* Many lines lead to one key; two keys can not have one name. */
static int
making_end(struct making *m, struct keyimport *out)
{
	struct keyimport_key *keys = arena_array(m->to->arena, m->n,
	    sizeof(*keys));
	size_t n = 0, all = 0;

	if (keys == NULL)
		return -E_NOMEM;
	for (const struct made *at = m->first; at != NULL; at = at->next)
		keys[all++] = at->key;
	if (all != 0)
		qsort(keys, all, sizeof(*keys), made_compare);
	for (size_t k = 0; k < all; k++) {
		struct keyimport_key *last = n == 0 ? NULL : &keys[n - 1];

		if (last == NULL || !bytes_eq(last->domain, keys[k].domain) ||
		    !bytes_eq(last->selector, keys[k].selector))
			keys[n++] = keys[k];
		else if (strcmp(last->path, keys[k].path) != 0)
			bad(m, keys[k].at, "selector", keys[k].selector,
			    "has two keys; keep one of them");
	}
	out->keys = keys;
	out->n = n;
	return m->to->faults->is_full ? -E_NOMEM : 0;
}

/* ---- OpenDKIM --------------------------------------------------------------- */

/* What mail a pattern is for; empty: of every domain. */
static struct bytes
pattern_domain(struct bytes pattern)
{
	for (size_t k = pattern.n; k-- > 0;)
		if (pattern.p[k] == '@') {
			pattern = bytes_skip(pattern, k + 1);
			break;
		}
	if (bytes_eq(pattern, BYTES_LIT("*")))
		return (struct bytes){NULL, 0};
	if (bytes_starts(pattern, BYTES_LIT("*.")))
		return bytes_skip(pattern, 2);
	return bytes_starts(pattern, BYTES_LIT(".")) ? bytes_skip(pattern, 1) :
	    pattern;
}

/* Whether mail of the domain is signed with a key of d from now on, too. */
static bool
is_covered(struct bytes d, struct bytes domain)
{
	struct bytes end;

	if (domain.n < d.n)
		return false;
	end = bytes_skip(domain, domain.n - d.n);
	return bytes_case_eq(end, d) && (domain.n == d.n ||
	    domain.p[domain.n - d.n - 1] == '.');
}

static void
signing_row(struct making *m, struct rows *keys, struct row *row)
{
	struct bytes name_rest = row->value, rest, domain, selector;
	struct bytes from = pattern_domain(row->key);
	struct bytes name = bytes_trim(bytes_cut(&name_rest, ':'));
	struct word words[] = {{BYTES_LIT("%"), from}};
	struct keyimport_key key = {.path = NULL};
	struct row *its;

	its = row_find(keys, bytes_eq(name, BYTES_LIT("%")) ? from : name);
	if (its == NULL) {
		bad(m, row->value_at, "key", name, "is not in the KeyTable; "
		    "add its line there, or remove this one");
		return;
	}
	rest = its->value;
	domain = bytes_trim(bytes_cut(&rest, ':'));
	selector = bytes_trim(bytes_cut(&rest, ':'));
	rest = bytes_trim(rest);
	key.at = its->value_at;
	if (rest.p == NULL || rest.n == 0) {
		bad(m, key.at, "key", its->value, "is not DOMAIN:SELECTOR:PATH");
		return;
	}
	if (bytes_eq(domain, BYTES_LIT("%"))) {
		domain = from;
		key.at = row->at;
	}
	if (domain.n == 0) {
		bad(m, row->at, "pattern", row->key, "is of every domain, and "
		    "its key has none; write the domains, a line each");
		return;
	}
	if (!names_read(m, &key, domain, selector))
		return;
	key.path = path_fill(m, rest, words, 1, its->value_at);
	key_add(m, &key);
	if (!is_covered(key.domain, from))
		config_fault_add(m->to->notes, row->at, "mail of `%s` was "
		    "signed as %.*s; hopseal signs with it only what is of "
		    "that domain", config_fault_show(m->to->notes, row->key),
		    BYTES_FMT(key.domain));
}

int
keyimport_opendkim(struct keyimport *out, const struct keyimport_table *keys,
    const struct keyimport_table *signing, const struct keyimport_to *to)
{
	struct rows key_rows = {.to = to}, signing_rows = {.to = to};
	struct making m = {.to = to};

	*out = (struct keyimport){.n = 0};
	if (rows_read(&key_rows, keys, 0, "key",
	    "value; write NAME DOMAIN:SELECTOR:PATH") != 0 ||
	    rows_read(&signing_rows, signing, 1, "pattern",
	    "key; write PATTERN NAME") != 0)
		return -E_NOMEM;
	unique_check(&key_rows, "key");
	for (struct row *row = signing_rows.first; row != NULL &&
	    !to->faults->is_full; row = row->next)
		signing_row(&m, &key_rows, row);
	out->n_unused = unused_count(&key_rows);
	return making_end(&m, out);
}

/* ---- rspamd ------------------------------------------------------------------- */

static void
selector_row(struct making *m, struct rows *paths, const struct row *row,
    struct bytes other)
{
	struct keyimport_key key = {.at = row->value_at};
	struct config_place at = row->at;
	struct row *its = row_find(paths, row->key);
	struct bytes path = other;
	struct word words[2];

	if (!names_read(m, &key, row->key, row->value))
		return;
	if (its != NULL) {
		path = its->value;
		at = its->value_at;
	}
	words[0] = (struct word){BYTES_LIT("$domain"), key.domain};
	words[1] = (struct word){BYTES_LIT("$selector"), row->value};
	key.path = path_fill(m, path, words, 2, at);
	key_add(m, &key);
}

int
keyimport_rspamd(struct keyimport *out,
    const struct keyimport_table *selectors,
    const struct keyimport_table *paths, const char *other,
    const struct keyimport_to *to)
{
	static const struct keyimport_table none;
	struct rows selector_rows = {.to = to}, path_rows = {.to = to};
	struct making m = {.to = to};

	*out = (struct keyimport){.n = 0};
	if (rows_read(&selector_rows, selectors, 0, "domain",
	    "selector; write DOMAIN SELECTOR") != 0 ||
	    rows_read(&path_rows, paths == NULL ? &none : paths, 1, "domain",
	    "path; write DOMAIN PATH") != 0)
		return -E_NOMEM;
	unique_check(&path_rows, "domain");
	for (const struct row *row = selector_rows.first; row != NULL &&
	    !to->faults->is_full; row = row->next)
		selector_row(&m, &path_rows, row, bytes_of(other));
	out->n_unused = unused_count(&path_rows);
	return making_end(&m, out);
}
