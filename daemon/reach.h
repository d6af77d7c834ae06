/*
 * Whether the user of the service gets at what the configuration names: root,
 * who checks it, gets at everything.
 */
#ifndef DAEMON_REACH_H
#define DAEMON_REACH_H

#include "daemon/priv.h"

/*
 * Becomes the user for as long as it looks: at the configuration and its
 * tables, keys with their states, certificates, logins and secrets, which
 * have to be read, at the folders on the way to them, and at `state`, which
 * has to be written. Does nothing where we are not root, or the user is.
 * Where hopseald is started as root it reads all but `state` before it gives
 * that up: so these are warnings, a line each, but for folders and files of
 * which there are many one that says how many more.
 *
 * p        of priv_find()
 */
void reach_check(const struct config *c, const struct priv *p,
    config_complain *complain, void *arg);

#endif
