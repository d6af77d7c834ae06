#include "daemon/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "daemon/log.h"
#include "daemon/spool_state.h"

#define PIECES 64		/* of one writev() */
#define ASIDE_MAX 1000		/* of one name, in corrupt/ */
#define NEW_S 3600		/* nobody waits that long */
#define BUSY_MS 1000
#define BUSY_NAP_MS 10
#define FILES_MIN 16		/* inodes that stay free */

/* ---- folders and names --------------------------------------------------- */

int
spool_folder(int at, const char *name)
{
	return openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
	    O_CLOEXEC);
}

static void
close_kept(int fd)
{
	int was = errno;

	if (fd >= 0)
		close(fd);
	errno = was;
}

/* A folder of the spool, from that of STATE. */
static int
folder_of_state(int state, const char *name)
{
	int queue = spool_folder(state, SPOOL_NAME);
	int fd = queue < 0 ? -1 : spool_folder(queue, name);

	close_kept(queue);
	return fd;
}

/* 1: there is one; 0: none; -1: that can not be told (errno). */
static int
look(int folder, const char *name)
{
	struct stat st;

	if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 1;
	return errno == ENOENT ? 0 : -1;
}

int
spool_rename(int from, const char *name, int to, const char *as)
{
	if (renameat2(from, name, to, as, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	/* a file system that does not know the flag; nobody else makes names
	 * there, since the spool is locked */
	switch (look(to, as)) {
	case 0:
		break;
	case 1:
		errno = EEXIST;
		/* fall through */
	default:
		return -1;
	}
	return renameat(from, name, to, as);
}

const char *
spool_foreign(const struct spool *s, const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return "not a regular file";
	if (st->st_uid != s->uid)
		return "of another user";
	if ((st->st_mode & 07777) != 0600)
		return "with another mode than 0600";
	if (st->st_nlink != 1)
		return "with another link";
	return NULL;
}

bool
spool_is_in_mail(const struct spool *s, const char *id, const struct stat *st)
{
	struct stat mail;

	return fstatat(s->mail, id, &mail, AT_SYMLINK_NOFOLLOW) == 0 &&
	    mail.st_dev == st->st_dev && mail.st_ino == st->st_ino;
}

int
spool_set_aside(struct spool *s, int from, const char *name, const char *why)
{
	char as[NAME_MAX + 1], shown[128];
	struct buf b = BUF_ON(shown);
	int r = -1;

	buf_add_escaped(&b, bytes_of(name), 64);
	snprintf(as, sizeof(as), "%s", name);
	for (int k = 1; k <= ASIDE_MAX; k++) {
		r = spool_rename(from, name, s->corrupt, as);
		if (r == 0 || errno != EEXIST)
			break;
		snprintf(as, sizeof(as), "%.240s.%d", name, k);
	}
	if (r != 0) {
		log_line(LOG_ERROR_, "queue: %.*s: ALARM: %s; it can not be "
		    "moved to corrupt/ (%m)", BYTES_FMT(buf_bytes(&b)), why);
		return -E_SYSTEM;
	}
	log_line(LOG_ERROR_, "queue: %.*s: ALARM: %s; it is in corrupt/ now",
	    BYTES_FMT(buf_bytes(&b)), why);
	return 0;
}

int
spool_open(struct spool **sp, const char *state)
{
	struct spool *s = calloc(1, sizeof(*s));
	int fd;

	*sp = NULL;
	if (s == NULL)
		return -E_NOMEM;
	s->fresh = s->mail = s->corrupt = s->folder = -1;
	s->uid = geteuid();
	s->remover_fd = -1;
	fd = open(state, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		s->folder = spool_folder(fd, SPOOL_NAME);
		close_kept(fd);
	}
	if (s->folder >= 0) {
		s->fresh = spool_folder(s->folder, "new");
		s->mail = spool_folder(s->folder, "mail");
		s->corrupt = spool_folder(s->folder, "corrupt");
	}
	if (s->fresh < 0 || s->mail < 0 || s->corrupt < 0) {
		int was = errno;

		spool_close(&s);
		errno = was;
		return -E_SYSTEM;
	}
	*sp = s;
	return 0;
}

void
spool_close(struct spool **sp)
{
	struct spool *s = *sp;

	if (s == NULL)
		return;
	spool_syncers_free(&s->syncers);
	spool_remover_end(s);
	close_kept(s->fresh);
	close_kept(s->mail);
	close_kept(s->corrupt);
	close_kept(s->folder);
	free(s);
	*sp = NULL;
}

/* ---- a worker ------------------------------------------------------------ */

static int
write_pieces(int fd, const struct bytes pieces[], size_t n)
{
	size_t at = 0, done = 0;	/* of pieces[at] */

	while (at < n) {
		struct iovec v[PIECES];
		int n_v = 0;
		ssize_t w;

		for (size_t k = at; k < n && n_v < PIECES; k++, n_v++) {
			struct bytes b = bytes_skip(pieces[k],
			    k == at ? done : 0);

			v[n_v] = (struct iovec){(void *)(uintptr_t)b.p, b.n};
		}
		w = writev(fd, v, n_v);
		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return -E_SYSTEM;
		done += (size_t)w;
		while (at < n && done >= pieces[at].n)
			done -= pieces[at++].n;
	}
	return 0;
}

int
spool_write(int state, const char *id, const struct bytes pieces[], size_t n)
{
	int folder, fd, r;

	if (!queue_id_is(bytes_of(id))) {
		errno = EINVAL;
		return -E_SYSTEM;
	}
	folder = folder_of_state(state, "new");
	if (folder < 0)
		return -E_SYSTEM;
	fd = openat(folder, id, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW |
	    O_CLOEXEC, 0600);
	if (fd < 0) {
		close_kept(folder);
		return -E_SYSTEM;
	}
	r = write_pieces(fd, pieces, n);
	if (close(fd) != 0)
		r = -E_SYSTEM;
	if (r != 0) {
		int was = errno;

		unlinkat(folder, id, 0);
		errno = was;
	}
	close_kept(folder);
	return r;
}

/*
 * Waits until no commit is between its rename and its sync, which would take
 * back what it renamed if it failed. A disk that hangs must not stop all
 * other sessions for long.
 */
static bool
wait_for_commit(int mail)
{
	const struct timespec nap = {0, BUSY_NAP_MS * 1000000L};

	for (int ms = 0; ms <= BUSY_MS; ms += BUSY_NAP_MS) {
		if (flock(mail, LOCK_SH | LOCK_NB) == 0)
			return true;
		if (errno != EWOULDBLOCK && errno != EINTR)
			return false;
		nanosleep(&nap, NULL);
	}
	return false;
}

/*
 * Where it went that is in new/ no more. Nobody but the queue process takes
 * it from there: to mail/, or to corrupt/ where it failed; and what is in
 * neither was delivered and removed. A loss is worse than a double, and what
 * can not be told is gone.
 */
static bool
went_wrong(int state, const char *id)
{
	int mail = folder_of_state(state, "mail");
	int corrupt = folder_of_state(state, "corrupt");
	bool is_gone = true;

	if (mail >= 0 && corrupt >= 0 && wait_for_commit(mail)) {
		int there = look(mail, id);

		if (there == 0)
			is_gone = look(corrupt, id) != 0;
		else	/* its process may have died before it synced it */
			is_gone = there < 0 || fsync(mail) != 0;
	}
	close_kept(mail);
	close_kept(corrupt);
	return is_gone;
}

bool
spool_take_back(int state, const char *id)
{
	int folder, r;

	if (!queue_id_is(bytes_of(id)))
		return true;
	folder = folder_of_state(state, "new");
	if (folder < 0)
		return true;
	r = unlinkat(folder, id, 0);
	close_kept(folder);
	if (r == 0)
		return true;
	if (errno == ENOENT)
		return went_wrong(state, id);
	log_line(LOG_ERROR_, "%s: cannot be taken out of new/ (%m): it may "
	    "arrive twice", id);
	return true;
}

bool
spool_has_room(int state, uint64_t octets, uint64_t min_free)
{
	struct statvfs v;
	uint64_t is_free;

	if (fstatvfs(state, &v) != 0)
		return true;		/* the write will tell */
	/* a file system without a table of files says 0 of 0 */
	if (v.f_files != 0 && v.f_favail < FILES_MIN)
		return false;
	if (__builtin_mul_overflow((uint64_t)v.f_bavail,
	    (uint64_t)v.f_frsize, &is_free))
		return true;
	return is_free >= min_free && is_free - min_free >= octets;
}

/* ---- the queue process --------------------------------------------------- */

struct spool_scan {
	struct spool *spool;
	DIR *dir;
};

/* A folder that is read from its start, whoever else reads it. */
static DIR *
read_folder(int folder)
{
	int fd = spool_folder(folder, ".");
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (d == NULL)
		close_kept(fd);
	return d;
}

int
spool_scan_new(struct spool_scan **scanp, struct spool *s)
{
	struct spool_scan *scan = calloc(1, sizeof(*scan));

	*scanp = NULL;
	if (scan == NULL)
		return -E_NOMEM;
	scan->spool = s;
	scan->dir = read_folder(s->mail);
	if (scan->dir == NULL) {
		int was = errno;

		free(scan);
		errno = was;
		return -E_SYSTEM;
	}
	*scanp = scan;
	return 0;
}

void
spool_scan_free(struct spool_scan **scanp)
{
	struct spool_scan *scan = *scanp;

	if (scan == NULL)
		return;
	closedir(scan->dir);
	free(scan);
	*scanp = NULL;
}

bool
spool_scan_next(struct spool_scan *scan, char id[QUEUE_ID_MAX + 1])
{
	const struct dirent *d;

	while (errno = 0, (d = readdir(scan->dir)) != NULL) {
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		if (queue_id_is(bytes_of(d->d_name))) {
			snprintf(id, QUEUE_ID_MAX + 1, "%s", d->d_name);
			return true;
		}
		(void)spool_set_aside(scan->spool, scan->spool->mail,
		    d->d_name, "a name that is no id");
	}
	if (errno != 0)
		log_line(LOG_ERROR_, "queue: ALARM: mail/ can not be read to "
		    "its end: %m; restart when that is mended");
	return false;
}

/* Of a time, or of a clock that was wrong. */
static bool
is_old(const struct stat *st, int64_t now_s)
{
	return st->st_mtime < now_s - NEW_S || st->st_mtime > now_s + NEW_S;
}

void
spool_sweep(struct spool *s, int64_t now_s)
{
	DIR *dir = read_folder(s->fresh);
	const struct dirent *d;
	struct stat st;

	if (dir == NULL) {
		log_line(LOG_ERROR_, "queue: new/ can not be read: %m");
		return;
	}
	while ((d = readdir(dir)) != NULL) {
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		if (fstatat(s->fresh, d->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0
		    || !is_old(&st, now_s))
			continue;
		if (S_ISDIR(st.st_mode))
			(void)spool_set_aside(s, s->fresh, d->d_name,
			    "a folder in new/");
		else
			unlinkat(s->fresh, d->d_name, 0);
	}
	closedir(dir);
}
