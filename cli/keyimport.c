#include "config/keyimport.h"

#include "base/err.h"
#include "cli/cli.h"
#include "cli/key.h"
#include "cli/keyfile.h"
#include "cli/keystore.h"
#include "config/file.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#define RSPAMD_PATH "/var/lib/rspamd/dkim/$domain.$selector.key"

/* config_complain */
static void
complain(void *arg, const char *text)
{
	(void)arg;
	(void)cli_fail(0, "%s", text);
}

static void
tell_note(void *arg, const char *text)
{
	(void)arg;
	(void)cli_fail(0, "note: %s", text);
}

static int
table_read(struct key_call *k, const char *path, struct keyimport_table *t)
{
	const char *why;
	int r = config_file_read(path, KEYIMPORT_FILE_MAX, k->arena,
	    &t->octets, &why);

	t->file = path;
	return r == 0 ? 0 : cli_fail(CLI_UNREADABLE, "%s: %s", path, why);
}

static int
tables_read(struct key_call *k, struct keyimport *out)
{
	struct config_faults faults = {.arena = k->arena};
	struct config_faults notes = {.arena = k->arena};
	const struct keyimport_to to = {k->arena, &faults, &notes};
	const char *path = args_get(&k->args, "path");
	const char **words = k->args.words;
	bool has_second = k->args.n_words == 2;
	struct keyimport_table first, second;
	int r = table_read(k, words[0], &first);

	if (r == 0 && has_second)
		r = table_read(k, words[1], &second);
	if (r != 0)
		return r;
	if (args_get(&k->args, "opendkim") != NULL)
		r = keyimport_opendkim(out, &first, &second, &to);
	else
		r = keyimport_rspamd(out, &first, has_second ? &second : NULL,
		    path != NULL ? path : RSPAMD_PATH, &to);
	if (r != 0 && !faults.is_full)
		return cli_fail(CLI_CANNOT, "%s", err_text(r));
	config_fault_tell(&faults, words[0], complain, NULL);
	config_fault_tell(&notes, words[0], tell_note, NULL);
	return faults.n != 0 || faults.is_full ? CLI_CONFIG : 0;
}

/* The key's own record tells whether two files hold the same key. */
static int
is_same(const struct dkim2_private_key *a, const char *path, bool *same)
{
	char room_a[1024], room_b[1024];
	struct buf ours = BUF_ON(room_a), its = BUF_ON(room_b);
	struct dkim2_private_key *b;
	int r = keyfile_load(&b, path, false);

	if (r != 0)
		return r;
	r = dkim2_private_key_record(a, &ours);
	if (r == 0)
		r = dkim2_private_key_record(b, &its);
	dkim2_private_key_free(&b);
	*same = r == 0 && bytes_eq(buf_bytes(&ours), buf_bytes(&its));
	return r == 0 ? 0 : cli_fail(CLI_CANNOT, "%s", err_text(r));
}

/* Whether there is something to write; a key is never written over. */
static int
look(const struct key_call *k, const struct keyimport_key *key,
    const struct dkim2_private_key *its, bool *is_new)
{
	char path[4096];
	bool same = false;
	int r;

	r = snprintf(path, sizeof(path), "%s/%.*s/%.*s.pem", k->place.folder,
	    BYTES_FMT(key->domain), BYTES_FMT(key->selector));
	if (r < 0 || (size_t)r >= sizeof(path))
		return cli_fail(CLI_CANNOT, "%s: the path is too long",
		    k->place.folder);
	*is_new = access(path, F_OK) != 0;
	if (*is_new)
		return 0;
	r = is_same(its, path, &same);
	if (r == 0 && !same)
		r = cli_fail(CLI_CANNOT, "%s: another key than that of %s; a "
		    "key is never written over", path, key->path);
	return r;
}

static int
write_one(const struct key_call *k, const struct keyimport_key *key,
    const struct dkim2_private_key *its)
{
	char domain[256], selector[256];
	uint8_t room[4096];
	struct buf pem = BUF_ON(room);
	int r = dkim2_private_key_pem(its, &pem);

	snprintf(domain, sizeof(domain), "%.*s", BYTES_FMT(key->domain));
	snprintf(selector, sizeof(selector), "%.*s",
	    BYTES_FMT(key->selector));
	r = r != 0 ? cli_fail(CLI_CANNOT, "%s", err_text(r)) :
	    keystore_add(k->place.folder, domain, selector, buf_bytes(&pem),
	    true);
	sodium_memzero(room, sizeof(room));
	return r;
}

/* Every key is looked at before the first is written. */
static int
take(const struct key_call *k, const struct keyimport *from, bool is_write,
    size_t *n_new)
{
	int code = 0;

	for (size_t j = 0; j < from->n && (code == 0 || !is_write); j++) {
		const struct keyimport_key *key = &from->keys[j];
		struct dkim2_private_key *its;
		bool is_new = false;
		int r = keyfile_load(&its, key->path, false);

		if (r == 0)
			r = look(k, key, its, &is_new);
		if (r == 0 && is_new && is_write)
			r = write_one(k, key, its);
		if (r == 0)
			*n_new += is_new;
		else
			code = r;
		dkim2_private_key_free(&its);
	}
	return code;
}

static int
usage(const struct key_call *k)
{
	bool is_opendkim = args_get(&k->args, "opendkim") != NULL;
	bool is_rspamd = args_get(&k->args, "rspamd") != NULL;

	if (is_opendkim == is_rspamd || k->args.n_words == 0 ||
	    (is_opendkim && (k->args.n_words != 2 ||
	    args_get(&k->args, "path") != NULL)))
		return cli_fail(CLI_USAGE, "key import --opendkim KEYTABLE "
		    "SIGNINGTABLE | --rspamd SELECTORS [PATHS]");
	return 0;
}

int
key_import(struct key_call *k)
{
	struct keyimport from;
	size_t n_new = 0, n_written = 0;
	int r = usage(k);

	if (r == 0)
		r = tables_read(k, &from);
	if (r == 0)
		r = take(k, &from, false, &n_new);
	if (r != 0)
		return r;
	if (from.n == 0)	/* rather another file than no key */
		return cli_fail(CLI_CANNOT, "import: no key is in use there");
	r = take(k, &from, true, &n_written);
	printf("%zu key%s imported, %zu there already; %zu line%s no use\n",
	    n_written, n_written == 1 ? "" : "s", from.n - n_new,
	    from.n_unused, from.n_unused == 1 ? " has" : "s have");
	if (n_written != 0)
		puts("they sign once the DNS is asked: hopseal key activate "
		    "--all");
	return r;
}
