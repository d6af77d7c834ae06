#include "daemon/shared.h"

#include <stdlib.h>

struct shared {
	const struct shared_calls *calls;
	void *arg;
};

bool
shared_answer(struct shared *s, unsigned peer,
    const struct memory_response *head, struct bytes value)
{
	return s->calls->answer(s->arg, peer, head, value);
}
