/* Key records for who wants some: from a keys-file, or from a resolver. */
#ifndef CLI_LOOKUP_H
#define CLI_LOOKUP_H

#include "base/arena.h"
#include "dkim2/dkim2.h"

/* Takes the answer to the k-th name; the rest as dkim2_verify_answer(). */
typedef int lookup_answer(void *asker, size_t k, enum dkim2_key found,
    const struct bytes *records, size_t n);

/* Who wants which records. */
struct lookup {
	const struct bytes *names;
	size_t n_names;
	lookup_answer *answer;
	void *asker;
};

/*
 * Answers everything that is wanted from a keys-file.
 *
 * Returns  0, or an exit code after a message
 */
int lookup_file(const struct lookup *l, const char *path, struct arena *a);

/*
 * Answers everything by asking a resolver, all names at once; waits at most
 * 20 seconds.
 *
 * resolver "address:port" or "[address]:port"; NULL: the system's
 * Returns  0, or an exit code after a message
 */
int lookup_dns(const struct lookup *l, const char *resolver, struct arena *a);

#endif
