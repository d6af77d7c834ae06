#include "daemon/arrival_rows.h"

bool
arrival_row_parse(const struct store_arrival *row, struct arrival *a)
{
	if (!arrival_value_parse(row->value, a))
		return false;
	a->n_found = row->n_found;
	a->has_copy = row->copy_size != 0;
	memcpy(a->copy, row->copy, sizeof(a->copy));
	return true;
}

void
arrival_rows_begin(struct arrival_rows *r, int64_t now_s)
{
	r->join.n = 0;
	r->now_s = now_s;
}

bool
arrival_rows_is_wanted(const struct arrival_rows *r,
    const struct store_arrival *row)
{
	if (row->time_s <= r->now_s - ARRIVAL_AGE_S)
		return false;
	/* the other is another message of that Message-ID */
	return r->join.n == 0 ||
	    memcmp(row->chain, r->chain, sizeof(r->chain)) == 0;
}

void
arrival_rows_take(struct arrival_rows *r, const struct store_arrival *row)
{
	struct arrival a;

	if (!arrival_row_parse(row, &a))
		return;
	memcpy(r->chain, row->chain, sizeof(r->chain));
	arrival_join(&r->join, &a);
}
