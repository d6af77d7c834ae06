#include "cli/keyplace.h"

#include "base/err.h"
#include "cli/cli.h"
#include "config/value.h"

#include <pwd.h>
#include <unistd.h>

/* config_complain */
static void
complain(void *arg, const char *text)
{
	(void)arg;
	(void)cli_fail(0, "%s", text);
}

unsigned
keyplace_group(const struct config *c)
{
	const struct passwd *pw;

	if (geteuid() != 0)
		return getegid();
	pw = getpwnam(c->user);
	if (pw == NULL && !c->has_user)
		pw = getpwnam("nobody");
	return pw != NULL ? pw->pw_gid : (unsigned)-1;
}

static const char *
copy(const char *text, struct arena *a, bool *is_full)
{
	const char *its;

	if (text == NULL)
		return NULL;
	its = (const char *)arena_copy(a, bytes_of(text)).p;
	*is_full |= its == NULL;
	return its;
}

/* The resolvers of a configuration as lookup_dns() takes them. */
static const char *
resolvers(const struct config *c, struct arena *a, bool *is_full)
{
	struct buf out;

	if (c->n_resolver == 0)
		return NULL;
	if (arena_buf(a, c->n_resolver * 64 + 1, &out) != 0) {
		*is_full = true;
		return NULL;
	}
	for (size_t k = 0; k < c->n_resolver; k++) {
		buf_add_str(&out, k == 0 ? "" : ",");
		config_value_put_addr(&out, &c->resolver[k]);
	}
	return (const char *)out.p;
}

static int
by_config(struct keyplace *p, const char *path, struct arena *a)
{
	struct config *c = config_load(path, complain, NULL);
	bool is_full = false;

	if (c == NULL)
		return access(path, R_OK) != 0 ? CLI_UNREADABLE : CLI_CONFIG;
	p->folder = copy(c->keys, a, &is_full);
	p->gid = keyplace_group(c);
	if (p->keys_file == NULL && p->resolver == NULL) {
		p->keys_file = copy(c->keys_file, a, &is_full);
		p->resolver = resolvers(c, a, &is_full);
	}
	config_free(&c);
	return is_full ? cli_fail(CLI_CANNOT, "out of memory") : 0;
}

int
keyplace_find(struct keyplace *p, const struct args *args, struct arena *a)
{
	const char *config = args_get(args, "c");

	*p = (struct keyplace){
		.folder = args_get(args, "keys"),
		.gid = (unsigned)-1,
		.keys_file = args_get(args, "keys-file"),
		.resolver = args_get(args, "resolver"),
	};
	if (p->folder != NULL && config != NULL)
		return cli_fail(CLI_USAGE, "--keys or -c, not both");
	if (p->keys_file != NULL && p->resolver != NULL)
		return cli_fail(CLI_USAGE,
		    "--keys-file or --resolver, not both");
	if (p->folder != NULL)
		return 0;
	return by_config(p, config != NULL ? config : KEYPLACE_CONFIG, a);
}

int
keyplace_list(const struct keyplace *p, const struct keydir_key **keys,
    size_t *n, struct arena *a)
{
	int r;

	*keys = NULL;
	*n = 0;
	if (p->folder == NULL)
		return 0;
	r = keydir_list(keys, n, p->folder, p->gid, a, complain, NULL);
	if (r == -E_SYSTEM)
		return CLI_UNREADABLE;
	if (r == -E_NOMEM)
		return cli_fail(CLI_CANNOT, "out of memory");
	return r == 0 ? 0 : CLI_CONFIG;
}
