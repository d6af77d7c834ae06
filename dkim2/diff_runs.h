/*
 * What two lists of lines have in common, in bounded time and memory: the
 * shortest difference where it is small (Myers), else lines that occur once on
 * each side, and the same again for what stands between them.
 */
#ifndef DKIM2_DIFF_RUNS_H
#define DKIM2_DIFF_RUNS_H

#include "base/arena.h"
#include "base/bytes.h"

#define DIFF_EDITS_MAX 4096		/* lines in or out that Myers follows */
#define DIFF_WORK_MAX (1U << 24)	/* steps that it may cost */

/* n lines from old_at are those from now_at, counted from 0. */
struct diff_run {
	size_t old_at, now_at, n;
};

/*
 * Finds runs that are equal, rising and without overlap on both sides.
 *
 * a        takes room for the lines, the runs and the search
 * work     set to the steps that it took, at most DIFF_WORK_MAX and some 20
 *          for each line
 * Returns  0 with *runs and *n_runs, or -E_NOMEM
 */
int diff_runs_find(const struct bytes *old, size_t n_old,
    const struct bytes *now, size_t n_now, struct arena *a,
    struct diff_run **runs, size_t *n_runs, size_t *work);

/*
 * How many octets the old lines have that are nowhere among the new ones: what
 * every recipe has to say itself, found much sooner than the recipe. Two
 * lines that only hash alike may be taken for one, so that it can be less.
 *
 * octets   set to them, line ends left out
 * Returns  0 or -E_NOMEM
 */
int diff_runs_lost(const struct bytes *old, size_t n_old,
    const struct bytes *now, size_t n_now, struct arena *a, size_t *octets);

#endif
