#include "daemon/arrival.h"

#include "base/err.h"

int
arrival_write(struct memory *m, const struct arrival_key *k,
    const struct arrival *a, uint64_t tag)
{
	(void)m;
	(void)k;
	(void)a;
	(void)tag;
	return -E_NOMEM;
}

void
arrival_remove(struct memory *m, const struct arrival_key *k,
    const struct arrival *a)
{
	(void)m;
	(void)k;
	(void)a;
}

int
arrival_find(struct memory *m, const struct arrival_key *k, uint64_t tag)
{
	(void)m;
	(void)k;
	(void)tag;
	return -E_NOMEM;
}
