/* What the parts of the spool share: spool.c, spool_commit.c, spool_file.c. */
#ifndef DAEMON_SPOOL_STATE_H
#define DAEMON_SPOOL_STATE_H

#include <sys/stat.h>

#include "daemon/spool.h"
#include "daemon/spool_sync.h"

#define SPOOL_NAME "queue"
#define SPOOL_FORMAT "hopseal-queue 1\n"
#define SPOOL_REMOVED 1024U	/* ids */

struct spool {
	int folder;		/* STATE/queue */
	int fresh;		/* new/ */
	int mail;
	int corrupt;
	uid_t uid;		/* ours */
	struct spool_syncers *syncers;	/* NULL: we sync ourselves */
	pid_t remover;		/* 0: none */
	int remover_fd;		/* -1: none */
	/* what this process removed, the latest: a worker whose answer was
	 * lost may ask for it still */
	char removed[SPOOL_REMOVED][QUEUE_ID_MAX + 1];
	unsigned n_removed;
};

/* A folder within another; its own, no link. -1: errno. */
int spool_folder(int at, const char *name);

/*
 * Whether a file is one of ours: regular, one link, our user, 0600.
 *
 * Returns  NULL, or what it is, in words
 */
const char *spool_foreign(const struct spool *s, const struct stat *st);

/*
 * Moves NAME of a folder into corrupt/, where it gets a number if there is
 * one already, and logs it.
 *
 * why      in words
 * Returns  0 or -E_SYSTEM (errno; logged)
 */
int spool_set_aside(struct spool *s, int from, const char *name,
    const char *why);

/*
 * Whether the file that st is of is also mail/ID: a power cut may leave both
 * names of one that was being renamed, where the file system has no journal.
 */
bool spool_is_in_mail(const struct spool *s, const char *id,
    const struct stat *st);

/* Renames what does not replace another: 0, or -1 (errno). */
int spool_rename(int from, const char *name, int to, const char *as);

/*
 * Reads and checks the head of an open message; the whole file's size too.
 *
 * a        set to an arena of the caller's, with what m refers to
 * why      set where -E_SYNTAX or -E_LIMIT is returned
 * Returns  0, -E_SYNTAX, -E_LIMIT (another version), -E_NOMEM, -E_SYSTEM
 */
int spool_read_head(int fd, const char *id, struct arena **a,
    struct queue_message *m, const char **why);

/* Has it remove what it was told to, and waits for that. */
void spool_remover_end(struct spool *s);

#endif
