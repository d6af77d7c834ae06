/*
 * Scenarios made from tables: a file *.cells has a row for each.
 *
 *     A | B | C        a scenario of the lines A, B and C, most of them words
 *     {A; B} | {C; D}  four: each of the first with each of the others
 *
 * What stands before the first row is common to all, as in other files.
 */
#ifndef SCENARIO_CELLS_H
#define SCENARIO_CELLS_H

#include "tests/scenario/script.h"

/* Makes the scenarios of a file of tables, as scenario_split(); what they are
 * made of is never freed. */
size_t cells_make(const char *file, struct bytes text, struct scenario *list,
    size_t max);

#endif
