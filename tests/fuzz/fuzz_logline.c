/*
 * Lines of logs: what is read stays within its line, each key is there once,
 * and as JSON and back it is the same. What logline_escape() made of octets is
 * one value.
 */
#include <stdlib.h>

#include "base/logline.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

#define ID "4qk2xbcdfghj"

static void
same(const struct logline *a, const struct logline *b)
{
	if (!bytes_eq(a->id, b->id) || !bytes_eq(a->process, b->process) ||
	    !bytes_eq(a->level, b->level) || a->pid != b->pid ||
	    a->n_fields != b->n_fields)
		abort();
	for (size_t k = 0; k < a->n_fields; k++)
		if (!bytes_eq(a->fields[k].key, b->fields[k].key) ||
		    !bytes_eq(a->fields[k].value, b->fields[k].value))
			abort();
}

static bool
is_ascii(struct bytes b)
{
	for (size_t k = 0; k < b.n; k++)
		if (b.p[k] < ' ' || b.p[k] >= 0x7f)
			return false;
	return true;
}

static void
there_and_back(struct bytes line, struct arena *a)
{
	struct logline l, again, third;
	struct buf out;
	int64_t ms;

	(void)logline_time(line, &ms);
	if (!logline_parse(line, a, &l))
		return;
	for (size_t k = 0; k < l.n_fields; k++)
		if (line.n != 0 && line.p[0] != '{' && !bytes_eq(l.fields[k].value,
		    logline_get(&l, (char *)arena_copy(a, l.fields[k].key).p)))
			abort();
	if (arena_room(a, 8 * line.n + 600, &out) != 0)
		return;
	logline_json(&l, out.cap, &out);
	if (out.full || !logline_parse(buf_bytes(&out), a, &again))
		abort();
	if (is_ascii(line) && line.p[0] != '{')
		same(&l, &again);
	else if (arena_room(a, 8 * out.n + 600, &out) == 0) {
		logline_json(&again, out.cap, &out);
		if (!logline_parse(buf_bytes(&out), a, &third))
			abort();
	}
}

static void
escaped(struct bytes said, struct arena *a)
{
	struct logline l;
	struct buf line, value;

	said = bytes_first(said, 1000);
	if (arena_room(a, 4 * said.n + 10, &value) != 0 ||
	    arena_room(a, 4 * said.n + 100, &line) != 0)
		return;
	logline_escape(said, said.n, &value);
	buf_add_str(&line, ID ": to=<a@b>, status=sent (");
	buf_add(&line, buf_bytes(&value));
	buf_add_str(&line, ") tls=1.3");
	if (value.full || line.full)
		abort();
	logline_read(buf_bytes(&line), &l);
	if (l.has_words || l.n_fields != 4 || !bytes_eq(buf_bytes(&value),
	    logline_get(&l, "reply")) || !bytes_eq(BYTES_LIT("1.3"),
	    logline_get(&l, "tls")) || !logline_is_id(l.id))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct arena *a = arena_new(16U << 20);

	if (a == NULL)
		return 0;
	there_and_back((struct bytes){p, n}, a);
	escaped((struct bytes){p, n}, a);
	arena_free(&a);
	return 0;
}
