#include "config/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"

#define NAMES_MAX 65536U

struct name {
	struct name *next;
	const char *text;
};

static const char *
why_errno(void)
{
	const char *text = strerrordesc_np(errno);

	return text == NULL ? "unknown system error" : text;
}

static void
facts_of(const struct stat *st, struct config_file_facts *f)
{
	if (S_ISREG(st->st_mode))
		f->kind = CONFIG_FILE_REGULAR;
	else if (S_ISDIR(st->st_mode))
		f->kind = CONFIG_FILE_FOLDER;
	else if (S_ISLNK(st->st_mode))
		f->kind = CONFIG_FILE_LINK;
	else
		f->kind = CONFIG_FILE_OTHER;
	f->mode = (unsigned)st->st_mode & 07777U;
	f->uid = st->st_uid;
	f->gid = st->st_gid;
	f->changed_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 +
	    st->st_mtim.tv_nsec;
}

int
config_file_look(const char *path, bool is_followed,
    struct config_file_facts *f, const char **why)
{
	struct stat st;

	if ((is_followed ? stat(path, &st) : lstat(path, &st)) != 0) {
		*why = why_errno();
		return -E_SYSTEM;
	}
	facts_of(&st, f);
	return 0;
}

static int
read_all(int fd, struct buf *out, const char **why)
{
	while (buf_room(out) != 0) {
		ssize_t got = read(fd, out->p + out->n, buf_room(out));

		if (got == 0)
			return 0;
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			*why = why_errno();
			return -E_SYSTEM;
		}
		out->n += (size_t)got;
	}
	*why = "it changes while it is read";
	return -E_SYSTEM;
}

static int
read_open(int fd, size_t max, struct arena *a, struct buf *out,
    const char **why)
{
	struct stat st;

	if (fstat(fd, &st) != 0) {
		*why = why_errno();
		return -E_SYSTEM;
	}
	if (!S_ISREG(st.st_mode)) {
		*why = "it is not a regular file";
		return -E_SYSTEM;
	}
	if ((st.st_mode & S_IWOTH) != 0) {
		*why = "everybody may write it; take that away (chmod o-w)";
		return -E_UNSAFE;
	}
	if (st.st_size < 0 || (uintmax_t)st.st_size > max) {
		*why = "it is too large";
		return -E_LIMIT;
	}
	/* One octet more than it has, so that its end is seen; then a NUL. */
	if (arena_buf(a, (size_t)st.st_size + 2, out) != 0) {
		*why = err_text(E_NOMEM);
		return -E_NOMEM;
	}
	out->cap--;
	return read_all(fd, out, why);
}

int
config_file_read(const char *path, size_t max, struct arena *a,
    struct bytes *octets, const char **why)
{
	struct buf out;
	int fd, r;

	/* Non-blocking: the open of a FIFO would wait for a writer. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0) {
		*why = why_errno();
		return -E_SYSTEM;
	}
	r = read_open(fd, max, a, &out, why);
	(void)close(fd);
	if (r == 0)
		*octets = buf_bytes(&out);
	return r;
}

static int
name_compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int
names_read(DIR *dir, struct arena *a, struct name **first, size_t *n,
    const char **why)
{
	for (;;) {
		const struct dirent *entry;
		struct name *name;

		errno = 0;
		entry = readdir(dir);
		if (entry == NULL && errno == 0)
			return 0;
		if (entry == NULL) {
			*why = why_errno();
			return -E_SYSTEM;
		}
		if (entry->d_name[0] == '.')
			continue;
		if (*n == NAMES_MAX) {
			*why = "it holds too many names";
			return -E_LIMIT;
		}
		name = arena_alloc(a, sizeof(*name));
		if (name != NULL)
			name->text = (const char *)arena_copy(a,
			    bytes_of(entry->d_name)).p;
		if (name == NULL || name->text == NULL) {
			*why = err_text(E_NOMEM);
			return -E_NOMEM;
		}
		name->next = *first;
		*first = name;
		++*n;
	}
}

int
config_file_list(const char *folder, struct arena *a,
    const char *const **names, size_t *n, const char **why)
{
	DIR *dir = opendir(folder);
	struct name *first = NULL;
	const char **list;
	size_t k = 0;
	int r;

	*n = 0;
	if (dir == NULL) {
		*why = why_errno();
		return -E_SYSTEM;
	}
	r = names_read(dir, a, &first, n, why);
	(void)closedir(dir);
	if (r != 0)
		return r;
	list = arena_array(a, *n, sizeof(*list));
	if (list == NULL) {
		*why = err_text(E_NOMEM);
		return -E_NOMEM;
	}
	for (; first != NULL; first = first->next)
		list[k++] = first->text;
	qsort(list, *n, sizeof(*list), name_compare);
	*names = list;
	return 0;
}

const char *
config_file_in(struct arena *a, const char *folder, const char *name)
{
	struct buf out;

	if (arena_buf(a, strlen(folder) + strlen(name) + 2, &out) != 0)
		return NULL;
	buf_add_str(&out, folder);
	if (!bytes_ends(buf_bytes(&out), BYTES_LIT("/")))
		buf_add_octet(&out, '/');
	buf_add_str(&out, name);
	return (const char *)out.p;
}

const char *
config_file_folder(const char *path, struct arena *a)
{
	const char *slash = strrchr(path, '/');
	size_t n = slash == NULL ? 0 : (size_t)(slash - path);
	char here[PATH_MAX];
	struct buf out;

	if (slash == path)
		return (const char *)arena_copy(a, BYTES_LIT("/")).p;
	if (path[0] == '/')
		return (const char *)arena_copy(a,
		    bytes_first(bytes_of(path), n)).p;
	if (getcwd(here, sizeof(here)) == NULL ||
	    arena_buf(a, strlen(here) + n + 2, &out) != 0)
		return NULL;
	buf_add_str(&out, here);
	if (n != 0) {
		buf_add_octet(&out, '/');
		buf_add(&out, bytes_first(bytes_of(path), n));
	}
	return (const char *)out.p;
}

unsigned
config_file_euid(void)
{
	return geteuid();
}
