/*
 * Calls on the disk that write a letter, fail, or kill, as a test tells them
 * to (tests.mk wraps them). For one file of a program.
 */
#ifndef TESTS_DAEMON_SPOOLCALLS_H
#define TESTS_DAEMON_SPOOLCALLS_H

#include <errno.h>
#include <signal.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <time.h>

#include "tests/daemon/spoolkit.h"

#define ID "4fqk2x"
#define OTHER "4fqk2y"

enum call {
	WRITEV = 'w', START = 's', DATASYNC = 'd', SYNC = 'f', RENAME = 'r',
	UNLINK = 'u', EMPTY = 'e', LOCK = 'l',
};

static struct {
	char trace[2048];
	size_t n;
	enum call failing;	/* 0: none */
	unsigned nth;		/* of its calls that is to come; 0: this one */
	bool is_every;
	int error;
	unsigned kill_at;	/* the so manieth call; 0: none */
	pid_t spared;		/* this process; 0: none */
	unsigned n_calls;
	long magic;		/* of the file system; 0: the true one */
	size_t short_write;	/* octets that a writev() takes; 0: all */
} calls;

static inline void
forget_calls(void)
{
	memset(&calls, 0, sizeof(calls));
}

static inline void
fail_call(enum call c, unsigned nth, int error)
{
	forget_calls();
	calls.failing = c;
	calls.nth = nth;
	calls.is_every = nth == 0;
	calls.error = error;
}

/* Whether it is to fail; errno is set. */
static bool
called(enum call c)
{
	bool is_spared = calls.spared == getpid();

	if (!is_spared && ++calls.n_calls == calls.kill_at)
		raise(SIGKILL);
	if (calls.n < sizeof(calls.trace) - 1)
		calls.trace[calls.n++] = (char)c;
	if (is_spared || c != calls.failing ||
	    (calls.nth != 0 && --calls.nth != 0))
		return false;
	if (!calls.is_every)
		calls.failing = 0;
	errno = calls.error;
	return true;
}

ssize_t __real_writev(int fd, const struct iovec *v, int n);
ssize_t __wrap_writev(int fd, const struct iovec *v, int n);
int __real_sync_file_range(int fd, off_t at, off_t n, unsigned flags);
int __wrap_sync_file_range(int fd, off_t at, off_t n, unsigned flags);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_renameat2(int from, const char *a, int to, const char *b,
    unsigned flags);
int __wrap_renameat2(int from, const char *a, int to, const char *b,
    unsigned flags);
int __real_unlinkat(int at, const char *name, int flags);
int __wrap_unlinkat(int at, const char *name, int flags);
int __real_ftruncate(int fd, off_t n);
int __wrap_ftruncate(int fd, off_t n);
int __real_flock(int fd, int how);
int __wrap_flock(int fd, int how);
int __real_fstatfs(int fd, struct statfs *fs);
int __wrap_fstatfs(int fd, struct statfs *fs);
int __wrap_nanosleep(const struct timespec *t, struct timespec *left);

ssize_t
__wrap_writev(int fd, const struct iovec *v, int n)
{
	struct iovec one = v[0];

	if (called(WRITEV))
		return -1;
	if (calls.short_write == 0)
		return __real_writev(fd, v, n);
	if (one.iov_len > calls.short_write)
		one.iov_len = calls.short_write;
	return __real_writev(fd, &one, 1);
}

int
__wrap_sync_file_range(int fd, off_t at, off_t n, unsigned flags)
{
	return called(START) ? -1 : __real_sync_file_range(fd, at, n, flags);
}

int
__wrap_fdatasync(int fd)
{
	return called(DATASYNC) ? -1 : __real_fdatasync(fd);
}

int
__wrap_fsync(int fd)
{
	return called(SYNC) ? -1 : __real_fsync(fd);
}

int
__wrap_renameat2(int from, const char *a, int to, const char *b,
    unsigned flags)
{
	return called(RENAME) ? -1 : __real_renameat2(from, a, to, b, flags);
}

int
__wrap_unlinkat(int at, const char *name, int flags)
{
	return called(UNLINK) ? -1 : __real_unlinkat(at, name, flags);
}

int
__wrap_ftruncate(int fd, off_t n)
{
	return called(EMPTY) ? -1 : __real_ftruncate(fd, n);
}

int
__wrap_flock(int fd, int how)
{
	return called(LOCK) ? -1 : __real_flock(fd, how);
}

int
__wrap_fstatfs(int fd, struct statfs *fs)
{
	int r = __real_fstatfs(fd, fs);

	if (calls.magic != 0)
		fs->f_type = calls.magic;
	return r;
}

/* No test is to wait. */
int
__wrap_nanosleep(const struct timespec *t, struct timespec *left)
{
	(void)t;
	(void)left;
	return 0;
}

static inline int
begin(void **state)
{
	forget_calls();
	return kit_start(state);
}

static inline int
finish(void **state)
{
	forget_calls();
	return kit_stop(state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)

#endif
