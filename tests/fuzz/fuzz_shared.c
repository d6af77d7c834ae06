/*
 * Rows and copies of arrival records as they stand on a server, behind their
 * seals. What is read is written again as the same octets; a row that parses
 * as a record joins with itself.
 */
/* Not in a library: the daemon is none. */
#include "daemon/arrival_rows.c"
#include "daemon/arrival_value.c"
#include "daemon/shared_rows.c"

#include <stdlib.h>

/* The one thing of another file that they need. */
#include "daemon/relay_value.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
is_again(const struct buf *b, struct bytes was)
{
	if (b->full || !bytes_eq(buf_bytes(b), was))
		abort();
}

static void
follow_row(struct bytes b)
{
	static uint8_t octets[SHARED_ROW_MAX];
	static struct arrival_rows rows;
	struct buf again = BUF_ON(octets);
	uint8_t content[STORE_KEY_SIZE];
	struct store_arrival row;
	struct arrival a;

	if (!shared_row_parse(b, &row, content))
		return;
	shared_row_write(&row, content, &again);
	is_again(&again, b);
	arrival_rows_begin(&rows, row.time_s);
	if (!arrival_rows_is_wanted(&rows, &row))
		abort();
	arrival_rows_take(&rows, &row);
	if ((rows.join.n == 1) != arrival_row_parse(&row, &a))
		abort();
	if (rows.join.n == 1 && !arrival_rows_is_wanted(&rows, &row))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint8_t octets[SHARED_COPY_MAX];
	struct buf again = BUF_ON(octets);
	struct bytes b = {data, n};
	struct shared_copy c;

	follow_row(b);
	if (shared_copy_parse(b, &c)) {
		shared_copy_write(&c, &again);
		is_again(&again, b);
		if (c.size == 0)
			abort();
	}
	return 0;
}
