/* Making verdicts; their texts are in reason.c alone. */
#ifndef DKIM2_REASON_H
#define DKIM2_REASON_H

#include "dkim2/dkim2.h"

/*
 * A verdict with the state that the draft gives to its reason.
 *
 * number   i= or m=, as the reason says; 0 where it has none
 * value    what it names; kept as a view
 */
struct dkim2_verdict reason_verdict(enum dkim2_reason reason, uint32_t number,
    struct bytes value);

/* The same without a value. */
struct dkim2_verdict reason_plain(enum dkim2_reason reason, uint32_t number);

/* DKIM2_PASS, no reason. */
struct dkim2_verdict reason_pass(void);

/* Failures in the order in which they are to be reported. */
struct reason_list {
	struct dkim2_verdict *v;
	size_t n;
	size_t cap;
};

/* Room for cap failures. Returns 0 or -E_NOMEM. */
int reason_list_init(struct reason_list *l, size_t cap, struct arena *a);

/* Adds v where it is a failure; nothing past the room there is. */
void reason_list_add(struct reason_list *l, struct dkim2_verdict v);

#endif
