#include "config/load.h"

#include <assert.h>

#include "base/ascii.h"
#include "base/err.h"
#include "config/file.h"
#include "config/role.h"
#include "config/set.h"

#define FILE_MAX (1U << 20)
#define CONFIG_MAX (16U << 20)
#define SCRATCH_MAX (32U << 20)
#define NAME_MAX_OCTETS 32U

static void
complain_of_name(struct load *l, const struct config_node *key)
{
	const char *shown = config_fault_show(&l->faults, key->text);
	const char *near = config_row_near(key->text);

	if (near != NULL)
		config_fault_add(&l->faults, key->at,
		    "`%s` is no directive; did you mean `%s`?", shown, near);
	else
		config_fault_add(&l->faults, key->at,
		    "`%s` is no directive; remove it", shown);
}

/* Reads one directive and keeps who said it. */
static void
said_set(struct load *l, struct load_said *said, const struct config_row *row,
    const struct config_node *value, void *base)
{
	size_t no = config_row_no(row);

	said->value[no] = value;
	said->is_own[no] = true;
	said->is_bad[no] = !config_set(l, row, value, base);
}

static void
top_read(struct load *l, struct config_listener *top)
{
	for (const struct config_node *at = l->root->first; at != NULL;
	    at = at->next) {
		const struct config_row *row;

		if (at->key->kind != NODE_TEXT)
			continue;
		row = config_row_find(at->key->text);
		if (row == NULL)
			complain_of_name(l, at->key);
		else if (row->scope == SCOPE_TOP)
			said_set(l, &l->said, row, at, l->config);
		else
			said_set(l, &l->said, row, at, top);
	}
}

/* Reads what stands in the listener itself. */
static void
own_read(struct load *l, size_t no, const struct config_node *map)
{
	struct load_said *said = &l->said_of[no].said;

	for (const struct config_node *at = map->first; at != NULL;
	    at = at->next) {
		const struct config_row *row;

		if (at->key->kind != NODE_TEXT)
			continue;
		row = config_row_find(at->key->text);
		if (row == NULL)
			complain_of_name(l, at->key);
		else if (row->scope == SCOPE_TOP)
			config_fault_add(&l->faults, at->key->at,
			    "%s: is for all listeners; move it to the top "
			    "level", row->name);
		else
			said_set(l, said, row, at, &l->listeners[no]);
	}
}

/*
 * Fills in what the listener does not say itself: what the top level says,
 * then what the role says, then the default.
 */
static void
rest_fill(struct load *l, size_t no, const struct config_listener *top)
{
	struct config_listener *listener = &l->listeners[no];
	struct load_listener *own = &l->said_of[no];

	for (size_t k = 0; k < config_n_rows; k++) {
		const struct config_row *row = &config_rows[k];
		const char *preset = NULL;
		bool is_refused = false;

		if (row->scope != SCOPE_LISTENER || own->said.value[k] != NULL)
			continue;
		if (own->has_role) {
			preset = config_role_preset(listener->role, row);
			is_refused = config_role_refuses(listener->role, row) !=
			    NULL;
		}
		if (l->said.value[k] != NULL && !is_refused) {
			own->said.value[k] = l->said.value[k];
			own->said.is_bad[k] = l->said.is_bad[k];
			config_set_copy(row, listener, top);
		} else if (preset != NULL) {
			config_set_text(l, row, preset, listener);
		} else if (row->fallback != NULL) {
			config_set_text(l, row, row->fallback, listener);
		}
	}
	/* Who lowers the bound of a message need not think of its header. */
	if (own->said.value[config_row_of("max-header")] == NULL &&
	    listener->max_header > listener->max_message)
		listener->max_header = listener->max_message;
}

/* What a role has no use for may say its default, and nothing else. */
static void
refused_check(struct load *l, size_t no)
{
	const struct config_listener *listener = &l->listeners[no];
	const struct load_listener *own = &l->said_of[no];

	if (!own->has_role)
		return;
	for (size_t k = 0; k < config_n_rows; k++) {
		const struct config_row *row = &config_rows[k];
		const char *why = config_role_refuses(listener->role, row);
		struct config_listener fresh = {0};

		if (why == NULL || !own->said.is_own[k] || own->said.is_bad[k])
			continue;
		if (row->fallback != NULL)
			config_set_text(l, row, row->fallback, &fresh);
		if (row->kind == K_ALIASES || (row->size != 0 &&
		    !config_set_is_same(row, listener, &fresh)))
			config_fault_add(&l->faults,
			    own->said.value[k]->key->at,
			    "%s: a listener of role %s has no use for it: %s; "
			    "remove it", row->name,
			    config_role_name(listener->role), why);
	}
}

static bool
is_listener_name(struct bytes text)
{
	for (size_t k = 0; k < text.n; k++)
		if (!ascii_is_alnum(text.p[k]) && text.p[k] != '_' &&
		    (text.p[k] != '-' || k == 0))
			return false;
	return text.n != 0 && text.n <= NAME_MAX_OCTETS;
}

static void
listener_read(struct load *l, size_t no, const struct config_node *map,
    const struct config_listener *top)
{
	struct config_listener *listener = &l->listeners[no];
	struct load_listener *own = &l->said_of[no];
	size_t role = config_row_of("role");
	const struct bytes name = arena_copy(l->config->arena, map->key->text);

	own->name = map->key;
	listener->name = (const char *)name.p;
	listener->line = map->key->at.line;
	listener->column = map->key->at.column;
	if (name.p == NULL)
		l->faults.is_full = true;
	if (!is_listener_name(map->key->text))
		config_fault_add(&l->faults, map->key->at, "`%s` is no name "
		    "of a listener; write 1 to 32 letters, digits, - and _",
		    config_fault_show(&l->faults, map->key->text));
	own->is_broken = map->kind != NODE_MAP;
	if (map->kind == NODE_MAP)
		own_read(l, no, map);
	else if (map->kind != NODE_BROKEN)
		config_fault_add(&l->faults, map->at,
		    "%s: a listener is a map; write {role: inbound, ...}",
		    config_fault_show(&l->faults, map->key->text));
	if (own->said.value[role] == NULL && l->said.value[role] != NULL) {
		own->said.value[role] = l->said.value[role];
		own->said.is_bad[role] = l->said.is_bad[role];
		listener->role = top->role;
	}
	own->has_role = own->said.value[role] != NULL &&
	    !own->said.is_bad[role];
	rest_fill(l, no, top);
	refused_check(l, no);
	listener->has_senders =
	    own->said.value[config_row_of("senders")] != NULL;
	listener->has_pass_client =
	    own->said.value[config_row_of("pass-client")] != NULL;
}

static void
listeners_read(struct load *l, const struct config_node *map,
    const struct config_listener *top)
{
	const struct config_row *row = config_row_find(BYTES_LIT("listeners"));

	if (map->kind == NODE_BROKEN)
		return;
	if (map->kind != NODE_MAP || map->n < row->min || map->n > row->max) {
		config_fault_add(&l->faults, map->at,
		    "listeners: takes a map of %u to %u listeners by name; "
		    "write NAME: {role: inbound, ...}", (unsigned)row->min,
		    (unsigned)row->max);
		return;
	}
	l->listeners = arena_array(l->config->arena, map->n,
	    sizeof(*l->listeners));
	l->said_of = arena_array(l->scratch, map->n, sizeof(*l->said_of));
	if (l->listeners == NULL || l->said_of == NULL) {
		l->faults.is_full = true;
		return;
	}
	for (const struct config_node *at = map->first; at != NULL;
	    at = at->next)
		if (at->key->kind == NODE_TEXT)
			listener_read(l, l->n++, at, top);
	l->config->listeners = l->listeners;
	l->config->n_listeners = l->n;
}

/* Fills the top level's defaults in, then reads what the file says. */
static void
values_read(struct load *l)
{
	size_t listeners = config_row_of("listeners");
	struct config_listener top = {0};

	for (size_t k = 0; k < config_n_rows; k++)
		if (config_rows[k].scope == SCOPE_TOP &&
		    config_rows[k].fallback != NULL)
			config_set_text(l, &config_rows[k],
			    config_rows[k].fallback, l->config);
	top_read(l, &top);
	l->config->has_user = l->said.value[config_row_of("user")] != NULL;
	if (l->config->authserv_id == NULL)
		l->config->authserv_id = l->config->hostname;
	if (l->said.value[listeners] != NULL)
		listeners_read(l, l->said.value[listeners], &top);
}

static void
octets_load(struct load *l, struct bytes octets, bool has_files)
{
	struct config_node *root;
	bool is_whole = config_tree_read(octets, l->file, &l->faults, &root);
	struct config_place start = {l->file, 0, 1, 1};

	l->root = root;
	if (root != NULL && root->kind == NODE_MAP)
		values_read(l);
	else if (root != NULL && root->kind != NODE_BROKEN)
		config_fault_add(&l->faults, root->at,
		    "a configuration is a map; write NAME: VALUE lines");
	else if (root == NULL && is_whole)
		config_fault_add(&l->faults, start,
		    "the file is empty; see config/examples");
	if (!is_whole || root == NULL || root->kind != NODE_MAP)
		return;
	config_check(l);
	/* A file of what is not built yet is a promise: no need to be there. */
	has_files &= !l->faults.has_unbuilt;
	config_check_tables(l, has_files);
	if (has_files)
		config_check_files(l);
}

static bool
load_init(struct load *l, const char *path)
{
	struct arena *arena = arena_new(CONFIG_MAX);

	*l = (struct load){.file = path, .scratch = arena_new(SCRATCH_MAX)};
	l->faults.arena = l->scratch;
	if (arena != NULL && l->scratch != NULL)
		l->config = arena_alloc(arena, sizeof(*l->config));
	if (l->config == NULL) {
		arena_free(&arena);
		arena_free(&l->scratch);
		return false;
	}
	l->config->arena = arena;
	l->config->path = (const char *)arena_copy(arena, bytes_of(path)).p;
	l->config->folder = config_file_folder(path, arena);
	if (l->config->path != NULL && l->config->folder != NULL)
		return true;
	config_free(&l->config);
	arena_free(&l->scratch);
	return false;
}

/* Tells the mistakes. Returns whether there were none. */
static bool
load_end(struct load *l, config_complain *complain, void *arg)
{
	bool is_good = l->faults.n == 0 && !l->faults.is_full;

	config_fault_tell(&l->faults, l->file, complain, arg);
	/* is it a configuration, and one that names files that must be? */
	if (l->config->listeners == NULL || l->faults.has_unbuilt ||
	    l->faults.is_full)
		config_free(&l->config);
	arena_free(&l->scratch);
	return is_good;
}

static void
complain_early(const char *path, config_complain *complain, void *arg)
{
	struct config_faults none = {.is_full = true};

	config_fault_tell(&none, path, complain, arg);
}

struct config *
config_load_octets(const char *path, struct bytes octets, bool has_files,
    config_complain *complain, void *arg)
{
	struct load l;

	if (!load_init(&l, path)) {
		complain_early(path, complain, arg);
		return NULL;
	}
	octets_load(&l, octets, has_files);
	if (!load_end(&l, complain, arg))
		config_free(&l.config);
	return l.config;
}

struct config *
config_load_all(const char *path, bool *is_good, config_complain *complain,
    void *arg)
{
	struct bytes octets;
	struct load l;
	const char *why;
	int r;

	*is_good = false;
	if (!load_init(&l, path)) {
		complain_early(path, complain, arg);
		return NULL;
	}
	r = config_file_read(path, FILE_MAX, l.scratch, &octets, &why);
	if (r == 0)
		octets_load(&l, octets, true);
	else if (r == -E_LIMIT)
		config_fault_add(&l.faults,
		    (struct config_place){path, 0, 1, 1},
		    "it is larger than 1 MiB; keep tables in files of their "
		    "own");
	else
		config_fault_add(&l.faults,
		    (struct config_place){path, 0, 1, 1},
		    "can not read it: %s", why);
	*is_good = load_end(&l, complain, arg);
	return l.config;
}

struct config *
config_load(const char *path, config_complain *complain, void *arg)
{
	bool is_good;
	struct config *c = config_load_all(path, &is_good, complain, arg);

	if (!is_good)
		config_free(&c);
	return c;
}

void
config_free(struct config **c)
{
	struct arena *arena = *c == NULL ? NULL : (*c)->arena;

	arena_free(&arena);
	*c = NULL;
}
