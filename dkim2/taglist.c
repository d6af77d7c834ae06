#include "dkim2/taglist.h"

#include "base/ascii.h"
#include "base/b64.h"
#include "base/err.h"
#include "dkim2/draft.h"

static bool
is_space(uint8_t c)
{
	return ascii_is_wsp(c) || c == '\r' || c == '\n';
}

struct bytes
taglist_trim(struct bytes b)
{
	while (b.n != 0 && is_space(b.p[b.n - 1]))
		b.n--;
	while (b.n != 0 && is_space(b.p[0]))
		b = bytes_skip(b, 1);
	return b;
}

bool
taglist_is_word(struct bytes b)
{
	for (size_t k = 0; k < b.n; k++)
		if (!ascii_is_graph(b.p[k]))
			return false;
	return b.n != 0;
}

bool
taglist_is_name(struct bytes b)
{
	for (size_t k = 0; k < b.n; k++)
		if (!ascii_is_alnum(b.p[k]) && b.p[k] != '-' && b.p[k] != '_')
			return false;
	return b.n != 0;
}

bool
taglist_is_domain(struct bytes b, size_t min_labels)
{
	struct bytes rest = b;
	size_t n = 0;

	if (b.n == 0 || b.n > DRAFT_DOMAIN_MAX)
		return false;
	while (rest.p != NULL) {
		struct bytes label = bytes_cut(&rest, '.');

		if (label.n > DRAFT_LABEL_MAX || !taglist_is_name(label))
			return false;
		n++;
	}
	return n >= min_labels;
}

/* Printable, or white space; a CR or LF only as part of a line end. */
static bool
is_printable(struct bytes b)
{
	for (size_t k = 0; k < b.n; k++) {
		if (ascii_is_graph(b.p[k]) || ascii_is_wsp(b.p[k]))
			continue;
		if (b.p[k] != '\r' || k + 1 == b.n || b.p[k + 1] != '\n')
			return false;
		k++;
	}
	return true;
}

static bool
is_tag_name(struct bytes b)
{
	if (b.n == 0 || !ascii_is_alpha(b.p[0]))
		return false;
	for (size_t k = 1; k < b.n; k++)
		if (!ascii_is_alnum(b.p[k]) && b.p[k] != '_')
			return false;
	return true;
}

/* Returns false where piece is no tag, or one too many. */
static bool
add_tag(struct taglist *t, struct bytes piece)
{
	struct bytes value = piece;
	struct bytes name = taglist_trim(bytes_cut(&value, '='));

	if (value.p == NULL || !is_tag_name(name) || t->n == TAGLIST_MAX)
		return false;
	for (size_t k = 0; k < t->n; k++)
		if (bytes_eq(t->tags[k].name, name))
			return false;
	t->tags[t->n++] = (struct tag){name, taglist_trim(value)};
	return true;
}

void
taglist_parse(struct taglist *t, struct bytes list)
{
	struct bytes rest = list;

	t->n = 0;
	t->is_bad = !is_printable(list);
	while (rest.p != NULL) {
		struct bytes piece = taglist_trim(bytes_cut(&rest, ';'));

		/* Nothing needs to stand behind the last ";". */
		if (piece.n == 0 && rest.p == NULL && t->n != 0)
			break;
		if (!add_tag(t, piece))
			t->is_bad = true;
	}
	if (t->n == 0)
		t->is_bad = true;
}

bool
taglist_find(const struct taglist *t, const char *name, struct bytes *value)
{
	for (size_t k = 0; k < t->n; k++) {
		if (bytes_eq(t->tags[k].name, bytes_of(name))) {
			*value = t->tags[k].value;
			return true;
		}
	}
	return false;
}

int
taglist_base64(struct bytes value, struct arena *a, struct bytes *out)
{
	uint8_t *p = arena_alloc(a, value.n + 1);
	struct buf decoded = {p, 0, value.n, false};
	size_t n = 0;

	*out = (struct bytes){NULL, 0};
	if (p == NULL)
		return -E_NOMEM;
	for (size_t k = 0; k < value.n; k++)
		if (!is_space(value.p[k]))
			p[n++] = value.p[k];
	/* In place: four octets are read before three are written. */
	if (n != 0 && b64_decode((struct bytes){p, n}, &decoded))
		*out = buf_bytes(&decoded);
	return 0;
}

void
taglist_members_init(struct taglist_members *m, struct bytes value)
{
	m->rest = value;
	m->group = bytes_cut(&m->rest, '|');
	m->n_group = 0;
}

bool
taglist_members_next(struct taglist_members *m, struct bytes *member,
    unsigned *group)
{
	if (m->group.p == NULL) {
		if (m->rest.p == NULL)
			return false;
		m->group = bytes_cut(&m->rest, '|');
		m->n_group++;
	}
	*group = m->n_group;
	*member = taglist_trim(bytes_cut(&m->group, ','));
	return true;
}
