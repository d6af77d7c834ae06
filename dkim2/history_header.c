#include "dkim2/history.h"

#include "base/ascii.h"
#include "base/err.h"
#include "base/sort.h"
#include "dkim2/draft.h"
#include "dkim2/unsigned.h"

/* A field in the order of the block; a ring around the head of the list. */
struct node {
	struct node *above, *below;
	struct bytes name;		/* as it is written */
	struct bytes raw;		/* as it came; p == NULL: rebuilt */
	struct bytes value;		/* rebuilt: from a recipe */
	size_t order;			/* from the bottom up */
};

/* The block while recipes are undone. */
struct block {
	struct node head;	/* below it is the top field */
	struct node **sorted;	/* by name, those of one name bottom up */
	struct node **spare;
	size_t n;
	struct arena *arena;
};

static void
node_insert_above(struct node *n, struct node *place)
{
	n->below = place;
	n->above = place->above;
	n->above->below = n;
	place->above = n;
}

static void
node_remove(struct node *n)
{
	n->above->below = n->below;
	n->below->above = n->above;
}

static int
node_compare(const void *va, const void *vb)
{
	const struct node *a = *(struct node *const *)va;
	const struct node *b = *(struct node *const *)vb;
	int d = canon_name_compare(a->name, b->name);

	if (d != 0)
		return d;
	return a->order < b->order ? -1 : a->order > b->order;
}

struct bytes
history_name(struct bytes name, struct arena *a)
{
	struct bytes copy = arena_copy(a, name);
	uint8_t *p = (uint8_t *)copy.p;

	for (size_t k = 0; p != NULL && k < copy.n; k++)
		if (ascii_is_alpha(p[k]) && (k == 0 || p[k - 1] == '-'))
			p[k] &= (uint8_t)~0x20U;
	return copy;
}

/* ---- one name of one recipe ---------------------------------------------- */

/* What becomes of the fields of one name. */
struct rework {
	struct block *block;
	const struct recipe_name *name;
	struct node **now;	/* those that are there, bottom up */
	size_t n_now;
	size_t at;		/* the next that nothing is decided about */
	struct node *last;	/* the highest one that stays; NULL: none */
	struct node **to;	/* where those go that stay, bottom up */
	size_t n_to;
};

/*
 * Puts a value from the recipe into the block.
 *
 * end      fields below this one may be replaced; it stays itself
 */
static int
rework_value(struct rework *w, struct bytes value, size_t end)
{
	struct node *n;

	if (w->at < end) {
		n = w->now[w->at++];
	} else {
		n = arena_alloc(w->block->arena, sizeof(*n));
		if (n == NULL)
			return -E_NOMEM;
		n->name = history_name(w->name->name, w->block->arena);
		if (n->name.p == NULL)
			return -E_NOMEM;
		if (w->last != NULL)
			node_insert_above(n, w->last);
		else if (end < w->n_now)
			node_insert_above(n, w->now[end]->below);
		else
			node_insert_above(n, &w->block->head);
	}
	n->raw = (struct bytes){NULL, 0};
	n->value = value;
	w->last = n;
	w->to[w->n_to++] = n;
	return 0;
}

/* Fields that no value took the place of are taken away, up to end. */
static void
rework_skip(struct rework *w, size_t end)
{
	while (w->at < end)
		node_remove(w->now[w->at++]);
}

/* Where the next copy of the list begins, from step k on. */
static size_t
next_copy(const struct rework *w, size_t k)
{
	const struct recipe_list *l = &w->name->list;

	while (k < l->n && l->steps[k].first == 0)
		k++;
	return k < l->n ? l->steps[k].first - 1 : w->n_now;
}

static int
rework_name(struct rework *w)
{
	const struct recipe_list *l = &w->name->list;
	int r = 0;

	for (size_t k = 0; r == 0 && k < l->n; k++) {
		const struct recipe_step *s = &l->steps[k];
		struct bytes rest = s->lines;

		for (size_t j = 0; r == 0 && j < s->n_lines; j++) {
			struct bytes line = bytes_cut(&rest, '\n');

			line.n--;
			r = rework_value(w, line, next_copy(w, k));
		}
		if (s->first == 0)
			continue;
		rework_skip(w, s->first - 1);
		while (w->at < s->last) {
			w->last = w->now[w->at++];
			w->to[w->n_to++] = w->last;
		}
	}
	rework_skip(w, w->n_now);
	return r;
}

/* ---- one recipe ---------------------------------------------------------- */

/* A recipe may name anything; what is signed is not its to undo. */
static bool
is_ours(struct bytes name)
{
	return bytes_case_eq(name, BYTES_LIT(DRAFT_INSTANCE)) ||
	    bytes_case_eq(name, BYTES_LIT(DRAFT_SIGNATURE));
}

/*
 * Undoes the steps for all names. That they fit was seen when the state was
 * made (history_read()).
 */
static int
undo(struct block *b, const struct recipe *recipe)
{
	struct node **to = b->spare;
	size_t at = 0, n_to = 0;
	int r = 0;

	for (size_t k = 0; r == 0 && k < recipe->n_names; k++) {
		struct rework w = {.block = b, .name = &recipe->names[k]};

		if (is_ours(w.name->name))
			continue;
		while (at < b->n && canon_name_compare(b->sorted[at]->name,
		    w.name->name) < 0)
			to[n_to++] = b->sorted[at++];
		w.now = b->sorted + at;
		while (at < b->n && bytes_case_eq(b->sorted[at]->name,
		    w.name->name)) {
			w.n_now++;
			at++;
		}
		w.to = to + n_to;
		r = rework_name(&w);
		n_to += w.n_to;
	}
	while (at < b->n)
		to[n_to++] = b->sorted[at++];
	b->spare = b->sorted;
	b->sorted = to;
	b->n = n_to;
	return r;
}

static int
block_init(struct block *b, const struct history *h,
    const struct dkim2_message *m, size_t last, struct arena *a)
{
	struct node *nodes = arena_array(a, m->n_fields, sizeof(*nodes));
	size_t room = m->n_fields;

	for (size_t k = last; k < h->n_states; k++)
		room += h->chain.instances[k].steps.n_values;
	*b = (struct block){.n = m->n_fields, .arena = a};
	b->sorted = arena_array(a, room, sizeof(b->sorted[0]));
	b->spare = arena_array(a, room, sizeof(b->spare[0]));
	if (nodes == NULL || b->sorted == NULL || b->spare == NULL)
		return -E_NOMEM;
	b->head.above = b->head.below = &b->head;
	for (size_t k = 0; k < m->n_fields; k++) {
		nodes[k].name = m->fields[k].name;
		nodes[k].raw = m->fields[k].raw;
		nodes[k].order = m->n_fields - k;
		node_insert_above(&nodes[k], &b->head);
		b->sorted[k] = &nodes[k];
	}
	sort_heap(b->sorted, b->n, sizeof(b->sorted[0]), node_compare);
	return 0;
}

/* ---- what is written ----------------------------------------------------- */

struct writer {
	const struct history *h;
	size_t i, m;			/* of the last signature that stays, and
					   of its instance; 0: none */
	const uint8_t *cut;		/* where the last field begins above
					   which what is not hashed goes */
	bool is_below;			/* we are past it */
};

/* Says whether a field was there when the last signature was made. */
static bool
is_kept(struct writer *w, const struct node *n)
{
	const struct chain *c = &w->h->chain;
	bool is_above = !w->is_below;

	if (n->raw.p != NULL && n->raw.p == w->cut)
		w->is_below = true;
	for (size_t k = 0; k < c->n_signatures; k++)
		if (c->signatures[k].field->raw.p == n->raw.p)
			return c->signatures[k].i <= w->i;
	for (size_t k = 0; k < c->n_instances; k++)
		if (c->instances[k].field->raw.p == n->raw.p)
			return c->instances[k].m <= w->m;
	return !is_above || !unsigned_is(n->name);
}

static void
put_field(const struct node *n, struct buf *out)
{
	if (n->raw.p != NULL) {
		buf_add(out, n->raw);
		if (!bytes_ends(n->raw, BYTES_LIT("\r\n")))
			buf_add_str(out, "\r\n");
		return;
	}
	buf_add(out, n->name);
	buf_add_octet(out, ':');
	if (n->value.n == 0 || !ascii_is_wsp(n->value.p[0]))
		buf_add_octet(out, ' ');
	buf_add(out, n->value);
	buf_add_str(out, "\r\n");
}

int
history_header_cut(const struct history *h, const struct dkim2_message *m,
    size_t i, const struct dkim2_field *cut, struct arena *a,
    struct bytes *header)
{
	const struct signature *last = &h->chain.signatures[i == 0 ? 0 : i - 1];
	struct writer w = {h, i, i == 0 ? 0 : last->m, NULL, false};
	size_t n = 0;
	struct block b;
	struct buf out;
	int r = block_init(&b, h, m, last->m, a);

	if (cut == NULL && i != 0)
		cut = last->field;
	w.cut = cut != NULL ? cut->raw.p : NULL;
	w.is_below = cut == NULL;
	for (size_t k = h->n_states; r == 0 && k > last->m; k--)
		r = undo(&b, &h->chain.instances[k - 1].steps);
	if (r != 0)
		return r;
	for (struct node *f = b.head.below; f != &b.head; f = f->below)
		n += f->raw.n + f->name.n + f->value.n + 4;
	r = arena_buf(a, n, &out);
	for (struct node *f = b.head.below; r == 0 && f != &b.head;
	    f = f->below)
		if (is_kept(&w, f))
			put_field(f, &out);
	*header = buf_bytes(&out);
	return r;
}

int
history_header(const struct history *h, const struct dkim2_message *m,
    size_t i, struct arena *a, struct bytes *header)
{
	return history_header_cut(h, m, i, NULL, a, header);
}
