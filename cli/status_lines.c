#include "cli/status.h"

#include "base/err.h"

#define FIELDS_MAX 64U		/* of a line */

static int
digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* %XX; what is none stays as it is. */
static struct bytes
unescape(struct bytes b, struct arena *a)
{
	uint8_t *p = arena_array(a, b.n + 1, 1);
	size_t n = 0;

	if (p == NULL)
		return (struct bytes){NULL, 0};
	for (size_t k = 0; k < b.n; k++) {
		if (b.p[k] == '%' && k + 2 < b.n && digit(b.p[k + 1]) >= 0 &&
		    digit(b.p[k + 2]) >= 0) {
			p[n++] = (uint8_t)(digit(b.p[k + 1]) * 16 +
			    digit(b.p[k + 2]));
			k += 2;
		} else {
			p[n++] = b.p[k];
		}
	}
	return (struct bytes){p, n};
}

static bool
is_number(struct bytes b)
{
	uint64_t v;

	if (b.n != 0 && b.p[0] == '-')
		b = bytes_skip(b, 1);
	return bytes_number(b, INT64_MAX, &v);
}

/* False where it is no field, or the arena is full. */
static bool
read_field(struct status_field *f, struct bytes word, struct arena *a)
{
	size_t equal = bytes_index(word, '='), colon = bytes_index(word, ':');
	size_t at = equal < colon ? equal : colon;

	if (at == 0 || at == word.n)
		return false;
	f->name = bytes_first(word, at);
	f->text = bytes_skip(word, at + 1);
	f->is_number = colon < equal;
	if (f->is_number)
		return is_number(f->text);
	f->text = unescape(f->text, a);
	return f->text.p != NULL;
}

static int
read_line(struct status_line *l, struct bytes text, struct arena *a)
{
	l->kind = bytes_cut(&text, ' ');
	l->fields = arena_array(a, FIELDS_MAX, sizeof(*l->fields));
	l->n = 0;
	if (l->fields == NULL)
		return -E_NOMEM;
	while (text.p != NULL && l->n < FIELDS_MAX)
		if (read_field(l->fields + l->n, bytes_cut(&text, ' '), a))
			l->n++;
	return 0;
}

int
status_read(struct status *s, struct bytes text, struct arena *a)
{
	size_t n = 0;
	int r = 0;

	for (size_t k = 0; k < text.n; k++)
		n += text.p[k] == '\n';
	s->n = 0;
	s->lines = arena_array(a, n + 1, sizeof(*s->lines));
	if (s->lines == NULL)
		return -E_NOMEM;
	while (r == 0 && s->n < n)
		r = read_line(s->lines + s->n++, bytes_cut(&text, '\n'), a);
	return r;
}

const struct status_line *
status_line(const struct status *s, const char *kind, size_t n)
{
	for (size_t k = 0; k < s->n; k++)
		if (bytes_eq(s->lines[k].kind, bytes_of(kind)) && n-- == 0)
			return s->lines + k;
	return NULL;
}

static const struct status_field *
find(const struct status_line *l, const char *name)
{
	for (size_t k = 0; l != NULL && k < l->n; k++)
		if (bytes_eq(l->fields[k].name, bytes_of(name)))
			return l->fields + k;
	return NULL;
}

struct bytes
status_text(const struct status_line *l, const char *name)
{
	const struct status_field *f = find(l, name);

	return f == NULL ? (struct bytes){NULL, 0} : f->text;
}

int64_t
status_number(const struct status_line *l, const char *name)
{
	const struct status_field *f = find(l, name);
	struct bytes b = f == NULL ? (struct bytes){NULL, 0} : f->text;
	bool is_negative = b.n != 0 && b.p[0] == '-';
	uint64_t v = 0;

	(void)bytes_number(is_negative ? bytes_skip(b, 1) : b, INT64_MAX, &v);
	return is_negative ? -(int64_t)v : (int64_t)v;
}
