#include "tests/config/kit.h"

#include "config/keydir.h"

#define TOP "hostname: mx.example.org\nkeys: keys\nlisteners:\n"
#define IN "  in: {role: inbound, listen: 2525, domains: a.example, " \
	"next-hop: smtp://192.0.2.1"
#define OUT "  out: {role: egress, listen: 2526, clients: 127.0.0.1, " \
	"next-hop: smtp://192.0.2.1"
#define NO_PASS "c.yaml:4:3: warning: in: no `pass-client`: the server " \
	"behind takes us for the client of all mail, and so do its checks; " \
	"write xclient or proxy-v2, or none\n"
#define NO_SENDERS "c.yaml:4:3: warning: out: no `senders`: its clients " \
	"may send as each of the 2 domains under `keys`; write those that " \
	"are theirs\n"

#define NO_KEY(domain) "c.yaml:4:3: warning: out: mail of " domain ", one " \
	"of its `senders`, is not signed: no active key of the domain is " \
	"under `keys`; make one with hopseal key new\n"

static void
what_is_seldom_meant_is_told(void **state)
{
	static const struct keydir_entry entries[] = {
		{BYTES_LIT("a.example"), BYTES_LIT("s1"), ""},
		{BYTES_LIT("a.example"), BYTES_LIT("s2"), ""},
		{BYTES_LIT("b.example"), BYTES_LIT("s1"), ""},
	};
	static const struct {
		const char *in;
		size_t n_keys;
		const char *out;
	} row[] = {
		{TOP IN "}", 3, NO_PASS},
		{TOP IN ", pass-client: none}", 3, ""},
		{TOP IN ", pass-client: proxy-v2}", 3, ""},
		{"pass-client: xclient\n" TOP IN "}", 3, ""},
		{TOP OUT "}", 3, NO_SENDERS},
		{TOP OUT "}", 2, ""},
		{TOP OUT "}", 0, ""},
		{TOP OUT ", senders: [a.example, b.example]}", 3, ""},
		/* a key signs for what is below its domain, and for nothing
		 * else */
		{TOP OUT ", senders: [x.y.a.example]}", 2, ""},
		{TOP OUT ", senders: [a.example, xa.example, example]}", 2,
		    NO_KEY("xa.example") NO_KEY("example")},
		{TOP OUT ", senders: [a.example]}", 0, NO_KEY("a.example")},
		{"hostname: mx.example.org\nlisteners:\n\n" OUT "}", 0,
		    "c.yaml:4:3: warning: out: nothing is signed: there is no "
		    "`keys`; write the folder of the keys at top level\n"},
		{"hostname: mx\nkeys: keys\nlisteners:\n" OUT "}", 0,
		    "c.yaml:1:1: warning: hostname: others refuse a name "
		    "without a dot; write the whole one, such as "
		    "mx.example.org\n"},
		{"user: root\n" TOP OUT "}", 0,
		    "c.yaml:1:1: warning: user: root: nothing is given up; "
		    "write one of its own\n"},
		/* an editor's mark before the first name */
		{"\xef\xbb\xbf" TOP OUT "}", 0, ""},
		{TOP IN "}\n" OUT "}", 0, NO_PASS},
	};

	(void)state;
	for (size_t k = 0; k < N(row); k++) {
		struct heard *h = test_malloc(sizeof(*h));
		const struct keydir keys = {entries, row[k].n_keys};
		struct config *c = load_text(row[k].in, h);

		assert_string_equal(h->text, "");
		assert_non_null(c);
		config_warn(c, &keys, hear, h);
		assert_string_equal(h->text, row[k].out);
		config_free(&c);
		test_free(h);
	}
}

/* A check goes on with what is good of a bad one; half of a pair is nothing. */
static void
what_is_good_of_a_bad_one_stays(void **state)
{
	static const struct {
		const char *text;	/* NULL: there is no file */
		bool is_there;
		bool has_keys;
	} row[] = {
		{"worker: 2\n" TOP IN "}", true, true},
		{TOP IN ", tls: {cert: c}}", true, true},
		{"keys: none\nhostname: x.example\nlisteners:\n" IN "}", true, false},
		{"keys-file: none\n" TOP IN "}", true, true},
		{TOP IN ", delivery: queue, normalize: yes}", false, false},
		{"hostname: x.example\n", false, false},
		{"- x", false, false},
		{"a: [", false, false},
		{NULL, false, false},
	};

	(void)state;
	for (size_t k = 0; k < N(row); k++) {
		struct heard *h = test_malloc(sizeof(*h));
		struct config *c;
		struct folder f;
		bool is_good = true;
		char path[512];

		*h = (struct heard){.text = ""};
		folder_make(&f);
		folder_add_folder(&f, "keys", 0700);
		if (row[k].text != NULL)
			folder_add(&f, "c.yaml", 0600, row[k].text);
		folder_join(&f, "c.yaml", path);
		c = config_load_all(path, &is_good, hear, h);
		assert_false(is_good);
		assert_string_not_equal(h->text, "");
		if ((c != NULL) != row[k].is_there)
			fail_msg("row %zu: %s", k, h->text);
		if (c != NULL) {
			assert_int_equal(c->keys != NULL, row[k].has_keys);
			assert_null(c->keys_file);
			assert_int_equal(c->listeners[0].n_tls, 0);
		}
		config_free(&c);
		folder_remove(&f);
		test_free(h);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_seldom_meant_is_told),
		cmocka_unit_test(what_is_good_of_a_bad_one_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
