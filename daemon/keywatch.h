/*
 * Whether the DNS has the public half of each key that signs: looked at a
 * minute after the start (a keys-file at once), and each hour. What is missing or another one is an ALARM
 * of the log and 0 in hopseal_key_published; where the DNS does not answer,
 * what was known before stays.
 */
#ifndef DAEMON_KEYWATCH_H
#define DAEMON_KEYWATCH_H

#include "base/buf.h"
#include "daemon/worker.h"

#define KEYWATCH_FILE_MS 1000
#define KEYWATCH_SOON_MS (60 * 1000)
#define KEYWATCH_AGAIN_MS (3600 * 1000)

struct keywatch;

/* env has the inventory and the configuration. NULL without memory. */
struct keywatch *keywatch_new(struct loop *l, const struct worker_env *env);
void keywatch_free(struct keywatch **w);

/* Adds the lines of METRIC_KEY_PUBLISHED. */
void keywatch_tell(const struct keywatch *w, struct buf *out);

/*
 * What is wrong with the records that were found, in words; NULL: the one
 * that there is has the same key as ours, however it is written.
 *
 * ours     the record as `hopseal dns-record` has it
 * a        room to read them in
 * Returns  static storage
 */
const char *keywatch_compare(struct bytes ours, const struct bytes *records,
    size_t n, struct arena *a);

#endif
