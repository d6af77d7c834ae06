/*
 * Tags for questions whose answer comes later (DNS, signer): a slot number
 * and a generation, never a pointer, since the one who asked may be gone.
 */
#ifndef DAEMON_SLOTS_H
#define DAEMON_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct slots {
	struct slot *slot;
	size_t n;
	uint32_t free;		/* the first of a list; SLOT_NONE: none */
};

#define SLOT_NONE UINT32_MAX

/* The low 16 bits of a tag are the asker's own, to tell questions apart. */
#define SLOT_PART(tag) ((unsigned)((tag) & 0xffff))

void slots_init(struct slots *s);
void slots_fini(struct slots *s);

/* A tag for owner, its low 16 bits 0. False without memory. */
bool slots_take(struct slots *s, void *owner, uint64_t *tag);

/* Whose tag it is; NULL where he has left. */
void *slots_find(const struct slots *s, uint64_t tag);

void slots_leave(struct slots *s, uint64_t tag);

#endif
