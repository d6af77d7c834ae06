/* What loader, rules and tables share while a configuration is made. */
#ifndef CONFIG_LOAD_H
#define CONFIG_LOAD_H

#include "config/fault.h"
#include "config/schema.h"
#include "config/tree.h"

/* Who said what, by row number; a rule points there. */
struct load_said {
	const struct config_node *value[CONFIG_ROWS_MAX];
	bool is_bad[CONFIG_ROWS_MAX];	/* complained of already */
	bool is_own[CONFIG_ROWS_MAX];	/* no default from the top level */
};

struct load_listener {
	const struct config_node *name;
	struct load_said said;
	bool has_role;		/* one that is built */
	bool is_broken;		/* no map: no rule looks at it */
};

struct load {
	const char *file;
	struct arena *scratch;		/* tree and mistakes */
	struct config_faults faults;
	struct config *config;
	const struct config_node *root;
	struct load_said said;		/* at top level */
	struct config_listener *listeners;
	struct load_listener *said_of;	/* of each listener */
	size_t n;
};

/*
 * config_load() of octets that were read already.
 *
 * has_files  whether other files may be looked at
 */
struct config *config_load_octets(const char *path, struct bytes octets,
    bool has_files, config_complain *complain, void *arg);

/* Checks the rules across directives. */
void config_check(struct load *l);

/* Resolves `pair`, and checks that the two fit. */
void config_check_pairs(struct load *l);

/*
 * The listener of ours that a next hop leads to, or NULL: where that can be
 * known without asking the DNS.
 */
const struct config_listener *config_check_loop(const struct load *l,
    const struct config_next_hop *hop);

/*
 * Reads and checks the tables, and gives each listener its next hops as they
 * count; then the files that are named.
 */
void config_check_tables(struct load *l, bool has_files);
void config_check_files(struct load *l);

#endif
