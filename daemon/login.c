#include "daemon/login.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "config/file.h"
#include "config/keydir.h"
#include "smtp/sasl.h"

#define FILE_MAX 1024

struct entry {
	size_t n_user;		/* 0: no auth-file */
	size_t n_password;
	uint8_t user[SMTP_SASL_PART_MAX];
	uint8_t password[SMTP_SASL_PART_MAX];
};

struct logins {
	const struct config *config;
	struct entry *of;	/* by number of the listener; of libsodium */
};

struct maker {
	unsigned gid;
	config_complain *complain;
	void *arg;
};

static bool
bad(const struct maker *m, const char *path, const char *why)
{
	char text[768];

	snprintf(text, sizeof(text), "%.400s: %s", path, why);
	m->complain(m->arg, text);
	return false;
}

/* A line without its end; rest is what stands behind it. */
static struct bytes
cut_line(struct bytes *rest)
{
	struct bytes line = bytes_cut(rest, '\n');

	if (bytes_ends(line, BYTES_LIT("\r")))
		line.n--;
	return line;
}

static bool
is_part(struct bytes b)
{
	return b.n != 0 && b.n <= SMTP_SASL_PART_MAX && bytes_index(b, 0) == b.n;
}

static bool
read_entry(const struct maker *m, const char *path, struct bytes octets,
    struct entry *e)
{
	struct bytes user = cut_line(&octets);
	struct bytes password = cut_line(&octets);

	if (password.n == 0) {
		password = user;
		user = bytes_cut(&password, ':');
	}
	if (octets.n != 0 || !is_part(user) || !is_part(password))
		return bad(m, path, "is no login; write NAME:PASSWORD, or a "
		    "line for each, of at most 255 octets");
	e->n_user = user.n;
	e->n_password = password.n;
	memcpy(e->user, user.p, user.n);
	memcpy(e->password, password.p, password.n);
	return true;
}

static bool
read_file(const struct maker *m, const char *path, struct entry *e)
{
	struct arena *a;
	struct bytes octets;
	const char *why;
	bool is_good;

	if (keydir_check_file(path, m->gid, m->complain, m->arg) != 0)
		return false;
	a = arena_new(4 * FILE_MAX);
	if (a == NULL)
		return bad(m, path, "no memory");
	if (config_file_read(path, FILE_MAX, a, &octets, &why) != 0) {
		is_good = bad(m, path, why);
	} else {
		is_good = read_entry(m, path, octets, e);
		sodium_memzero((uint8_t *)(uintptr_t)octets.p, octets.n);
	}
	arena_free(&a);
	return is_good;
}

struct logins *
logins_new(const struct config *c, unsigned gid, config_complain *complain,
    void *arg)
{
	const struct maker m = {gid, complain, arg};
	struct logins *l = calloc(1, sizeof(*l));
	bool is_good = true;

	if (l != NULL)
		l->of = sodium_allocarray(c->n_listeners, sizeof(*l->of));
	if (l == NULL || l->of == NULL) {
		free(l);
		bad(&m, c->path, "no memory for logins");
		return NULL;
	}
	l->config = c;
	memset(l->of, 0, c->n_listeners * sizeof(*l->of));
	for (size_t k = 0; k < c->n_listeners; k++)
		if (c->listeners[k].auth_file != NULL &&
		    !read_file(&m, c->listeners[k].auth_file, &l->of[k]))
			is_good = false;
	if (!is_good)
		logins_free(&l);
	return l;
}

void
logins_free(struct logins **lp)
{
	struct logins *l = *lp;

	*lp = NULL;
	if (l == NULL)
		return;
	sodium_free(l->of);
	free(l);
}

void
logins_lock(struct logins *l)
{
	sodium_mlock(l->of, l->config->n_listeners * sizeof(*l->of));
}

bool
logins_find(const struct logins *l, const struct config_listener *of,
    struct login *out)
{
	const struct entry *e;

	if (l == NULL)
		return false;
	e = &l->of[of - l->config->listeners];
	*out = (struct login){{e->user, e->n_user},
	    {e->password, e->n_password}};
	return e->n_user != 0;
}
