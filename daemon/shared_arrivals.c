#include "daemon/shared_arrivals.h"

#include <stdlib.h>

struct shared_arrivals {
	struct shared *shared;
};

const struct redis_script shared_arrival_scripts[] = {{NULL, NULL}};
const size_t shared_arrival_n_scripts = 0;

struct shared_arrivals *
shared_arrivals_new(struct shared *s, struct loop *l, const char *folder,
    const struct store_limits *limits)
{
	struct shared_arrivals *a = calloc(1, sizeof(*a));

	(void)l;
	(void)folder;
	(void)limits;
	if (a != NULL)
		a->shared = s;
	return a;
}

void
shared_arrivals_free(struct shared_arrivals **a)
{
	free(*a);
	*a = NULL;
}

/* No records are shared yet: as an outage. */
void
shared_arrivals_take(struct shared_arrivals *a, unsigned peer,
    const struct memory_request *q, struct bytes value)
{
	struct memory_response head = {.tag = q->tag, .is_arrival = true,
	    .status = ARRIVAL_OUT};

	(void)value;
	if (q->op != MEMORY_OP_REMOVE)
		(void)shared_answer(a->shared, peer, &head,
		    (struct bytes){NULL, 0});
}

void
shared_arrivals_up(struct shared_arrivals *a)
{
	(void)a;
}

void
shared_arrivals_down(struct shared_arrivals *a)
{
	(void)a;
}

void
shared_arrivals_tick(struct shared_arrivals *a)
{
	(void)a;
}
