/* A message with a chain within a part of another. */
#include "base/err.h"
#include "dkim2/mime.h"
#include "dkim2/restore.h"

#define DEPTH_MAX 4
#define PARTS_MAX 32U		/* of one multipart */
#define ALL_MAX 128U		/* in all */
#define FIELDS_MAX 1000U	/* of the message within */

struct search {
	struct arena *arena;
	struct dkim2_message *inner;
	struct bytes *inner_body;
	size_t n_found;
	size_t n_parts;
	bool is_unclear;	/* there may be others that were not seen */
};

static bool
has_chain(const struct dkim2_message *m)
{
	for (size_t k = 0; k < m->n_fields; k++)
		if (restore_is_chain_field(m->fields + k))
			return true;
	return false;
}

/* A message/rfc822: it is not looked into for others. */
static int
look_at_message(struct search *s, struct bytes octets)
{
	struct dkim2_message m;
	size_t body_at, n;
	int r;

	n = dkim2_header_end(octets, &body_at);
	if (n == SIZE_MAX)
		return 0;
	r = dkim2_message_parse(&m, bytes_first(octets, n), FIELDS_MAX,
	    s->arena);
	if (r == -E_NOMEM)
		return r;
	if (r != 0 || !has_chain(&m))
		return 0;
	if (s->n_found++ == 0) {
		*s->inner = m;
		*s->inner_body = bytes_skip(octets, body_at);
	}
	return 0;
}

/* One level of parts; they are looked at when all of it is split. */
struct level {
	struct bytes parts[PARTS_MAX];
	size_t n, at;
};

/* What a part is: a message, or another level to go down to. */
static int
look_at_part(struct search *s, const struct mime_part *p,
    struct level *next, bool *is_multipart)
{
	*is_multipart = false;
	if (p->encoding != MIME_PLAIN)
		return 0;
	if (mime_type_is(&p->type, BYTES_LIT("message"), BYTES_LIT("rfc822")))
		return look_at_message(s, p->body);
	/* A digest is a message of its own, also where it holds but one. */
	if (mime_type_is(&p->type, BYTES_LIT("multipart"),
	    BYTES_LIT("digest")))
		return 0;
	if (!bytes_case_eq(p->type.type, BYTES_LIT("multipart")) ||
	    p->type.boundary.p == NULL || next == NULL)
		return 0;
	next->at = 0;
	*is_multipart = mime_split(p->body, p->type.boundary, next->parts,
	    PARTS_MAX, &next->n) == MIME_SPLIT;
	s->is_unclear = s->is_unclear || !*is_multipart;
	return 0;
}

static int
walk(struct search *s, const struct mime_part *top)
{
	struct level levels[DEPTH_MAX];
	size_t depth = 0;
	bool is_multipart;
	int r = look_at_part(s, top, &levels[0], &is_multipart);

	if (r != 0 || !is_multipart)
		return r;
	for (;;) {
		struct level *l = levels + depth;
		struct mime_part p;
		bool good;

		if (l->at == l->n) {
			if (depth-- == 0)
				return 0;
			continue;
		}
		if (s->n_parts++ == ALL_MAX) {
			s->is_unclear = true;
			return 0;
		}
		r = mime_part_parse(&p, l->parts[l->at++], s->arena, &good);
		if (r == 0 && good)
			r = look_at_part(s, &p, depth + 1 == DEPTH_MAX ? NULL :
			    l + 1, &is_multipart);
		if (r != 0)
			return r;
		if (good && is_multipart)
			depth++;
	}
}

int
dkim2_wrapped(bool *is_there, struct dkim2_message *inner,
    struct bytes *inner_body, struct arena *a,
    const struct dkim2_message *outer, struct bytes body)
{
	struct search s = {.arena = a, .inner = inner,
	    .inner_body = inner_body};
	struct mime_part top = {.body = body};
	const struct dkim2_field *f;
	int r;

	*is_there = false;
	if (dkim2_message_find(outer, BYTES_LIT("Content-Type"), &f) != 1 ||
	    !mime_type_parse(&top.type, f->value))
		return 0;
	top.encoding = mime_encoding_of(outer);
	r = walk(&s, &top);
	*is_there = r == 0 && s.n_found == 1 && !s.is_unclear;
	return r;
}
