#include "tests/config/kit.h"

#include "config/value.h"

#define L10 "abcdefghij"
#define L60 L10 L10 L10 L10 L10 L10

static bool
is_same_text(struct bytes b, const char *text)
{
	return bytes_eq(b, bytes_of(text));
}

static void
names_are_those_of_the_dns(void **state)
{
	static const struct {
		const char *in;
		bool is_good;
	} row[] = {
		{"a", true}, {"localhost", true}, {"a.b", true},
		{"A-1.b-2.example", true}, {"xn--bcher-kva.example", true},
		{"1.2.3.a4", true}, {L60 "abc.example", true},
		{"", false}, {".", false}, {"a.", false}, {".a", false},
		{"a..b", false}, {"-a.b", false}, {"a-.b", false},
		{"a_b.c", false}, {"*.a.b", false}, {"a b", false},
		{"127.0.0.1", false}, {"10", false}, {"a.10", false},
		{"b\xc3\xbc" "cher.example", false}, {"[::1]", false},
		{L60 "abcd.example", false},
		{L60 "." L60 "." L60 "." L60 ".abcdefghi", true},	/* 253 */
		{L60 "." L60 "." L60 "." L60 "." L10, false},		/* 254 */
	};

	(void)state;
	for (size_t k = 0; k < N(row); k++)
		assert_int_equal(row[k].is_good,
		    config_value_name(bytes_of(row[k].in)) == NULL);
}

static void
addresses_are_local_at_domain(void **state)
{
	static const struct {
		const char *in;
		const char *local;	/* NULL: refused */
		const char *domain;
	} row[] = {
		{"a@b.c", "a", "b.c"},
		{"A.b+c#d@B.c", "A.b+c#d", "B.c"},
		{L60 "abcd@b.c", L60 "abcd", "b.c"},
		{L60 "abcde@b.c", NULL, NULL},
		{"", NULL, NULL}, {"a", NULL, NULL}, {"@b.c", NULL, NULL},
		{"a@", NULL, NULL}, {"a@b@c", NULL, NULL},
		{".a@b.c", NULL, NULL}, {"a.@b.c", NULL, NULL},
		{"a..b@b.c", NULL, NULL}, {"a b@b.c", NULL, NULL},
		{"\"a\"@b.c", NULL, NULL}, {"a@[192.0.2.1]", NULL, NULL},
		{"\xc3\xbc@b.c", NULL, NULL}, {"<a@b.c>", NULL, NULL},
		{"a,b@c.d", NULL, NULL}, {"a@b.c,d@e.f", NULL, NULL},
	};

	(void)state;
	for (size_t k = 0; k < N(row); k++) {
		struct bytes local, domain;
		const char *why = config_value_address(bytes_of(row[k].in),
		    &local, &domain);

		assert_int_equal(why == NULL, row[k].local != NULL);
		if (why != NULL)
			continue;
		assert_true(is_same_text(local, row[k].local));
		assert_true(is_same_text(domain, row[k].domain));
	}
}

static void
places_to_listen_are_written_as_they_are_read(void **state)
{
	static const struct {
		const char *in;
		uint16_t port;		/* the default */
		const char *out;	/* NULL: refused */
	} row[] = {
		{"25", 0, "127.0.0.1:25"},
		{"*:25", 0, "*:25"},
		{"192.0.2.1:65535", 0, "192.0.2.1:65535"},
		{"[2001:DB8:0::1]:25", 0, "[2001:db8::1]:25"},
		{"[::ffff:192.0.2.1]:25", 0, "192.0.2.1:25"},
		{"0.0.0.0:25", 0, "0.0.0.0:25"},
		{"[::]:25", 0, "[::]:25"},
		{"smtps://*:465", 0, "smtps://*:465"},
		{"smtps://[::1]:465", 0, "smtps://[::1]:465"},
		{"smtps://465", 0, "smtps://127.0.0.1:465"},
		{"lmtp://24", 0, "lmtp://127.0.0.1:24"},
		{"lmtp://[::1]:24", 0, "lmtp://[::1]:24"},
		{"lmtp://*", 0, NULL}, {"lmtp://::1", 53, NULL},
		{"smtps://", 0, NULL}, {"smtps://*", 0, NULL},
		{"smtp://*:25", 0, NULL}, {"smtps://::1", 53, NULL},
		{"", 0, NULL}, {"0", 0, NULL}, {"65536", 0, NULL},
		{":25", 0, NULL}, {"*", 0, NULL}, {"[*]:25", 0, NULL},
		{"192.0.2.1", 0, NULL}, {"192.0.2.1:", 0, NULL},
		{"192.0.2.1:0", 0, NULL}, {"192.0.2.1:65536", 0, NULL},
		{"192.0.2.1:smtp", 0, NULL}, {"192.0.2.1:25 ", 0, NULL},
		{"192.0.2:25", 0, NULL}, {"192.0.2.01:25", 0, NULL},
		{"::1:25", 0, NULL}, {"[::1]", 0, NULL},
		{"[::1]25", 0, NULL}, {"[::1:25", 0, NULL},
		{"[::1%lo]:25", 0, NULL}, {"[192.0.2.1]:25", 0, NULL},
		{"localhost:25", 0, NULL},
		{"192.0.2.1", 53, "192.0.2.1:53"},
		{"::1", 53, "[::1]:53"}, {"[::1]", 53, "[::1]:53"},
		{"[::1]:54", 53, "[::1]:54"}, {"53", 53, NULL},
	};

	(void)state;
	for (size_t k = 0; k < N(row); k++) {
		struct config_addr addr;
		const char *why = config_value_addr(bytes_of(row[k].in),
		    row[k].port, &addr);
		char text[64];
		struct buf out = BUF_ON(text);

		assert_int_equal(why == NULL, row[k].out != NULL);
		if (why != NULL)
			continue;
		config_value_put_addr(&out, &addr);
		assert_true(is_same_text(buf_bytes(&out), row[k].out));
	}
}

/* T9: an IPv4 client is held by the mapped form of the block, and only so. */
static void
t9_blocks_hold_what_they_say(void **state)
{
	static const struct {
		const char *net;	/* ip NULL: refused */
		const char *ip;
		bool is_held;
	} row[] = {
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"::ffff:192.0.2.0/120", "192.0.2.77", true},
		{"10.0.8.0/22", "10.0.11.255", true},
		{"10.0.8.0/22", "10.0.12.0", false},
		{"10.0.8.0/22", "::a00:b00", false},
		{"2001:db8::/33", "2001:db8:7fff::1", true},
		{"2001:db8::/33", "2001:db8:8000::1", false},
		{"0.0.0.0/0", "192.0.2.1", true},
		{"0.0.0.0/0", "2001:db8::1", false},
		{"::/0", "192.0.2.1", true},
		{"2000::/3", "192.0.2.1", false},
		{"::1", "::1", true},
		{"::1", "::", false},
		{"10.0.8.1/22", NULL, false}, {"10.0.8.0/33", NULL, false},
		{"10.0.8.0/", NULL, false}, {"10.0.8/24", NULL, false},
		{"2001:db8::/129", NULL, false}, {"::1/127", NULL, false},
		{"*", NULL, false}, {"", NULL, false},
		{"example.org", NULL, false}, {"10.0.0.0/-1", NULL, false},
	};

	(void)state;
	for (size_t k = 0; k < N(row); k++) {
		struct config_net net;
		const char *why = config_value_net(bytes_of(row[k].net), &net);
		uint8_t ip[16];

		assert_int_equal(why == NULL, row[k].ip != NULL);
		if (why != NULL)
			continue;
		assert_true(config_value_ip(bytes_of(row[k].ip), ip));
		assert_int_equal(config_nets_hold(&net, 1, ip),
		    row[k].is_held);
		assert_false(config_nets_hold(&net, 0, ip));
	}
}

static void
next_hops_are_ways_with_a_policy(void **state)
{
	static const struct {
		const char *in;
		const char *host;	/* NULL: refused */
		uint16_t port;
		bool is_ip;
		enum config_scheme scheme;
		enum config_tls_policy tls;
		const char *out;	/* written again */
	} row[] = {
		{"smtp://a.example", "a.example", 25, false, SCHEME_SMTP,
		    TLS_MAY, "smtp://a.example:25"},
		{"smtp://A.example:587 none", "A.example", 587, false,
		    SCHEME_SMTP, TLS_NONE,
		    "smtp://A.example:587 none"},
		{"smtp://127.0.0.1:10025  may", "127.0.0.1", 10025, true,
		    SCHEME_SMTP, TLS_MAY, "smtp://127.0.0.1:10025"},
		{"smtp://[::1]", "::1", 25, true, SCHEME_SMTP, TLS_MAY,
		    "smtp://[::1]:25"},
		{"smtp://[::1]:26", "::1", 26, true, SCHEME_SMTP, TLS_MAY, "smtp://[::1]:26"},
		{"smtp://a.example encrypt", "a.example", 25, false,
		    SCHEME_SMTP, TLS_ENCRYPT,
		    "smtp://a.example:25 encrypt"},
		{"smtp://a.example verify", "a.example", 25, false,
		    SCHEME_SMTP, TLS_VERIFY,
		    "smtp://a.example:25 verify"},
		{"mx", "", 0, false, SCHEME_MX, TLS_MAY, "mx"},
		{"mx verify", "", 0, false, SCHEME_MX, TLS_VERIFY,
		    "mx verify"},
		{"smtps://a.example", "a.example", 465, false, SCHEME_SMTPS,
		    TLS_VERIFY, "smtps://a.example:465"},
		{"smtps://[::1] encrypt", "::1", 465, true, SCHEME_SMTPS,
		    TLS_ENCRYPT, "smtps://[::1]:465 encrypt"},
		{"lmtp://a.example", "a.example", 24, false, SCHEME_LMTP,
		    TLS_MAY, "lmtp://a.example:24"},
		{"lmtp://a.example:25", "a.example", 25, false, SCHEME_LMTP,
		    TLS_MAY, "lmtp://a.example:25"},
		{.in = ""}, {.in = "mxx"}, {.in = "MX"}, {.in = "mx:25"},
		{.in = "a.example"}, {.in = "smtp:a.example"},
		{.in = "SMTP://a.example"}, {.in = "smtp://"},
		{.in = "smtp://:25"}, {.in = "smtp://a.example:"},
		{.in = "smtp://a.example:0"}, {.in = "smtp://a.example:25/"},
		{.in = "smtp://a.example/"}, {.in = "smtp://u@a.example"},
		{.in = "smtp://::1"}, {.in = "smtp://::1:25"},
		{.in = "smtp://[a.example]"}, {.in = "smtp://[127.0.0.1]"},
		{.in = "smtp://[::1"}, {.in = "smtp://0.0.0.0"},
		{.in = "smtp://[::]"}, {.in = "lmtp://"}, {.in = "smtps://[]"},
		{.in = "mx maybe"}, {.in = "mx may may"}, {.in = "mx MAY"},
		{.in = "smtps://a.example may"},
		{.in = "smtps://a.example none"},
	};
	struct arena *a = arena_new(4096);

	(void)state;
	for (size_t k = 0; k < N(row); k++) {
		char text[128];
		struct buf out = BUF_ON(text);
		struct config_next_hop hop;
		const char *why = config_value_next_hop(bytes_of(row[k].in),
		    a, &hop);

		assert_int_equal(why == NULL, row[k].host != NULL);
		if (row[k].host == NULL)
			continue;
		assert_true(is_same_text(hop.host, row[k].host));
		if (hop.scheme != SCHEME_MX)
			assert_string_equal(hop.host_str, row[k].host);
		assert_int_equal(hop.port, row[k].port);
		assert_int_equal(hop.is_ip, row[k].is_ip);
		assert_int_equal(hop.scheme, row[k].scheme);
		assert_int_equal(hop.tls, row[k].tls);
		config_value_put_next_hop(&out, &hop);
		assert_true(is_same_text(buf_bytes(&out), row[k].out));
	}
	arena_free(&a);
}

static void
sizes_and_times_are_written_short(void **state)
{
	static const struct {
		const char *in;
		bool is_size;
		uint64_t value;
		const char *out;	/* NULL: refused */
	} row[] = {
		{"0", true, 0, "0"}, {"7", true, 7, "7"},
		{"1024", true, 1024, "1K"}, {"50M", true, 52428800, "50M"},
		{"1024M", true, 1ULL << 30, "1G"},
		{"1025K", true, 1049600, "1025K"},
		{"17179869183G", true, 17179869183ULL << 30, "17179869183G"},
		{"17179869184G", true, 0, NULL}, {"K", true, 0, NULL},
		{"", true, 0, NULL}, {"1k", true, 0, NULL},
		{"1 K", true, 0, NULL}, {"-1", true, 0, NULL},
		{"1.5M", true, 0, NULL}, {"1KB", true, 0, NULL},
		{"500ms", false, 500, "500ms"}, {"60s", false, 60000, "1m"},
		{"90s", false, 90000, "90s"}, {"24h", false, 86400000, "1d"},
		{"7d", false, 604800000, "7d"}, {"0s", false, 0, "0ms"},
		{"5", false, 0, NULL}, {"5min", false, 0, NULL},
		{"5M", false, 0, NULL}, {"1h30m", false, 0, NULL},
		{"99999999999999999999d", false, 0, NULL},
	};

	(void)state;
	for (size_t k = 0; k < N(row); k++) {
		uint64_t v = 0;
		char text[64];
		struct buf out = BUF_ON(text);
		const char *why = row[k].is_size ?
		    config_value_size(bytes_of(row[k].in), &v) :
		    config_value_time(bytes_of(row[k].in), &v);

		assert_int_equal(why == NULL, row[k].out != NULL);
		if (why != NULL)
			continue;
		assert_int_equal(v, row[k].value);
		if (row[k].is_size)
			config_value_put_size(&out, v);
		else
			config_value_put_time(&out, v);
		assert_true(is_same_text(buf_bytes(&out), row[k].out));
	}
}

/* T9: a domain below one of ours is a stranger. */
static void
t9_domains_hold_no_subdomains(void **state)
{
	const struct bytes list[] = {BYTES_LIT("example.org"),
	    BYTES_LIT("b.example")};

	(void)state;
	assert_true(config_domains_hold(list, 2, BYTES_LIT("Example.ORG")));
	assert_true(config_domains_hold(list, 2, BYTES_LIT("b.example")));
	assert_false(config_domains_hold(list, 1, BYTES_LIT("b.example")));
	assert_false(config_domains_hold(list, 2,
	    BYTES_LIT("sub.example.org")));
	assert_false(config_domains_hold(list, 2, BYTES_LIT("xexample.org")));
	assert_false(config_domains_hold(list, 2, BYTES_LIT("")));
}

/* The table of the manual must not say what the program does not read. */
static void
rows_are_whole(void **state)
{
	(void)state;
	for (size_t k = 0; k < config_n_rows; k++) {
		const struct config_row *row = &config_rows[k];

		assert_ptr_equal(config_row_find(bytes_of(row->name)), row);
		assert_int_equal(config_row_no(row), k);
		assert_true(row->min <= row->max);
		assert_true(strlen(row->doc) > 8);
		if (row->kind == K_WORD)
			assert_non_null(config_word_find(row,
			    bytes_of(row->fallback == NULL ? "inbound" :
			    row->fallback)));
	}
	for (enum config_role r = 0; r < ROLE__N; r++) {
		const struct config_row *role =
		    config_row_find(BYTES_LIT("role"));
		const struct config_word *word = config_word_find(role,
		    bytes_of(config_role_name(r)));

		assert_non_null(word);
		assert_int_equal(word->value, r);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_those_of_the_dns),
		cmocka_unit_test(addresses_are_local_at_domain),
		cmocka_unit_test(places_to_listen_are_written_as_they_are_read),
		cmocka_unit_test(t9_blocks_hold_what_they_say),
		cmocka_unit_test(next_hops_are_ways_with_a_policy),
		cmocka_unit_test(sizes_and_times_are_written_short),
		cmocka_unit_test(t9_domains_hold_no_subdomains),
		cmocka_unit_test(rows_are_whole),
	};

	return cmocka_run_group_tests_name("config/value", tests, NULL, NULL);
}
