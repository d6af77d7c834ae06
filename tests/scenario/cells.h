/*
 * Scenarios made from tables: a file *.cells has a row for each, and templates
 * for what its words mean.
 *
 *     with NAME        the indented lines that follow are what NAME stands for
 *     A | B | C        a scenario: the lines of A, then of B, then of C; each is
 *                      a name of the above, with `$1` and on for the words
 *                      behind it, or else a line of a scenario itself
 *
 * All else that stands before the first `with` is common to all.
 */
#ifndef SCENARIO_CELLS_H
#define SCENARIO_CELLS_H

#include "tests/scenario/script.h"

/*
 * Makes the scenarios of a file of tables; what they are made of is never
 * freed. Returns how many; 0 and a line to stderr where the file is wrong.
 */
size_t cells_make(const char *file, struct bytes text, struct scenario *list,
    size_t max);

#endif
