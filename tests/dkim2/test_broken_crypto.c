/*
 * The crypto library fails at each of its calls in turn, as it does without
 * memory: "could not check" is said, and is never a verdict. P5
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <openssl/evp.h>

#include "base/err.h"
#include "tests/dkim2/kit.h"

#define CASES "tests/vectors/shared-cases/"

/* The call that fails, counted down; 0: none, or it has. */
static unsigned fail_at;

static bool
fails(void)
{
	return fail_at != 0 && --fail_at == 0;
}

/* These stand before those of the library, which they call. */
#define REAL(name) ((__typeof__(&(name)))dlsym(RTLD_NEXT, #name))

EVP_MD_CTX *
EVP_MD_CTX_new(void)
{
	return fails() ? NULL : REAL(EVP_MD_CTX_new)();
}

int
EVP_MD_CTX_copy_ex(EVP_MD_CTX *to, const EVP_MD_CTX *from)
{
	return fails() ? 0 : REAL(EVP_MD_CTX_copy_ex)(to, from);
}

int
EVP_DigestInit_ex(EVP_MD_CTX *c, const EVP_MD *type, ENGINE *e)
{
	return fails() ? 0 : REAL(EVP_DigestInit_ex)(c, type, e);
}

int
EVP_DigestUpdate(EVP_MD_CTX *c, const void *p, size_t n)
{
	return fails() ? 0 : REAL(EVP_DigestUpdate)(c, p, n);
}

int
EVP_DigestFinal_ex(EVP_MD_CTX *c, unsigned char *md, unsigned int *n)
{
	return fails() ? 0 : REAL(EVP_DigestFinal_ex)(c, md, n);
}

EVP_PKEY_CTX *
EVP_PKEY_CTX_new(EVP_PKEY *key, ENGINE *e)
{
	return fails() ? NULL : REAL(EVP_PKEY_CTX_new)(key, e);
}

int
EVP_PKEY_verify(EVP_PKEY_CTX *c, const unsigned char *signature, size_t n,
    const unsigned char *digest, size_t n_digest)
{
	return fails() ? -1 : REAL(EVP_PKEY_verify)(c, signature, n, digest,
	    n_digest);
}

int
EVP_PKEY_get_bn_param(const EVP_PKEY *key, const char *name, BIGNUM **bn)
{
	return fails() ? 0 : REAL(EVP_PKEY_get_bn_param)(key, name, bn);
}

/* The one string of a name's list in the file of keys. */
static struct bytes
record_of(struct bytes keys, struct bytes name)
{
	struct bytes text = bytes_skip(keys, bytes_find(keys, name));

	assert_int_not_equal(text.n, 0);
	text = bytes_skip(text, bytes_index(text, '['));
	text = bytes_skip(text, bytes_index(text, '"') + 1);
	return bytes_first(text, bytes_index(text, '"'));
}

/* Returns 0 with the result, or the failure, which must last. */
static int
verify(struct dkim2_verify **v, const struct dkim2_message *m,
    struct bytes body, struct bytes keys, struct arena *a)
{
	static const struct dkim2_verify_options o = {.now_s = 1793003600,
	    .hashes = 1U << DKIM2_SHA512};
	const struct bytes *names;
	int r = dkim2_verify_new(v, a, &o);
	size_t n;

	assert_int_equal(r, 0);
	r = dkim2_verify_header(*v, m);
	n = dkim2_verify_wants(*v, &names);
	if (r == 0)
		r = dkim2_verify_body(*v, body);
	if (r == 0)
		r = dkim2_verify_end(*v, body);
	for (size_t k = 0; r == 0 && k < n; k++) {
		struct bytes record = record_of(keys, names[k]);

		r = dkim2_verify_answer(*v, k, DKIM2_KEY_TXT, &record, 1);
	}
	if (r == 0)
		return 0;
	assert_true(r == -E_CRYPTO || r == -E_NOMEM);
	assert_int_equal(dkim2_verify_step(*v), DKIM2_DONE);
	assert_null(dkim2_verify_result(*v));
	if (n != 0)
		assert_int_equal(dkim2_verify_answer(*v, 0, DKIM2_KEY_ABSENT,
		    NULL, 0), -E_CRYPTO);
	return r;
}

static void
every_call_fails_once(const char *path, unsigned at_least)
{
	struct arena *a = arena_new(KIT_ARENA);
	struct bytes octets = kit_file(a, path), body;
	struct bytes keys = kit_file(a, CASES "dns.json");
	struct dkim2_message m;
	unsigned n = 0;
	int r = 1;

	body = kit_split(octets, &m, a);
	while (r != 0) {
		struct arena *b = arena_new(KIT_ARENA);
		struct dkim2_verify *v;

		fail_at = ++n;
		r = verify(&v, &m, body, keys, b);
		if (r == 0)
			assert_int_equal(
			    dkim2_verify_result(v)->full.state, DKIM2_PASS);
		else
			assert_int_equal(fail_at, 0);
		fail_at = 0;
		dkim2_verify_fini(v);
		arena_free(&b);
	}
	assert_true(n > at_least);
	arena_free(&a);
}

static void
of_a_chain_with_both_kinds_of_keys(void **state)
{
	(void)state;
	every_call_fails_once(CASES "chain-4-rsa-ed.eml", 40);
}

static void
of_a_chain_that_is_undone(void **state)
{
	(void)state;
	every_call_fails_once(CASES "revised-each.eml", 40);
}

/* What ends the body fails too, and says so again. */
static void
after_a_failure_nothing_goes_on(void **state)
{
	static const struct dkim2_verify_options o = {.now_s = 1793003600};
	struct arena *a = arena_new(KIT_ARENA);
	struct bytes body, octets = kit_file(a, CASES "chain-2.eml");
	struct dkim2_message m;
	struct dkim2_verify *v;

	(void)state;
	body = kit_split(octets, &m, a);
	assert_int_equal(dkim2_verify_new(&v, a, &o), 0);
	assert_int_equal(dkim2_verify_header(v, &m), 0);
	fail_at = 1;
	assert_int_equal(dkim2_verify_body(v, BYTES_LIT("octets")), -E_CRYPTO);
	assert_int_equal(dkim2_verify_body(v, body), -E_CRYPTO);
	assert_int_equal(dkim2_verify_end(v, body), -E_CRYPTO);
	assert_int_equal(dkim2_verify_step(v), DKIM2_DONE);
	dkim2_verify_fini(v);
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_a_chain_with_both_kinds_of_keys),
		cmocka_unit_test(of_a_chain_that_is_undone),
		cmocka_unit_test(after_a_failure_nothing_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
