/*
 * Files synced side by side: a few child processes that do nothing else.
 * Syncs of one moment share a commit of the file system's journal, while of
 * those that follow one another each waits for its own.
 */
#ifndef DAEMON_SPOOL_SYNC_H
#define DAEMON_SPOOL_SYNC_H

#include <stddef.h>

#define SPOOL_SYNCERS 8U
#define SPOOL_SYNC_MAX 256U	/* files at once */

struct spool_syncers;

/*
 * Nothing is forked before there is work for it. The processes die with the
 * one that called this.
 *
 * Returns  NULL without memory
 */
struct spool_syncers *spool_syncers_new(void);

/* Ends them, and waits for that. */
void spool_syncers_free(struct spool_syncers **s);

/*
 * Syncs the octets of files, and waits. What can not be handed to another
 * process is synced by this one. A process that dies is followed by another,
 * and what it was to sync has failed: nobody can say whether the system told
 * it of an error, which it tells once (row Q3).
 *
 * s        NULL: one behind the other, by this process
 * n        at most SPOOL_SYNC_MAX
 * errors   n of them, set to 0 where the octets are on the disk; or errno
 */
void spool_sync_all(struct spool_syncers *s, const int fds[], size_t n,
    int errors[]);

#endif
