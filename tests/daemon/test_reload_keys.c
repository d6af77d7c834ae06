/* What a reload says of keys that are gone, and of what seems not meant. */
#include "tests/config/kit.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/reload_keys.h"

#define TOP "hostname: mx.example.org\nkeys: keys\nlisteners:\n"
#define OUT(more) TOP "  out: {role: egress, listen: 2526, " \
	"clients: 127.0.0.1, next-hop: smtp://192.0.2.1" more "}\n"
#define FORWARD(domain, more) TOP "  f: {role: forward, listen: 2527, " \
	"domains: [" domain more "], next-hop: smtp://192.0.2.1, " \
	"aliases: {a@" domain ": b@c.example}, mail-from: keep}\n"

/* Keys as "domain selector domain selector ...", sorted. */
struct keys {
	struct signer_key list[64];
	struct keydir_entry entries[64];
	struct signer_inventory inventory;
};

static size_t
list(const char *words, struct signer_key *out)
{
	struct bytes rest = bytes_of(words);
	size_t n = 0;

	while (rest.n != 0) {
		out[n].domain = bytes_cut(&rest, ' ');
		out[n++].selector = bytes_cut(&rest, ' ');
	}
	return n;
}

static void
make(struct keys *k, const char *active, const char *retired)
{
	size_t n = list(active, k->list);
	size_t n_retired = list(retired, k->list + n);

	for (size_t at = 0; at < n; at++)
		k->entries[at] = (struct keydir_entry){k->list[at].domain,
		    k->list[at].selector, ""};
	k->inventory = (struct signer_inventory){k->list, n, {k->entries, n},
	    k->list + n, n_retired, {0}};
}

/* What is logged meanwhile, a line each. */
static int
hear_begin(void)
{
	int fds[2];

	assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
	log_copy(fds[1]);
	return fds[0];
}

static void
hear_end(int fd, char *text, size_t cap)
{
	ssize_t n;

	log_copy(-1);
	n = read(fd, text, cap - 1);
	text[n < 0 ? 0 : n] = '\0';
	close(fd);
}

#define A1 "a.example s1"
#define A2 " a.example s2"
#define LOST(s, d) ": the key " s " of " d " is gone, and mail of that "
#define LESS ": the key s1 of a.example is gone without being retired"

static void
a_domain_stays_signed_for(void **state)
{
	static const struct {
		const char *what;
		const char *config_before, *config_now;
		const char *before, *now, *retired;
		bool is_good;
		const char *said;	/* "": nothing */
	} row[] = {
		{"nothing changes", OUT(""), OUT(""), A1, A1, "", true, ""},
		{"one more", OUT(""), OUT(""), A1, A1 A2, "", true, ""},
		{"none before", OUT(""), OUT(""), "", A1, "", true, ""},
		{"the only one is gone", OUT(""), OUT(""), A1, "", "", false,
		    LOST("s1", "a.example")},
		{"the only one of another domain", OUT(""), OUT(""),
		    A1 " b.example s", A1, "", false, LOST("s", "b.example")},
		{"it was retired", OUT(""), OUT(""), A1, "", A1, true, ""},
		{"another one was", OUT(""), OUT(""), A1 A2, "",
		    "a.example s2", false, LOST("s1", "a.example")},
		{"its selector in other letters", OUT(""), OUT(""), A1,
		    "a.example S1", "", true, ""},
		{"one of two is gone", OUT(""), OUT(""), A1 A2,
		    "a.example s2", "", true, LESS},
		{"another took its place", OUT(""), OUT(""), A1,
		    "a.example s2", "", true, LESS},
		{"a domain above it signs", OUT(""), OUT(""),
		    "x.a.example s1", "a.example s1", "", true, ": the key s1 "
		    "of x.a.example is gone without being retired"},
		{"a domain beside it does not", OUT(""), OUT(""),
		    "a.example s1", "xa.example s1", "", false,
		    LOST("s1", "a.example")},
		{"`keys` is gone", OUT(""), "hostname: mx.example.org\n"
		    "listeners:\n  out: {role: egress, listen: 2526, clients: "
		    "127.0.0.1, next-hop: smtp://192.0.2.1}\n", A1, "", "",
		    true, ""},
		{"no sender any more", OUT(", senders: [a.example, b.example]"),
		    OUT(", senders: b.example"), A1 " b.example s",
		    "b.example s", "", true, ""},
		{"still a sender", OUT(", senders: [a.example, b.example]"),
		    OUT(", senders: a.example"), A1 " b.example s",
		    "b.example s", "", false, LOST("s1", "a.example")},
		{"a sender below it", OUT(", senders: a.example"),
		    OUT(", senders: x.a.example"), A1, "", "", false,
		    LOST("s1", "a.example")},
		{"its listener is gone", OUT(""), FORWARD("b.example", ""),
		    A1, "", "", true, ""},
		{"its domain is forwarded for", FORWARD("a.example", ""),
		    FORWARD("a.example", ", b.example"), A1, "", "", false,
		    LOST("s1", "a.example")},
		{"it was named nowhere", FORWARD("b.example", ""),
		    FORWARD("b.example", ""), A1, "", "", false,
		    LOST("s1", "a.example")},
	};

	(void)state;
	for (size_t k = 0; k < N(row); k++) {
		struct heard *h = test_malloc(sizeof(*h));
		struct config *before = load_text(row[k].config_before, h);
		struct config *now = load_text(row[k].config_now, h);
		static struct keys had, has;
		char said[4096];
		int fd;

		assert_string_equal(h->text, "");
		make(&had, row[k].before, "");
		make(&has, row[k].now, row[k].retired);
		fd = hear_begin();
		if (reload_keys_stay(&(struct reload_keys){before,
		    &had.inventory}, &(struct reload_keys){now,
		    &has.inventory}) != row[k].is_good)
			fail_msg("%s", row[k].what);
		hear_end(fd, said, sizeof(said));
		if (row[k].said[0] == '\0' ? said[0] != '\0' :
		    strstr(said, row[k].said) == NULL)
			fail_msg("%s: %s", row[k].what, said);
		config_free(&before);
		config_free(&now);
		test_free(h);
	}
}

/* A folder that was emptied says so in a bounded number of lines. */
static void
many_are_counted(void **state)
{
	static struct keys had, none;
	struct heard *h = test_malloc(sizeof(*h));
	struct config *c = load_text(OUT(""), h);
	char words[1024], said[16384];
	struct buf b = BUF_ON(words);
	size_t n = 0;
	int fd;

	(void)state;
	for (int k = 0; k < 50; k++)
		buf_printf(&b, "%sd%02d.example s", k == 0 ? "" : " ", k);
	buf_add_octet(&b, '\0');
	make(&had, words, "");
	make(&none, "", "");
	fd = hear_begin();
	assert_false(reload_keys_stay(&(struct reload_keys){c,
	    &had.inventory}, &(struct reload_keys){c, &none.inventory}));
	hear_end(fd, said, sizeof(said));
	for (const char *p = said; *p != '\0'; p++)
		n += *p == '\n';
	assert_int_equal(n, 21);
	assert_non_null(strstr(said, ": 30 more keys are gone\n"));
	config_free(&c);
	test_free(h);
}

/* As -t has it, but for the word that the log adds by itself. */
static void
what_seems_not_meant_is_logged(void **state)
{
	static struct keys keys;
	struct heard *h = test_malloc(sizeof(*h));
	struct config *c = load_text(OUT(", senders: b.example"), h);
	char said[4096];
	int fd = hear_begin();

	(void)state;
	make(&keys, A1, "");
	reload_warn(&(struct reload_keys){c, &keys.inventory});
	hear_end(fd, said, sizeof(said));
	assert_string_equal(said, "warning: c.yaml:4:3: out: mail of "
	    "b.example, one of its `senders`, is not signed: no active key of "
	    "the domain is under `keys`; make one with hopseal key new\n");
	config_free(&c);
	test_free(h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_domain_stays_signed_for),
		cmocka_unit_test(many_are_counted),
		cmocka_unit_test(what_seems_not_meant_is_logged),
	};

	log_open("test");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
