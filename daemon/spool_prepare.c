#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "daemon/log.h"
#include "daemon/spool_state.h"

#define LOCK_MS 3000		/* for what a killed master has left to die */
#define LOCK_NAP_MS 20
#define FORMAT_MAX 64U

/* statfs(2) */
#define MAGIC_NFS 0x6969U
#define MAGIC_SMB 0x517bU
#define MAGIC_CIFS 0xff534d42U
#define MAGIC_SMB2 0xfe534d42U
#define MAGIC_9P 0x01021997U
#define MAGIC_CEPH 0x00c36400U
#define MAGIC_AFS 0x5346414fU
#define MAGIC_KAFS 0x6b414653U
#define MAGIC_CODA 0x73757245U
#define MAGIC_NCP 0x564cU
#define MAGIC_FUSE 0x65735546U
#define MAGIC_OVERLAY 0x794c7630U
#define MAGIC_TMPFS 0x01021994U
#define MAGIC_RAMFS 0x858458f6U

static const struct medium {
	unsigned magic;
	bool is_refused;
	const char *name;
} media[] = {
	{MAGIC_NFS,	true,	"NFS"},
	{MAGIC_SMB,	true,	"SMB"},
	{MAGIC_CIFS,	true,	"SMB"},
	{MAGIC_SMB2,	true,	"SMB"},
	{MAGIC_9P,	true,	"9P"},
	{MAGIC_CEPH,	true,	"Ceph"},
	{MAGIC_AFS,	true,	"AFS"},
	{MAGIC_KAFS,	true,	"AFS"},
	{MAGIC_CODA,	true,	"Coda"},
	{MAGIC_NCP,	true,	"NCP"},
	{MAGIC_FUSE,	true,	"FUSE"},
	{MAGIC_OVERLAY,	false,	"an overlay, which goes with its container"},
	{MAGIC_TMPFS,	false,	"memory, which a power cut empties"},
	{MAGIC_RAMFS,	false,	"memory, which a power cut empties"},
};

static const struct medium *
medium_of(unsigned long magic)
{
	for (size_t k = 0; k < sizeof(media) / sizeof(media[0]); k++)
		if (media[k].magic == (unsigned)magic)
			return media + k;
	return NULL;
}

/* On a medium where what was synced and renamed is there afterwards. */
static enum spool_fault
check_medium(int fd, const char *state)
{
	const struct medium *m;
	struct statfs fs;

	if (fstatfs(fd, &fs) != 0) {
		log_line(LOG_ERROR_, "queue: %s: %m", state);
		return SPOOL_BROKEN;
	}
	m = medium_of((unsigned long)fs.f_type);
	if (m == NULL)
		return SPOOL_OK;
	if (m->is_refused) {
		log_line(LOG_ERROR_, "queue: %s is on %s, where nobody can say "
		    "what a sync is worth: name a folder on a local disk with "
		    "`state`", state, m->name);
		return SPOOL_UNFIT;
	}
	log_line(LOG_WARNING_, "queue: %s is on %s: queued mail is lost then",
	    state, m->name);
	return SPOOL_OK;
}

static enum spool_fault
broken(const char *state, const char *what)
{
	bool is_right = errno == EACCES || errno == EPERM;

	log_line(LOG_ERROR_, "queue: cannot make or use %s/" SPOOL_NAME "%s: "
	    "%m%s", state, what, is_right ?
	    "; the folder `state` must belong to `user`" : "");
	return SPOOL_BROKEN;
}

/* ---- folders and files --------------------------------------------------- */

/*
 * A folder as we want it, made where it is missing.
 *
 * shown    its name behind that of the spool
 */
static enum spool_fault
make_folder(int at, const char *name, const char *state, const char *shown,
    unsigned uid, int *fd)
{
	struct stat st;

	if (mkdirat(at, name, 0700) != 0 && errno != EEXIST)
		return broken(state, shown);
	if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return broken(state, shown);
	if (st.st_uid != uid) {
		log_line(LOG_ERROR_, "queue: %s/" SPOOL_NAME "%s belongs to "
		    "user %u, and we are %u: give it and all below to us, or "
		    "name another `user` or `state`", state, shown,
		    (unsigned)st.st_uid, uid);
		return SPOOL_UNFIT;
	}
	*fd = spool_folder(at, name);
	if (*fd < 0 || ((st.st_mode & 07777) != 0700 &&
	    fchmod(*fd, 0700) != 0))
		return broken(state, shown);
	return SPOOL_OK;
}

static enum spool_fault
make_folders(int queue, const char *state, unsigned uid)
{
	static const char *const names[][2] = {{"new", "/new"},
	    {"mail", "/mail"}, {"corrupt", "/corrupt"}};
	struct stat whole, part;

	if (fstat(queue, &whole) != 0)
		return broken(state, "");
	for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++) {
		int fd = -1;
		enum spool_fault r = make_folder(queue, names[k][0], state,
		    names[k][1], uid, &fd);

		if (r == SPOOL_OK && fstat(fd, &part) != 0)
			r = broken(state, names[k][1]);
		if (fd >= 0)
			close(fd);
		if (r != SPOOL_OK)
			return r;
		if (part.st_dev == whole.st_dev)
			continue;
		log_line(LOG_ERROR_, "queue: %s/" SPOOL_NAME "%s is on another "
		    "file system than what is around it: it must not be",
		    state, names[k][1]);
		return SPOOL_UNFIT;
	}
	return SPOOL_OK;
}

/* The format is written last of all: whole or not at all. */
static enum spool_fault
write_format(int queue, const char *state)
{
	const size_t n = sizeof(SPOOL_FORMAT) - 1;
	bool is_good;
	int fd;

	if (unlinkat(queue, "format.new", 0) != 0 && errno != ENOENT)
		return broken(state, "/format.new");
	fd = openat(queue, "format.new", O_WRONLY | O_CREAT | O_EXCL |
	    O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return broken(state, "/format.new");
	is_good = write(fd, SPOOL_FORMAT, n) == (ssize_t)n && fsync(fd) == 0;
	close(fd);
	if (!is_good || renameat(queue, "format.new", queue, "format") != 0 ||
	    fsync(queue) != 0)
		return broken(state, "/format");
	return SPOOL_OK;
}

static enum spool_fault
check_format(int queue, const char *state)
{
	int fd = openat(queue, "format", O_RDONLY | O_NOFOLLOW | O_NONBLOCK |
	    O_NOCTTY | O_CLOEXEC);
	char room[FORMAT_MAX];
	struct bytes is;
	ssize_t n;

	if (fd < 0 && errno == ENOENT)
		return write_format(queue, state);
	if (fd < 0)
		return broken(state, "/format");
	n = read(fd, room, sizeof(room));
	close(fd);
	if (n < 0)
		return broken(state, "/format");
	is = (struct bytes){(const uint8_t *)room, (size_t)n};
	if (bytes_eq(is, BYTES_LIT(SPOOL_FORMAT)))
		return SPOOL_OK;
	log_line(LOG_ERROR_, "queue: %s/" SPOOL_NAME "/format is of another "
	    "version of hopseal, or damaged: use a later one; where you know "
	    "better, write \"hopseal-queue 1\" into it", state);
	return SPOOL_NEWER;
}

/* ---- the lock ------------------------------------------------------------ */

/*
 * The queue process of a master that was killed dies with it, but not in the
 * same moment.
 */
static bool
take_lock(int fd)
{
	const struct timespec nap = {0, LOCK_NAP_MS * 1000000L};

	for (int ms = 0;; ms += LOCK_NAP_MS) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return true;
		if ((errno != EWOULDBLOCK && errno != EINTR) || ms >= LOCK_MS)
			return false;
		nanosleep(&nap, NULL);
	}
}

static enum spool_fault
lock_spool(int queue, const char *state, int *lock)
{
	struct stat st;

	*lock = openat(queue, "lock", O_RDWR | O_CREAT | O_NOFOLLOW |
	    O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
	if (*lock < 0 || fstat(*lock, &st) != 0)
		return broken(state, "/lock");
	if (!S_ISREG(st.st_mode)) {
		errno = EINVAL;
		return broken(state, "/lock");
	}
	if (take_lock(*lock))
		return SPOOL_OK;
	if (errno != EWOULDBLOCK)
		return broken(state, "/lock");
	log_line(LOG_ERROR_, "queue: another daemon uses %s/" SPOOL_NAME ": "
	    "stop it, or name another folder with `state`", state);
	return SPOOL_LOCKED;
}

static bool
is_mounted(int fd, int within)
{
	struct stat a, b;

	return fstat(fd, &a) != 0 || fstat(within, &b) != 0 ||
	    a.st_dev != b.st_dev;
}

static enum spool_fault
prepare(const char *state, unsigned uid, int *lock)
{
	int fd = open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC), queue = -1;
	enum spool_fault r = fd < 0 ? broken(state, "") :
	    check_medium(fd, state);

	if (r == SPOOL_OK)
		r = make_folder(fd, SPOOL_NAME, state, "", uid, &queue);
	if (r == SPOOL_OK)	/* before anything of another daemon's */
		r = lock_spool(queue, state, lock);
	if (r == SPOOL_OK && is_mounted(fd, queue))
		r = check_medium(queue, state);
	if (r == SPOOL_OK)
		r = make_folders(queue, state, uid);
	if (r == SPOOL_OK)
		r = check_format(queue, state);
	/* the folders' own names */
	if (r == SPOOL_OK && (fsync(queue) != 0 || fsync(fd) != 0))
		r = broken(state, "");
	if (queue >= 0)
		close(queue);
	if (fd >= 0)
		close(fd);
	return r;
}

/*
 * What belongs to a user is touched as that user: root follows no trap that
 * was laid there, and needs no right to give files away.
 */
enum spool_fault
spool_prepare(const char *state, unsigned uid, unsigned gid, int *lock)
{
	enum spool_fault r;
	mode_t mask = umask(077);
	bool is_root = geteuid() == 0;	/* for others it is a refused call */
	int was_gid = is_root ? setfsgid(gid) : 0;
	int was_uid = is_root ? setfsuid(uid) : 0;

	*lock = -1;
	r = prepare(state, uid, lock);
	if (is_root) {
		setfsuid((uid_t)was_uid);
		setfsgid((gid_t)was_gid);
	}
	umask(mask);
	if (r != SPOOL_OK && *lock >= 0) {
		close(*lock);
		*lock = -1;
	}
	return r;
}

enum spool_fault
spool_check(const char *state)
{
	int fd = open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum spool_fault r = fd < 0 ? SPOOL_BROKEN : check_medium(fd, state);

	if (fd >= 0)
		close(fd);
	return r;
}
