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
	const char *delimiter;		/* octets that begin a subaddress */
	uint32_t max_copies;		/* addresses that a line may lead to */
};

/*
 * Adds one line. What is no address is a mistake.
 *
 * table    a struct config_table
 * address  "local@domain", "@domain", ".parent" or "*"; copied
 * targets  addresses, commas between
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
 * the rules' domains; each target there has a line, and none leads back to a
 * line before it but to its own. Bounded are how many lines may follow each
 * other and how many addresses one may lead to.
 *
 * Returns  0, or -E_NOMEM; mistakes are among the faults
 */
int config_table_end(struct config_table *t,
    const struct config_table_rules *rules, struct config_aliases *out);

/* Whether a line leads to more than one address. */
bool config_table_has_many(const struct config_aliases *t);

/*
 * The line that answers for a target; NULL: mail for it goes on as it is.
 * (alias.c)
 */
const struct config_alias *config_alias_next(const struct config_aliases *t,
    struct bytes target);

#endif
