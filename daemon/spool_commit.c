#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "daemon/log.h"
#include "daemon/spool_state.h"

#define TOGETHER SPOOL_SYNC_MAX	/* open at once */

/* What becomes of one of them. */
enum step {
	ASKED,			/* its ->fd is open */
	RENAMED,		/* by us */
	FOUND,			/* in mail/, from a process before */
	OVER,			/* its result stands */
};

struct one {
	struct spool_commit *c;
	int fd;
	enum step step;
};

static void
lock(int folder)
{
	while (flock(folder, LOCK_EX) != 0 && errno == EINTR)
		continue;
}

static void
end(struct one *o, int result, int error)
{
	o->c->result = result;
	o->c->error = error;
	o->step = OVER;
}

/*
 * It is not in the queue, and never will be. It must not stand whole in new/
 * either: asked for once more, it would be synced once more, which might lie.
 * For lack of room it is emptied; the name is left for the sweep, since one
 * that is nowhere is one that was delivered (spool_take_back()).
 */
static void
fail(struct spool *s, struct one *o, int error, const char *why)
{
	bool is_away = false;

	if (error != ENOSPC && error != EDQUOT)
		is_away = spool_set_aside(s, s->fresh, o->c->id, why) == 0;
	if (!is_away && ftruncate(o->fd, 0) != 0)
		log_line(LOG_ERROR_, "%s: cannot be emptied: %m", o->c->id);
	end(o, -E_SYSTEM, error);
}

/* There is none in new/: it may have been committed before. */
static void
look_in_mail(struct spool *s, struct one *o)
{
	struct stat st;

	if (fstatat(s->mail, o->c->id, &st, AT_SYMLINK_NOFOLLOW) == 0)
		o->step = FOUND;
	else if (errno != ENOENT)
		end(o, -E_SYSTEM, errno);
	else if (spool_was_removed(s, o->c->id))
		end(o, 0, 0);
	else
		end(o, -E_ABSENT, ENOENT);
}

/* What would not be read again is not said yes to. */
static void
check(struct spool *s, struct one *o)
{
	struct arena *a = NULL;
	struct queue_message m;
	const char *why;
	struct stat st;
	int r;

	if (fstat(o->fd, &st) != 0) {
		fail(s, o, errno, "it can not be looked at");
		return;
	}
	if (spool_is_in_mail(s, o->c->id, &st)) {
		unlinkat(s->fresh, o->c->id, 0);
		o->step = FOUND;
		return;
	}
	why = spool_foreign(s, &st);
	if (why == NULL && st.st_size == 0) {	/* see fail() */
		end(o, -E_SYSTEM, ENOSPC);
		return;
	}
	r = why != NULL ? -E_SYNTAX :
	    spool_read_head(o->fd, o->c->id, &a, &m, &why);
	arena_free(&a);
	if (r == 0)
		return;
	if (why != NULL)
		fail(s, o, EBADMSG, why);
	else
		fail(s, o, r == -E_NOMEM ? ENOMEM : errno, "it can not be read");
}

static void
open_new(struct spool *s, struct one *o)
{
	o->step = ASKED;
	o->fd = -1;
	if (!queue_id_is(bytes_of(o->c->id))) {
		end(o, -E_ABSENT, EINVAL);
		return;
	}
	o->fd = openat(s->fresh, o->c->id, O_RDWR | O_NOFOLLOW | O_NONBLOCK |
	    O_NOCTTY | O_CLOEXEC);
	if (o->fd >= 0)
		check(s, o);
	else if (errno == ENOENT)
		look_in_mail(s, o);
	else
		end(o, -E_SYSTEM, errno);
}

/* All are on their way to the disk before the first is waited for. */
static void
sync_files(struct spool *s, struct one *all, size_t n)
{
	int fds[TOGETHER], errors[TOGETHER];
	struct one *asked[TOGETHER];
	size_t n_asked = 0;

	for (size_t k = 0; k < n; k++)
		if (all[k].step == ASKED)
			asked[n_asked++] = all + k;
	for (size_t k = 0; k < n_asked; k++) {
		fds[k] = asked[k]->fd;
		if (n_asked > 1)
			(void)sync_file_range(fds[k], 0, 0,
			    SYNC_FILE_RANGE_WRITE);
	}
	spool_sync_all(s->syncers, fds, n_asked, errors);
	for (size_t k = 0; k < n_asked; k++)
		if (errors[k] != 0)
			fail(s, asked[k], errors[k], "it could not be synced, "
			    "and was not acknowledged");
}

static void
rename_one(struct spool *s, struct one *o)
{
	if (spool_rename(s->fresh, o->c->id, s->mail, o->c->id) == 0) {
		o->step = RENAMED;
		return;
	}
	if (errno == ENOENT) {		/* taken back, or asked for twice */
		look_in_mail(s, o);
		return;
	}
	fail(s, o, errno, "it could not be renamed, and was not acknowledged");
}

/*
 * Nobody can say which of the new names are on the disk. What stays away from
 * mail/ is tried by its client again.
 */
static void
take_out(struct spool *s, struct one *o, int error)
{
	if (o->step == RENAMED)
		(void)spool_set_aside(s, s->mail, o->c->id, "the folder could "
		    "not be synced, and it was not acknowledged");
	end(o, -E_SYSTEM, error);
}

static void
rename_all(struct spool *s, struct one *all, size_t n)
{
	bool is_sync_due = false;
	int error = 0;

	lock(s->mail);		/* see wait_for_commit() */
	for (size_t k = 0; k < n; k++) {
		if (all[k].step == ASKED)
			rename_one(s, all + k);
		is_sync_due |= all[k].step != OVER;
	}
	if (is_sync_due && fsync(s->mail) != 0)
		error = errno;
	for (size_t k = 0; k < n; k++) {
		if (all[k].step == OVER)
			continue;
		if (error == 0)
			end(all + k, 0, 0);
		else
			take_out(s, all + k, error);
	}
	flock(s->mail, LOCK_UN);
}

/*
 * A call that a killed process is in ends before that lets go of its lock: it
 * can not take back what the next one has said yes to.
 */
void
spool_commit(struct spool *s, struct spool_commit *all, size_t n)
{
	struct one some[TOGETHER];

	lock(s->fresh);
	while (n != 0) {
		size_t n_some = n < TOGETHER ? n : TOGETHER;

		for (size_t k = 0; k < n_some; k++) {
			some[k].c = all + k;
			open_new(s, some + k);
		}
		sync_files(s, some, n_some);
		rename_all(s, some, n_some);
		for (size_t k = 0; k < n_some; k++)
			if (some[k].fd >= 0)
				close(some[k].fd);
		all += n_some;
		n -= n_some;
	}
	flock(s->fresh, LOCK_UN);
}

int
spool_work_beside(struct spool *s)
{
	s->syncers = spool_syncers_new();
	return s->syncers == NULL ? -E_NOMEM : 0;
}
