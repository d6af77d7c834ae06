#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "dkim2/crypto_der.h"
#include "tests/dkim2/kit.h"

#define LIT(s) BYTES_LIT(s)
#define OID "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"
#define KEY "\x30\x06\x02\x01\x0f\x02\x01\x03"	/* n = 15, e = 3 */

/* V1, D8: what is a key and what only looks like one. */
static void
only_strict_der_is_read(void **state)
{
	static const struct {
		struct bytes der;
		bool is_good;
	} row[] = {
		{LIT(KEY), true},
		{LIT("\x30\x07\x02\x02\x00\x8f\x02\x01\x03"), true},
		{LIT("\x30\x19\x30\x0d" OID "\x05\x00\x03\x09\x00" KEY)
		 , false},
		{LIT("\x30\x1a\x30\x0d" OID "\x05\x00\x03\x09\x00" KEY), true},
		/* RFC 3279 wants NULL; without it it is taken too */
		{LIT("\x30\x18\x30\x0b" OID "\x03\x09\x00" KEY), true},
		/* anything behind it, or inside behind its parts */
		{LIT(KEY "\x00"), false},
		{LIT("\x30\x07\x02\x01\x0f\x02\x01\x03\x00"), false},
		{LIT("\x30\x1b\x30\x0d" OID "\x05\x00\x03\x09\x00" KEY
		 "\x00"), false},
		{LIT("\x30\x1b\x30\x0e" OID "\x05\x00\x00\x03\x09\x00" KEY),
		 false},
		/* not the shortest length */
		{LIT("\x30\x81\x06\x02\x01\x0f\x02\x01\x03"), false},
		{LIT("\x30\x82\x00\x06\x02\x01\x0f\x02\x01\x03"), false},
		{LIT("\x30\x80\x02\x01\x0f\x02\x01\x03\x00\x00"), false},
		{LIT("\x30\x84\x00\x00\x00\x06\x02\x01\x0f\x02\x01\x03"),
		 false},
		/* numbers: negative, empty, with a zero too many */
		{LIT("\x30\x06\x02\x01\x8f\x02\x01\x03"), false},
		{LIT("\x30\x06\x02\x01\x0f\x02\x01\x83"), false},
		{LIT("\x30\x05\x02\x00\x02\x01\x03"), false},
		{LIT("\x30\x07\x02\x02\x00\x0f\x02\x01\x03"), false},
		/* unused bits, another tag, another algorithm */
		{LIT("\x30\x1a\x30\x0d" OID "\x05\x00\x03\x09\x01" KEY),
		 false},
		{LIT("\x30\x1a\x30\x0d" OID "\x05\x00\x04\x09\x00" KEY),
		 false},
		{LIT("\x30\x1a\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01"
		 "\x0a\x05\x00\x03\x09\x00" KEY), false},
		{LIT("\x31\x06\x02\x01\x0f\x02\x01\x03"), false},
		{LIT("\x30"), false},
		{LIT(""), false},
	};

	(void)state;
	for (size_t k = 0; k < COUNT(row); k++) {
		struct bytes n, e;
		bool good = der_rsa_public(row[k].der, &n, &e);

		if (good != row[k].is_good)
			print_message("row %zu\n", k);
		assert_int_equal(good, row[k].is_good);
		if (good && k != 1)
			assert_true(bytes_eq(n, LIT("\x0f")) &&
			    bytes_eq(e, LIT("\x03")));
	}
}

/* Whether the library reads that too, and the same numbers. */
static bool
library_agrees(struct bytes der, struct bytes n, struct bytes e)
{
	static const char *const names[] = {OSSL_PKEY_PARAM_RSA_N,
	    OSSL_PKEY_PARAM_RSA_E};
	const uint8_t *at = der.p;
	EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long)der.n);
	bool agrees = true;

	if (key == NULL) {
		at = der.p;
		key = d2i_PublicKey(EVP_PKEY_RSA, NULL, &at, (long)der.n);
	}
	if (key == NULL)
		return false;
	for (unsigned k = 0; k < 2; k++) {
		struct bytes ours = k == 0 ? n : e;
		BIGNUM *theirs = NULL, *mine = BN_bin2bn(ours.p, (int)ours.n,
		    NULL);

		agrees = agrees && EVP_PKEY_get_bn_param(key, names[k],
		    &theirs) == 1 && BN_cmp(theirs, mine) == 0;
		BN_free(theirs);
		BN_free(mine);
	}
	EVP_PKEY_free(key);
	return agrees && at == der.p + der.n;
}

/* What we read of any key with one octet changed, OpenSSL reads alike. */
static void
the_library_reads_the_same(void **state)
{
	struct arena *a = arena_new(KIT_ARENA);
	EVP_PKEY *key = EVP_RSA_gen(1024);
	uint8_t *der = NULL;
	struct bytes n, e, good;
	size_t n_read = 0;

	(void)state;
	assert_non_null(key);
	good.n = (size_t)i2d_PUBKEY(key, &der);
	good.p = der;
	assert_true(der_rsa_public(good, &n, &e));
	assert_true(library_agrees(good, n, e));
	for (size_t k = 0; k < good.n; k++) {
		assert_false(der_rsa_public(bytes_first(good, k), &n, &e));
		/* those of the modulus are all alike */
		if (k > 40 && k + 12 < good.n)
			continue;
		for (unsigned x = 1; x < 256; x++) {
			struct bytes bad = arena_copy(a, good);

			((uint8_t *)bad.p)[k] ^= (uint8_t)x;
			if (!der_rsa_public(bad, &n, &e))
				continue;
			n_read++;
			assert_true(library_agrees(bad, n, e));
		}
	}
	assert_true(n_read > 1000);
	OPENSSL_free(der);
	EVP_PKEY_free(key);
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_strict_der_is_read),
		cmocka_unit_test(the_library_reads_the_same),
	};

	return cmocka_run_group_tests_name("dkim2/der", tests, NULL, NULL);
}
