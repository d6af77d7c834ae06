#include "daemon/secrets.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "config/file.h"
#include "config/keydir.h"

#define SECRETS_MAX 64U		/* files */
#define ROOM (4U << 20)		/* for the names in the folder */
#define FILE_ROOM (4 * (SMTP_SECRET_MAX + 2))

struct secrets {
	size_t n;
	struct bytes all[SECRETS_MAX];
	uint8_t (*octets)[SMTP_SECRET_MAX];	/* of libsodium */
};

struct maker {
	unsigned gid;
	config_complain *complain;
	void *arg;
	struct arena *names;
	struct secrets *s;
	int64_t changed_ns[SECRETS_MAX];	/* of s->all */
};

static bool
bad(const struct maker *m, const char *path, const char *why)
{
	char text[768];

	snprintf(text, sizeof(text), "%.500s: %s", path, why);
	m->complain(m->arg, text);
	return false;
}

/* Without what an editor puts behind the last line. */
static struct bytes
trim(struct bytes b)
{
	if (bytes_ends(b, BYTES_LIT("\n")))
		b.n--;
	if (bytes_ends(b, BYTES_LIT("\r")))
		b.n--;
	return b;
}

/* Puts a secret before those that were changed earlier, or then and before
 * it by name: names come in order. */
static bool
insert(struct maker *m, const char *path, struct bytes secret, int64_t ns)
{
	struct secrets *s = m->s;
	uint8_t *own = s->octets[s->n];
	size_t at = s->n;

	if (secret.n < SMTP_SECRET_MIN)
		return bad(m, path, "is short enough to be guessed; write 16 "
		    "octets or more, at random");
	memcpy(own, secret.p, secret.n);
	for (; at != 0 && m->changed_ns[at - 1] <= ns; at--) {
		s->all[at] = s->all[at - 1];
		m->changed_ns[at] = m->changed_ns[at - 1];
	}
	s->all[at] = (struct bytes){own, secret.n};
	m->changed_ns[at] = ns;
	s->n++;
	return true;
}

static bool
read_file(struct maker *m, const char *path)
{
	struct config_file_facts facts;
	struct arena *a;
	struct bytes octets;
	const char *why;
	bool is_good;

	if (keydir_check_file(path, m->gid, m->complain, m->arg) != 0)
		return false;
	a = arena_new(FILE_ROOM);
	if (a == NULL)
		return bad(m, path, "no memory");
	if (config_file_look(path, false, &facts, &why) != 0 ||
	    config_file_read(path, SMTP_SECRET_MAX, a, &octets, &why) != 0) {
		is_good = bad(m, path, why);
	} else {
		is_good = insert(m, path, trim(octets), facts.changed_ns);
		sodium_memzero((uint8_t *)(uintptr_t)octets.p, octets.n);
	}
	arena_free(&a);
	return is_good;
}

/* An editor's copy of yesterday is not the newest secret. */
static bool
is_secret_name(const char *name)
{
	return !bytes_ends(bytes_of(name), BYTES_LIT("~"));
}

static bool
read_folder(struct maker *m, const char *folder)
{
	const char *const *names;
	const char *why = "no memory";
	bool is_good = true;
	size_t n;

	if (keydir_check_folder(folder, m->complain, m->arg) != 0)
		return false;
	if (config_file_list(folder, m->names, &names, &n, &why) != 0)
		return bad(m, folder, why);
	for (size_t k = 0; k < n; k++) {
		char path[4096];
		int length = snprintf(path, sizeof(path), "%s/%s", folder,
		    names[k]);

		if (!is_secret_name(names[k]))
			continue;
		if (m->s->n == SECRETS_MAX)
			return bad(m, folder, "has more than 64 secrets; "
			    "remove those that made nothing for three weeks");
		if (length < 0 || (size_t)length >= sizeof(path))
			is_good = bad(m, folder, "has a name too long");
		else if (!read_file(m, path))
			is_good = false;
	}
	if (is_good && m->s->n == 0)
		return bad(m, folder, "has no secret; write one into a file "
		    "there: 16 octets or more, at random");
	return is_good;
}

struct secrets *
secrets_new(const char *folder, unsigned gid, config_complain *complain,
    void *arg)
{
	struct maker m = {.gid = gid, .complain = complain, .arg = arg};
	bool is_good;

	m.s = calloc(1, sizeof(*m.s));
	m.names = arena_new(ROOM);
	if (m.s != NULL && folder != NULL)
		m.s->octets = sodium_allocarray(SECRETS_MAX,
		    sizeof(*m.s->octets));
	if (m.s == NULL || m.names == NULL ||
	    (folder != NULL && m.s->octets == NULL))
		is_good = bad(&m, "secrets", "no memory");
	else
		is_good = folder == NULL || read_folder(&m, folder);
	if (!is_good)
		secrets_free(&m.s);
	arena_free(&m.names);
	return m.s;
}

void
secrets_free(struct secrets **sp)
{
	struct secrets *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	sodium_free(s->octets);
	free(s);
}

void
secrets_lock(struct secrets *s)
{
	if (s->octets != NULL)
		sodium_mlock(s->octets, SECRETS_MAX * sizeof(*s->octets));
}

struct smtp_secrets
secrets_all(const struct secrets *s)
{
	return s == NULL ? (struct smtp_secrets){NULL, 0} :
	    (struct smtp_secrets){s->all, s->n};
}
