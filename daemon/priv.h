/* Privileges: whom the children become, and what they give up. */
#ifndef DAEMON_PRIV_H
#define DAEMON_PRIV_H

#include <stddef.h>
#include <sys/types.h>

#include "config/config.h"

struct priv {
	bool is_root;		/* else nothing changes hands */
	uid_t uid;
	gid_t gid;		/* the service's group */
};

/*
 * Finds the user that the configuration names. Only root can become another:
 * for anyone else it is who they are. A user that was named must exist; where
 * the default is missing it is `nobody`, with a warning.
 *
 * Returns  0, or -E_ABSENT (logged)
 */
int priv_find(struct priv *p, const struct config *c);

/*
 * Gives up, for good: the user, other groups, core files, being looked into
 * by other processes of the user, and outliving the parent (which sends
 * death_signal then; 0: the child sees to that itself).
 *
 * Returns  0, or -E_SYSTEM (logged)
 */
int priv_drop(const struct priv *p, pid_t parent, int death_signal);

/*
 * Opens a folder for its user alone, and makes it where it is missing.
 *
 * at       descriptor of the folder it is in
 * Returns  a descriptor, the caller's; -1 with errno, EPERM for a folder of
 *          somebody else
 */
int priv_folder(const struct priv *p, int at, const char *name);

/*
 * Keeps memory out of swap. Returns false where the system does not let us;
 * may be called again.
 */
bool priv_lock_memory(void);

/* Closes every descriptor from 3 on but the n of keep, which it sorts. */
void priv_close_others(int *keep, size_t n);

#endif
