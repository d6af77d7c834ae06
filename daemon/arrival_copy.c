#include "daemon/arrival.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"

#define NAME_SIZE 33		/* 32 hex digits and a NUL */
#define TEMPORARY ".new"

static void
name_of(const uint8_t name[16], char out[NAME_SIZE])
{
	sodium_bin2hex(out, NAME_SIZE, name, 16);
}

/* All of it, whatever the system takes at a time. */
static int
write_all(int fd, struct bytes b)
{
	while (b.n != 0) {
		ssize_t n = write(fd, b.p, b.n < SSIZE_MAX ? b.n : SSIZE_MAX);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -E_SYSTEM;
		b = bytes_skip(b, (size_t)n);
	}
	return 0;
}

/* Under its own name it is whole: what died before is TEMPORARY, and swept. */
int
arrival_copy_write(int folder, struct bytes header, struct bytes body,
    uint8_t name[16])
{
	char text[NAME_SIZE], temporary[NAME_SIZE + sizeof(TEMPORARY)];
	int fd, r, was;

	randombytes_buf(name, 16);
	name_of(name, text);
	snprintf(temporary, sizeof(temporary), "%s" TEMPORARY, text);
	fd = openat(folder, temporary, O_WRONLY | O_CREAT | O_EXCL |
	    O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -E_SYSTEM;
	r = write_all(fd, header);
	if (r == 0)
		r = write_all(fd, BYTES_LIT("\r\n"));
	if (r == 0)
		r = write_all(fd, body);
	if (r == 0 && renameat(folder, temporary, folder, text) != 0)
		r = -E_SYSTEM;
	was = errno;
	if (r != 0)
		unlinkat(folder, temporary, 0);
	close(fd);
	errno = was;
	return r;
}

void
arrival_copy_remove(int folder, const uint8_t name[16])
{
	char text[NAME_SIZE];

	name_of(name, text);
	(void)unlinkat(folder, text, 0);
}

int
arrival_copy_open(int folder, const uint8_t name[16])
{
	char text[NAME_SIZE];
	struct stat st;
	int fd;

	name_of(name, text);
	fd = openat(folder, text, O_RDONLY | O_NOFOLLOW | O_CLOEXEC |
	    O_NONBLOCK);
	if (fd >= 0 && (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))) {
		close(fd);
		fd = -1;
	}
	return fd;
}
