/*
 * JSON: what was read and is written again without white space reads the
 * same; json_check() and the events agree; every text unescapes.
 */
#include <stdlib.h>

#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
need(bool holds)
{
	if (!holds)
		abort();
}

static void
write_text(struct buf *out, struct bytes text, const char *around)
{
	buf_add_str(out, around);
	buf_add(out, text);
	buf_add_str(out, around);
}

/* Writes what is read; a comma goes before all that does not come first. */
static bool
rewrite(struct json *j, struct buf *out, struct arena *a)
{
	bool is_first = true, is_value = false;
	enum json_event e;
	struct buf plain;

	while ((e = json_next(j)) != JSON_END) {
		if (e == JSON_BAD)
			return false;
		if (e == JSON_OBJECT_END || e == JSON_ARRAY_END) {
			buf_add_octet(out, e == JSON_OBJECT_END ? '}' : ']');
			is_first = false;
			continue;
		}
		if (!is_first && !is_value)
			buf_add_octet(out, ',');
		is_first = e == JSON_OBJECT || e == JSON_ARRAY;
		is_value = e == JSON_KEY;
		if (is_first) {
			buf_add_octet(out, e == JSON_OBJECT ? '{' : '[');
		} else if (e == JSON_KEY || e == JSON_STRING) {
			need(arena_buf(a, j->text.n, &plain) == 0);
			need(json_unescape(j->text, &plain));
			write_text(out, j->text, "\"");
			if (is_value)
				buf_add_octet(out, ':');
		} else if (e == JSON_NUMBER) {
			write_text(out, j->text, "");
		} else {
			buf_add_str(out, e == JSON_TRUE ? "true" :
			    e == JSON_FALSE ? "false" : "null");
		}
	}
	return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes in = {p, n};
	struct arena *a = arena_new(256 << 20);
	struct json j;
	struct buf once, twice;
	enum json_verdict v, w;
	size_t at;
	bool good;

	if (a == NULL || n > 16384) {
		arena_free(&a);
		return 0;
	}
	need(arena_buf(a, n, &once) == 0 && arena_buf(a, n, &twice) == 0);
	need(json_init(&j, in, n, a) == 0);
	good = rewrite(&j, &once, a);
	need(json_check(in, false, a, &v, &at) == 0);
	need(good == (v != JSON_INVALID) && at <= n);
	need(json_check(in, true, a, &w, &at) == 0);
	need((v == JSON_INVALID) == (w == JSON_INVALID));
	need(v != JSON_TWICE || w == JSON_TWICE);
	if (good) {
		need(!once.full);
		need(json_init(&j, buf_bytes(&once), n, a) == 0);
		need(rewrite(&j, &twice, a));
		need(bytes_eq(buf_bytes(&once), buf_bytes(&twice)));
		need(json_check(buf_bytes(&once), false, a, &w, &at) == 0);
		need(v == w);
	}
	arena_free(&a);
	return 0;
}
