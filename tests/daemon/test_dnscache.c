#include "daemon/dnscache.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct bytes records[2] = {
	{(const uint8_t *)"one", 3}, {(const uint8_t *)"", 0},
};

static const struct {
	const char *label;
	enum dnsanswer_found found;
	uint32_t ttl_s;
	int64_t lives_ms;	/* it is gone then, and there 1 ms before */
} lives[] = {
	{"key", DNSANSWER_THERE, 30, 30000},
	{"key, a day", DNSANSWER_THERE, 86400, 3600000},
	{"key, for ever", DNSANSWER_THERE, UINT32_MAX, 3600000},
	{"key, not at all", DNSANSWER_THERE, 0, 0},
	/* D9: what is not there, or failed, is soon asked for again */
	{"D9 none", DNSANSWER_ABSENT, UINT32_MAX, 60000},
	{"D9 failed", DNSANSWER_TEMPFAIL, UINT32_MAX, 5000},
};

static void
test_lives(void **state)
{
	(void)state;
	for (size_t k = 0; k < sizeof(lives) / sizeof(*lives); k++) {
		struct dnscache *c = dnscache_new(10, 10000);
		size_t n = lives[k].found == DNSANSWER_THERE ? 2 : 0;
		struct dnsanswer_records e = {lives[k].found, records, n,
		    lives[k].ttl_s};
		int64_t t = 5000000;

		dnscache_put(c, BYTES_LIT("A.example"), t, &e);
		memset(&e, 0, sizeof(e));
		if (dnscache_find(c, BYTES_LIT("a.EXAMPLE"),
		    t + lives[k].lives_ms, &e))
			fail_msg("%s lives too long", lives[k].label);
		dnscache_put(c, BYTES_LIT("A.example"), t,
		    &(struct dnsanswer_records){lives[k].found, records, n,
		    lives[k].ttl_s});
		if (lives[k].lives_ms != 0) {
			assert_true(dnscache_find(c, BYTES_LIT("a.EXAMPLE"),
			    t + lives[k].lives_ms - 1, &e));
			assert_int_equal(e.found, lives[k].found);
			assert_int_equal(e.n, n);
			assert_int_equal(e.ttl_s, 0);
		}
		if (n != 0 && lives[k].lives_ms != 0) {
			assert_true(bytes_eq(e.records[0], records[0]));
			assert_int_equal(e.records[1].n, 0);
		}
		dnscache_free(&c);
		assert_null(c);
	}
}

static struct bytes
name_of(char *room, size_t n, unsigned k)
{
	return (struct bytes){(uint8_t *)room,
	    (size_t)snprintf(room, n, "name%u.example", k)};
}

/* As many names as it may hold; then the one not used for longest goes. */
static void
test_bound_of_names(void **state)
{
	struct dnscache *c = dnscache_new(100, 1 << 20);
	struct dnsanswer_records e = {DNSANSWER_THERE, records, 2, 300};
	char room[64];

	(void)state;
	for (unsigned k = 0; k < 100; k++)
		dnscache_put(c, name_of(room, sizeof(room), k), 0, &e);
	assert_int_equal(dnscache_count(c), 100);
	assert_true(dnscache_find(c, name_of(room, sizeof(room), 0), 1, &e));
	e = (struct dnsanswer_records){DNSANSWER_THERE, records, 2, 300};
	dnscache_put(c, BYTES_LIT("new"), 1, &e);
	assert_int_equal(dnscache_count(c), 100);
	assert_true(dnscache_find(c, name_of(room, sizeof(room), 0), 1, &e));
	assert_false(dnscache_find(c, name_of(room, sizeof(room), 1), 1, &e));
	assert_true(dnscache_find(c, name_of(room, sizeof(room), 2), 1, &e));
	dnscache_free(&c);
}

static void
test_bound_of_octets(void **state)
{
	static const uint8_t big[4000];
	const struct bytes record = {big, sizeof(big)};
	struct dnscache *c = dnscache_new(1000, 20000);
	struct dnsanswer_records e = {DNSANSWER_THERE, &record, 1, 300};
	char room[64];

	(void)state;
	for (unsigned k = 0; k < 100; k++)
		dnscache_put(c, name_of(room, sizeof(room), k), 0, &e);
	assert_int_equal(dnscache_count(c), 4);
	assert_true(dnscache_find(c, name_of(room, sizeof(room), 99), 1, &e));
	dnscache_free(&c);
	c = dnscache_new(1000, 100);
	e = (struct dnsanswer_records){DNSANSWER_THERE, &record, 1, 300};
	dnscache_put(c, BYTES_LIT("too large"), 0, &e);
	assert_int_equal(dnscache_count(c), 0);
	dnscache_free(&c);
}

/* The newest answer counts, and one name is there once. */
static void
test_replace(void **state)
{
	struct dnscache *c = dnscache_new(10, 10000);
	struct dnsanswer_records e = {DNSANSWER_THERE, records, 2, 300};
	char name[300];

	(void)state;
	dnscache_put(c, BYTES_LIT("a"), 0, &e);
	e = (struct dnsanswer_records){DNSANSWER_ABSENT, NULL, 0, 300};
	dnscache_put(c, BYTES_LIT("A"), 0, &e);
	assert_int_equal(dnscache_count(c), 1);
	assert_true(dnscache_find(c, BYTES_LIT("a"), 1, &e));
	assert_int_equal(e.found, DNSANSWER_ABSENT);
	memset(name, 'a', sizeof(name));
	e.ttl_s = 300;
	dnscache_put(c, (struct bytes){(uint8_t *)name, 300}, 0, &e);
	assert_int_equal(dnscache_count(c), 1);
	assert_false(dnscache_find(c, (struct bytes){(uint8_t *)name, 300}, 0,
	    &e));
	dnscache_free(&c);
	dnscache_free(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lives),
		cmocka_unit_test(test_bound_of_names),
		cmocka_unit_test(test_bound_of_octets),
		cmocka_unit_test(test_replace),
	};

	return sodium_init() < 0 ? 1 :
	    cmocka_run_group_tests(tests, NULL, NULL);
}
