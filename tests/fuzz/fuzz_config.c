/*
 * The configuration: octets without files beside them. A configuration comes
 * out exactly where nothing was complained of; complaints have their place
 * and are in order; nobody relays by accident; a dump loads again as itself.
 */
#include <stdio.h>
#include <stdlib.h>

#include "config/load.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

struct heard {
	unsigned long line;
	unsigned long column;
	unsigned n;
};

static void
hear(void *arg, const char *text)
{
	struct heard *h = arg;
	unsigned long line, column;
	char *end;

	if (strncmp(text, "c.yaml:", 7) != 0)
		abort();
	line = strtoul(text + 7, &end, 10);
	if (line == 0 || *end != ':')
		abort();
	column = strtoul(end + 1, &end, 10);
	if (column == 0 || strncmp(end, ": ", 2) != 0 || end[2] == '\0')
		abort();
	for (const char *at = text; *at != '\0'; at++)
		if ((unsigned char)*at < ' ' || (unsigned char)*at >= 0x7f)
			abort();
	h->n++;
	/* What is said of the file as a whole comes last, at its start. */
	if (strstr(end, "more mistakes than") != NULL ||
	    strstr(end, "more memory than") != NULL)
		return;
	if (line < h->line || (line == h->line && column < h->column))
		abort();
	h->line = line;
	h->column = column;
}

struct text {
	char *p;
	size_t n;
};

static void
put(void *arg, const char *piece)
{
	struct text *t = arg;
	size_t n = strlen(piece);

	t->p = realloc(t->p, t->n + n + 1);
	if (t->p == NULL)
		abort();
	memcpy(t->p + t->n, piece, n + 1);
	t->n += n;
}

static struct config *
load(struct bytes octets)
{
	struct heard h = {0, 0, 0};
	struct config *c = config_load_octets("c.yaml", octets, false, hear,
	    &h);

	if ((c == NULL) != (h.n != 0))
		abort();
	return c;
}

/* A way that mail can go. */
static bool
is_way(const struct config_next_hop *hop)
{
	return hop->port != 0 &&
	    (hop->host.n != 0 || hop->scheme == SCHEME_MX);
}

/* The files that are named are not read: a way may be in one of them. */
static void
check_listeners(const struct config *c, bool has_file)
{
	if (c->n_listeners == 0 || c->hostname == NULL)
		abort();
	for (size_t k = 0; k < c->n_listeners; k++) {
		const struct config_listener *l = &c->listeners[k];

		if (l->n_clients + l->n_domains == 0 || l->n_listen == 0 ||
		    (!is_way(&l->next_hop) && !has_file) ||
		    l->max_header > l->max_message)
			abort();
		if (config_role_originates(l->role) && l->n_domains != 0)
			abort();
		if (l->role == ROLE_LIST_OUT && l->pair == NULL)
			abort();
		if ((l->from_rewrite != FROM_REWRITE_NEVER ||
		    l->adopt != ADOPT_NEVER) && l->role != ROLE_FORWARD &&
		    (l->role != ROLE_LIST_OUT ||
		    (l->from_rewrite != FROM_REWRITE_NEVER &&
		    l->recipes == RECIPES_NONE)))
			abort();
		if (l->pair != NULL && (!l->pair->is_paired ||
		    l->pair->verify == VERIFY_OFF || l->pair->n_listen == 0 ||
		    config_role_originates(l->pair->role)))
			abort();
		if (l->delivery == DELIVERY_QUEUE &&
		    (!config_role_originates(l->role) ||
		    (!l->has_senders && c->keys == NULL)))
			abort();
		for (size_t i = 0; i < l->routes.n; i++) {
			const struct config_route *r = &l->routes.rows[i];

			if (!is_way(&r->hop) || (r->domain.p[0] != '.' &&
			    config_route_find(&l->routes, r->domain) !=
			    &r->hop))
				abort();
		}
		for (size_t i = 0; i < l->aliases.n; i++) {
			const struct config_alias *row = &l->aliases.rows[i];
			size_t at = bytes_index(row->address, '@');

			if (row->n_targets == 0 || row->n_ends == 0 ||
			    row->n_ends > CONFIG_ALIAS_ENDS ||
			    (row->n_ends > 1 && l->replay == REPLAY_OFF))
				abort();
			if (at != row->address.n &&
			    config_alias_find(&l->aliases,
			    bytes_first(row->address, at),
			    bytes_skip(row->address, at + 1)) != row)
				abort();
		}
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct config *c = load((struct bytes){p, n});
	struct text first = {NULL, 0}, second = {NULL, 0};

	if (c == NULL)
		return 0;
	check_listeners(c, bytes_find((struct bytes){p, n},
		    BYTES_LIT("file:")) != n);
	/* A table from a file is not read here, and a dump holds none. */
	for (size_t k = 0; k < c->n_listeners; k++)
		if (!is_way(&c->listeners[k].next_hop) ||
		    (c->listeners[k].role == ROLE_FORWARD &&
		    !c->listeners[k].has_aliases)) {
			config_free(&c);
			return 0;
		}
	config_dump(c, put, &first);
	config_free(&c);
	c = load((struct bytes){(const uint8_t *)first.p, first.n});
	if (c == NULL)
		abort();
	config_dump(c, put, &second);
	if (strcmp(first.p, second.p) != 0)
		abort();
	config_free(&c);
	free(first.p);
	free(second.p);
	return 0;
}
