/*
 * The folder of copies, as the keeper sees it: workers write files there and
 * have the keeper make them part of a record. What is part of none is removed
 * once it is old enough.
 */
#ifndef DAEMON_COPIES_H
#define DAEMON_COPIES_H

#include <sys/types.h>

#include "config/config.h"
#include "daemon/store.h"

#define COPIES_NAME "copies"	/* below `state` */
#define COPIES_ORPHAN_S (15 * 60)	/* a record follows its copy at once */

/* Whether a listener keeps copies, for another to look at. */
bool copies_are_used(const struct config *c);

/*
 * Opens the folder, and makes it where it is missing.
 *
 * state    descriptor of the folder `state`
 * uid, gid whose it is to be, where we are root
 * Returns  a descriptor, the caller's; -1 with errno, EPERM for a folder of
 *          somebody else
 */
int copies_open(int state, bool is_root, uid_t uid, gid_t gid);

struct copies;

/* state    its path, the caller's; NULL without memory */
struct copies *copies_new(const char *state);
void copies_free(struct copies **c);

/* Octets of a copy; 0 where it is none. */
uint64_t copies_size(struct copies *c, const uint8_t name[STORE_KEY_SIZE]);

void copies_remove(struct copies *c, const uint8_t name[STORE_KEY_SIZE]);

/* Opens a copy to read: a descriptor, the caller's, or -1. */
int copies_open_file(struct copies *c, const uint8_t name[STORE_KEY_SIZE]);

/*
 * Begins a copy that comes from elsewhere, under a name of its own.
 *
 * Returns  a descriptor to write to, which copies_end() closes; -1 (errno)
 */
int copies_begin(struct copies *c, const uint8_t name[STORE_KEY_SIZE]);

/*
 * Ends it: it has its name then, or is gone.
 *
 * is_whole whether it is to be kept
 * Returns  whether it is
 */
bool copies_end(struct copies *c, const uint8_t name[STORE_KEY_SIZE], int fd,
    bool is_whole);

/* Whether a copy is needed still. */
typedef bool copies_wanted(void *arg, const uint8_t name[STORE_KEY_SIZE]);

/*
 * Looks at some files, and removes those that nobody wrote to for a while and
 * that are no copy, or one that is not wanted.
 *
 * age_s    for how long nobody wrote to it; at least COPIES_ORPHAN_S
 * Returns  whether there are more to look at
 */
bool copies_sweep(struct copies *c, copies_wanted *wanted, void *arg,
    int64_t age_s, int64_t now_s);

#endif
