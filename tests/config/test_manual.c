#include "tests/config/kit.h"

#include "config/manual.h"
#include "config/schema.h"

static char *
sample(void)
{
	struct put p = {NULL, 0};

	config_manual_sample(put, &p);
	return p.text;
}

static char *
manual(void)
{
	struct put p = {NULL, 0};

	config_manual_mdoc(put, &p);
	return p.text;
}

static unsigned
times_in(const char *text, const char *what)
{
	unsigned n = 0;

	for (; (text = strstr(text, what)) != NULL; text += strlen(what))
		n++;
	return n;
}

/* Where the directive stands behind a #, at the #. */
static char *
commented(char *text, const struct config_row *row)
{
	char line[64];

	(void)snprintf(line, sizeof(line), "\n#%s: ", row->name);
	text = strstr(text, line);
	return text == NULL ? NULL : text + 1;
}

static char *
dump_of(const char *text)
{
	struct heard *h = test_malloc(sizeof(*h));
	struct config *c = load_text(text, h);
	struct put p = {NULL, 0};

	assert_string_equal(h->text, "");
	assert_non_null(c);
	config_dump(c, put, &p);
	config_free(&c);
	test_free(h);
	return p.text;
}

static void
every_directive_is_in_both_once(void **state)
{
	char *s = sample(), *m = manual(), name[64];

	(void)state;
	for (size_t k = 0; k < config_n_rows; k++) {
		const struct config_row *row = &config_rows[k];
		bool is_in = row->kind == K_NAME || row->kind == K_LISTENERS;

		(void)snprintf(name, sizeof(name), "\n.It Ic %s : ",
		    row->name);
		if (times_in(m, name) != 1)
			fail_msg("%s: manual", row->name);
		(void)snprintf(name, sizeof(name), is_in ? "\n%s:" : "\n#%s: ",
		    row->name);
		if (times_in(s, name) != (row->kind != K_UNBUILT))
			fail_msg("%s: sample", row->name);
	}
	assert_int_equal(times_in(m, "\n.It Ic "), config_n_rows);
	free(s);
	free(m);
}

/* What the manual says of one directive, up to the next. */
static void
item_of(const char *m, const struct config_row *row, char out[4096])
{
	char head[64];
	const char *end;

	(void)snprintf(head, sizeof(head), "\n.It Ic %s : ", row->name);
	m = strstr(m, head);
	assert_non_null(m);
	end = strstr(m + 1, "\n.It ");
	(void)snprintf(out, 4096, "%.*s", end == NULL ? 4000 : (int)(end - m) + 1,
	    m);
}

static void
the_manual_has_sentence_default_and_words(void **state)
{
	char *m = manual(), item[4096], words[512], line[512];

	(void)state;
	for (size_t k = 0; k < config_n_rows; k++) {
		const struct config_row *row = &config_rows[k];
		struct buf b = BUF_ON(words);

		item_of(m, row, item);
		if (strstr(item, row->doc + 1) == NULL)
			fail_msg("%s: sentence", row->name);
		(void)snprintf(line, sizeof(line), "\n.Li \"%s\" .\n",
		    row->fallback == NULL ? "" : row->fallback);
		if ((strstr(item, line) != NULL) != (row->fallback != NULL))
			fail_msg("%s: default", row->name);
		if (row->kind != K_WORD && row->kind != K_FLAGS)
			continue;
		config_word_list(row, &b);
		buf_add_octet(&b, '\0');
		if (strstr(item, words) == NULL)
			fail_msg("%s: words", row->name);
	}
	item_of(m, config_row_find(BYTES_LIT("max-message")), item);
	assert_non_null(strstr(item, "\n64K to 1G.\n"));
	item_of(m, config_row_find(BYTES_LIT("max-line")), item);
	assert_non_null(strstr(item, "Role\n.Cm appliance\nsays\n.Cm 998 .\n"));
	item_of(m, config_row_find(BYTES_LIT("repair")), item);
	assert_non_null(strstr(item, "\nNot for role inbound, forward, "
	    "list-in and list-out.\n"));
	free(m);
}

static void
the_defaults_of_the_sample_change_nothing(void **state)
{
	char *s = sample(), *before = dump_of(s), *after;

	(void)state;
	for (size_t k = 0; k < config_n_rows; k++) {
		const struct config_row *row = &config_rows[k];
		char *at = commented(s, row);

		/* a user that was said must exist, the default need not */
		if (row->fallback != NULL && row->kind != K_USER) {
			if (at == NULL)
				fail_msg("%s", row->name);
			else
				*at = ' ';
		}
	}
	/* all of them are one column too far to the right by now */
	for (char *at = s; (at = strstr(at, "\n ")) != NULL; at++)
		if (at[2] != ' ')
			memmove(at + 1, at + 2, strlen(at + 2) + 1);
	after = dump_of(s);
	assert_string_equal(before, after);
	free(s);
	free(before);
	free(after);
}

/* Examples that the sample's own listener has something against. */
static bool
is_against(const char *name)
{
	static const char *const names[] = {
		"auth-file",	/* wants TLS at the next hop */
		"metrics",	/* wants a port of its own */
		"store-password",	/* wants a store */
	};

	for (size_t k = 0; k < N(names); k++)
		if (strcmp(name, names[k]) == 0)
			return true;
	return false;
}

static void
the_examples_of_the_sample_can_be_read(void **state)
{
	struct heard *h = test_malloc(sizeof(*h));

	(void)state;
	for (size_t k = 0; k < config_n_rows; k++) {
		const struct config_row *row = &config_rows[k];
		char *s = sample(), *at = commented(s, row);
		struct config *c;

		if (at != NULL && !is_against(row->name)) {
			memmove(at, at + 1, strlen(at + 1) + 1);
			c = load_text(s, h);
			if (c == NULL)
				fail_msg("%s", h->text);
			config_free(&c);
		}
		free(s);
	}
	test_free(h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_directive_is_in_both_once),
		cmocka_unit_test(the_manual_has_sentence_default_and_words),
		cmocka_unit_test(the_defaults_of_the_sample_change_nothing),
		cmocka_unit_test(the_examples_of_the_sample_can_be_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
