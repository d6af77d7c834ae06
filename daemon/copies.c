#include "daemon/copies.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/arrival.h"
#include "daemon/priv.h"

#define NAME_SIZE (2 * STORE_KEY_SIZE + 1)
#define AHEAD_S 3600		/* past it a file is from a wrong clock */
#define FILES_A_TIME 256

struct copies {
	const char *state;
	int fd;			/* -1: there is no folder */
	DIR *walk;		/* NULL: none is under way */
};

bool
copies_are_used(const struct config *c)
{
	for (size_t k = 0; k < c->n_listeners; k++)
		if (c->listeners[k].is_copied)
			return true;
	return false;
}

int
copies_open(int state, bool is_root, uid_t uid, gid_t gid)
{
	const struct priv owner = {is_root, uid, gid};

	return priv_folder(&owner, state, COPIES_NAME);
}

struct copies *
copies_new(const char *state)
{
	struct copies *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->state = state;
	c->fd = -1;
	return c;
}

static void
end_walk(struct copies *c)
{
	if (c->walk != NULL)
		closedir(c->walk);
	c->walk = NULL;
}

void
copies_free(struct copies **cp)
{
	struct copies *c = *cp;

	if (c == NULL)
		return;
	end_walk(c);
	if (c->fd >= 0)
		close(c->fd);
	free(c);
	*cp = NULL;
}

/* The folder comes with the first generation that needs it. */
static bool
find_folder(struct copies *c)
{
	int state;

	if (c->fd >= 0)
		return true;
	state = open(c->state, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (state < 0)
		return false;
	c->fd = openat(state, COPIES_NAME, O_RDONLY | O_DIRECTORY |
	    O_NOFOLLOW | O_CLOEXEC);
	close(state);
	return c->fd >= 0;
}

uint64_t
copies_size(struct copies *c, const uint8_t name[STORE_KEY_SIZE])
{
	char text[NAME_SIZE];
	struct stat st;

	if (!find_folder(c))
		return 0;
	sodium_bin2hex(text, sizeof(text), name, STORE_KEY_SIZE);
	if (fstatat(c->fd, text, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
	    !S_ISREG(st.st_mode) || st.st_size < 0)
		return 0;
	return (uint64_t)st.st_size;
}

void
copies_remove(struct copies *c, const uint8_t name[STORE_KEY_SIZE])
{
	char text[NAME_SIZE];

	if (!find_folder(c))
		return;
	sodium_bin2hex(text, sizeof(text), name, STORE_KEY_SIZE);
	(void)unlinkat(c->fd, text, 0);
}

/* ---- what comes from elsewhere ------------------------------------------- */

int
copies_open_file(struct copies *c, const uint8_t name[STORE_KEY_SIZE])
{
	if (!find_folder(c))
		return -1;
	return arrival_copy_open(c->fd, name);
}

static void
name_temporary(const uint8_t name[STORE_KEY_SIZE], char out[NAME_SIZE + 4])
{
	sodium_bin2hex(out, NAME_SIZE, name, STORE_KEY_SIZE);
	memcpy(out + NAME_SIZE - 1, ".new", 5);
}

int
copies_begin(struct copies *c, const uint8_t name[STORE_KEY_SIZE])
{
	char text[NAME_SIZE + 4];

	if (!find_folder(c))
		return -1;
	name_temporary(name, text);
	(void)unlinkat(c->fd, text, 0);	/* of a keeper that died */
	return openat(c->fd, text, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW |
	    O_CLOEXEC, 0600);
}

bool
copies_end(struct copies *c, const uint8_t name[STORE_KEY_SIZE], int fd,
    bool is_whole)
{
	char text[NAME_SIZE], temporary[NAME_SIZE + 4];

	sodium_bin2hex(text, sizeof(text), name, STORE_KEY_SIZE);
	name_temporary(name, temporary);
	is_whole = close(fd) == 0 && is_whole &&
	    renameat(c->fd, temporary, c->fd, text) == 0;
	if (!is_whole)
		(void)unlinkat(c->fd, temporary, 0);
	return is_whole;
}

/* ---- what is part of no record ------------------------------------------- */

static bool
read_name(const char *text, uint8_t name[STORE_KEY_SIZE])
{
	size_t n;

	return strlen(text) == NAME_SIZE - 1 && sodium_hex2bin(name,
	    STORE_KEY_SIZE, text, NAME_SIZE - 1, NULL, &n, NULL) == 0 &&
	    n == STORE_KEY_SIZE;
}

static bool
is_orphan(struct copies *c, const char *text, copies_wanted *wanted, void *arg,
    int64_t age_s, int64_t now_s)
{
	uint8_t name[STORE_KEY_SIZE];
	struct stat st;

	if (fstatat(c->fd, text, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
	    !S_ISREG(st.st_mode))
		return false;
	if (st.st_mtime > now_s - age_s && st.st_mtime < now_s + AHEAD_S)
		return false;
	return !read_name(text, name) || !wanted(arg, name);
}

static bool
begin_walk(struct copies *c)
{
	int fd;

	if (!find_folder(c))
		return false;
	fd = openat(c->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return false;
	c->walk = fdopendir(fd);
	if (c->walk == NULL)
		close(fd);
	return c->walk != NULL;
}

bool
copies_sweep(struct copies *c, copies_wanted *wanted, void *arg,
    int64_t age_s, int64_t now_s)
{
	if (c->walk == NULL && !begin_walk(c))
		return false;
	for (int n = 0; n < FILES_A_TIME; n++) {
		const struct dirent *e = readdir(c->walk);

		if (e == NULL) {
			end_walk(c);
			return false;
		}
		if (e->d_name[0] != '.' && is_orphan(c, e->d_name, wanted, arg,
		    age_s, now_s))
			(void)unlinkat(c->fd, e->d_name, 0);
	}
	return true;
}
