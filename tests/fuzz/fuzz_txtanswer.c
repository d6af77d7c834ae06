/*
 * The walker of raw DNS answers. What it finds keeps its bounds, does not
 * depend on octets behind the answer section, nor on the case of the name.
 */
/* Not in a library: the daemon is none. */
#include "daemon/dnsanswer.c"
#include "daemon/txtanswer.c"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct dnsanswer_records
parse(struct bytes m, struct bytes name, struct arena *a)
{
	struct dnsanswer_records t;

	if (txtanswer_parse(&t, m, name, a) != 0)
		abort();	/* the arena is large enough for all bounds */
	return t;
}

static bool
is_same(const struct dnsanswer_records *t, const struct dnsanswer_records *u)
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
	struct dnsanswer_records t, u;
	size_t octets = 0;
	struct bytes longer;
	uint8_t *p;

	if (a == NULL || n > 65535)
		goto out;
	t = parse((struct bytes){data, n}, name, a);
	if ((t.found == DNSANSWER_THERE) != (t.n != 0) ||
	    t.n > DNSANSWER_RRS_MAX)
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
	if (t.found == DNSANSWER_THERE && !is_same(&t, &u))
		abort();
out:
	arena_free(&a);
	return 0;
}
