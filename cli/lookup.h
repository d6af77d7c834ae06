/* Key records for a verifier: from a keys-file, or from a resolver. */
#ifndef CLI_LOOKUP_H
#define CLI_LOOKUP_H

#include "base/arena.h"
#include "dkim2/dkim2.h"

/*
 * Answers everything that the verifier wants from a keys-file.
 *
 * Returns  0, or an exit code after a message
 */
int lookup_file(struct dkim2_verify *v, const char *path, struct arena *a);

/*
 * Answers everything by asking a resolver, all names at once; waits at most
 * 20 seconds.
 *
 * resolver "address:port" or "[address]:port"; NULL: the system's
 * Returns  0, or an exit code after a message
 */
int lookup_dns(struct dkim2_verify *v, const char *resolver, struct arena *a);

#endif
