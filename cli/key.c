#include "cli/key.h"

#include "base/err.h"
#include "cli/cli.h"
#include "cli/keyfile.h"
#include "cli/keystore.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ARENA ((size_t)64 << 20)
#define DAY_S 86400

static const struct args_known known_new[] = {
	{"c", false}, {"keys", false}, {"type", false}, {NULL, false},
};
static const struct args_known known_status[] = {
	KEYPLACE_OPTIONS, {NULL, false},
};
static const struct args_known known_activate[] = {
	KEYPLACE_OPTIONS, {"all", true}, {NULL, false},
};
static const struct args_known known_retire[] = {
	{"c", false}, {"keys", false}, {"last", true}, {NULL, false},
};
static const struct args_known known_import[] = {
	{"c", false}, {"keys", false}, {"opendkim", true}, {"rspamd", true},
	{"path", false}, {NULL, false},
};

int
key_find_folder(struct key_call *k)
{
	int r = keyplace_find(&k->place, &k->args, k->arena);

	if (r == 0 && k->place.folder == NULL)
		r = cli_fail(CLI_CONFIG, "the configuration names no `keys`; "
		    "write their folder");
	return r;
}

/* The keys of the words: all, of a domain, or one. At least one. */
static int
choose(struct key_call *k)
{
	const char **words = k->args.words;
	char domain[254] = "", selector[254] = "";
	struct keydir_key *chosen;
	int r;

	if ((k->args.n_words > 0 && !keystore_name(words[0], domain)) ||
	    (k->args.n_words > 1 && !keystore_name(words[1], selector)))
		return cli_fail(CLI_USAGE, "key: DOMAIN and SELECTOR are DNS "
		    "names (A-labels)");
	r = keyplace_list(&k->place, &k->all, &k->n_all, k->arena);
	if (r != 0)
		return r;
	chosen = arena_array(k->arena, k->n_all, sizeof(*chosen));
	if (chosen == NULL)
		return cli_fail(CLI_CANNOT, "out of memory");
	for (size_t j = 0; j < k->n_all; j++) {
		const struct keydir_entry *e = &k->all[j].entry;

		if ((domain[0] == '\0' ||
		    bytes_eq(e->domain, bytes_of(domain))) &&
		    (selector[0] == '\0' ||
		    bytes_case_eq(e->selector, bytes_of(selector))))
			chosen[k->n++] = k->all[j];
	}
	k->keys = chosen;
	if (k->n == 0)
		return cli_fail(CLI_CANNOT, "no such key in %s",
		    k->place.folder);
	return 0;
}

static void
say(FILE *f, const struct keydir_key *key, const char *what)
{
	fprintf(f, "%.*s %.*s: %s\n", BYTES_FMT(key->entry.domain),
	    BYTES_FMT(key->entry.selector), what);
}

/* ---- status --------------------------------------------------------------- */

/* Whether something must be done soon, or mail suffers already. */
static bool
is_alarm(const struct keydir_key *key, enum published found, int64_t keep_s)
{
	if (found == PUBLISHED_RIGHT || found == PUBLISHED_UNKNOWN)
		return false;
	if (key->state == KEYSTATE_MADE)
		return found != PUBLISHED_ABSENT;
	return key->state == KEYSTATE_ACTIVE || keep_s != 0;
}

static void
put_retired(struct buf *out, enum published found, int64_t keep_s)
{
	long long days = (keep_s + DAY_S - 1) / DAY_S;

	if (keep_s != 0)
		buf_printf(out, "its record %s, and has to stay for %lld %s "
		    "more", published_text(found), days,
		    days == 1 ? "day" : "days");
	else
		buf_printf(out, "its record %s%s", published_text(found),
		    found == PUBLISHED_ABSENT ? ", as it may be" :
		    "; it may go, and the key with it");
}

static int
put_status(const struct keydir_key *key, enum published found, int64_t now)
{
	int64_t keep_s = key->state == KEYSTATE_RETIRED ?
	    keystate_keep(key->since_s, now) : 0;
	bool is_bad = is_alarm(key, found, keep_s);
	bool is_published = key->state == KEYSTATE_MADE &&
	    found == PUBLISHED_RIGHT;
	char room[512], since[32] = "";
	struct buf out = BUF_ON(room);
	time_t t = (time_t)key->since_s;
	struct tm tm;

	if (key->since_s != 0 && gmtime_r(&t, &tm) != NULL)
		(void)strftime(since, sizeof(since), " %Y-%m-%d", &tm);
	buf_printf(&out, "%s%s%s; ", is_bad ? "ALARM: " : "", is_published ?
	    "published" : keystate_name(key->state), since);
	if (key->state == KEYSTATE_RETIRED)
		put_retired(&out, found, keep_s);
	else
		buf_printf(&out, "its record %s%s", published_text(found),
		    is_published ? "; it may be activated" : "");
	buf_add_octet(&out, '\0');
	say(stdout, key, room);
	return is_bad ? 1 : found == PUBLISHED_UNKNOWN ? CLI_LATER : 0;
}

static int
key_status(struct key_call *k)
{
	const enum published *found;
	int64_t now = (int64_t)time(NULL);
	int code = 0, r = choose(k);

	if (r == 0)
		r = published_ask(&k->place, k->keys, k->n, &found, k->arena);
	for (size_t j = 0; r == 0 && j < k->n; j++) {
		int its = put_status(&k->keys[j], found[j], now);

		if (its == 1 || code == 0)
			code = its;
	}
	return r != 0 ? r : code;
}

/* ---- new, activate, retire -------------------------------------------------- */

static int
key_new(struct key_call *k)
{
	char domain[254], selector[254];
	enum dkim2_algorithm algorithm;
	int r;

	if (k->args.n_words != 2)
		return cli_fail(CLI_USAGE, "key new DOMAIN SELECTOR");
	if (!keystore_name(k->args.words[0], domain) ||
	    !keystore_name(k->args.words[1], selector))
		return cli_fail(CLI_USAGE, "key: DOMAIN and SELECTOR are DNS "
		    "names (A-labels)");
	if (keystore_type(args_get(&k->args, "type"), &algorithm) != 0)
		return CLI_USAGE;
	r = keystore_generate(algorithm, k->place.folder, domain, selector,
	    true);
	if (r == 0)
		printf("; once this is in the DNS: hopseal key activate "
		    "%s %s\n", domain, selector);
	return r;
}

/* Nothing is activated whose record the DNS does not show. */
static int
activate(const struct keydir_key *key, enum published found)
{
	int r;

	if (found != PUBLISHED_RIGHT)
		return cli_fail(found == PUBLISHED_UNKNOWN ? CLI_LATER :
		    CLI_CANNOT, "%.*s %.*s: not activated: its record %s",
		    BYTES_FMT(key->entry.domain),
		    BYTES_FMT(key->entry.selector), published_text(found));
	r = keystore_mark(key->entry.path, KEYSTATE_ACTIVE);
	if (r == 0)
		say(stdout, key, "active; hopseald signs with it from its "
		    "next reload on");
	return r;
}

static int
key_activate(struct key_call *k)
{
	bool is_named = k->args.n_words == 2;
	const enum published *found;
	bool has_any = false;
	int code = 0, r;

	if ((k->args.n_words == 0) != (args_get(&k->args, "all") != NULL))
		return cli_fail(CLI_USAGE,
		    "key activate DOMAIN [SELECTOR] | --all");
	r = choose(k);
	if (r == 0)
		r = published_ask(&k->place, k->keys, k->n, &found, k->arena);
	for (size_t j = 0; r == 0 && j < k->n; j++) {
		const struct keydir_key *key = &k->keys[j];
		int its = 0;

		if (key->state == KEYSTATE_ACTIVE && is_named)
			say(stdout, key, "is active");
		else if (key->state == KEYSTATE_MADE || is_named)
			its = activate(key, found[j]);
		else
			continue;
		has_any = true;
		code = its != 0 ? its : code;
	}
	if (r == 0 && !has_any)
		puts("nothing to activate: no key here waits for it");
	return r != 0 ? r : code;
}

/* Whether another key of its domain signs. */
static bool
has_other(const struct key_call *k, const struct keydir_key *key)
{
	for (size_t j = 0; j < k->n_all; j++)
		if (k->all[j].state == KEYSTATE_ACTIVE &&
		    bytes_eq(k->all[j].entry.domain, key->entry.domain) &&
		    !bytes_eq(k->all[j].entry.selector, key->entry.selector))
			return true;
	return false;
}

static int
key_retire(struct key_call *k)
{
	const struct keydir_key *key;
	int r;

	if (k->args.n_words != 2)
		return cli_fail(CLI_USAGE, "key retire DOMAIN SELECTOR");
	r = choose(k);
	if (r != 0)
		return r;
	key = &k->keys[0];
	if (key->state == KEYSTATE_RETIRED) {
		say(stdout, key, "is retired");
		return 0;
	}
	if (key->state == KEYSTATE_ACTIVE && !has_other(k, key) &&
	    args_get(&k->args, "last") == NULL)
		return cli_fail(CLI_CANNOT, "%.*s has no other active key, "
		    "and its mail would not be signed: activate one first, "
		    "or say --last", BYTES_FMT(key->entry.domain));
	r = keystore_mark(key->entry.path, KEYSTATE_RETIRED);
	if (r == 0)
		say(stdout, key, "retired; hopseald signs with it until its "
		    "next reload, and its record has to stay for 14 days "
		    "from then on");
	return r;
}

/* ---- which ------------------------------------------------------------------ */

static const struct {
	const char *name;
	int (*run)(struct key_call *k);
	const struct args_known *known;
	bool is_change;
} verbs[] = {
	{"new", key_new, known_new, true},
	{"status", key_status, known_status, false},
	{"activate", key_activate, known_activate, true},
	{"retire", key_retire, known_retire, true},
	{"import", key_import, known_import, true},
};

static int
run(size_t verb, int argc, char **argv, struct key_call *k)
{
	int fd = -1, r = args_parse(&k->args, argc, argv, verbs[verb].known,
	    2, k->arena);

	if (r == 0)
		r = key_find_folder(k);
	/* a folder that is to be made has nobody in it yet */
	if (r == 0 && verbs[verb].is_change &&
	    access(k->place.folder, F_OK) == 0)
		r = keystore_lock(k->place.folder, &fd);
	if (r == 0)
		r = verbs[verb].run(k);
	if (fd >= 0)
		close(fd);
	return r;
}

int
cli_key(int argc, char **argv)
{
	struct key_call k = {.arena = NULL};
	size_t verb = 0;
	int r;

	if (argc < 2)
		return cli_fail(CLI_USAGE,
		    "key new | status | activate | retire | import");
	while (verb < sizeof(verbs) / sizeof(verbs[0]) &&
	    strcmp(argv[1], verbs[verb].name) != 0)
		verb++;
	if (verb == sizeof(verbs) / sizeof(verbs[0]))
		return cli_fail(CLI_USAGE, "key: no verb %s; see hopseal help "
		    "key", argv[1]);
	k.arena = arena_new(ARENA);
	if (k.arena == NULL)
		return cli_fail(CLI_CANNOT, "out of memory");
	r = run(verb, argc - 1, argv + 1, &k);
	arena_free(&k.arena);
	return r;
}
