/* The delivered memory of a scenario, in the place of daemon/memory.c. */
#ifndef SCENARIO_MEMORY_H
#define SCENARIO_MEMORY_H

#include "base/bytes.h"

/* Forgets everything. */
void scenario_memory_begin(void);

/* Without a keeper every answer is MEMORY_OUT. */
void scenario_memory_is_out(bool is_out);

/* "gone", "works", or "busy": somebody else claims whatever is asked for.
 * False where it is none of these. */
bool scenario_memory_say(struct bytes what);

#endif
