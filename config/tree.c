#include "config/tree.h"

#include <stdlib.h>

#include <yaml.h>

#define DEPTH_MAX 8U
#define NODES_MAX 65536U

struct level {
	struct config_node *node;
	struct config_node *key;	/* of a map: waits for its value */
	struct config_node **tail;
};

struct reader {
	struct config_faults *faults;
	const char *file;
	struct config_node *root;
	struct level level[DEPTH_MAX];
	unsigned depth;
	size_t n_nodes;
	unsigned n_documents;
	bool is_over;		/* nothing further is read */
};

static struct config_place
place_of(const struct reader *r, const yaml_mark_t *mark)
{
	return (struct config_place){r->file, 0, (unsigned)mark->line + 1,
	    (unsigned)mark->column + 1};
}

static void
stop(struct reader *r, struct config_place at, const char *why)
{
	config_fault_add(r->faults, at, "%s; nothing behind it was read", why);
	r->is_over = true;
}

/* Puts a finished or just opened node where it belongs. */
static void
node_place(struct reader *r, struct config_node *node)
{
	struct level *in;

	if (r->depth == 0) {
		r->root = node;
		return;
	}
	in = &r->level[r->depth - 1];
	if (in->node->kind == NODE_MAP && in->key == NULL) {
		in->key = node;
		if (node->kind != NODE_TEXT && node->kind != NODE_BROKEN) {
			config_fault_add(r->faults, node->at,
			    "a list or map is no name; write NAME: VALUE");
			node->kind = NODE_BROKEN;
		}
		return;
	}
	node->key = in->key;
	in->key = NULL;
	*in->tail = node;
	in->tail = &node->next;
	in->node->n++;
}

static struct config_node *
node_new(struct reader *r, const yaml_event_t *e, enum config_node_kind kind)
{
	struct config_node *node;

	if (++r->n_nodes > NODES_MAX) {
		stop(r, place_of(r, &e->start_mark),
		    "more than 65536 names and values");
		return NULL;
	}
	node = arena_alloc(r->faults->arena, sizeof(*node));
	if (node == NULL) {
		r->faults->is_full = true;
		r->is_over = true;
		return NULL;
	}
	node->kind = kind;
	node->at = place_of(r, &e->start_mark);
	return node;
}

/* Refuses what would make a reader look elsewhere to know what is meant. */
static bool
is_plain(struct reader *r, const yaml_event_t *e, const yaml_char_t *anchor,
    const yaml_char_t *tag)
{
	if (anchor != NULL)
		config_fault_add(r->faults, place_of(r, &e->start_mark),
		    "anchors (&NAME) are not taken; write the value where it "
		    "is needed");
	if (tag != NULL)
		config_fault_add(r->faults, place_of(r, &e->start_mark),
		    "tags (!NAME) are not taken; write the value alone");
	return anchor == NULL && tag == NULL;
}

static void
container_open(struct reader *r, const yaml_event_t *e,
    enum config_node_kind kind, const yaml_char_t *anchor,
    const yaml_char_t *tag)
{
	struct config_node *node = node_new(r, e, kind);

	if (node == NULL)
		return;
	(void)is_plain(r, e, anchor, tag);
	if (r->depth == DEPTH_MAX) {
		stop(r, node->at, "more than 8 levels deep");
		return;
	}
	node_place(r, node);
	r->level[r->depth++] = (struct level){node, NULL, &node->first};
}

/* Control octets, also those of U+0080 to U+009F, end in logs and terminals. */
static bool
is_printable(struct bytes text)
{
	for (size_t k = 0; k < text.n; k++) {
		if (text.p[k] < ' ' || text.p[k] == 0x7f)
			return false;
		if (text.p[k] == 0xc2 && k + 1 < text.n && text.p[k + 1] < 0xa0)
			return false;
	}
	return true;
}

static void
text_add(struct reader *r, const yaml_event_t *e)
{
	struct bytes text = {e->data.scalar.value, e->data.scalar.length};
	struct config_node *node = node_new(r, e, NODE_TEXT);

	if (node == NULL)
		return;
	if (!is_plain(r, e, e->data.scalar.anchor, e->data.scalar.tag)) {
		node->kind = NODE_BROKEN;
	} else if (!is_printable(text)) {
		config_fault_add(r->faults, node->at,
		    "a value with control octets or line ends; write it on "
		    "one line");
		node->kind = NODE_BROKEN;
	}
	node->text = arena_copy(r->faults->arena, text);
	if (node->text.p == NULL) {
		r->faults->is_full = true;
		r->is_over = true;
		return;
	}
	node_place(r, node);
}

static void
alias_add(struct reader *r, const yaml_event_t *e)
{
	struct config_node *node = node_new(r, e, NODE_BROKEN);

	if (node == NULL)
		return;
	config_fault_add(r->faults, node->at, "aliases (*NAME) are not taken; "
	    "write the value where it is needed, or \"*:25\" in quotes");
	node_place(r, node);
}

static void
take(struct reader *r, const yaml_event_t *e)
{
	switch (e->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (r->n_documents++ != 0)
			stop(r, place_of(r, &e->start_mark),
			    "a second document; the configuration is one");
		return;
	case YAML_SCALAR_EVENT:
		text_add(r, e);
		return;
	case YAML_ALIAS_EVENT:
		alias_add(r, e);
		return;
	case YAML_SEQUENCE_START_EVENT:
		container_open(r, e, NODE_LIST,
		    e->data.sequence_start.anchor, e->data.sequence_start.tag);
		return;
	case YAML_MAPPING_START_EVENT:
		container_open(r, e, NODE_MAP,
		    e->data.mapping_start.anchor, e->data.mapping_start.tag);
		return;
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		r->depth--;
		return;
	default:
		return;
	}
}

/* libyaml gives octets that are not UTF-8 an offset, but no line. */
static struct config_place
place_of_offset(const struct reader *r, struct bytes octets, size_t offset)
{
	struct config_place at = {r->file, 0, 1, 1};

	for (size_t k = 0; k < offset && k < octets.n; k++) {
		at.column++;
		if (octets.p[k] == '\n') {
			at.line++;
			at.column = 1;
		}
	}
	return at;
}

static void
syntax_fault(struct reader *r, const yaml_parser_t *y, struct bytes octets)
{
	const char *problem = y->problem == NULL ? "unreadable" : y->problem;
	struct bytes at = bytes_skip(octets, y->problem_mark.index);

	r->is_over = true;
	if (y->error == YAML_MEMORY_ERROR) {
		r->faults->is_full = true;
	} else if (y->error == YAML_READER_ERROR) {
		config_fault_add(r->faults,
		    place_of_offset(r, octets, y->problem_offset),
		    "not YAML: %s; write it in UTF-8; nothing behind it was "
		    "read", problem);
	} else if (y->error == YAML_SCANNER_ERROR && at.n != 0 &&
	    at.p[0] == '\t') {
		/* What libyaml says of a tab tells nobody what to do. */
		config_fault_add(r->faults, place_of(r, &y->problem_mark),
		    "not YAML: a tab; indent with spaces; nothing behind it "
		    "was read");
	} else if (y->context != NULL) {
		config_fault_add(r->faults, place_of(r, &y->problem_mark),
		    "not YAML: %s %s that began at line %u; nothing behind it "
		    "was read", problem, y->context,
		    (unsigned)y->context_mark.line + 1);
	} else {
		config_fault_add(r->faults, place_of(r, &y->problem_mark),
		    "not YAML: %s; nothing behind it was read", problem);
	}
}

static int
name_compare(const void *va, const void *vb)
{
	const struct config_node *a = *(struct config_node *const *)va;
	const struct config_node *b = *(struct config_node *const *)vb;
	int r = bytes_compare(a->text, b->text);

	if (r != 0)
		return r;
	if (a->at.line != b->at.line)
		return a->at.line < b->at.line ? -1 : 1;
	return a->at.column < b->at.column ? -1 : 1;
}

static void
names_check(struct config_node *map, struct config_faults *f)
{
	struct config_node **keys;
	size_t n = 0;

	keys = arena_array(f->arena, map->n, sizeof(*keys));
	if (keys == NULL) {
		f->is_full = true;
		return;
	}
	for (struct config_node *at = map->first; at != NULL; at = at->next)
		if (at->key->kind == NODE_TEXT)
			keys[n++] = at->key;
	qsort(keys, n, sizeof(*keys), name_compare);
	for (size_t k = 1, first = 0; k < n; k++) {
		if (!bytes_eq(keys[first]->text, keys[k]->text)) {
			first = k;
			continue;
		}
		config_fault_add(f, keys[k]->at,
		    "`%s` stands at line %u already; keep one of them",
		    config_fault_show(f, keys[k]->text), keys[first]->at.line);
		keys[k]->kind = NODE_BROKEN;
	}
}

/* As deep as the tree, which has at most DEPTH_MAX levels. */
static void
names_check_below(struct config_node *node, struct config_faults *f)
{
	if (node->kind == NODE_MAP)
		names_check(node, f);
	for (struct config_node *at = node->first; at != NULL; at = at->next)
		names_check_below(at, f);
}

bool
config_tree_read(struct bytes octets, const char *file,
    struct config_faults *f, struct config_node **root)
{
	struct reader r = {.faults = f, .file = file};
	yaml_parser_t y;
	yaml_event_t e;
	bool is_end = false;

	*root = NULL;
	if (!yaml_parser_initialize(&y)) {
		f->is_full = true;
		return false;
	}
	/* libyaml takes UTF-16 by its mark; an operator's editor should not.
	 * Where it puts one before UTF-8, that is no part of the first name. */
	if (bytes_starts(octets, BYTES_LIT("\xef\xbb\xbf")))
		octets = bytes_skip(octets, 3);
	yaml_parser_set_encoding(&y, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&y, octets.p, octets.n);
	while (!r.is_over && !is_end) {
		if (!yaml_parser_parse(&y, &e)) {
			syntax_fault(&r, &y, octets);
			break;
		}
		is_end = e.type == YAML_STREAM_END_EVENT;
		take(&r, &e);
		yaml_event_delete(&e);
	}
	yaml_parser_delete(&y);
	if (r.root != NULL)
		names_check_below(r.root, f);
	*root = r.root;
	return !r.is_over;
}
