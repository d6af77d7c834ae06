/* The arrival records of a scenario, in the place of daemon/arrival.c. */
#ifndef SCENARIO_ARRIVALS_H
#define SCENARIO_ARRIVALS_H

#include <stdbool.h>

#include "daemon/memory.h"

/* Forgets everything. */
void scenario_arrivals_begin(void);

/* Who asks; memory_new() says so. */
void scenario_arrivals_for(struct loop *l, const struct memory_calls *calls,
    void *arg);

/*
 * "gone": every answer is ARRIVAL_OUT; "works"; or a number.
 *
 * Returns  false where it is none of these, or not how many there are: one
 *          for each write that was not taken back
 */
bool scenario_arrivals_say(struct bytes what);

#endif
