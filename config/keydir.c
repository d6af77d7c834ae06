#include "config/keydir.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/ascii.h"
#include "base/err.h"
#include "config/file.h"
#include "config/value.h"

#define TEXT_MAX 8192U

/* One look at a folder of keys. */
struct scan {
	unsigned gid;
	struct arena *arena;
	config_complain *complain;
	void *arg;
	struct key *first;
	size_t n;
	int fault;		/* the first one, or 0 */
};

struct key {
	struct key *next;
	struct keydir_key it;
};

/* What a folder holds, in octet order. */
struct names {
	const char *const *list;
	size_t n;
};

static void __attribute__((format(printf, 4, 5)))
fault(struct scan *s, int code, const char *path, const char *fmt, ...)
{
	char what[1024], text[TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	(void)snprintf(text, sizeof(text), "%s: %s", path, what);
	if (s->fault == 0)
		s->fault = code;
	s->complain(s->arg, text);
}

/* A name as it stands in a folder may hold anything: shown escaped. */
static void
fault_name(struct scan *s, const char *folder, const char *name,
    const char *why)
{
	char shown[300];
	struct buf b = BUF_ON(shown);

	buf_add_escaped(&b, bytes_of(name), 64);
	buf_add_octet(&b, '\0');
	fault(s, -E_UNSAFE, folder, "`%s` %s", shown, why);
}

/* A key is ours or root's, or it could be exchanged by someone else. */
static void
owner_check(struct scan *s, const char *path, const struct config_file_facts *f)
{
	if (f->uid != 0 && f->uid != config_file_euid())
		fault(s, -E_UNSAFE, path, "user %u owns it; chown it to root, "
		    "or to the user that runs this", f->uid);
}

static void
key_check(struct scan *s, const char *path)
{
	struct config_file_facts f;
	const char *why;
	bool is_group;

	if (config_file_look(path, false, &f, &why) != 0) {
		fault(s, -E_SYSTEM, path, "can not look at it: %s", why);
		return;
	}
	if (f.kind != CONFIG_FILE_REGULAR) {
		fault(s, -E_UNSAFE, path, "%s; put the key itself there",
		    f.kind == CONFIG_FILE_LINK ? "a link can be turned to "
		    "another file" : "it is not a regular file");
		return;
	}
	owner_check(s, path, &f);
	is_group = s->gid != (unsigned)-1 && f.gid == s->gid;
	if ((f.mode & ~(is_group ? 0640U : 0600U)) != 0)
		fault(s, -E_UNSAFE, path, "mode %04o lets others at the key; "
		    "chmod 0600, or 0640 with the service's group", f.mode);
}

/*
 * Checks a folder. Only the top one may be a link: it is what the
 * configuration names.
 */
static bool
folder_check(struct scan *s, const char *path, bool is_top)
{
	struct config_file_facts f;
	const char *why;

	if (config_file_look(path, is_top, &f, &why) != 0) {
		fault(s, -E_SYSTEM, path, "can not look at it: %s", why);
		return false;
	}
	if (f.kind != CONFIG_FILE_FOLDER) {
		fault(s, -E_UNSAFE, path, "%s; a folder of keys must be there",
		    f.kind == CONFIG_FILE_LINK ? "a link can be turned to "
		    "another folder" : "it is not a folder");
		return false;
	}
	owner_check(s, path, &f);
	if ((f.mode & 0022U) != 0)
		fault(s, -E_UNSAFE, path, "mode %04o lets others exchange the "
		    "keys; chmod go-w", f.mode);
	return true;
}

/* Others must not be able to have a key sign that is not active. */
static bool
state_check(struct scan *s, const char *path)
{
	struct config_file_facts f;
	const char *why;

	if (config_file_look(path, false, &f, &why) != 0) {
		fault(s, -E_SYSTEM, path, "can not look at it: %s", why);
		return false;
	}
	if (f.kind != CONFIG_FILE_REGULAR) {
		fault(s, -E_UNSAFE, path, "it is not a regular file; "
		    "hopseal key writes it");
		return false;
	}
	owner_check(s, path, &f);
	if ((f.mode & 0022U) == 0)
		return true;
	fault(s, -E_UNSAFE, path, "mode %04o lets others change the state of "
	    "the key; chmod go-w", f.mode);
	return false;
}

static int
name_compare(const void *name, const void *listed)
{
	return strcmp(name, *(const char *const *)listed);
}

static bool
names_hold(const struct names *names, const char *name)
{
	return bsearch(name, names->list, names->n, sizeof(*names->list),
	    name_compare) != NULL;
}

/* Reads what stands beside a key: "SELECTOR.pem" has "SELECTOR.state". */
static int
state_read(struct scan *s, const char *folder, const struct names *names,
    struct bytes selector, struct keydir_key *key)
{
	struct bytes octets;
	struct buf file;
	const char *path, *why;
	int r;

	key->state = KEYSTATE_ACTIVE;
	key->since_s = 0;
	if (arena_buf(s->arena, selector.n + sizeof(".state"), &file) != 0)
		return -E_NOMEM;
	buf_add(&file, selector);
	buf_add_str(&file, ".state");
	if (!names_hold(names, (const char *)file.p))
		return 0;
	path = config_file_in(s->arena, folder, (const char *)file.p);
	if (path == NULL)
		return -E_NOMEM;
	if (!state_check(s, path))
		return 0;
	r = config_file_read(path, KEYSTATE_FILE_MAX, s->arena, &octets, &why);
	if (r == -E_NOMEM)
		return r;
	if (r != 0)
		fault(s, r, path, "can not read it: %s", why);
	else if (!keystate_parse(octets, &key->state, &key->since_s))
		fault(s, -E_UNSAFE, path, "is no state of a key; write made, "
		    "active or retired, and since when in seconds of 1970");
	return 0;
}

static int
key_add(struct scan *s, const char *folder, struct bytes domain,
    const struct names *names, const char *name)
{
	struct bytes selector = bytes_of(name);
	struct key *key = arena_alloc(s->arena, sizeof(*key));
	const char *path = config_file_in(s->arena, folder, name);
	const char *why;

	if (key == NULL || path == NULL)
		return -E_NOMEM;
	selector.n -= strlen(".pem");
	why = config_value_selector(selector);
	if (why != NULL) {
		fault_name(s, folder, name, why);
		return 0;
	}
	key_check(s, path);
	key->it.entry.domain = domain;
	key->it.entry.selector = arena_copy(s->arena, selector);
	key->it.entry.path = path;
	if (key->it.entry.selector.p == NULL ||
	    state_read(s, folder, names, selector, &key->it) != 0)
		return -E_NOMEM;
	key->next = s->first;
	s->first = key;
	s->n++;
	return 0;
}

static bool
is_key_name(const char *name)
{
	return bytes_ends(bytes_of(name), BYTES_LIT(".pem"));
}

static int
domain_scan(struct scan *s, const char *folder, const char *name)
{
	const char *path = config_file_in(s->arena, folder, name);
	struct names names;
	struct bytes domain;
	const char *why;
	int r;

	if (path == NULL)
		return -E_NOMEM;
	why = config_value_domain(bytes_of(name), s->arena, &domain);
	if (why != NULL) {
		fault_name(s, folder, name, why);
		return 0;
	}
	if (!folder_check(s, path, false))
		return 0;
	r = config_file_list(path, s->arena, &names.list, &names.n, &why);
	if (r == -E_NOMEM)
		return r;
	if (r != 0) {
		fault(s, -E_SYSTEM, path, "can not list it: %s", why);
		return 0;
	}
	for (size_t k = 0; k < names.n && r == 0; k++)
		if (is_key_name(names.list[k]))
			r = key_add(s, path, domain, &names, names.list[k]);
	return r;
}

/* What stands beside the folders of the domains. */
static int
name_scan(struct scan *s, const char *folder, const char *name)
{
	struct config_file_facts f;
	const char *path = config_file_in(s->arena, folder, name);
	const char *why;

	if (path == NULL)
		return -E_NOMEM;
	if (is_key_name(name)) {
		fault_name(s, folder, name,
		    "stands outside a folder; write DOMAIN/SELECTOR.pem");
		return 0;
	}
	/* A README may lie there; links and what can not be seen are told. */
	if (config_file_look(path, false, &f, &why) == 0 &&
	    (f.kind == CONFIG_FILE_REGULAR || f.kind == CONFIG_FILE_OTHER))
		return 0;
	return domain_scan(s, folder, name);
}

/* By domain, then by selector without case, as the DNS has it. */
static int
key_compare(const void *va, const void *vb)
{
	const struct keydir_entry *a = &((const struct keydir_key *)va)->entry;
	const struct keydir_entry *b = &((const struct keydir_key *)vb)->entry;
	int r = bytes_compare(a->domain, b->domain);

	for (size_t k = 0; r == 0 && k < a->selector.n && k < b->selector.n;
	    k++)
		r = ascii_lower(a->selector.p[k]) -
		    ascii_lower(b->selector.p[k]);
	if (r != 0)
		return r;
	if (a->selector.n != b->selector.n)
		return a->selector.n < b->selector.n ? -1 : 1;
	return strcmp(a->path, b->path);
}

/* Two files may say the same domain and selector, in other case. */
static int
keys_sort(struct scan *s, const struct keydir_key **list)
{
	struct keydir_key *keys = arena_array(s->arena, s->n, sizeof(*keys));
	size_t n = 0;

	if (keys == NULL)
		return -E_NOMEM;
	for (const struct key *key = s->first; key != NULL; key = key->next)
		keys[n++] = key->it;
	if (n != 0)
		qsort(keys, n, sizeof(*keys), key_compare);
	for (size_t i = 1; i < n; i++) {
		const struct keydir_entry *it = &keys[i].entry;
		const struct keydir_entry *before = &keys[i - 1].entry;

		if (bytes_eq(it->domain, before->domain) &&
		    bytes_case_eq(it->selector, before->selector))
			fault(s, -E_UNSAFE, it->path,
			    "the same domain and selector as %s; keep one of "
			    "them", before->path);
	}
	*list = keys;
	return 0;
}

int
keydir_list(const struct keydir_key **keys, size_t *n_keys,
    const char *folder, unsigned gid, struct arena *a,
    config_complain *complain, void *arg)
{
	struct scan s = {.gid = gid, .arena = a, .complain = complain,
	    .arg = arg};
	const char *const *names = NULL;
	const char *why;
	size_t n = 0;
	int r = 0;

	*keys = NULL;
	*n_keys = 0;
	if (!folder_check(&s, folder, true))
		return s.fault;
	r = config_file_list(folder, a, &names, &n, &why);
	if (r == -E_NOMEM)
		return r;
	if (r != 0)
		fault(&s, -E_SYSTEM, folder, "can not list it: %s", why);
	r = 0;
	for (size_t i = 0; i < n && r == 0; i++)
		r = name_scan(&s, folder, names[i]);
	if (r == 0)
		r = keys_sort(&s, keys);
	if (r == 0)
		*n_keys = s.n;
	return r != 0 ? r : s.fault;
}

int
keydir_scan(struct keydir *k, const char *folder, unsigned gid,
    struct arena *a, config_complain *complain, void *arg)
{
	const struct keydir_key *keys;
	struct keydir_entry *entries;
	size_t n, n_active = 0;
	int r = keydir_list(&keys, &n, folder, gid, a, complain, arg);

	*k = (struct keydir){NULL, 0};
	if (r == -E_NOMEM || keys == NULL)
		return r;
	entries = arena_array(a, n, sizeof(*entries));
	if (entries == NULL)
		return -E_NOMEM;
	for (size_t i = 0; i < n; i++)
		if (keys[i].state == KEYSTATE_ACTIVE)
			entries[n_active++] = keys[i].entry;
	*k = (struct keydir){entries, n_active};
	return r;
}

int
keydir_check_file(const char *path, unsigned gid, config_complain *complain,
    void *arg)
{
	struct scan s = {.gid = gid, .complain = complain, .arg = arg};

	key_check(&s, path);
	return s.fault;
}

int
keydir_check_folder(const char *path, config_complain *complain, void *arg)
{
	struct scan s = {.complain = complain, .arg = arg};

	(void)folder_check(&s, path, true);
	return s.fault;
}

/* Equal, or below: example.org covers mail.example.org. */
static bool
is_covered(struct bytes domain, struct bytes name)
{
	struct bytes end;

	if (name.n < domain.n)
		return false;
	end = bytes_skip(name, name.n - domain.n);
	return bytes_case_eq(end, domain) &&
	    (name.n == domain.n || name.p[name.n - domain.n - 1] == '.');
}

struct bytes
keydir_cover(const struct keydir *k, const struct bytes *names, size_t n)
{
	struct bytes best = {NULL, 0};
	size_t n_names = 0;

	for (size_t j = 0; j < n; j++)
		n_names += names[j].n != 0;
	for (size_t i = 0; i < k->n && n_names != 0; i++) {
		struct bytes domain = k->entries[i].domain;
		bool is_good = domain.n > best.n;

		for (size_t j = 0; j < n && is_good; j++)
			is_good = names[j].n == 0 ||
			    is_covered(domain, names[j]);
		if (is_good)
			best = domain;
	}
	return best;
}
