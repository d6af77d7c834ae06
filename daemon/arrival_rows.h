/*
 * What a store has of one message, row by row, on its way to be one record.
 * Pure: for the store of this machine, and for one that several share.
 */
#ifndef DAEMON_ARRIVAL_ROWS_H
#define DAEMON_ARRIVAL_ROWS_H

#include "daemon/arrival_value.h"
#include "daemon/store.h"

/* Writes of one message that are joined; more are as if they were not. */
#define ARRIVAL_ROWS_MAX 256

struct arrival_rows {
	struct arrival_join join;	/* n: 0 while there is none */
	int64_t now_s;
	uint8_t chain[STORE_KEY_SIZE];	/* of the youngest */
};

/*
 * The record of a row; what changes stands in columns of its own. a is of
 * views of the row's value.
 *
 * Returns  false where the value is none
 */
bool arrival_row_parse(const struct store_arrival *row, struct arrival *a);

void arrival_rows_begin(struct arrival_rows *r, int64_t now_s);

/* Whether a row is young enough, and of the chain of those before. */
bool arrival_rows_is_wanted(const struct arrival_rows *r,
    const struct store_arrival *row);

/*
 * Joins one that is wanted, the youngest first (arrival_join()); one that does
 * not parse is as if it were none. The value of the first lives as long as r.
 */
void arrival_rows_take(struct arrival_rows *r,
    const struct store_arrival *row);

#endif
