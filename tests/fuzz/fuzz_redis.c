/*
 * What a Redis server says, within our bounds: the same however it is cut, and
 * every view within what came.
 */
#include "daemon/redis_reply.c"	/* not in a library: the daemon is none */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* What was read, in one number. */
struct seen {
	uint64_t hash;
	int end;		/* 0, -E_SYNTAX, -E_LIMIT */
};

static void
mix(struct seen *s, uint64_t what)
{
	s->hash = (s->hash ^ what) * 0x100000001b3ULL;
}

static void
look_at(struct seen *s, const struct redis_value *v, bool is_item)
{
	if (is_item && v->kind == REDIS_ARRAY)
		abort();
	if (v->n_items > REDIS_ITEMS_MAX || v->text.n > REDIS_REPLY_MAX ||
	    (v->kind != REDIS_ARRAY && v->n_items != 0))
		abort();
	mix(s, (uint64_t)v->kind);
	mix(s, (uint64_t)v->integer);
	mix(s, v->text.n);
	for (size_t k = 0; k < v->text.n; k++)
		mix(s, v->text.p[k]);
	for (size_t k = 0; k < v->n_items; k++)
		look_at(s, v->items + k, true);
}

static struct seen
read_all(struct bytes octets, size_t step)
{
	struct redis_reader *r = redis_reader_new();
	struct seen s = {.hash = 0xcbf29ce484222325ULL};

	if (r == NULL)
		abort();
	while (octets.n != 0 && s.end == 0) {
		struct bytes some = bytes_first(octets, step);
		struct redis_value v;
		const char *why = NULL;

		octets = bytes_skip(octets, step);
		if (redis_reader_feed(r, some) != 0)
			abort();	/* n is below the bound */
		while ((s.end = redis_reader_next(r, &v, &why)) == 1)
			look_at(&s, &v, false);
		if (s.end < 0 && why == NULL)
			abort();
	}
	redis_reader_free(&r);
	return s;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct bytes octets = {data, n};
	struct seen whole, cut;

	if (n == 0 || n > 32768)
		return 0;
	octets = bytes_skip(octets, 1);
	whole = read_all(octets, octets.n + 1);
	cut = read_all(octets, 1 + data[0] % 16U);
	if (whole.hash != cut.hash || whole.end != cut.end)
		abort();
	return 0;
}
