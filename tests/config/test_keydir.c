#include "tests/config/kit.h"

#include "base/err.h"
#include "config/keydir.h"

#define NOBODY 65534U

/* A folder of two good keys, in which a row then breaks something. */
static void
keys_make(struct folder *f)
{
	folder_make(f);
	folder_add_folder(f, "keys", 0755);
	folder_add_folder(f, "keys/one.example", 0755);
	folder_add_folder(f, "keys/Two.Example", 0700);
	folder_add(f, "keys/one.example/s2.pem", 0600, "k");
	folder_add(f, "keys/one.example/s1.pem", 0400, "k");
	folder_add(f, "keys/Two.Example/a.b.pem", 0600, "k");
	folder_add(f, "keys/README", 0644, "not a key");
	folder_add(f, "keys/one.example/s1.txt", 0644, "nor is this");
	folder_add(f, "keys/one.example/.s3.pem", 0644, "an editor's");
}

static void
break_mode(const struct folder *f, const char *name, unsigned mode)
{
	char path[512];

	folder_join(f, name, path);
	assert_int_equal(chmod(path, mode), 0);
}

static void
break_link(const struct folder *f, const char *name)
{
	char path[512], aside[512];

	folder_join(f, name, path);
	folder_join(f, "aside", aside);
	assert_int_equal(rename(path, aside), 0);
	assert_int_equal(symlink(aside, path), 0);
}

static void
break_owner(const struct folder *f, const char *name)
{
	char path[512];

	folder_join(f, name, path);
	assert_int_equal(chown(path, NOBODY, (gid_t)-1), 0);
}

static int
scan(const struct folder *f, unsigned gid, struct arena *a, struct keydir *k,
    struct heard *h)
{
	char path[512];

	*h = (struct heard){.folder = f->path};
	folder_join(f, "keys", path);
	return keydir_scan(k, path, gid, a, hear, h);
}

static void
keys_are_listed_by_domain_and_selector(void **state)
{
	struct heard *h = test_malloc(sizeof(*h));
	struct arena *a = arena_new(1 << 20);
	struct folder f;
	struct keydir k;
	char path[512];

	(void)state;
	keys_make(&f);
	assert_int_equal(scan(&f, (unsigned)-1, a, &k, h), 0);
	assert_string_equal(h->text, "");
	assert_int_equal(k.n, 3);
	assert_true(bytes_eq(k.entries[0].domain, BYTES_LIT("one.example")));
	assert_true(bytes_eq(k.entries[0].selector, BYTES_LIT("s1")));
	assert_true(bytes_eq(k.entries[1].selector, BYTES_LIT("s2")));
	assert_true(bytes_eq(k.entries[2].domain, BYTES_LIT("two.example")));
	assert_true(bytes_eq(k.entries[2].selector, BYTES_LIT("a.b")));
	folder_join(&f, "keys/Two.Example/a.b.pem", path);
	assert_string_equal(k.entries[2].path, path);
	folder_remove(&f);
	arena_free(&a);
	test_free(h);
}

/* P3: who may read or exchange a key is root or us. */
static void
p3_unsafe_keys_are_told(void **state)
{
	static const struct {
		const char *what;
		const char *name;	/* of what is broken */
		unsigned mode;		/* 0: see what */
		unsigned mode_group;	/* its fate with the service's group */
		const char *out;	/* without the group; "" is good */
	} row[] = {
		{"group reads", "keys/one.example/s1.pem", 0640, 0, "mode 0640 lets others at the key; chmod 0600, or 0640 with the service's group"},
		{"group reads, no write", "keys/one.example/s1.pem", 0440, 0, "mode 0440 lets others at the key; chmod 0600, or 0640 with the service's group"},
		{"group writes", "keys/one.example/s1.pem", 0660, 1, "mode 0660 lets others at the key; chmod 0600, or 0640 with the service's group"},
		{"others read", "keys/one.example/s1.pem", 0604, 1, "mode 0604 lets others at the key; chmod 0600, or 0640 with the service's group"},
		{"it runs", "keys/one.example/s1.pem", 0700, 1, "mode 0700 lets others at the key; chmod 0600, or 0640 with the service's group"},
		{"setuid", "keys/one.example/s1.pem", 04600, 1, "mode 4600 lets others at the key; chmod 0600, or 0640 with the service's group"},
		{"group writes in the folder", "keys/one.example", 0775, 1, "mode 0775 lets others exchange the keys; chmod go-w"},
		{"others write in it", "keys/one.example", 01777, 1, "mode 1777 lets others exchange the keys; chmod go-w"},
		{"group writes in the top", "keys", 0770, 1, "mode 0770 lets others exchange the keys; chmod go-w"},
		{"others write in the top", "keys", 0702, 1, "mode 0702 lets others exchange the keys; chmod go-w"},
		{"link", "keys/one.example/s1.pem", 0, 1, "a link can be turned to another file; put the key itself there"},
		{"link", "keys/one.example", 0, 1, "a link can be turned to another folder; a folder of keys must be there"},
		{"owner", "keys/one.example/s1.pem", 0, 1, "user 65534 owns it; chown it to root, or to the user that runs this"},
		{"owner", "keys/one.example", 0, 1, "user 65534 owns it; chown it to root, or to the user that runs this"},
		{"owner", "keys", 0, 1, "user 65534 owns it; chown it to root, or to the user that runs this"},
	};
	struct heard *h = test_malloc(sizeof(*h));
	char want[1024];

	(void)state;
	for (size_t k = 0; k < N(row); k++) {
		struct arena *a = arena_new(1 << 20);
		struct folder f;
		struct keydir keys;
		int r;

		if (strcmp(row[k].what, "owner") == 0 && geteuid() != 0)
			continue;	/* only root gives a file away */
		keys_make(&f);
		if (row[k].mode != 0)
			break_mode(&f, row[k].name, row[k].mode);
		else if (strcmp(row[k].what, "link") == 0)
			break_link(&f, row[k].name);
		else
			break_owner(&f, row[k].name);
		(void)snprintf(want, sizeof(want), "%s: %s\n", row[k].name,
		    row[k].out);
		assert_int_equal(scan(&f, (unsigned)-1, a, &keys, h),
		    -E_UNSAFE);
		assert_string_equal(h->text, want);
		r = scan(&f, getegid(), a, &keys, h);
		assert_int_equal(r, row[k].mode_group != 0 ? -E_UNSAFE : 0);
		assert_string_equal(h->text, r == 0 ? "" : want);
		r = scan(&f, getegid() + 1, a, &keys, h);
		assert_int_equal(r, -E_UNSAFE);
		folder_remove(&f);
		arena_free(&a);
	}
	test_free(h);
}

static void
the_top_folder_may_be_a_link(void **state)
{
	struct heard *h = test_malloc(sizeof(*h));
	struct arena *a = arena_new(1 << 20);
	struct folder f;
	struct keydir k;

	(void)state;
	keys_make(&f);
	break_link(&f, "keys");
	assert_int_equal(scan(&f, (unsigned)-1, a, &k, h), 0);
	assert_int_equal(k.n, 3);
	folder_remove(&f);
	arena_free(&a);
	test_free(h);
}

static void
every_mistake_of_a_folder_is_told(void **state)
{
	struct heard *h = test_malloc(sizeof(*h));
	struct arena *a = arena_new(1 << 20);
	char want[2048];
	struct folder f;
	struct keydir k;

	(void)state;
	keys_make(&f);
	folder_add(&f, "keys/loose.pem", 0600, "k");
	folder_add_folder(&f, "keys/a_b.example", 0700);
	folder_add_folder(&f, "keys/two.example", 0700);
	folder_add(&f, "keys/two.example/A.B.pem", 0604, "k");
	folder_add(&f, "keys/one.example/s\x1b.pem", 0600, "k");
	folder_add_folder(&f, "keys/one.example/s9.pem", 0700);
	assert_int_equal(scan(&f, (unsigned)-1, a, &k, h), -E_UNSAFE);
	(void)snprintf(want, sizeof(want),
	    "keys: `a_b.example` is no DNS name; write letters, digits and "
	    "hyphens in labels of 1 to 63, such as mx.example.org\n"
	    "keys: `loose.pem` stands outside a folder; write "
	    "DOMAIN/SELECTOR.pem\n"
	    "keys/one.example: `s\\033.pem` is no selector; write letters, "
	    "digits and hyphens\n"
	    "keys/one.example/s9.pem: it is not a regular file; put the key "
	    "itself there\n"
	    "keys/two.example/A.B.pem: mode 0604 lets others at the key; "
	    "chmod 0600, or 0640 with the service's group\n"
	    "keys/two.example/A.B.pem: the same domain and selector as "
	    "%s/keys/Two.Example/a.b.pem; keep one of them\n", f.path);
	assert_string_equal(h->text, want);
	folder_remove(&f);
	arena_free(&a);
	test_free(h);
}

static void
a_folder_must_be_there(void **state)
{
	struct heard *h = test_malloc(sizeof(*h));
	struct arena *a = arena_new(1 << 20);
	struct arena *small = arena_new(64);
	struct folder f;
	struct keydir k;

	(void)state;
	folder_make(&f);
	assert_int_equal(scan(&f, (unsigned)-1, a, &k, h), -E_SYSTEM);
	assert_string_equal(h->text,
	    "keys: can not look at it: No such file or directory\n");
	folder_add(&f, "keys", 0600, "");
	assert_int_equal(scan(&f, (unsigned)-1, a, &k, h), -E_UNSAFE);
	assert_string_equal(h->text,
	    "keys: it is not a folder; a folder of keys must be there\n");
	folder_remove(&f);
	keys_make(&f);
	assert_int_equal(scan(&f, (unsigned)-1, small, &k, h), -E_NOMEM);
	folder_remove(&f);
	arena_free(&small);
	arena_free(&a);
	test_free(h);
}

static void
p3_one_file_is_checked_the_same_way(void **state)
{
	struct heard h = {.text = ""};
	struct folder f;
	char path[512];

	(void)state;
	folder_make(&f);
	h.folder = f.path;
	folder_add(&f, "a.pem", 0600, "k");
	folder_join(&f, "a.pem", path);
	assert_int_equal(keydir_check_file(path, (unsigned)-1, hear, &h), 0);
	folder_add(&f, "a.pem", 0644, "k");
	assert_int_equal(keydir_check_file(path, (unsigned)-1, hear, &h),
	    -E_UNSAFE);
	assert_string_equal(h.text, "a.pem: mode 0644 lets others at the key; "
	    "chmod 0600, or 0640 with the service's group\n");
	folder_remove(&f);
	assert_int_equal(keydir_check_file(path, (unsigned)-1, hear, &h),
	    -E_SYSTEM);
}

/* ---- states --------------------------------------------------------------- */

static void
only_active_keys_sign(void **state)
{
	struct heard *h = test_malloc(sizeof(*h));
	struct arena *a = arena_new(1 << 20);
	const struct keydir_key *keys;
	struct folder f;
	struct keydir k;
	char path[512];
	size_t n;

	(void)state;
	keys_make(&f);
	folder_add(&f, "keys/one.example/s1.state", 0644, "retired 1795341600\n");
	folder_add(&f, "keys/one.example/s2.state", 0600, "active 7");
	folder_add(&f, "keys/Two.Example/a.b.state", 0600, "made 1795341601");
	folder_add(&f, "keys/Two.Example/gone.state", 0666, "not beside a key");
	assert_int_equal(scan(&f, (unsigned)-1, a, &k, h), 0);
	assert_string_equal(h->text, "");
	assert_int_equal(k.n, 1);
	assert_true(bytes_eq(k.entries[0].selector, BYTES_LIT("s2")));
	folder_join(&f, "keys", path);
	assert_int_equal(keydir_list(&keys, &n, path, (unsigned)-1, a, hear,
	    h), 0);
	assert_int_equal(n, 3);
	assert_int_equal(keys[0].state, KEYSTATE_RETIRED);
	assert_int_equal(keys[0].since_s, 1795341600);
	assert_int_equal(keys[1].state, KEYSTATE_ACTIVE);
	assert_int_equal(keys[1].since_s, 7);
	assert_int_equal(keys[2].state, KEYSTATE_MADE);
	assert_true(bytes_eq(keys[2].entry.selector, BYTES_LIT("a.b")));
	folder_remove(&f);
	arena_free(&a);
	test_free(h);
}

/* P3: nobody else may have a key sign, or not sign. */
static void
p3_unsafe_states_are_told(void **state)
{
	static const struct {
		unsigned mode;		/* 0: a link */
		const char *text;
		const char *out;
		int r;
	} row[] = {
		{0664, "active 1", "mode 0664 lets others change the state of the key; chmod go-w", -E_UNSAFE},
		{0646, "active 1", "mode 0646 lets others change the state of the key; chmod go-w", -E_UNSAFE},
		{0644, "", "is no state of a key; write made, active or retired, and since when in seconds of 1970", -E_UNSAFE},
		{0644, "published 1", "is no state of a key; write made, active or retired, and since when in seconds of 1970", -E_UNSAFE},
		{0644, "active 1 11111111111111111111111111111111111111111111111111111111111", "can not read it: it is too large", -E_LIMIT},
		{0, "active 1", "it is not a regular file; hopseal key writes it", -E_UNSAFE},
	};
	struct heard *h = test_malloc(sizeof(*h));
	char want[1024];

	(void)state;
	for (size_t k = 0; k < N(row); k++) {
		struct arena *a = arena_new(1 << 20);
		struct folder f;
		struct keydir keys;

		keys_make(&f);
		folder_add(&f, "keys/one.example/s1.state", row[k].mode == 0 ?
		    0600 : row[k].mode, row[k].text);
		if (row[k].mode == 0)
			break_link(&f, "keys/one.example/s1.state");
		(void)snprintf(want, sizeof(want),
		    "keys/one.example/s1.state: %s\n", row[k].out);
		assert_int_equal(scan(&f, getegid(), a, &keys, h), row[k].r);
		assert_string_equal(h->text, want);
		folder_remove(&f);
		arena_free(&a);
	}
	test_free(h);
}

static void
the_longest_domain_over_all_names_covers(void **state)
{
	static const struct keydir_entry entries[] = {
		{BYTES_LIT("a.b.example"), BYTES_LIT("s"), ""},
		{BYTES_LIT("b.example"), BYTES_LIT("s"), ""},
		{BYTES_LIT("b.example"), BYTES_LIT("t"), ""},
		{BYTES_LIT("c.example"), BYTES_LIT("s"), ""},
	};
	static const struct keydir keys = {entries, 4};
	static const struct {
		const char *name[2];
		const char *domain;
	} row[] = {
		{{"b.example", "b.example"}, "b.example"},
		{{"B.Example", ""}, "b.example"},
		{{"x.b.example", "b.example"}, "b.example"},
		{{"a.b.example", "x.A.b.example"}, "a.b.example"},
		{{"a.b.example", "b.example"}, "b.example"},
		{{"xb.example", ""}, ""},
		{{"b.example", "c.example"}, ""},
		{{"example", ""}, ""},
		{{"", "c.example"}, "c.example"},
		{{"", ""}, ""},
	};

	(void)state;
	for (size_t k = 0; k < N(row); k++) {
		const struct bytes names[] = {bytes_of(row[k].name[0]),
		    bytes_of(row[k].name[1])};

		assert_true(bytes_eq(keydir_cover(&keys, names, 2),
		    bytes_of(row[k].domain)));
	}
	assert_int_equal(keydir_cover(&keys, NULL, 0).n, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_listed_by_domain_and_selector),
		cmocka_unit_test(p3_unsafe_keys_are_told),
		cmocka_unit_test(the_top_folder_may_be_a_link),
		cmocka_unit_test(every_mistake_of_a_folder_is_told),
		cmocka_unit_test(a_folder_must_be_there),
		cmocka_unit_test(p3_one_file_is_checked_the_same_way),
		cmocka_unit_test(only_active_keys_sign),
		cmocka_unit_test(p3_unsafe_states_are_told),
		cmocka_unit_test(the_longest_domain_over_all_names_covers),
	};

	return cmocka_run_group_tests_name("config/keydir", tests, NULL, NULL);
}
