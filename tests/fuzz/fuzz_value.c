/*
 * What the delivered memory kept of a try: it comes from a file and goes into
 * mail. What is read is written again as the same octets, and of a list come
 * only paths.
 */
/* Not in a library: the daemon is none. */
#include "daemon/relay_value.c"

#include <stdlib.h>

#include "daemon/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const struct bytes in = {data, n};
	uint8_t octets[MEMORY_VALUE_MAX];
	struct buf again = BUF_ON(octets);
	struct relay_value v;
	struct bytes path;

	if (n > sizeof(octets) || !relay_value_parse(in, &v))
		return 0;
	relay_value_write(&v, &again);
	if (!bytes_eq(buf_bytes(&again), in))
		abort();
	while (relay_value_next_rcpt(&v.rcpts, &path))
		if (path.n < 3 || path.p[0] != '<')
			abort();
	return 0;
}
