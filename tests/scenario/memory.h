/* The delivered memory of a scenario, in the place of daemon/memory.c. */
#ifndef SCENARIO_MEMORY_H
#define SCENARIO_MEMORY_H

#include <stdbool.h>

/* Forgets everything. */
void scenario_memory_begin(void);

/* Without a keeper every answer is MEMORY_OUT. */
void scenario_memory_is_out(bool is_out);

/* Somebody else claims whatever is asked for: MEMORY_BUSY. */
void scenario_memory_is_busy(bool is_busy);

#endif
