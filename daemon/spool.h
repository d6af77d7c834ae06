/*
 * The folder of the queue, STATE/queue: plain files, one a message.
 *
 *	format		"hopseal-queue 1\n"
 *	lock		locked by the master, and by the queue process
 *	control		the socket of `hopseal queue`
 *	new/ID		written by a worker, not acknowledged yet
 *	mail/ID		in the queue (queue/file.h)
 *	corrupt/NAME	what was found in mail/ and is none; for people
 *
 * Everything goes by names in folders that are open; a name is an id, a file
 * is a regular one of ours with one link, and nothing follows a link.
 */
#ifndef DAEMON_SPOOL_H
#define DAEMON_SPOOL_H

#include "queue/file.h"

/* ---- the master, at its start -------------------------------------------- */

enum spool_fault {
	SPOOL_OK,
	SPOOL_LOCKED,		/* another daemon has it: EX_TEMPFAIL */
	SPOOL_NEWER,		/* a later version wrote it: EX_CONFIG */
	SPOOL_UNFIT,		/* a file system that can not do what we need:
				   network, FUSE, or mail/ on another than new/
				   (row Q4); or of another user: EX_CONFIG */
	SPOOL_BROKEN,		/* errno: EX_OSERR */
};

/*
 * Makes the folders and files where they are missing, owned by uid and gid
 * and 0700, and takes the lock.
 *
 * lock     the descriptor that holds it as long as it, or a copy of it in a
 *          child, is open
 * Returns  what is wrong; logged, in a sentence that says what to do
 */
enum spool_fault spool_prepare(const char *state, unsigned uid, unsigned gid,
    int *lock);

/* What a check of the configuration can say of it, without making it; where
 * STATE can not be opened: SPOOL_BROKEN, without a word. */
enum spool_fault spool_check(const char *state);

/* ---- a worker ------------------------------------------------------------ */

/*
 * Writes new/ID; not synced, not acknowledged: the queue process does that
 * (queue_link.h).
 *
 * state    descriptor of STATE
 * pieces   head, added octets, content, in that order
 * Returns  0, or -E_SYSTEM (errno; nothing is left behind)
 */
int spool_write(int state, const char *id, const struct bytes pieces[],
    size_t n);

/*
 * Takes a message back that nobody said yes to. May wait for a commit that is
 * under way, up to a second.
 *
 * Returns  true where it is gone, or nobody can tell: it is tried again, and
 *          at worst arrives twice; false: it is in the queue, or was, and is
 *          delivered
 */
bool spool_take_back(int state, const char *id);

/* Whether a message of that many octets would leave min_free octets. */
bool spool_has_room(int state, uint64_t octets, uint64_t min_free);

/* ---- the queue process --------------------------------------------------- */

struct spool;

/* -E_SYSTEM (errno) or -E_NOMEM; *s is then NULL. */
int spool_open(struct spool **s, const char *state);
void spool_close(struct spool **s);

/* One of those that are committed together. */
struct spool_commit {
	char id[QUEUE_ID_MAX + 1];
	int result;		/* 0: it is in mail/, and will be after a power
				   cut, or it was, and we removed it;
				   -E_ABSENT: there is no new/ID and no
				   mail/ID; -E_SYSTEM: it is not in the queue */
	int error;		/* errno */
};

/*
 * Puts messages from new/ into mail/: syncs each file, renames each, syncs
 * the folder once; all this and in this order before any result is 0. What
 * was committed before is found there and is 0. A file whose sync failed is
 * moved to corrupt/ and never tried again, since the next sync might lie
 * (row Q3); where the folder's sync fails no result is 0, and what was renamed
 * is moved there too. So is what could not be read again. For lack of room it
 * is emptied, and left to spool_sweep(). Waits for a commit of another process.
 *
 * Source   architecture.md, crash order
 */
void spool_commit(struct spool *s, struct spool_commit *all, size_t n);

/*
 * From now on others sync files, side by side (spool_sync.h), and remove them:
 * processes that are forked when there is work for them.
 *
 * Returns  0 or -E_NOMEM: all is done by this process, as before
 */
int spool_work_beside(struct spool *s);

/* Whether this process has removed it lately. */
bool spool_was_removed(const struct spool *s, const char *id);

/* Reading a folder a few names at a time. */
struct spool_scan;
int spool_scan_new(struct spool_scan **scan, struct spool *s);
void spool_scan_free(struct spool_scan **scan);

/* The next name that is an id; others go to corrupt/. False: no more. */
bool spool_scan_next(struct spool_scan *scan, char id[QUEUE_ID_MAX + 1]);

/* A message of mail/, open for reading and for changes in place. */
struct spool_file {
	int fd;			/* -1: none */
	struct arena *arena;
	struct queue_message m;
	const uint8_t *map;	/* the whole file, or NULL */
	size_t n_map;
};

/*
 * Opens a message and reads its head. What can not be read is moved to
 * corrupt/ and logged; also what has not the size that its head says.
 *
 * is_whole the octets of the message are wanted as well
 * Returns  0, -E_ABSENT, -E_SYNTAX (moved away), -E_LIMIT (of another version:
 *          left where it is), -E_NOMEM, -E_SYSTEM (errno)
 */
int spool_file_open(struct spool_file *f, struct spool *s, const char *id,
    bool is_whole);
void spool_file_close(struct spool_file *f);

/* What a copy adds, and the content; good until the file is closed. */
struct bytes spool_file_added(const struct spool_file *f,
    const struct queue_copy *c);
struct bytes spool_file_content(const struct spool_file *f);

/* Likewise the header as it came, where it is kept apart. */
struct bytes spool_file_returned(const struct spool_file *f);

/* Writes a change in place; not synced. 0 or -E_SYSTEM. */
int spool_file_patch(struct spool_file *f, const struct queue_patch *p);

/* Removes a message. 0 or -E_SYSTEM. */
int spool_remove(struct spool *s, const char *id);

/*
 * Removes a message whose every recipient has it; after spool_work_beside()
 * another process does, since giving its octets back to the disk may take
 * long. Whatever becomes of that process, the file says that there is nothing
 * to do.
 *
 * Returns  0; 1 where the process died since, and may have left some: mail/
 *          is to be read again; -E_SYSTEM (errno)
 */
int spool_remove_delivered(struct spool *s, const char *id);

/* Whether that process has died, which may have left some: mail/ is to be read
 * again. For whoever has nothing to remove. */
bool spool_remover_has_died(struct spool *s);

/*
 * Has what was written of a message that stays synced soon, after
 * spool_work_beside(): a power cut does not double what was delivered before.
 * No promise: it is left out where that process is dead or has too much to do.
 */
void spool_sync_marks(struct spool *s, const char *id);

/* Removes from new/ what no worker has asked for within an hour. */
void spool_sweep(struct spool *s, int64_t now_s);

#endif
