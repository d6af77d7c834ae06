#include "cli/queue.h"

#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/stat.h>

#define BLOCK 65536U
#define BUSY_TRIES 100		/* a tenth of a second each */

/* ---- octets ------------------------------------------------------------------ */

static int
write_at(int fd, const uint8_t *p, size_t n, uint64_t at)
{
	while (n != 0) {
		ssize_t done = pwrite(fd, p, n, (off_t)at);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return -1;
		p += done;
		n -= (size_t)done;
		at += (uint64_t)done;
	}
	return 0;
}

/* Copies the first n octets of a file, and syncs; -1 (errno). */
static int
copy_octets(int from, int to, uint64_t n)
{
	static uint8_t block[BLOCK];
	uint64_t at = 0;

	while (at < n) {
		size_t want = n - at < BLOCK ? (size_t)(n - at) : BLOCK;
		ssize_t got = pread(from, block, want, (off_t)at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got == 0)
			errno = EIO;
		if (got <= 0 || write_at(to, block, (size_t)got, at) != 0)
			return -1;
		at += (uint64_t)got;
	}
	return fsync(to);
}

/* A new file of a folder, as the spool has them. -1 (errno), nothing left. */
static int
make_copy(const struct queue_open *o, int folder, const char *id, uid_t uid,
    gid_t gid)
{
	int fd = openat(folder, id, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW |
	    O_CLOEXEC, 0600);
	int error;

	if (fd < 0)
		return -1;
	if ((geteuid() != 0 || fchown(fd, uid, gid) == 0) &&
	    fchmod(fd, 0600) == 0 && copy_octets(o->fd, fd, o->m.n_file) == 0)
		return fd;
	error = errno;
	close(fd);
	unlinkat(folder, id, 0);
	errno = error;
	return -1;
}

/* ---- export ------------------------------------------------------------------- */

struct export {
	const struct queue_call *call;
	int to;			/* the folder */
	const char *path;
	int daemon;		/* -1: nothing is removed */
	size_t n;
};

/* Asks for its removal; waits a little for a try that is under way. */
static int
remove_it(const struct export *e, const char *id, enum queue_said *said)
{
	struct timespec nap = {.tv_nsec = 100 * 1000 * 1000};
	int r = 0;

	for (int k = 0; k < BUSY_TRIES; k++) {
		r = queue_ask(e->daemon, "remove", id, said);
		if (r != 0 || *said != QUEUE_SAID_BUSY)
			break;
		nanosleep(&nap, NULL);
	}
	return r;
}

/*
 * The copy is safe, the message goes from the queue. A try that ended
 * meanwhile stands in the file that was removed: what it settled must not be
 * sent by another node again.
 */
static int
finish_removal(const struct export *e, const struct queue_open *o, int copy,
    const char *id)
{
	enum queue_said said;
	int r = remove_it(e, id, &said);

	if (r == QUEUE_LATER)
		return cli_fail(r, "%s is in %s, but may be in the queue as "
		    "well", id, e->path);
	if (r == 0 && said == QUEUE_SAID_OK) {
		if (copy_octets(o->fd, copy, o->n_head) != 0)
			return cli_fail(CLI_CANNOT, "%s/%s: %s", e->path, id,
			    strerror(errno));
		return 0;
	}
	unlinkat(e->to, id, 0);
	if (r != 0)
		return r;
	return said == QUEUE_SAID_ABSENT ?
	    cli_fail(QUEUE_NOT_THERE, "%s is not in the queue any more", id) :
	    cli_fail(QUEUE_LATER, "%s is being tried right now", id);
}

static int
export_one(struct export *e, const char *id)
{
	struct queue_open o;
	int copy;
	int r = queue_open(&o, e->call->folder->mail, id, e->call->arena);

	if (r == QUEUE_NOT_THERE)
		return cli_fail(r, "%s is not in the queue any more", id);
	if (r != 0)
		return r;
	copy = make_copy(&o, e->to, id, geteuid(), getegid());
	if (copy < 0 || fsync(e->to) != 0)
		r = cli_fail(CLI_CANNOT, "%s/%s: %s", e->path, id,
		    strerror(errno));
	else if (e->daemon >= 0)
		r = finish_removal(e, &o, copy, id);
	if (r == 0)
		e->n++;
	if (copy >= 0)
		close(copy);
	queue_close(&o);
	return r;
}

static int
export_all(struct export *e, const struct args *args)
{
	struct queue_choice choice;
	int r = queue_choose(&choice, e->call->folder, args, e->call->arena);

	for (size_t k = 0; r == 0 && k < choice.n; k++) {
		int told = export_one(e, choice.all[k].id);

		choice.code = queue_worse(choice.code, told);
		/* a disk that is full does not get better */
		if (told != 0 && told != QUEUE_NOT_THERE &&
		    told != CLI_UNREADABLE)
			r = told;
	}
	printf("export: %zu message%s\n", e->n, e->n == 1 ? "" : "s");
	free(choice.all);
	return r != 0 ? r : choice.code;
}

int
queue_export(const struct queue_call *c)
{
	struct args args = *c->args;
	struct export e = {.call = c, .to = -1, .daemon = -1};
	int r = 0;

	if (args.n_words == 0)
		return cli_fail(CLI_USAGE, "queue export [FILTERS] [ID ...] "
		    "[--remove] DIR");
	e.path = args.words[--args.n_words];
	if (args_get(&args, "remove") != NULL && !queue_is_chosen(&args))
		return cli_fail(CLI_USAGE, "queue export --remove: of which "
		    "messages? ids, filters, or --all");
	e.to = open(e.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (e.to < 0)
		return cli_fail(CLI_UNREADABLE, "%s: %s", e.path,
		    strerror(errno));
	if (args_get(&args, "remove") != NULL)
		r = queue_ask_open(c->folder, &e.daemon);
	if (r == 0)
		r = export_all(&e, &args);
	if (e.daemon >= 0)
		close(e.daemon);
	close(e.to);
	return r;
}

/* ---- import ------------------------------------------------------------------- */

/* Whether mail/ has a message of that name. */
static bool
is_there(const struct queue_folder *f, const char *id)
{
	struct stat st;

	return fstatat(f->mail, id, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static int
write_new(const struct queue_call *c, const struct queue_open *o, int fresh,
    const char *id)
{
	struct stat st;
	int fd;

	if (is_there(c->folder, id))
		return cli_fail(QUEUE_UNAVAILABLE, "%s is in the queue "
		    "already", id);
	fd = fstat(fresh, &st) != 0 ? -1 :
	    make_copy(o, fresh, id, st.st_uid, st.st_gid);
	if (fd < 0)
		return cli_fail(CLI_CANNOT, "%s/new/%s: %s", c->folder->path,
		    id, strerror(errno));
	close(fd);
	return 0;
}

static int
import_one(const struct queue_call *c, int daemon, int fresh, const char *path)
{
	char id[QUEUE_ID_MAX + 1];
	struct queue_open o;
	enum queue_said said;
	int r = queue_open(&o, AT_FDCWD, path, c->arena);

	if (r == QUEUE_NOT_THERE)
		return cli_fail(CLI_UNREADABLE, "%s: %s", path,
		    strerror(ENOENT));
	if (r != 0)
		return r;
	snprintf(id, sizeof(id), "%.*s", BYTES_FMT(o.m.id));
	r = write_new(c, &o, fresh, id);
	queue_close(&o);
	if (r != 0)
		return r;
	r = queue_ask(daemon, "import", id, &said);
	if (r == 0 && said != QUEUE_SAID_OK)
		r = cli_fail(QUEUE_UNAVAILABLE, "import %s: hopseald did not "
		    "take it", id);
	if (r != 0)		/* there no more where it was committed */
		unlinkat(fresh, id, 0);
	if (r == QUEUE_LATER && is_there(c->folder, id))
		r = 0;
	return r;
}

int
queue_import(const struct queue_call *c)
{
	int daemon, fresh, r, code = 0;
	size_t n = 0;

	if (c->args->n_words == 0)
		return cli_fail(CLI_USAGE, "queue import FILE ...");
	r = queue_ask_open(c->folder, &daemon);
	if (r != 0)
		return r;
	fresh = openat(c->folder->fd, "new", O_RDONLY | O_DIRECTORY |
	    O_NOFOLLOW | O_CLOEXEC);
	if (fresh < 0)
		code = cli_fail(CLI_UNREADABLE, "%s/new: %s", c->folder->path,
		    strerror(errno));
	for (size_t k = 0; fresh >= 0 && k < c->args->n_words; k++) {
		r = import_one(c, daemon, fresh, c->args->words[k]);
		code = queue_worse(code, r);
		if (r == QUEUE_LATER)
			break;
		n += r == 0;
	}
	printf("import: %zu message%s\n", n, n == 1 ? "" : "s");
	if (fresh >= 0)
		close(fresh);
	close(daemon);
	return code;
}
