/*
 * Two messages, cut at the first "\xff\xff\r\n" (or in the middle): whatever
 * they are, the way back from one to the other is found and proved, or it
 * holds a line that no recipe can hold, or is too long. dkim2_diff() proves
 * by itself; a recipe that it made and that does not lead back would come out
 * as "cannot", so that answer must have a reason.
 */
#include <stdint.h>
#include <stdlib.h>

#include "dkim2/dkim2.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static bool
split(struct bytes octets, struct dkim2_message *m, struct bytes *body,
    struct arena *a)
{
	size_t body_at = octets.n, end = dkim2_header_end(octets, &body_at);

	*body = bytes_skip(octets, body_at);
	return dkim2_message_parse(m, bytes_first(octets, end == SIZE_MAX ?
	    octets.n : end), 1000, a) == 0;
}

/* A NUL, or a CR or LF that ends no line. */
static bool
is_odd(struct bytes b)
{
	for (size_t k = 0; k < b.n; k++) {
		if (b.p[k] == '\0')
			return true;
		if (b.p[k] == '\r' && (k + 1 == b.n || b.p[k + 1] != '\n'))
			return true;
		if (b.p[k] == '\n' && (k == 0 || b.p[k - 1] != '\r'))
			return true;
	}
	return false;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes all = {p, n}, old, now, old_body, now_body, json;
	size_t at = bytes_find(all, BYTES_LIT("\xff\xff\r\n"));
	struct dkim2_message m_old, m_now;
	enum dkim2_diff what;
	struct arena *a;

	if (n > 8192)
		return 0;
	a = arena_new(64U << 20);
	old = bytes_first(all, at == n ? n / 2 : at);
	now = bytes_skip(all, at == n ? n / 2 : at + 4);
	if (split(old, &m_old, &old_body, a) &&
	    split(now, &m_now, &now_body, a)) {
		if (dkim2_diff(&what, &json, a, &m_old, old_body, &m_now,
		    now_body) != 0)
			abort();
		if ((what == DKIM2_DIFF_CANNOT && !is_odd(old)) ||
		    (what == DKIM2_DIFF_LONG && n < 6000))
			abort();
	}
	arena_free(&a);
	return 0;
}
