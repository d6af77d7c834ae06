#include "config/set_tls.h"

/* Makes path absolute, as the configuration's folder would have it. */
static const char *
absolute(struct load *l, struct bytes text)
{
	struct buf out;

	if (arena_buf(l->config->arena,
	    strlen(l->config->folder) + text.n + 2, &out) != 0) {
		l->faults.is_full = true;
		return NULL;
	}
	if (text.p[0] != '/') {
		buf_add_str(&out, l->config->folder);
		if (!bytes_ends(buf_bytes(&out), BYTES_LIT("/")))
			buf_add_octet(&out, '/');
	}
	buf_add(&out, text);
	return (const char *)out.p;
}

/* Where a file of the pair is to be kept; NULL: there is no such key. */
static const char **
file_of(struct config_tls *pair, struct bytes name)
{
	if (bytes_eq(name, BYTES_LIT("cert")))
		return &pair->cert;
	return bytes_eq(name, BYTES_LIT("key")) ? &pair->key : NULL;
}

static bool
pair_read(struct load *l, const struct config_node *map,
    struct config_tls *pair)
{
	size_t n = l->faults.n;

	if (map->kind == NODE_BROKEN)
		return false;
	for (const struct config_node *at = map->first;
	    map->kind == NODE_MAP && at != NULL; at = at->next) {
		const char **file;

		if (at->key->kind != NODE_TEXT || at->kind == NODE_BROKEN)
			continue;
		file = file_of(pair, at->key->text);
		if (file == NULL)
			config_fault_add(&l->faults, at->key->at, "tls: `%s` "
			    "is none of cert or key; remove it",
			    config_fault_show(&l->faults, at->key->text));
		else if (at->kind != NODE_TEXT || at->text.n == 0)
			config_fault_add(&l->faults, at->at,
			    "tls: takes the path of a PEM file");
		else
			*file = absolute(l, at->text);
	}
	if (l->faults.n == n && !l->faults.is_full &&
	    (pair->cert == NULL || pair->key == NULL))
		config_fault_add(&l->faults, map->at, "tls: names no %s; write "
		    "{cert: FILE, key: FILE}, a list of them, or none",
		    pair->cert == NULL ? "cert" : "key");
	return l->faults.n == n && !l->faults.is_full;
}

bool
config_set_tls(struct load *l, const struct config_row *row,
    const struct config_node *value, const struct config_tls **pairs,
    size_t *n)
{
	bool is_list = value->kind == NODE_LIST;
	const struct config_node *at = is_list ? value->first : value;
	struct config_tls *pair;
	bool is_good = true;

	*pairs = NULL;
	*n = 0;
	if (value->kind == NODE_TEXT &&
	    bytes_eq(value->text, bytes_of(row->fallback)))
		return true;
	if (is_list && (value->n == 0 || value->n > row->max)) {
		config_fault_add(&l->faults, value->at, "tls: takes 1 to %u "
		    "certificates", (unsigned)row->max);
		return false;
	}
	pair = arena_array(l->config->arena, is_list ? value->n : 1,
	    sizeof(*pair));
	if (pair == NULL) {
		l->faults.is_full = true;
		return false;
	}
	*pairs = pair;
	for (; at != NULL; at = is_list ? at->next : NULL) {
		is_good = pair_read(l, at, pair++) && is_good;
		++*n;
	}
	return is_good;
}
