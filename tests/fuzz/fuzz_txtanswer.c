/*
 * The walker of raw DNS answers. What it finds keeps its bounds, does not
 * depend on octets behind the answer section, nor on the case of the name.
 */
#include "daemon/txtanswer.c"	/* not in a library: the daemon is none */

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct txtanswer
parse(struct bytes m, struct bytes name, struct arena *a)
{
	struct txtanswer t;

	if (txtanswer_parse(&t, m, name, a) != 0)
		abort();	/* the arena is large enough for all bounds */
	return t;
}

static bool
is_same(const struct txtanswer *t, const struct txtanswer *u)
{
	if (t->found != u->found || t->n != u->n || t->ttl_s != u->ttl_s)
		return false;
	for (size_t k = 0; k < t->n; k++)
		if (!bytes_eq(t->records[k], u->records[k]))
			return false;
	return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena *a = arena_new(1 << 20);
	struct bytes name = BYTES_LIT("s._domainkey.a.example");
	struct bytes other = BYTES_LIT("S._DomainKey.A.Example.");
	struct txtanswer t, u;
	size_t octets = 0;
	struct bytes longer;
	uint8_t *p;

	if (a == NULL || n > 65535)
		goto out;
	t = parse((struct bytes){data, n}, name, a);
	if ((t.found == DKIM2_KEY_TXT) != (t.n != 0) ||
	    t.n > TXTANSWER_RRS_MAX)
		abort();
	for (size_t k = 0; k < t.n; k++)
		octets += t.records[k].n;
	if (octets > TXTANSWER_TEXT_MAX)
		abort();
	u = parse((struct bytes){data, n}, other, a);
	if (!is_same(&t, &u))
		abort();
	p = arena_alloc(a, n + 4);
	longer = (struct bytes){p, n + 4};
	if (n != 0)
		memcpy(p, data, n);
	u = parse(longer, name, a);
	if (t.found == DKIM2_KEY_TXT && !is_same(&t, &u))
		abort();
out:
	arena_free(&a);
	return 0;
}
