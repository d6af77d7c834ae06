#include "daemon/secrets.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define S16 "0123456789abcdef"

struct folder {
	char path[80];
	char heard[4096];
};

static void
hear(void *arg, const char *text)
{
	struct folder *f = arg;
	size_t n = strlen(f->heard);

	snprintf(f->heard + n, sizeof(f->heard) - n, "%s\n", text);
}

/* A file that was changed at a time; text may hold NUL. */
static void
put(const struct folder *f, const char *name, struct bytes text, time_t when)
{
	const struct timespec t[2] = {{when, 0}, {when, 0}};
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", f->path, name);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(text.p, 1, text.n, file), text.n);
	fclose(file);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(utimensat(AT_FDCWD, path, t, 0), 0);
}

static int
setup(void **state)
{
	struct folder *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	assert_true(sodium_init() >= 0);
	snprintf(f->path, sizeof(f->path), "/tmp/hopseal-secrets-XXXXXX");
	assert_non_null(mkdtemp(f->path));
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct folder *f = *state;
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", f->path);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

static void
check(struct folder *f, const struct bytes *want, size_t n)
{
	struct secrets *s = secrets_new(f->path, (unsigned)-1, hear, f);
	struct smtp_secrets all = secrets_all(s);

	assert_string_equal(f->heard, "");
	assert_non_null(s);
	assert_int_equal(all.n, n);
	for (size_t k = 0; k < n; k++)
		assert_true(bytes_eq(all.all[k], want[k]));
	secrets_lock(s);
	secrets_free(&s);
	assert_null(s);
}

static void
the_newest_is_the_first(void **state)
{
	static const struct bytes by_time[] = {BYTES_LIT(S16 "2"),
	    BYTES_LIT(S16 "1"), BYTES_LIT(S16 "3")};
	static const struct bytes by_name[] = {BYTES_LIT(S16 "3"),
	    BYTES_LIT(S16 "2"), BYTES_LIT(S16 "1")};
	struct folder *f = *state;

	put(f, "1", by_time[1], 2000);
	put(f, "2", by_time[0], 3000);
	put(f, "3", by_time[2], 1000);
	check(f, by_time, 3);
	put(f, "1", by_name[2], 1000);
	put(f, "2", by_name[1], 1000);
	check(f, by_name, 3);
}

static void
a_file_is_a_secret(void **state)
{
	static const struct bytes want[] = {BYTES_LIT(S16), BYTES_LIT(S16),
	    BYTES_LIT(S16 "\n"), BYTES_LIT("a\0b\nc0123456789d")};
	struct folder *f = *state;

	put(f, "4", BYTES_LIT(S16 "\n"), 1);
	put(f, "3", BYTES_LIT(S16 "\r\n"), 1);
	put(f, "2", BYTES_LIT(S16 "\n\n"), 1);
	put(f, "1", want[3], 1);
	/* what lies beside is none */
	put(f, ".hidden", BYTES_LIT("short"), 2);
	put(f, "4~", BYTES_LIT("of yesterday, but saved later"), 2);
	check(f, want, 4);
}

static void
complains(struct folder *f, const char *what)
{
	struct secrets *s;

	f->heard[0] = '\0';
	s = secrets_new(f->path, (unsigned)-1, hear, f);
	assert_null(s);
	print_message("%s", f->heard);
	assert_non_null(strstr(f->heard, what));
	/* no line shows what is in a file */
	assert_null(strstr(f->heard, "0123"));
}

static void
what_is_no_secret_is_told(void **state)
{
	struct folder *f = *state, elsewhere = {.path = ""};
	struct secrets *s;
	char path[128], longest[1025];

	complains(f, "has no secret");
	put(f, "1", BYTES_LIT("0123456789abcde\n"), 1);
	complains(f, "short enough to be guessed");
	put(f, "1", BYTES_LIT(S16), 1);
	snprintf(path, sizeof(path), "%s/1", f->path);
	assert_int_equal(chmod(path, 0644), 0);
	complains(f, "mode 0644 lets others at the key");
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(chmod(f->path, 0777), 0);
	complains(f, "mode 0777 lets others exchange the keys");
	assert_int_equal(chmod(f->path, 0700), 0);
	memset(longest, 'x', sizeof(longest));
	put(f, "2", (struct bytes){(uint8_t *)longest, 1025}, 1);
	complains(f, "");
	put(f, "2", (struct bytes){(uint8_t *)longest, 1024}, 1);
	for (int k = 0; k < 62; k++) {
		snprintf(path, sizeof(path), "n%d", k);
		put(f, path, BYTES_LIT(S16), 1);
	}
	f->heard[0] = '\0';
	s = secrets_new(f->path, (unsigned)-1, hear, f);
	assert_non_null(s);
	assert_int_equal(secrets_all(s).n, 64);
	secrets_free(&s);
	put(f, "one-more", BYTES_LIT(S16), 1);
	complains(f, "more than 64");
	snprintf(elsewhere.path, sizeof(elsewhere.path), "%.60s/none",
	    f->path);
	complains(&elsewhere, "can not look at it");
}

static void
there_may_be_none(void **state)
{
	struct folder *f = *state;
	struct secrets *s = secrets_new(NULL, (unsigned)-1, hear, f);

	assert_non_null(s);
	assert_int_equal(secrets_all(s).n, 0);
	assert_int_equal(secrets_all(NULL).n, 0);
	secrets_lock(s);
	secrets_free(&s);
	secrets_free(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_newest_is_the_first, setup, teardown),
		cmocka_unit_test_setup_teardown(a_file_is_a_secret, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_no_secret_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(there_may_be_none, setup, teardown),
	};

	return cmocka_run_group_tests_name("daemon/secrets", tests, NULL, NULL);
}
