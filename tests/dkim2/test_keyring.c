/* Keys that are kept from one message to the next change no verdict. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sodium.h>

#include "base/err.h"
#include "dkim2/keyring.h"
#include "tests/dkim2/kit.h"
#include "tests/dkim2/craft.h"

/* Verifies the worked example of two hops, with two keys. */
static void
expect(struct dkim2_keyring *ring, const struct craft_run *run,
    const char *text)
{
	struct arena *a = arena_new(KIT_ARENA);
	struct dkim2_verify_options o = {.now_s = CRAFT_TIME + 60,
	    .keyring = ring};
	struct dkim2_message m;
	struct bytes body = kit_split(kit_file(a,
	    "tests/vectors/worked/q2.eml"), &m, a);
	const struct bytes *names;
	struct dkim2_verify *v;
	char room[256];

	assert_int_equal(dkim2_verify_new(&v, a, &o), 0);
	assert_int_equal(dkim2_verify_header(v, &m), 0);
	assert_int_equal(dkim2_verify_body(v, body), 0);
	assert_int_equal(dkim2_verify_end(v, body), 0);
	assert_int_equal(dkim2_verify_wants(v, &names), 2);
	for (size_t k = 0; k < 2; k++)
		craft_answer(v, k, names[k], run);
	assert_string_equal(craft_text(&dkim2_verify_result(v)->full, room,
	    sizeof(room)), text);
	dkim2_verify_fini(v);
	arena_free(&a);
}

#define L1 "DKIM2-Signature i=2 "

/* Whatever the ring holds from the messages before, and whatever its size. */
static void
a_ring_changes_no_verdict(void **state)
{
	static const struct craft_record other[] = {
		{"ed1._domainkey.example.org", {CRAFT_A, NULL}},
		{"l1._domainkey.lists.example", {CRAFT_A, NULL}},
	}, gone[] = {
		{"ed1._domainkey.example.org", {CRAFT_A, NULL}},
		{"l1._domainkey.lists.example", {"v=DKIM1; p=", NULL}},
	}, bad[] = {
		{"ed1._domainkey.example.org", {CRAFT_A, NULL}},
		{"l1._domainkey.lists.example", {"k=ed25519; p=AA==", NULL}},
	}, rsa[] = {
		{"ed1._domainkey.example.org", {CRAFT_A, NULL}},
		{"l1._domainkey.lists.example", {"p=MAgCAQ8CAwEAAQ==", NULL}},
	};
	static const struct {
		struct craft_run run;
		const char *text;
	} row[] = {
		{{.mail_from = NULL}, "pass"},
		{{.records = other, .n_records = 2},
		 "fail " L1 "selector l1 incorrect signature"},
		{{.records = gone, .n_records = 2},
		 "permerror " L1 "public key l1 has been revoked"},
		{{.records = bad, .n_records = 2},
		 "permerror " L1 "public key l1 is malformed"},
		{{.records = rsa, .n_records = 2},
		 "permerror " L1 "public key l1 algorithm mismatch"},
	};

	(void)state;
	for (size_t n = 0; n < 8; n++) {
		struct arena *a = arena_new(KIT_ARENA);
		struct dkim2_keyring *ring;

		assert_int_equal(dkim2_keyring_new(&ring, a, n), 0);
		for (size_t k = 0; k < COUNT(row); k++) {
			expect(ring, &row[k].run, row[k].text);
			expect(ring, &row[k].run, row[k].text);
			expect(ring, &row[0].run, row[0].text);
		}
		dkim2_keyring_fini(ring);
		arena_free(&a);
	}
}

static const struct keyring_key *
keep(struct dkim2_keyring *r, uint8_t first, uint8_t last)
{
	struct keyring_key key = {{0}, {.algorithm = DKIM2_ED25519_SHA256},
	    {.bits = 256}};

	key.digest[0] = first;
	key.digest[DKIM2_DIGEST - 1] = last;
	return keyring_keep(r, &key);
}

static bool
has(const struct dkim2_keyring *r, uint8_t first, uint8_t last)
{
	uint8_t digest[DKIM2_DIGEST] = {first};

	digest[DKIM2_DIGEST - 1] = last;
	return keyring_find(r, digest) != NULL;
}

static void
a_key_is_found_until_another_takes_its_place(void **state)
{
	struct arena *a = arena_new(KIT_ARENA);
	struct dkim2_keyring *r;

	(void)state;
	assert_int_equal(dkim2_keyring_new(&r, a, 4), 0);
	assert_false(has(r, 0, 0));	/* an empty slot is no key */
	assert_int_equal(keep(r, 1, 0)->key.bits, 256);
	assert_non_null(keep(r, 2, 0));
	assert_true(has(r, 1, 0));
	assert_true(has(r, 2, 0));
	assert_false(has(r, 1, 9));	/* the whole digest counts */
	assert_false(has(r, 5, 0));
	assert_non_null(keep(r, 5, 0));
	assert_true(has(r, 5, 0));
	assert_false(has(r, 1, 0));
	assert_true(has(r, 2, 0));
	dkim2_keyring_fini(r);
	assert_false(has(r, 5, 0));
	dkim2_keyring_fini(NULL);
	arena_free(&a);
}

static void
a_small_arena_is_no_memory(void **state)
{
	(void)state;
	for (size_t cap = 0; cap < 1000; cap += 16) {
		struct arena *a = arena_new(cap);
		struct dkim2_keyring *r;
		int error = dkim2_keyring_new(&r, a, 4);

		assert_int_equal(error == 0, r != NULL);
		assert_true(error == 0 || error == -E_NOMEM);
		arena_free(&a);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_ring_changes_no_verdict),
		cmocka_unit_test(a_key_is_found_until_another_takes_its_place),
		cmocka_unit_test(a_small_arena_is_no_memory),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests_name("dkim2/keyring", tests, NULL, NULL);
}
