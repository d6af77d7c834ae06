/*
 * The keys-file: what is read is JSON; each name of its first level that has
 * an answer is found, in any case; a mistake has a place.
 */
#include <stdlib.h>

#include "base/err.h"
#include "base/json.h"
#include "config/keysfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
find_each(const struct keysfile *k, struct bytes octets, struct arena *a)
{
	struct json j;
	enum json_event e;

	if (json_init(&j, octets, 8, a) != 0 || json_next(&j) != JSON_OBJECT)
		abort();
	while (json_next(&j) == JSON_KEY) {
		const struct bytes *records;
		struct buf name;
		size_t n;

		if (arena_buf(a, j.text.n, &name) != 0)
			return;
		if (!json_unescape(j.text, &name))
			abort();
		for (size_t i = 0; i < name.n; i++)
			if (name.p[i] >= 'a' && name.p[i] <= 'z')
				name.p[i] &= 0xdf;
		e = json_next(&j);
		/* Names below a name; "a" may have an answer beside "a.". */
		if (e == JSON_OBJECT) {
			if (!json_skip(&j, e))
				abort();
			continue;
		}
		switch (keysfile_find(k, buf_bytes(&name), &records, &n)) {
		case KEYSFILE_TXT:
			if (e != JSON_ARRAY || n == 0)
				abort();
			break;
		case KEYSFILE_EMPTY:
			if (e != JSON_ARRAY || n != 0)
				abort();
			break;
		case KEYSFILE_TEMPERROR:
			if (e != JSON_STRING || n != 0)
				abort();
			break;
		case KEYSFILE_NXDOMAIN:
			abort();
		}
		if (!json_skip(&j, e))
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct arena *a = arena_new(64U << 20);
	struct keysfile *k;
	char text[256];
	struct buf fault = BUF_ON(text);
	int r;

	if (a == NULL)
		abort();
	r = keysfile_parse(&k, (struct bytes){p, n}, a, &fault);
	if (r == 0)
		find_each(k, (struct bytes){p, n}, a);
	if (fault.full || (r == -E_SYNTAX) != (fault.n != 0))
		abort();
	arena_free(&a);
	return 0;
}
