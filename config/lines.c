#include "config/lines.h"

#include "base/ascii.h"

/* Where the comment of a line begins, or its end. */
static size_t
comment_find(struct bytes line)
{
	for (size_t k = 0; k < line.n; k++)
		if (line.p[k] == '#' &&
		    (k == 0 || ascii_is_wsp(line.p[k - 1])))
			return k;
	return line.n;
}

static void
line_read(const struct config_lines *r, struct bytes line,
    struct config_place at)
{
	const uint8_t *start = line.p;
	struct config_place value_at = at;
	struct bytes key, value;
	size_t n = 0;

	if (bytes_ends(line, BYTES_LIT("\r")))
		line.n--;
	line = bytes_trim(bytes_first(line, comment_find(line)));
	if (line.n == 0)
		return;
	while (n < line.n && !ascii_is_wsp(line.p[n]))
		n++;
	key = bytes_first(line, n);
	value = bytes_trim(bytes_skip(line, n));
	at.column = (unsigned)(key.p - start) + 1;
	if (value.n == 0) {
		config_fault_add(r->faults, at, "%s `%s` has no %s",
		    r->key_name, config_fault_show(r->faults, key),
		    r->value_name);
		return;
	}
	value_at.column = (unsigned)(value.p - start) + 1;
	r->add(r->table, key, at, value, value_at);
}

void
config_lines_read(const struct config_lines *r, struct bytes octets,
    const char *file, unsigned file_no)
{
	struct config_place at = {file, file_no, 1, 1};

	while (octets.p != NULL && !r->faults->is_full) {
		line_read(r, bytes_cut(&octets, '\n'), at);
		at.line++;
	}
}

void
config_lines_map(const struct config_lines *r, const struct config_node *map)
{
	for (const struct config_node *at = map->first; at != NULL;
	    at = at->next)
		if (at->key->kind != NODE_TEXT || at->kind == NODE_BROKEN)
			continue;
		else if (at->kind == NODE_LIST && r->add_list != NULL)
			r->add_list(r->table, at->key->text, at->key->at, at);
		else
			r->add(r->table, at->key->text, at->key->at,
			    at->kind == NODE_TEXT ? at->text :
			    (struct bytes){NULL, 0}, at->at);
}
