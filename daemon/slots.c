#include "daemon/slots.h"

#include <stdlib.h>

/* A tag is slot number (24 bits), generation (24 bits), part (16 bits). */
#define MAX_SLOTS (1U << 24)
#define GENERATION(tag) ((uint32_t)((tag) >> 16) & 0xffffff)
#define NUMBER(tag) ((uint32_t)((tag) >> 40))

struct slot {
	void *owner;		/* NULL: free */
	uint32_t generation;
	uint32_t next;		/* of the free ones */
};

void
slots_init(struct slots *s)
{
	*s = (struct slots){NULL, 0, SLOT_NONE};
}

void
slots_fini(struct slots *s)
{
	free(s->slot);
	slots_init(s);
}

static bool
grow(struct slots *s)
{
	size_t n = s->n == 0 ? 64 : s->n * 2;
	struct slot *slot;

	if (n > MAX_SLOTS)
		return false;
	slot = realloc(s->slot, n * sizeof(*slot));
	if (slot == NULL)
		return false;
	for (size_t k = s->n; k < n; k++)
		slot[k] = (struct slot){NULL, 0,
		    k + 1 < n ? (uint32_t)k + 1 : SLOT_NONE};
	s->free = (uint32_t)s->n;
	s->slot = slot;
	s->n = n;
	return true;
}

bool
slots_take(struct slots *s, void *owner, uint64_t *tag)
{
	struct slot *slot;

	if (s->free == SLOT_NONE && !grow(s))
		return false;
	slot = &s->slot[s->free];
	*tag = (uint64_t)s->free << 40 | (uint64_t)slot->generation << 16;
	s->free = slot->next;
	slot->owner = owner;
	return true;
}

void *
slots_find(const struct slots *s, uint64_t tag)
{
	const struct slot *slot;

	if (NUMBER(tag) >= s->n)
		return NULL;
	slot = &s->slot[NUMBER(tag)];
	return slot->generation == GENERATION(tag) ? slot->owner : NULL;
}

void
slots_leave(struct slots *s, uint64_t tag)
{
	struct slot *slot;

	if (slots_find(s, tag) == NULL)
		return;
	slot = &s->slot[NUMBER(tag)];
	slot->owner = NULL;
	slot->generation = (slot->generation + 1) & 0xffffff;
	slot->next = s->free;
	s->free = NUMBER(tag);
}
