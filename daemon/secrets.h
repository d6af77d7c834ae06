/*
 * What return addresses are keyed with: the files of the folder `secrets`
 * names. They stand in memory that is not swapped and not dumped, reach no
 * log, and are wiped.
 */
#ifndef DAEMON_SECRETS_H
#define DAEMON_SECRETS_H

#include "config/config.h"
#include "smtp/secret.h"

struct secrets;

/*
 * Reads every file of a folder but those that begin with a dot or end with
 * '~'. Each is a secret, without the line end behind it, and is as safe from
 * others as a key must be. The file that was changed last is the one that
 * makes addresses.
 *
 * folder   NULL: there are none
 * gid      the service's group, which may read it; (unsigned)-1: none
 * complain one call for each mistake, none of which shows what is in a file
 * Returns  NULL after at least one complaint
 * Lifetime until secrets_free()
 */
struct secrets *secrets_new(const char *folder, unsigned gid,
    config_complain *complain, void *arg);

/* Wipes; *s becomes NULL; it may be NULL. */
void secrets_free(struct secrets **s);

/* After a fork: memory is locked in one process alone. */
void secrets_lock(struct secrets *s);

/* The newest first; n == 0: there are none. s may be NULL. */
struct smtp_secrets secrets_all(const struct secrets *s);

#endif
