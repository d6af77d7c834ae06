/* Alias tables: lines of ADDRESS TARGET, from a file or from a map. */
#ifndef CONFIG_TABLE_H
#define CONFIG_TABLE_H

#include "config/lines.h"

struct table_row;

struct config_table {
	struct arena *arena;		/* the rows' octets */
	struct config_faults *faults;
	struct table_row *first;
	size_t n;
};

/* What a table may not do. */
struct config_table_rules {
	const struct bytes *domains;	/* of the listener; lower case */
	size_t n_domains;
	struct bytes mail_from;		/* empty, or an address of ours */
};

/*
 * Adds one line. What is no address is a mistake.
 *
 * table    a struct config_table
 * address  "local@domain" or "@domain"; copied
 * targets  one address; more are a mistake, not built yet
 */
void config_table_add(void *table, struct bytes address,
    struct config_place at, struct bytes targets,
    struct config_place targets_at);

/* How its lines are read. */
struct config_lines config_table_lines(struct config_table *t);

/* Reads the lines of a file: ADDRESS TARGET[, TARGET...]. */
void config_table_read(struct config_table *t, struct bytes octets,
    const char *file, unsigned file_no);

/*
 * Sorts the lines and checks them together: no address twice, each one in
 * the rules' domains, and no target there: a target that was itself looked
 * up could lead in a circle, so that it never is, and none looks as if.
 *
 * Returns  0, or -E_NOMEM; mistakes are among the faults
 */
int config_table_end(struct config_table *t,
    const struct config_table_rules *rules, struct config_aliases *out);

#endif
