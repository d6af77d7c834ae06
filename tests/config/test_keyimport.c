#include "tests/config/kit.h"

#include "base/err.h"
#include "config/keyimport.h"

#define KEYS \
	"# a comment\n" \
	"s1._domainkey.one.example one.example:S1:/etc/k/one.pem\n" \
	"all\t%:s2:/etc/k/%/s2.pem   # another\n" \
	"old one.example:old:/etc/k/old.pem\n"

struct got {
	char keys[4096];	/* "DOMAIN SELECTOR PATH\n" ... */
	char faults[4096];
	char notes[4096];
	size_t n_unused;
};

static void
hear_text(void *arg, const char *text)
{
	char *all = arg;
	size_t n = strlen(all);

	(void)snprintf(all + n, 4096 - n, "%s\n", text);
}

static void
import_all(struct got *g, bool is_opendkim, const char *first,
    const char *second, const char *other)
{
	struct arena *a = arena_new(16 << 20);
	struct config_faults faults = {.arena = a}, notes = {.arena = a};
	const struct keyimport_to to = {a, &faults, &notes};
	const struct keyimport_table one = {bytes_of(first), "one"};
	const struct keyimport_table two = {second == NULL ?
	    (struct bytes){NULL, 0} : bytes_of(second), "two"};
	struct keyimport out;
	size_t n = 0;

	*g = (struct got){.n_unused = 0};
	assert_int_equal(is_opendkim ?
	    keyimport_opendkim(&out, &one, &two, &to) :
	    keyimport_rspamd(&out, &one, second == NULL ? NULL : &two, other,
	    &to), 0);
	for (size_t k = 0; k < out.n; k++)
		n += (size_t)snprintf(g->keys + n, sizeof(g->keys) - n,
		    "%.*s %.*s %s\n", BYTES_FMT(out.keys[k].domain),
		    BYTES_FMT(out.keys[k].selector), out.keys[k].path);
	g->n_unused = out.n_unused;
	config_fault_tell(&faults, "one", hear_text, g->faults);
	config_fault_tell(&notes, "one", hear_text, g->notes);
	arena_free(&a);
}

static void
opendkim_tables_say_which_keys(void **state)
{
	static const struct {
		const char *signing;
		const char *keys;
		const char *notes;
		size_t n_unused;
	} row[] = {
		{"*@one.example s1._domainkey.one.example\n", "one.example s1 /etc/k/one.pem\n", "", 2},
		/* the name of a key has no case, its signer is not ours to say */
		{"*@One.Example S1._domainkey.ONE.example:me@one.example\n", "one.example s1 /etc/k/one.pem\n", "", 2},
		{"one.example s1._domainkey.one.example\n"
		 ".one.example s1._domainkey.one.example\n"
		 "ann@mail.one.example s1._domainkey.one.example\n", "one.example s1 /etc/k/one.pem\n", "", 2},
		{"*@*.two.example all\n*@Three.example all\n",
		 "three.example s2 /etc/k/Three.example/s2.pem\ntwo.example s2 /etc/k/two.example/s2.pem\n", "", 2},
		{"one.example s1._domainkey.one.example\none.example old\n",
		 "one.example old /etc/k/old.pem\none.example s1 /etc/k/one.pem\n", "", 1},
		{"two.example old\n", "one.example old /etc/k/old.pem\n",
		 "two:1:1: mail of `two.example` was signed as one.example; hopseal signs with it only what is of that domain\n", 2},
		{"\n* old\n", "one.example old /etc/k/old.pem\n",
		 "two:2:1: mail of `*` was signed as one.example; hopseal signs with it only what is of that domain\n", 2},
		{"xone.example old\n", "one.example old /etc/k/old.pem\n",
		 "two:1:1: mail of `xone.example` was signed as one.example; hopseal signs with it only what is of that domain\n", 2},
		{"", "", "", 3},
	};

	(void)state;
	for (size_t k = 0; k < N(row); k++) {
		struct got g;

		import_all(&g, true, KEYS, row[k].signing, NULL);
		assert_string_equal(g.faults, "");
		assert_string_equal(g.keys, row[k].keys);
		assert_string_equal(g.notes, row[k].notes);
		assert_int_equal(g.n_unused, row[k].n_unused);
	}
}

static void
opendkim_mistakes_have_their_place(void **state)
{
	static const struct {
		const char *keys;
		const char *signing;
		const char *out;
	} row[] = {
		{KEYS, "one.example none\n", "two:1:13: key `none` is not in the KeyTable; add its line there, or remove this one\n"},
		{KEYS, "one.example\n", "two:1:1: pattern `one.example` has no key; write PATTERN NAME\n"},
		{KEYS, "* all\n", "two:1:1: pattern `*` is of every domain, and its key has none; write the domains, a line each\n"},
		{"k one.example:s\n", "one.example k\n", "one:1:3: key `one.example:s` is not DOMAIN:SELECTOR:PATH\n"},
		{"k one.example:s:\n", "one.example k\n", "one:1:3: key `one.example:s:` is not DOMAIN:SELECTOR:PATH\n"},
		{"k one.example:s:MIIB\n", "one.example k\n", "one:1:3: key `MIIB` is no absolute path; write that of a PEM file\n"},
		{"k one.example:s:k.pem\n", "one.example k\n", "one:1:3: key `k.pem` is no absolute path; write that of a PEM file\n"},
		{"k one.example:../x:/k\n", "one.example k\n", "one:1:3: selector `../x` is no selector; write letters, digits and hyphens\n"},
		{"k one.example:s:/a\nK one.example:s:/b\n", "", "one:2:1: key `K` stands in line 1 already; keep one of them\n"},
		{"k one.example:s:/a\nj one.example:S:/b\n", "one.example k\none.example j\n", "one:2:3: selector `s` has two keys; keep one of them\n"},
	};

	(void)state;
	for (size_t k = 0; k < N(row); k++) {
		struct got g;

		import_all(&g, true, row[k].keys, row[k].signing, NULL);
		assert_string_equal(g.faults, row[k].out);
	}
	{
		struct got g;

		/* a domain that would lead out of the folder */
		import_all(&g, true, "k ../x:s:/k\n", "one.example k\n", NULL);
		assert_non_null(strstr(g.faults, "one:1:3: domain `../x` "));
		import_all(&g, true, "k %:s:/k\n", "../x k\n", NULL);
		assert_non_null(strstr(g.faults, "two:1:1: domain `./x` "));
	}
}

static void
rspamd_maps_say_which_keys(void **state)
{
	static const struct {
		const char *selectors;
		const char *paths;
		const char *keys;
		const char *faults;
		size_t n_unused;
	} row[] = {
		{"One.example S1\ntwo.example s2\n", NULL,
		 "one.example s1 /r/one.example.S1.key\ntwo.example s2 /r/two.example.s2.key\n", "", 0},
		{"one.example s1\ntwo.example s2\n", "two.example /k/$selector/$domain/$selector\nnone.example /x\n",
		 "one.example s1 /r/one.example.s1.key\ntwo.example s2 /k/s2/two.example/s2\n", "", 1},
		{"one.example s1\none.example s1\n", NULL, "one.example s1 /r/one.example.s1.key\n", "", 0},
		{"one.example\n", NULL, "", "one:1:1: domain `one.example` has no selector; write DOMAIN SELECTOR\n", 0},
		{"one.example s1\n", "one.example k\n", "", "two:1:13: key `k` is no absolute path; write that of a PEM file\n", 0},
		{"one.example s1\n", "one.example /a\nONE.example /b\n", "one.example s1 /a\n",
		 "two:2:1: domain `ONE.example` stands in line 1 already; keep one of them\n", 1},
		{"one.example a/b\n", NULL, "", "one:1:13: selector `a/b` is no selector; write letters, digits and hyphens\n", 0},
	};

	(void)state;
	for (size_t k = 0; k < N(row); k++) {
		struct got g;

		import_all(&g, false, row[k].selectors, row[k].paths,
		    "/r/$domain.$selector.key");
		assert_string_equal(g.faults, row[k].faults);
		assert_string_equal(g.notes, "");
		if (row[k].faults[0] == '\0')
			assert_string_equal(g.keys, row[k].keys);
		if (row[k].faults[0] == '\0')
			assert_int_equal(g.n_unused, row[k].n_unused);
	}
}

/* At the bound, and one past it. */
static void
tables_have_a_bound(void **state)
{
	char *text = malloc((size_t)16 * (KEYIMPORT_LINES_MAX + 2));
	char path[2 * KEYIMPORT_PATH_MAX];
	struct got *g = test_malloc(sizeof(*g));
	size_t n = 0;

	(void)state;
	assert_non_null(text);
	for (size_t k = 0; k < KEYIMPORT_LINES_MAX; k++)
		n += (size_t)sprintf(text + n, "k%zu x\n", k);
	import_all(g, true, text, "", NULL);
	assert_string_equal(g->faults, "");
	assert_int_equal(g->n_unused, KEYIMPORT_LINES_MAX);
	strcpy(text + n, "one x\ntwo x\n");
	import_all(g, true, text, "", NULL);
	assert_string_equal(g->faults, "one:100001:1: there are more than "
	    "100000 lines; import a part of them\n");
	free(text);

	memset(path, 'p', sizeof(path));
	path[0] = '/';
	path[KEYIMPORT_PATH_MAX - 1] = '\0';
	import_all(g, false, "one.example s", NULL, path);
	assert_string_equal(g->faults, "");
	path[KEYIMPORT_PATH_MAX - 1] = 'p';
	path[KEYIMPORT_PATH_MAX] = '\0';
	import_all(g, false, "one.example s", NULL, path);
	assert_non_null(strstr(g->faults, "is too long"));
	test_free(g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opendkim_tables_say_which_keys),
		cmocka_unit_test(opendkim_mistakes_have_their_place),
		cmocka_unit_test(rspamd_maps_say_which_keys),
		cmocka_unit_test(tables_have_a_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
