/*
 * Arrival records as they come from a file or over a socket. What is read is
 * written again as the same octets; joined with itself it is itself, and of
 * its list come only paths.
 */
/* Not in a library: the daemon is none. */
#include "daemon/arrival_value.c"

#include <stdlib.h>

/* The one thing of another file that they need. */
#include "daemon/relay_value.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static uint8_t octets[ARRIVAL_VALUE_MAX];
	static struct arrival_join j;
	struct buf again = BUF_ON(octets);
	struct arrival a;
	struct bytes list, path;
	size_t n_rcpts = 0;

	if (!arrival_value_parse((struct bytes){data, n}, &a))
		return 0;
	arrival_value_write(&a, &again);
	if (again.full || !bytes_eq(buf_bytes(&again),
	    (struct bytes){data, n}))
		abort();
	j.n = 0;
	arrival_join(&j, &a);
	arrival_join(&j, &a);
	if (j.record.full != a.full || j.record.rcpts.n > a.rcpts.n)
		abort();
	list = j.record.rcpts;
	for (; relay_value_next_rcpt(&list, &path); n_rcpts++)
		if (path.n < 2 || path.p[0] != '<')
			abort();
	if (list.n != 0 || (a.rcpts.n != 0 && n_rcpts == 0))
		abort();
	return 0;
}
