/*
 * What the delivered memory keeps of one try: what reads writes itself again,
 * and nothing in it ends a field or a line of the log.
 */
#include "daemon/relay_value.c"	/* not in a library: the daemon is none */

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
need(bool holds)
{
	if (!holds)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static uint8_t room[70000];
	struct bytes in = {p, n}, rest;
	struct buf out = BUF_ON(room);
	struct relay_value v;

	if (n > 65536 || !relay_value_parse(in, &v))
		return 0;
	need(v.time_s >= 0 && v.id.n != 0 && v.id.n <= RELAY_ID_MAX);
	for (size_t k = 0; k < v.id.n; k++)
		need(ascii_is_alnum(v.id.p[k]));
	rest = v.received;
	while (rest.n != 0) {
		size_t end = bytes_find(rest, BYTES_LIT("\r\n"));

		need(end < rest.n && bytes_index(rest, '\n') == end + 1);
		rest = bytes_skip(rest, end + 2);
		need(rest.n == 0 || ascii_is_wsp(rest.p[0]));
	}
	relay_value_write(&v, &out);
	need(!out.full && bytes_eq(buf_bytes(&out), in));
	return 0;
}
