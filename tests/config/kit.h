/* What the tests of config/ share: mistakes that were heard, files to read. */
#ifndef TESTS_CONFIG_KIT_H
#define TESTS_CONFIG_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "config/load.h"

#define N(row) (sizeof(row) / sizeof((row)[0]))

/* All mistakes, each with a line end; `folder` and its slash are left out. */
struct heard {
	char text[1 << 16];
	const char *folder;
};

static inline void
hear(void *arg, const char *text)
{
	struct heard *h = arg;
	size_t n = strlen(h->text);
	size_t cut = h->folder == NULL ? 0 : strlen(h->folder) + 1;

	if (cut != 0 && strncmp(text, h->folder, cut - 1) == 0)
		text += cut;
	(void)snprintf(h->text + n, sizeof(h->text) - n, "%s\n", text);
}

static inline struct config *
load_text(const char *text, struct heard *h)
{
	*h = (struct heard){.text = ""};
	return config_load_octets("c.yaml", bytes_of(text), false, hear, h);
}

/* What is put, as one text. */
struct put {
	char *text;
	size_t n;
};

static inline void
put(void *arg, const char *text)
{
	struct put *p = arg;
	size_t n = strlen(text);

	p->text = realloc(p->text, p->n + n + 1);
	assert_non_null(p->text);
	memcpy(p->text + p->n, text, n + 1);
	p->n += n;
}

/* A folder of its own for a test, below $TMPDIR. */
struct folder {
	char path[200];
};

static inline void
folder_make(struct folder *f)
{
	const char *top = getenv("TMPDIR");

	(void)snprintf(f->path, sizeof(f->path), "%s/hopseal-config.XXXXXX",
	    top == NULL ? "/tmp" : top);
	assert_non_null(mkdtemp(f->path));
}

static inline void
folder_join(const struct folder *f, const char *name, char path[512])
{
	(void)snprintf(path, 512, "%s/%s", f->path, name);
}

static inline void
folder_add(const struct folder *f, const char *name, unsigned mode,
    const char *text)
{
	char path[512];
	int fd;

	folder_join(f, name, path);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	assert_int_equal(close(fd), 0);
}

static inline void
folder_add_folder(const struct folder *f, const char *name, unsigned mode)
{
	char path[512];

	folder_join(f, name, path);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static inline void
folder_remove(const struct folder *f)
{
	char command[300];

	(void)snprintf(command, sizeof(command), "rm -rf '%s'", f->path);
	assert_int_equal(system(command), 0);
}

#endif
