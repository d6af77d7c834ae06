#include "dkim2/dkim2.h"

#include <assert.h>

#include "base/ascii.h"
#include "base/err.h"
#include "dkim2/draft.h"
#include "dkim2/idn.h"

size_t
dkim2_header_end(struct bytes b, size_t *body_at)
{
	return dkim2_header_end_from(b, 0, body_at);
}

size_t
dkim2_header_end_from(struct bytes b, size_t seen, size_t *body_at)
{
	static const struct bytes end = BYTES_LIT("\r\n\r\n");
	size_t from = seen < end.n ? 0 : seen - (end.n - 1);
	struct bytes rest = bytes_skip(b, from);
	size_t at;

	if (bytes_starts(b, BYTES_LIT("\r\n"))) {
		*body_at = 2;
		return 0;
	}
	at = bytes_find(rest, end);
	if (at == rest.n)
		return SIZE_MAX;
	*body_at = from + at + end.n;
	return from + at + 2;
}

/* The length of the field at the front of b, folds and last CRLF included. */
static size_t
field_length(struct bytes b)
{
	size_t at = 0;

	for (;;) {
		struct bytes rest = bytes_skip(b, at);

		at += bytes_find(rest, BYTES_LIT("\r\n"));
		if (at == b.n)
			return b.n;
		at += 2;
		if (at == b.n || !ascii_is_wsp(b.p[at]))
			return at;
	}
}

static bool
field_parse(struct dkim2_field *f, struct bytes raw)
{
	size_t colon = bytes_index(raw, ':');
	size_t n = colon;

	if (colon == raw.n || ascii_is_wsp(raw.p[0]))
		return false;
	while (n != 0 && ascii_is_wsp(raw.p[n - 1]))
		n--;
	if (n == 0)
		return false;
	f->raw = raw;
	f->name = bytes_first(raw, n);
	for (size_t k = 0; k < n; k++)
		if (!ascii_is_graph(f->name.p[k]))
			return false;
	f->value = bytes_skip(raw, colon + 1);
	if (bytes_ends(f->value, BYTES_LIT("\r\n")))
		f->value.n -= 2;
	return true;
}

int
dkim2_message_parse(struct dkim2_message *m, struct bytes header,
    size_t max_fields, struct arena *a)
{
	struct bytes rest = header;
	size_t n = 0;

	while (rest.n != 0) {
		if (n == max_fields)
			return -E_LIMIT;
		rest = bytes_skip(rest, field_length(rest));
		n++;
	}
	*m = (struct dkim2_message){header, NULL, n};
	m->fields = arena_array(a, n, sizeof(m->fields[0]));
	if (m->fields == NULL)
		return -E_NOMEM;
	rest = header;
	for (size_t k = 0; k < n; k++) {
		size_t length = field_length(rest);

		if (!field_parse(&m->fields[k], bytes_first(rest, length)))
			return -E_SYNTAX;
		rest = bytes_skip(rest, length);
	}
	assert(rest.n == 0);
	return 0;
}

size_t
dkim2_message_find(const struct dkim2_message *m, struct bytes name,
    const struct dkim2_field **first)
{
	size_t n = 0;

	for (size_t k = 0; k < m->n_fields; k++) {
		if (!bytes_case_eq(m->fields[k].name, name))
			continue;
		if (n++ == 0)
			*first = &m->fields[k];
	}
	return n;
}

struct bytes
dkim2_path_domain(struct bytes path)
{
	size_t at = path.n;

	if (path.n < 2 || path.p[0] != '<' || path.p[path.n - 1] != '>')
		return (struct bytes){NULL, 0};
	while (at != 0 && path.p[at - 1] != '@')
		at--;
	if (at == 0)
		return (struct bytes){NULL, 0};
	return bytes_between(path.p + at, path.p + path.n - 1);
}

/* Both in A-labels. */
static bool
covers(struct bytes domain, struct bytes name)
{
	struct bytes tail;

	if (domain.n == 0 || name.n < domain.n || name.p[0] == '[' ||
	    domain.p[0] == '[')
		return false;
	tail = bytes_skip(name, name.n - domain.n);
	if (!bytes_case_eq(tail, domain))
		return false;
	return tail.n == name.n ||
	    (name.n > tail.n + 1 && name.p[name.n - tail.n - 1] == '.');
}

bool
dkim2_domain_covers(struct bytes domain, struct bytes name)
{
	uint8_t room[2][DRAFT_DOMAIN_MAX];
	struct buf a = BUF_ON(room[0]), b = BUF_ON(room[1]);

	if (idn_is_ascii(domain) && idn_is_ascii(name))
		return covers(domain, name);
	return idn_to_ascii(domain, &a) && idn_to_ascii(name, &b) &&
	    covers(buf_bytes(&a), buf_bytes(&b));
}
