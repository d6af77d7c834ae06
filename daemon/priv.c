#include "daemon/priv.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "daemon/log.h"
#include "daemon/sanitizer.h"

int
priv_find(struct priv *p, const struct config *c)
{
	const struct passwd *pw;

	*p = (struct priv){geteuid() == 0, geteuid(), getegid()};
	if (!p->is_root)
		return 0;
	pw = getpwnam(c->user);
	if (pw == NULL && c->has_user) {
		log_line(LOG_ERROR_, "user %s does not exist; make it, or "
		    "name another with `user`", c->user);
		return -E_ABSENT;
	}
	if (pw == NULL) {
		log_line(LOG_WARNING_, "user %s does not exist; "
		    "running as nobody", c->user);
		pw = getpwnam("nobody");
	}
	if (pw == NULL) {
		log_line(LOG_ERROR_, "user nobody does not exist either");
		return -E_ABSENT;
	}
	p->uid = pw->pw_uid;
	p->gid = pw->pw_gid;
	return 0;
}

static int
failed(const char *what)
{
	log_line(LOG_ERROR_, "cannot give up privileges: %s: %m", what);
	return -E_SYSTEM;
}

int
priv_drop(const struct priv *p, pid_t parent, int death_signal)
{
	const struct rlimit none = {0, 0};

	if (p->is_root) {
		if (setgroups(1, &p->gid) != 0)
			return failed("setgroups");
		if (setresgid(p->gid, p->gid, p->gid) != 0)
			return failed("setresgid");
		if (setresuid(p->uid, p->uid, p->uid) != 0)
			return failed("setresuid");
		if (p->uid != 0 && setresuid(0, 0, 0) == 0) {
			errno = EPERM;
			return failed("root could be had back");
		}
	}
	if (setrlimit(RLIMIT_CORE, &none) != 0)
		return failed("setrlimit");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return failed("PR_SET_NO_NEW_PRIVS");
	/* the leak checker of a sanitizer build looks into the process */
	if (prctl(PR_SET_DUMPABLE, IS_SANITIZED, 0, 0, 0) != 0)
		return failed("PR_SET_DUMPABLE");
	/* last: a change of user takes it back */
	if (death_signal != 0) {
		if (prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0)
			return failed("PR_SET_PDEATHSIG");
		if (getppid() != parent)
			raise(death_signal);	/* it went before we asked */
	}
	return 0;
}

int
priv_folder(const struct priv *p, int at, const char *name)
{
	bool is_new = mkdirat(at, name, 0700) == 0;
	struct stat st;
	int fd;

	if (!is_new && errno != EEXIST)
		return -1;
	fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
	    O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (is_new && p->is_root && fchown(fd, p->uid, p->gid) != 0)
		goto fail;
	if (fstat(fd, &st) != 0)
		goto fail;
	if (st.st_uid != p->uid) {
		errno = EPERM;
		goto fail;
	}
	if ((st.st_mode & 07777) != 0700 && fchmod(fd, 0700) != 0)
		goto fail;
	return fd;
fail:
	{
		int was = errno;

		close(fd);
		errno = was;
	}
	return -1;
}

bool
priv_lock_memory(void)
{
	const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
	struct rlimit is = {0, 0};
	/* those of the master that are never written to stay shared with it */
	int flags = MCL_CURRENT | MCL_ONFAULT;

	if (geteuid() == 0)
		setrlimit(RLIMIT_MEMLOCK, &all);
	getrlimit(RLIMIT_MEMLOCK, &is);
	/* under a limit, locking what is to come would fail every malloc
	 * past it */
	if (is.rlim_cur == RLIM_INFINITY)
		flags |= MCL_FUTURE;
	return mlockall(flags) == 0;
}

static int
by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

void
priv_close_others(int *keep, size_t n)
{
	int from = STDERR_FILENO + 1;

	if (n != 0)
		qsort(keep, n, sizeof(*keep), by_number);
	for (size_t k = 0; k < n; k++) {
		if (keep[k] < from)
			continue;
		if (keep[k] > from)
			close_range((unsigned)from, (unsigned)keep[k] - 1, 0);
		from = keep[k] + 1;
	}
	close_range((unsigned)from, ~0U, 0);
}
