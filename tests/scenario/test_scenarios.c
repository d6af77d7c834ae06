#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "tests/scenario/cells.h"
#include "tests/scenario/script.h"

#define MAX 2000

static struct scenario list[MAX];
static struct CMUnitTest tests[MAX];
static size_t n;

static void
play(void **state)
{
	static char why[8192];
	struct buf b = BUF_ON(why);

	memset(why, 0, sizeof(why));
	if (!scenario_run(*state, &b))
		fail_msg("%s", why);
}

/* The text lives on: scenarios are views of it. */
static struct bytes
text_of(const char *path)
{
	static uint8_t room[4U << 20];
	static size_t used;
	FILE *f = fopen(path, "r");
	struct bytes text = {room + used, 0};

	if (f == NULL)
		abort();
	text.n = fread(room + used, 1, sizeof(room) - used - 1, f);
	fclose(f);
	used += text.n + 1;
	return text;
}

static void
read_file(const char *path, struct bytes words)
{
	struct bytes text = text_of(path);
	size_t had = n;

	n += strstr(path, ".cells") != NULL
	    ? cells_make(path, text, list + n, MAX - n)
	    : scenario_split(path, text, list + n, MAX - n);
	for (size_t k = had; k < n; k++) {
		list[k].words = words;
		tests[k] = (struct CMUnitTest){list[k].title, play, NULL, NULL,
		    &list[k]};
	}
}

int
main(void)
{
	struct bytes words = text_of("tests/scenario/words.txt");
	glob_t g;

	if (sodium_init() < 0 ||
	    glob("tests/scenario/*.scenario", 0, NULL, &g) != 0 ||
	    glob("tests/scenario/*.cells", GLOB_APPEND, NULL, &g) != 0)
		return 1;
	for (size_t k = 0; k < g.gl_pathc; k++)
		read_file(strdup(g.gl_pathv[k]), words);
	globfree(&g);
	cmocka_set_test_filter(getenv("SCENARIO"));
	return _cmocka_run_group_tests("scenarios", tests, n, NULL, NULL);
}
