#include "tests/config/kit.h"

#include "config/store.h"

/* Seven lines of a good configuration; what is tested comes behind. */
#define IN "hostname: mx.example.org\nlisteners:\n  in:\n" \
	"    role: inbound\n    listen: '*:25'\n    domains: example.org\n" \
	"    next-hop: smtp://192.0.2.1\n"

struct row {
	const char *what;
	const char *in;
	const char *out;	/* the mistake, without "c.yaml:" */
};

static void
what_machines_share_is_in_redis(void **state)
{
#define SHAPE "is no store; write redis://ADDRESS:PORT, or unix:/PATH"
#define ADDRESS "names no address; write redis://192.0.2.1:6379 or \"redis://[2001:db8::1]:6379\""
	static const struct row rows[] = {
		{"an address", IN "store: redis://192.0.2.1\n", ""},
		{"a port", IN "store: redis://192.0.2.1:6380\n", ""},
		{"a database", IN "store: redis://192.0.2.1:6380/16383\n", ""},
		{"an empty one", IN "store: redis://192.0.2.1/\n", ""},
		{"IPv6", IN "store: 'redis://[2001:db8::1]:6380/1'\n", ""},
		{"a socket", IN "store: unix:/run/redis/redis.sock\n", ""},
		{"a password", IN "store: redis://192.0.2.1\nstore-password: f\n", ""},
		{"a database too far", IN "store: redis://192.0.2.1/16384\n", "8:8: store: `redis://192.0.2.1/16384` has a bad number of a database; write one of 0 to 16383 behind the /"},
		{"no database", IN "store: redis://192.0.2.1/a\n", "8:8: store: `redis://192.0.2.1/a` has a bad number of a database; write one of 0 to 16383 behind the /"},
		{"two", IN "store: redis://192.0.2.1/1/2\n", "8:8: store: `redis://192.0.2.1/1/2` has a bad number of a database; write one of 0 to 16383 behind the /"},
		{"a name", IN "store: redis://redis.example\n", "8:8: store: `redis://redis.example` " ADDRESS},
		{"everywhere", IN "store: 'redis://*'\n", "8:8: store: `redis://*` " ADDRESS},
		{"nowhere", IN "store: 'redis://'\n", "8:8: store: `redis://` " ADDRESS},
		{"port 0", IN "store: redis://192.0.2.1:0\n", "8:8: store: `redis://192.0.2.1:0` " ADDRESS},
		{"no brackets", IN "store: 'redis://2001:db8::1:6379'\n", "8:8: store: `redis://2001:db8::1:6379` " ADDRESS},
		{"TLS", IN "store: rediss://192.0.2.1\n", "8:8: store: `rediss://192.0.2.1` is TLS, which is not built; write redis:// to a server or tunnel of a network of yours, or unix:/PATH"},
		{"a password in it", IN "store: redis://:hush@192.0.2.1\n", "8:8: store: has a name or password in it; write them into a file, and store-password: FILE"},
		{"another store", IN "store: mysql://192.0.2.1\n", "8:8: store: `mysql://192.0.2.1` " SHAPE},
		{"a path", IN "store: /run/redis.sock\n", "8:8: store: `/run/redis.sock` " SHAPE},
		{"a relative one", IN "store: unix:redis.sock\n", "8:8: store: `unix:redis.sock` names no socket; write unix:/PATH"},
		{"the longest path", IN "store: unix:/0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345\n", ""},
		{"one more", IN "store: unix:/01234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456\n",
		    "8:8: store: `unix:/0123456789012345678901234567890123456789012345678901234567...` has a path that is too long; write one of at most 107 octets"},
		{"a list", IN "store: [redis://192.0.2.1]\n", "8:8: store: takes one value, no list"},
		{"of a listener", IN "    store: redis://192.0.2.1\n", "8:5: store: is for all listeners; move it to the top level"},
		{"a password for nothing", IN "store-password: f\n", "8:17: store-password: there is no `store`; write it, or remove this"},
	};

	(void)state;
	for (size_t k = 0; k < N(rows); k++) {
		struct heard *h = test_malloc(sizeof(*h));
		struct config *c = load_text(rows[k].in, h);
		char want[512] = "";

		if (*rows[k].out != '\0')
			(void)snprintf(want, sizeof(want), "c.yaml:%s\n",
			    rows[k].out);
		assert_string_equal(h->text, want);
		config_free(&c);
		test_free(h);
	}
}

static void
its_parts_are_found(void **state)
{
	struct config_store s;

	(void)state;
	assert_null(config_store_read(BYTES_LIT("redis://192.0.2.1"), &s));
	assert_false(s.is_local);
	assert_int_equal(s.addr.port, 6379);
	assert_int_equal(s.addr.ip[15], 1);
	assert_int_equal(s.db, 0);
	assert_null(config_store_read(BYTES_LIT("redis://[::1]:7000/15"),
	    &s));
	assert_int_equal(s.addr.port, 7000);
	assert_int_equal(s.db, 15);
	assert_null(config_store_read(BYTES_LIT("unix:/a/b"), &s));
	assert_true(s.is_local);
	assert_true(bytes_eq(s.path, BYTES_LIT("/a/b")));
	assert_non_null(config_store_read((struct bytes){(const uint8_t *)
	    "unix:/a\0b", 9}, &s));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_machines_share_is_in_redis),
		cmocka_unit_test(its_parts_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
