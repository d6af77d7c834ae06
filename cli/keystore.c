#include "cli/keystore.h"

#include "base/ascii.h"
#include "cli/cli.h"
#include "cli/keyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/*
 * Where the folder around it was given to another group than ours to read, and
 * to nobody else, as the package gives `keys` to the service: so is what we
 * make in it. Else it is for its owner alone.
 */
static int
share(int fd, int around, mode_t alone)
{
	struct stat st;

	if (fstat(around, &st) != 0)
		return -1;
	if ((st.st_mode & 0077) != 0050 || st.st_gid == getegid())
		return fchmod(fd, alone);
	if (fchown(fd, (uid_t)-1, st.st_gid) != 0)
		return -1;
	return fchmod(fd, alone | ((alone & 0500) >> 3));
}

/* A folder of ours: others may neither list nor enter it. */
static int
make_folder(int at, const char *name, const char *path, int *fd)
{
	bool is_new = mkdirat(at, name, 0700) == 0;

	if (!is_new && errno != EEXIST)
		return cli_fail(CLI_CANNOT, "%s: %s", path, strerror(errno));
	*fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*fd < 0 ||
	    (is_new && at != AT_FDCWD && share(*fd, at, 0700) != 0))
		return cli_fail(CLI_CANNOT, "%s: %s", path, strerror(errno));
	return 0;
}

/* All of it, synced; 0 or -1 with errno. */
static int
write_synced(int fd, struct bytes octets)
{
	while (octets.n != 0) {
		ssize_t n = write(fd, octets.p, octets.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		octets = bytes_skip(octets, (size_t)n);
	}
	return fsync(fd);
}

/* A key that was half written is taken away; one that was there never is. */
static int
write_file(int folder, const char *selector, struct bytes pem)
{
	char name[300];
	int fd, saved;

	snprintf(name, sizeof(name), "%s.pem", selector);
	fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC |
	    O_NOFOLLOW, 0600);
	if (fd < 0)
		return -1;
	/* whatever the umask says: neither more nor less */
	if (share(fd, folder, 0600) == 0 && write_synced(fd, pem) == 0 &&
	    close(fd) == 0)
		return fsync(folder);
	saved = errno;
	(void)close(fd);
	(void)unlinkat(folder, name, 0);
	errno = saved;
	return -1;
}

/*
 * Writes the state beside a key: the old one stays until the new one is whole.
 * 0 or -1 with errno.
 */
static int
write_state(int folder, const char *selector, enum keystate s)
{
	char name[300], aside[300], room[KEYSTATE_FILE_MAX];
	struct buf text = BUF_ON(room);
	int fd, saved;

	snprintf(name, sizeof(name), "%s.state", selector);
	snprintf(aside, sizeof(aside), ".%s.state.new", selector);
	keystate_put(&text, s, (int64_t)time(NULL));
	fd = openat(folder, aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC |
	    O_NOFOLLOW, 0644);
	if (fd < 0)
		return -1;
	if (fchmod(fd, 0644) == 0 && write_synced(fd, buf_bytes(&text)) == 0 &&
	    renameat(folder, aside, folder, name) == 0) {
		(void)close(fd);
		return fsync(folder);
	}
	saved = errno;
	(void)close(fd);
	(void)unlinkat(folder, aside, 0);
	errno = saved;
	return -1;
}

/* The state first: at no time does the key stand there as an active one. */
static int
write_both(int folder, const char *selector, struct bytes pem, bool is_made)
{
	char name[300];
	struct stat st;

	if (!is_made)
		return write_file(folder, selector, pem);
	snprintf(name, sizeof(name), "%s.pem", selector);
	if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		errno = EEXIST;
		return -1;
	}
	if (errno != ENOENT)
		return -1;
	if (write_state(folder, selector, KEYSTATE_MADE) != 0)
		return -1;
	return write_file(folder, selector, pem);
}

int
keystore_add(const char *keys, const char *domain, const char *selector,
    struct bytes pem, bool is_made)
{
	int top = -1, folder = -1;
	int r = make_folder(AT_FDCWD, keys, keys, &top);

	if (r == 0)
		r = make_folder(top, domain, domain, &folder);
	if (r == 0 && write_both(folder, selector, pem, is_made) != 0)
		r = cli_fail(CLI_CANNOT, "%s/%s/%s.pem: %s", keys, domain,
		    selector, errno == EEXIST ?
		    "there already; a key is never written over" :
		    strerror(errno));
	if (r == 0 && fsync(top) != 0)
		r = cli_fail(CLI_CANNOT, "%s: %s", keys, strerror(errno));
	if (folder >= 0)
		close(folder);
	if (top >= 0)
		close(top);
	return r;
}

/* DNS names have no case; the daemon looks for folders in lower case. */
bool
keystore_name(const char *name, char out[254])
{
	size_t n = strlen(name);

	if (!keyfile_is_name(name))
		return false;
	for (size_t k = 0; k <= n; k++)
		out[k] = (char)ascii_lower((uint8_t)name[k]);
	return true;
}

/* The folder that a key stands in, and its name without ".pem". */
static int
split(const char *path, int *folder, char selector[256])
{
	const char *slash = strrchr(path, '/');
	size_t n = slash == NULL ? 0 : strlen(slash + 1);
	char text[4096];

	*folder = -1;
	errno = ENAMETOOLONG;
	if (n < sizeof(".pem") || n > 255 ||
	    (size_t)(slash - path) >= sizeof(text))
		return -1;
	memcpy(selector, slash + 1, n - 4);
	selector[n - 4] = '\0';
	memcpy(text, path, (size_t)(slash - path));
	text[slash - path] = '\0';
	*folder = open(text, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return *folder < 0 ? -1 : 0;
}

int
keystore_mark(const char *path, enum keystate s)
{
	char selector[256];
	int folder, r = 0;

	if (split(path, &folder, selector) != 0 ||
	    write_state(folder, selector, s) != 0)
		r = cli_fail(CLI_CANNOT, "%s: its state can not be written: "
		    "%s", path, strerror(errno));
	if (folder >= 0)
		close(folder);
	return r;
}

int
keystore_lock(const char *keys, int *fd)
{
	*fd = open(keys, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*fd < 0)
		return cli_fail(CLI_UNREADABLE, "%s: %s", keys,
		    strerror(errno));
	while (flock(*fd, LOCK_EX) != 0)
		if (errno != EINTR) {
			(void)close(*fd);
			*fd = -1;
			return cli_fail(CLI_CANNOT, "%s: %s", keys,
			    strerror(errno));
		}
	return 0;
}
