/*
 * The master: reads the configuration, owns the listening sockets, forks
 * signer and workers, looks after them, reloads, stops.
 */
#ifndef DAEMON_MASTER_H
#define DAEMON_MASTER_H

#include "config/config.h"

/*
 * Runs until told to stop (SIGTERM, SIGINT; a second one kills what is left).
 * SIGHUP reads path again.
 *
 * c        the configuration that path held; the master frees it
 * Returns  what to exit with (sysexits.h)
 */
int master_run(const char *path, struct config *c);

#endif
