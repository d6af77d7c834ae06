/* Reads the tables that a listener names: aliases and routes. */
#include "base/err.h"
#include "config/file.h"
#include "config/load.h"
#include "config/routes.h"
#include "config/table.h"

#define TABLE_MAX (4U << 20)

/* A table of one listener, and what was said of it. */
struct look {
	struct load *l;
	size_t no;			/* the listener */
	size_t row;			/* the directive */
	const struct config_node *value;	/* NULL: not said, or bad */
};

static struct look
look_at(struct load *l, size_t no, const char *directive)
{
	const struct load_listener *own = &l->said_of[no];
	size_t row = config_row_of(directive);
	bool is_good = !own->is_broken && !own->said.is_bad[row];

	return (struct look){l, no, row,
	    is_good ? own->said.value[row] : NULL};
}

/* The path of file:PATH. */
static const char *
table_path(struct load *l, struct bytes text)
{
	struct buf out;

	text = bytes_skip(text, strlen("file:"));
	if (text.p[0] == '/')
		return (const char *)text.p;
	if (arena_buf(l->scratch, strlen(l->config->folder) + text.n + 2,
	    &out) != 0) {
		l->faults.is_full = true;
		return NULL;
	}
	buf_add_str(&out, l->config->folder);
	buf_add_octet(&out, '/');
	buf_add(&out, text);
	return (const char *)out.p;
}

/* A file named at top level is the same one for all: its mistakes are, too. */
static unsigned
file_no(const struct look *k)
{
	size_t first = 0;

	while (k->l->said_of[first].said.value[k->row] != k->value)
		first++;
	return (unsigned)(first * CONFIG_ROWS_MAX + k->row) + 1;
}

/* For who asks later whether the service's user can read it. */
static void
remember(struct config *c, const char *path)
{
	struct config_read *it = arena_alloc(c->arena, sizeof(*it));

	if (it == NULL)
		return;
	*it = (struct config_read){c->tables,
	    (const char *)arena_copy(c->arena, bytes_of(path)).p};
	if (it->path != NULL)
		c->tables = it;
}

static void
file_read(const struct look *k, const struct config_lines *lines)
{
	const char *path = table_path(k->l, k->value->text);
	const char *name = config_rows[k->row].name;
	struct bytes octets;
	const char *why;
	int r;

	if (path == NULL)
		return;
	remember(k->l->config, path);
	r = config_file_read(path, TABLE_MAX, k->l->scratch, &octets, &why);
	if (r == 0)
		config_lines_read(lines, octets, path, file_no(k));
	else if (r == -E_LIMIT)
		config_fault_add(&k->l->faults, k->value->at,
		    "%s: %s is larger than 4 MiB; make it smaller", name,
		    path);
	else
		config_fault_add(&k->l->faults, k->value->at,
		    "%s: can not read %s: %s", name, path, why);
}

/* Reads the lines of a table, which are not to be none. */
static void
lines_read(const struct look *k, const struct config_lines *lines,
    const size_t *n_lines, const char *empty)
{
	size_t n = k->l->faults.n;

	if (k->value->kind == NODE_MAP)
		config_lines_map(lines, k->value);
	else
		file_read(k, lines);
	if (*n_lines == 0 && k->l->faults.n == n && !k->l->faults.is_full)
		config_fault_add(&k->l->faults, k->value->at, "%s", empty);
}

/* Whether it can be read: a file of what is not built need not be there. */
static bool
is_there(const struct look *k, bool has_files)
{
	return k->value != NULL && (k->value->kind == NODE_MAP || has_files);
}

/*
 * One to many needs the memory, or a retry would double what some have; and
 * copies that go out beside each other, which who logged in has not.
 */
static void
check_many(const struct look *k, const struct config_listener *listener)
{
	const char *why = NULL;

	if (listener->replay == REPLAY_OFF)
		why = "and `replay: off` keeps no memory of who has it "
		    "already; write `once`";
	else if (listener->auth == AUTH_PASS)
		why = "and with `auth: pass` there is one connection alone; "
		    "remove that";
	if (why != NULL)
		config_fault_add(&k->l->faults, k->value->at,
		    "aliases: an address leads to more than one, %s", why);
}

static void
check_aliases(struct load *l, size_t no, bool has_files)
{
	struct look k = look_at(l, no, "aliases");
	struct config_listener *listener = &l->listeners[no];
	struct config_table t = {l->config->arena, &l->faults, NULL, 0};
	const struct config_table_rules rules = {listener->domains,
	    listener->n_domains, listener->mail_from_address,
	    listener->recipient_delimiter,
	    listener->max_copies < listener->max_recipients ?
	    listener->max_copies : listener->max_recipients};
	const struct config_lines lines = config_table_lines(&t);

	if (!is_there(&k, has_files))
		return;
	lines_read(&k, &lines, &t.n, "aliases: no line is in the table, so "
	    "that no recipient is taken; write ADDRESS TARGET");
	/* Without domains every line would be in none of them. */
	if (listener->n_domains != 0 &&
	    config_table_end(&t, &rules, &listener->aliases) != 0)
		l->faults.is_full = true;
	listener->has_aliases = true;
	if (config_table_has_many(&listener->aliases))
		check_many(&k, listener);
}

/* Whether next-hop is said at least as near as the routes are. */
static bool
is_hop_said(const struct load_listener *own, size_t routes)
{
	size_t hop = config_row_of("next-hop");

	return own->said.value[hop] != NULL &&
	    (own->said.is_own[hop] || !own->said.is_own[routes]);
}

static void
check_routes(struct load *l, size_t no, bool has_files)
{
	struct look k = look_at(l, no, "routes");
	struct load_listener *own = &l->said_of[no];
	struct config_listener *listener = &l->listeners[no];
	struct config_routes_table t = {l, l->config->arena, &l->faults,
	    (uint16_t)listener->mx_port, NULL, 0};
	const struct config_lines lines = config_routes_lines(&t);
	const struct config_place *rest;
	size_t n = l->faults.n;

	if (listener->next_hop.scheme == SCHEME_MX)
		listener->next_hop.port = (uint16_t)listener->mx_port;
	if (!is_there(&k, has_files))
		return;
	lines_read(&k, &lines, &t.n, "routes: no line is in the table; write "
	    "DOMAIN NEXT-HOP, or remove it");
	rest = config_routes_end(&t, &listener->routes, &listener->next_hop);
	if (rest != NULL && is_hop_said(own, k.row))
		config_fault_add(&l->faults, *rest, "domain `*`: `next-hop` "
		    "says it already; keep one of them");
	else if (rest == NULL && l->faults.n == n &&
	    own->said.value[config_row_of("next-hop")] == NULL)
		config_fault_add(&l->faults, own->name->at,
		    "%s: `next-hop` is needed: its `routes` have no line for "
		    "`*`", listener->name);
}

static bool
leads_to(const struct config_listener *l, struct bytes host)
{
	for (size_t k = 0; k < l->routes.n; k++)
		if (bytes_case_eq(l->routes.rows[k].hop.host, host))
			return true;
	return bytes_case_eq(l->next_hop.host, host);
}

/* A slip of the pen there would have mail signed twice. */
static void
check_internal(struct load *l, size_t no, bool has_files)
{
	struct look k = look_at(l, no, "internal");
	struct look routes = look_at(l, no, "routes");
	const struct config_listener *listener = &l->listeners[no];
	const struct config_node *at;

	if (k.value == NULL || (routes.value != NULL &&
	    !is_there(&routes, has_files)))
		return;
	at = k.value->kind == NODE_LIST ? k.value->first : k.value;
	for (size_t i = 0; i < listener->n_internal; i++, at = at->next)
		if (!leads_to(listener, listener->internal[i]))
			config_fault_add(&l->faults, at->at, "internal: `%s` "
			    "is the host of no next hop of this listener; "
			    "write it as it stands there",
			    config_fault_show(&l->faults, at->text));
}

void
config_check_tables(struct load *l, bool has_files)
{
	for (size_t no = 0; no < l->n; no++) {
		check_aliases(l, no, has_files);
		check_routes(l, no, has_files);
		check_internal(l, no, has_files);
	}
}
