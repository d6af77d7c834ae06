/*
 * MX records and addresses in raw DNS answers: what is found keeps its form
 * and its bounds, and depends neither on octets behind the answer section nor
 * on the case of the name. The order of hosts is one of all of them. The first
 * octet says what was asked for.
 */
/* Not in a library: the daemon is none. */
#include "daemon/dnsanswer.c"
#include "daemon/mxanswer.c"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const enum dnsanswer_type types[] = {DNSTYPE_MX, DNSTYPE_A,
    DNSTYPE_AAAA};

static struct dnsanswer_records
ask(enum dnsanswer_type type, struct bytes m, struct bytes name,
    struct arena *a)
{
	struct dnsanswer_records t;

	if (mxanswer_parse(&t, m, name, type, a) != 0)
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

static void
check_order(const struct dnsanswer_records *t, uint32_t random)
{
	struct mxanswer_host hosts[DNSANSWER_RRS_MAX];
	uint64_t before = 0, after = 0;

	for (size_t k = 0; k < t->n; k++) {
		hosts[k] = mxanswer_host(t->records[k]);
		before += (uintptr_t)hosts[k].name.p * (hosts[k].name.n + 1);
	}
	mxanswer_order(hosts, t->n, random);
	for (size_t k = 0; k < t->n; k++) {
		if (k != 0 && hosts[k - 1].preference > hosts[k].preference)
			abort();
		after += (uintptr_t)hosts[k].name.p * (hosts[k].name.n + 1);
	}
	if (before != after)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena *a = arena_new(1 << 20);
	struct bytes name = BYTES_LIT("a.example");
	enum dnsanswer_type type;
	struct dnsanswer_records t, u;
	struct bytes m;
	uint8_t *p;

	if (a == NULL || n == 0 || n > 65535)
		goto out;
	type = types[data[0] % 3];
	m = (struct bytes){data + 1, n - 1};
	t = ask(type, m, name, a);
	if ((t.found == DNSANSWER_THERE) != (t.n != 0) ||
	    t.n > DNSANSWER_RRS_MAX)
		abort();
	for (size_t k = 0; k < t.n; k++)
		if (type == DNSTYPE_MX ? t.records[k].n < 2 ||
		    t.records[k].n > 2 + DNSANSWER_NAME_MAX :
		    t.records[k].n != 16)
			abort();
	if (type == DNSTYPE_MX)
		check_order(&t, (uint32_t)n * 2654435769U);
	u = ask(type, m, BYTES_LIT("A.Example."), a);
	if (!is_same(&t, &u))
		abort();
	p = arena_alloc(a, n + 4);
	memcpy(p, data, n);
	u = ask(type, (struct bytes){p + 1, n + 3}, name, a);
	if (t.found == DNSANSWER_THERE && !is_same(&t, &u))
		abort();
out:
	arena_free(&a);
	return 0;
}
