/* What the two files of alias tables share; nobody else includes it. */
#ifndef CONFIG_TABLE_STATE_H
#define CONFIG_TABLE_STATE_H

#include "config/table.h"

struct table_target {
	struct table_target *next;
	struct bytes address;		/* in the table's arena */
	struct config_place at;
};

struct table_row {
	struct table_row *next;
	struct bytes address;		/* likewise */
	struct config_place at;
	struct table_target *targets;
	struct table_target **end;
	uint32_t n;
};

/*
 * Follows each line to where its mail ends, and sets n_ends.
 *
 * rows     sorted, as in t
 * t        all but n_ends of its rows
 * Returns  0 or -E_NOMEM; mistakes are among the faults
 */
int table_follow(struct config_faults *f,
    const struct config_table_rules *rules, struct table_row *const *rows,
    const struct config_aliases *t, struct config_alias *writable);

#endif
