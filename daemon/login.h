/*
 * The names and passwords that auth-file names, for next hops that want to
 * know who we are. They stand in memory that is not swapped and not dumped,
 * reach no log, and are wiped.
 */
#ifndef DAEMON_LOGIN_H
#define DAEMON_LOGIN_H

#include "config/config.h"

struct logins;

struct login {
	struct bytes user;
	struct bytes password;
};

/*
 * Reads the auth-file of each listener: NAME:PASSWORD, or a line for each.
 *
 * gid      the service's group, which may read it; (unsigned)-1: none
 * complain one call for each mistake, none of which shows what is in a file
 * Returns  NULL after at least one complaint
 * Lifetime until logins_free(); the configuration outlives it
 */
struct logins *logins_new(const struct config *c, unsigned gid,
    config_complain *complain, void *arg);

/* Wipes; *l becomes NULL; it may be NULL. */
void logins_free(struct logins **l);

/* After a fork: memory is locked in one process alone. */
void logins_lock(struct logins *l);

/* Of a listener. False: it has none. The octets are the logins'. */
bool logins_find(const struct logins *l, const struct config_listener *of,
    struct login *out);

#endif
