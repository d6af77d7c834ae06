#include "daemon/store.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "daemon/log.h"

#define NAME "store.key"

/* Reads it. 0, -E_ABSENT where it is to be made, -E_SYSTEM. */
static int
read_secret(int folder, uint8_t secret[STORE_SECRET_SIZE])
{
	uint8_t room[STORE_SECRET_SIZE + 1];
	struct stat st;
	int fd = openat(folder, NAME, O_RDONLY | O_NOFOLLOW | O_CLOEXEC |
	    O_NONBLOCK);
	ssize_t n = -1;

	if (fd < 0)
		return errno == ENOENT || errno == ELOOP ? -E_ABSENT :
		    -E_SYSTEM;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    (st.st_mode & 077) == 0)
		n = read(fd, room, sizeof(room));
	close(fd);
	if (n == STORE_SECRET_SIZE)
		memcpy(secret, room, STORE_SECRET_SIZE);
	explicit_bzero(room, sizeof(room));
	if (n == STORE_SECRET_SIZE)
		return 0;
	log_line(LOG_WARNING_, "the secret of the delivered memory is not "
	    "private or not whole: it is made anew, and what was remembered "
	    "is not found any more");
	return -E_ABSENT;
}

/* Whole or not at all: written beside, then renamed. */
static int
write_secret(int folder, const uint8_t secret[STORE_SECRET_SIZE])
{
	int fd, r = -E_SYSTEM;

	unlinkat(folder, NAME ".new", 0);
	fd = openat(folder, NAME ".new", O_WRONLY | O_CREAT | O_EXCL |
	    O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -E_SYSTEM;
	if (write(fd, secret, STORE_SECRET_SIZE) == STORE_SECRET_SIZE &&
	    fsync(fd) == 0)
		r = 0;
	close(fd);
	if (r == 0 && renameat(folder, NAME ".new", folder, NAME) != 0)
		r = -E_SYSTEM;
	if (r != 0)
		unlinkat(folder, NAME ".new", 0);
	return r;
}

int
store_secret(const char *folder, uint8_t secret[STORE_SECRET_SIZE])
{
	int fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = -E_SYSTEM;

	if (fd >= 0) {
		r = read_secret(fd, secret);
		if (r == -E_ABSENT)
			r = write_secret(fd, secret);
	}
	if (fd >= 0) {
		int was = errno;

		close(fd);
		errno = was;
	}
	return r;
}
