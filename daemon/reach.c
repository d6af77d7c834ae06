#include "daemon/reach.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/file.h"
#include "config/keydir.h"

#define ARENA_MAX (64U << 20)
#define SAID_MAX 20U		/* lines; the others are counted */

struct reach {
	const struct config *config;
	const struct passwd *user;
	struct arena *arena;
	config_complain *complain;
	void *arg;
	struct bytes told[SAID_MAX];	/* paths */
	size_t n;		/* what was told, and what would have been */
};

static void __attribute__((format(printf, 3, 4)))
warn(struct reach *r, const char *path, const char *fmt, ...)
{
	char what[PATH_MAX + 512], text[2 * PATH_MAX + 1024];
	va_list ap;

	for (size_t k = 0; k < r->n && k < SAID_MAX; k++)
		if (bytes_eq(r->told[k], bytes_of(path)))
			return;
	if (r->n++ >= SAID_MAX)
		return;
	r->told[r->n - 1] = arena_copy(r->arena, bytes_of(path));
	va_start(ap, fmt);
	(void)vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	(void)snprintf(text, sizeof(text), "%s: warning: user %s can not %s",
	    path, r->user->pw_name, what);
	r->complain(r->arg, text);
}

/* Whose it is and what is allowed; of what is not there, that. */
static const char *
describe(const char *path, char out[64])
{
	struct stat st;
	int was = errno;

	if (stat(path, &st) != 0)
		return strerror(was);
	snprintf(out, 64, "mode %04o, user %u, group %u", (unsigned)
	    st.st_mode & 07777, (unsigned)st.st_uid, (unsigned)st.st_gid);
	return out;
}

/* Whether every folder on the way lets the user through. */
static bool
is_open_to(struct reach *r, const char *path)
{
	char folder[PATH_MAX], text[64];

	for (const char *p = strchr(path + 1, '/'); p != NULL;
	    p = strchr(p + 1, '/')) {
		if ((size_t)(p - path) >= sizeof(folder))
			return true;
		memcpy(folder, path, (size_t)(p - path));
		folder[p - path] = '\0';
		if (p[1] == '\0' ||
		    faccessat(AT_FDCWD, folder, X_OK, AT_EACCESS) == 0)
			continue;
		warn(r, folder, "come through, to what is in there (%s); "
		    "chgrp %s, and chmod g+x", describe(folder, text),
		    r->user->pw_name);
		return false;
	}
	return true;
}

static void
look_at_file(struct reach *r, const char *path)
{
	char text[64];

	if (path == NULL || !is_open_to(r, path) ||
	    faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) == 0 ||
	    errno == ENOENT)
		return;
	warn(r, path, "read it (%s): only a hopseald that root starts can; "
	    "chgrp %s, and chmod 0640", describe(path, text),
	    r->user->pw_name);
}

/* One whose files are listed: to be read, too. */
static bool
look_at_folder(struct reach *r, const char *path)
{
	char text[64];

	if (!is_open_to(r, path))
		return false;
	if (faccessat(AT_FDCWD, path, R_OK | X_OK, AT_EACCESS) == 0)
		return true;
	warn(r, path, "list it (%s): only a hopseald that root starts can; "
	    "chgrp %s, and chmod 0750", describe(path, text),
	    r->user->pw_name);
	return false;
}

/* Every file of a folder, but of the names that begin with a dot; how far
 * down says how deep it goes. */
static void
look_at_all(struct reach *r, const char *folder, unsigned depth)
{
	struct config_file_facts f;
	const char *const *names, *why;
	size_t n;

	if (folder == NULL || !look_at_folder(r, folder) ||
	    config_file_list(folder, r->arena, &names, &n, &why) != 0)
		return;
	for (size_t k = 0; k < n; k++) {
		const char *path = config_file_in(r->arena, folder,
		    names[k]);

		if (path == NULL ||
		    config_file_look(path, true, &f, &why) != 0)
			continue;
		if (f.kind == CONFIG_FILE_REGULAR)
			look_at_file(r, path);
		else if (f.kind == CONFIG_FILE_FOLDER && depth > 0)
			look_at_all(r, path, depth - 1);
	}
}

/* One that is missing is told elsewhere. */
static void
look_at_state(struct reach *r)
{
	const char *path = r->config->state;
	char text[64];

	if (!is_open_to(r, path) || faccessat(AT_FDCWD, path, W_OK | X_OK,
	    AT_EACCESS) == 0 || errno == ENOENT)
		return;
	warn(r, path, "write it (%s), so nothing is kept there, and no queue "
	    "starts; chown %s, and chmod 0700", describe(path, text),
	    r->user->pw_name);
}

static void
look(struct reach *r)
{
	const struct config *c = r->config;

	look_at_file(r, c->path);
	for (const struct config_read *t = c->tables; t != NULL; t = t->next)
		look_at_file(r, t->path);
	look_at_file(r, c->keys_file);
	look_at_file(r, c->store_password);
	look_at_all(r, c->keys, 1);
	look_at_all(r, c->secrets, 0);
	for (size_t l = 0; l < c->n_listeners; l++) {
		const struct config_listener *of = c->listeners + l;

		for (size_t k = 0; k < of->n_tls; k++) {
			look_at_file(r, of->tls[k].cert);
			look_at_file(r, of->tls[k].key);
		}
		look_at_file(r, of->tls_ca);
		look_at_file(r, of->auth_file);
	}
	look_at_state(r);
}

/* Only for a moment: the saved user stays root. */
static bool
become(const struct passwd *user)
{
	return initgroups(user->pw_name, user->pw_gid) == 0 &&
	    setegid(user->pw_gid) == 0 && seteuid(user->pw_uid) == 0;
}

void
reach_check(const struct config *c, const struct priv *p,
    config_complain *complain, void *arg)
{
	struct reach r = {.config = c, .complain = complain, .arg = arg,
	    .user = getpwuid(p->uid)};
	gid_t *groups = NULL;
	int n = getgroups(0, NULL);
	char text[128];

	if (!p->is_root || p->uid == 0 || r.user == NULL || n < 0)
		return;
	groups = calloc((size_t)n + 1, sizeof(*groups));
	r.arena = arena_new(ARENA_MAX);
	if (groups != NULL && r.arena != NULL && getgroups(n, groups) == n) {
		if (become(r.user))
			look(&r);
		if (seteuid(0) != 0 || setegid(getgid()) != 0 ||
		    setgroups((size_t)n, groups) != 0)
			abort();	/* nothing else would work */
	}
	if (r.n > SAID_MAX) {
		snprintf(text, sizeof(text), "warning: user %s can not get at "
		    "%zu more", r.user->pw_name, r.n - SAID_MAX);
		complain(arg, text);
	}
	arena_free(&r.arena);
	free(groups);
}
