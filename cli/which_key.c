#include "cli/cli.h"
#include "cli/keyfile.h"
#include "cli/keyplace.h"

#include "base/err.h"
#include "config/keydir.h"
#include "config/value.h"
#include "dkim2/dkim2.h"

#include <stdio.h>
#include <unistd.h>

#define ARENA ((size_t)64 << 20)

static const struct args_known known[] = {
	{"keys", false},
	{"c", false},
	{NULL, false},
};

/* config_complain */
static void
complain(void *arg, const char *text)
{
	(void)arg;
	(void)cli_fail(0, "%s", text);
}

/* The domain of "a@b" or "<a@b>", as A-labels in lower case. */
static int
read_domain(const char *address, struct arena *a, struct bytes *domain)
{
	struct bytes b = bytes_of(address), local;
	const char *why;

	if (bytes_starts(b, BYTES_LIT("<")) && bytes_ends(b, BYTES_LIT(">")))
		b = (struct bytes){b.p + 1, b.n - 2};
	why = config_value_address(b, &local, domain);
	if (why == NULL)
		why = config_value_domain(*domain, a, domain);
	if (why != NULL)
		return cli_fail(CLI_USAGE, "which-key: %s: %s", address, why);
	return 0;
}

/* Every active key of the domain; how each signs is in the key itself. */
static int
put_keys(const struct keydir *k, struct bytes domain, const char *indent)
{
	int r = 0;

	for (size_t j = 0; r == 0 && j < k->n; j++) {
		const struct keydir_entry *e = &k->entries[j];
		struct dkim2_private_key *key;

		if (!bytes_eq(e->domain, domain))
			continue;
		r = keyfile_load(&key, e->path, false);
		if (r == 0)
			printf("%s%.*s %.*s %s %s\n", indent,
			    BYTES_FMT(e->domain), BYTES_FMT(e->selector),
			    dkim2_algorithm_name(
			    dkim2_private_key_algorithm(key)), e->path);
		dkim2_private_key_free(&key);
	}
	return r;
}

static int
scan(struct keydir *k, const char *folder, unsigned gid, struct arena *a)
{
	int r = keydir_scan(k, folder, gid, a, complain, NULL);

	if (r == -E_UNSAFE)
		return cli_fail(CLI_CONFIG, "which-key: with keys that others "
		    "can read or replace the daemon does not start");
	if (r == -E_SYSTEM)
		return CLI_UNREADABLE;
	return r == 0 ? 0 : cli_fail(CLI_CANNOT, "%s", err_text(r));
}

static int
by_folder(const char *folder, struct bytes domain, struct arena *a)
{
	struct keydir k;
	struct bytes d;
	int r = scan(&k, folder, (unsigned)-1, a);

	if (r != 0)
		return r;
	d = keydir_cover(&k, &domain, 1);
	if (d.n == 0)
		return cli_fail(1, "no key in %s covers %.*s", folder,
		    BYTES_FMT(domain));
	return put_keys(&k, d, "");
}

/* ---- by listener ---------------------------------------------------------- */

/* Whether an egress listener takes mail from this domain. */
static bool
is_sender(const struct config_listener *l, const struct keydir *k,
    struct bytes domain)
{
	if (!l->has_senders)
		return k->n == 0 || keydir_cover(k, &domain, 1).n != 0;
	for (size_t j = 0; j < l->n_senders; j++)
		if (dkim2_domain_covers(l->senders[j], domain))
			return true;
	return false;
}

/* Sets *signs where this listener signs mail from the domain. */
static int
put_listener(const struct config_listener *l, const struct keydir *k,
    struct bytes domain, bool *signs)
{
	struct bytes d = keydir_cover(k, &domain, 1);

	printf("%s (%s): ", l->name, config_role_name(l->role));
	if (l->role == ROLE_FORWARD) {
		puts("signs as the domain that a message was sent to, "
		    "whoever sent it");
	} else if (!config_role_originates(l->role)) {
		puts("does not sign");
	} else if (!is_sender(l, k, domain)) {
		puts("refuses this sender (550 5.7.1)");
	} else if (d.n == 0) {
		puts(l->unsignable == UNSIGNABLE_REFUSE ?
		    "no key covers it: refused (550 5.7.1)" :
		    "no key covers it: passed on unsigned");
	} else {
		printf("signs as d=%.*s\n", BYTES_FMT(d));
		*signs = true;
		return put_keys(k, d, "  ");
	}
	return 0;
}

static int
by_config(const char *path, struct bytes domain, struct arena *a)
{
	struct config *c = config_load(path, complain, NULL);
	struct keydir k = {NULL, 0};
	bool signs = false;
	int r = 0;

	if (c == NULL)
		return access(path, R_OK) != 0 ? CLI_UNREADABLE : CLI_CONFIG;
	if (c->keys != NULL)
		r = scan(&k, c->keys, keyplace_group(c), a);
	for (size_t j = 0; r == 0 && j < c->n_listeners; j++)
		r = put_listener(&c->listeners[j], &k, domain, &signs);
	config_free(&c);
	return r != 0 ? r : signs ? 0 : 1;
}

static int
run(int argc, char **argv, struct arena *a)
{
	struct args args;
	struct bytes domain;
	const char *keys, *config;
	int r = args_parse(&args, argc, argv, known, 1, a);

	if (r != 0)
		return r;
	keys = args_get(&args, "keys");
	config = args_get(&args, "c");
	if (args.n_words != 1)
		return cli_fail(CLI_USAGE,
		    "which-key ADDRESS [--keys DIR | -c FILE]");
	if (keys != NULL && config != NULL)
		return cli_fail(CLI_USAGE,
		    "which-key: --keys or -c, not both");
	r = read_domain(args.words[0], a, &domain);
	if (r != 0)
		return r;
	return keys != NULL ? by_folder(keys, domain, a) :
	    by_config(config != NULL ? config : KEYPLACE_CONFIG, domain, a);
}

int
cli_which_key(int argc, char **argv)
{
	struct arena *a = arena_new(ARENA);
	int r;

	if (a == NULL)
		return cli_fail(CLI_CANNOT, "out of memory");
	r = run(argc, argv, a);
	arena_free(&a);
	return r;
}
