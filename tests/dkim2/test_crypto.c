#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sodium.h>

#include "base/b64.h"
#include "base/err.h"
#include "dkim2/crypto.h"

/* Made with openssl(1): 1024 bits, e = 65537, both public forms. */
#define RSA_SPKI \
	"MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC+1hFWpzyLsJmGlUnRbB4Eikn1efye1i" \
	"sXasEXWBY7sNnGR2BQq4s0GTar+kysmhTd6TKJfAD5rRjBHvxXB6o2id5OtXGPTo7Ru/PP" \
	"2rJhqiLwTmk1c0d4v9hp9Z9be3Gc8joYi/qIBRWOmrHbMaKORHZYtHTEM70KVxsfA3iyTw" \
	"IDAQAB"
#define RSA_BARE \
	"MIGJAoGBAL7WEVanPIuwmYaVSdFsHgSKSfV5/J7WKxdqwRdYFjuw2cZHYFCrizQZNqv6TK" \
	"yaFN3pMol8APmtGMEe/FcHqjaJ3k61cY9OjtG788/asmGqIvBOaTVzR3i/2Gn1n1t7cZzy" \
	"OhiL+ogFFY6asdsxoo5Edli0dMQzvQpXGx8DeLJPAgMBAAE="
/* ... and an octet behind the key within its BIT STRING. */
#define RSA_SPKI_TAIL \
	"MIGgMA0GCSqGSIb3DQEBAQUAA4GOADCBiQKBgQC+1hFWpzyLsJmGlUnRbB4Eikn1efye1i" \
	"sXasEXWBY7sNnGR2BQq4s0GTar+kysmhTd6TKJfAD5rRjBHvxXB6o2id5OtXGPTo7Ru/PP" \
	"2rJhqiLwTmk1c0d4v9hp9Z9be3Gc8joYi/qIBRWOmrHbMaKORHZYtHTEM70KVxsfA3iyTw" \
	"IDAQABAA=="
/* openssl dgst -sha256 -sign over "one two three", then -sha1 */
#define RSA_SIGNATURE \
	"RFLZIOIYf1tE1Q+t4SoSqAZkvwHuFd0PWnvcEYN1/grAhpdEDh6dQWpeeR2vHGN9WgLczX" \
	"Irxqwfs71ea1Z3L0uACsyBM2STiWtb3PYE1RxzeYCYHQiRUZmLi42XEvJRS6Zy7/6Ppkx3" \
	"jeqTkBAzpyOhIqycEpK6gmqfEYwis1I="
#define RSA_SIGNATURE_SHA1 \
	"aOnfW/Wi7emd//b2AyNLwqn25o0iK2jkpe71eWIMWHyxp1ZXZxoNUDnuz0O+3bTcHElVxA" \
	"sIOChqSSmZKC9V8f6xyX+b2+tT5DVUCJGqL/iMsfgo7svqwLHFjiZVAr5GewmMvTS3s+po" \
	"BSseVfcxB8MOCZn+6IFRslvCj9oPfjI="
#define RSA_E3 \
	"MIGdMA0GCSqGSIb3DQEBAQUAA4GLADCBhwKBgQC4np43EhQLVeigJ40fgGr1wcAOts835r" \
	"N71F/CqpL9C+qMSrXaIvoyuTe3hrABY8tAzdFNYnWqGIETuCNdgqJr53oddxipLPAnXBMj" \
	"OtlqFi2dPmr4WlztlDoxLsMzNzDQ1g6ldVs+9sY6LOhQKa0R7UflFN3qfeY1/+leRn54eQ" \
	"IBAw=="
#define RSA_PSS \
	"MIGdMAsGCSqGSIb3DQEBCgOBjQAwgYkCgYEA138h9+I/TYwXhkg9WjKTpqc/qP3M3yGaG5" \
	"Kxyf7SKAUY0GUFDjlzMFWzfMCCqzXCJ7Zm4RAFYwMWGKLMrHS2kJjW2spAC1+5NsfJp3GG" \
	"2a5C7HuCOMgf0ysUgaj9PKgsGeLlL+WOI0xyf5qRwe+OGkRX9gcqqQa7/yM9cbL11fkCAw" \
	"EAAQ=="
#define EC_SPKI \
	"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEm0eRTfvIQqYbezfYzjc5OEXjCmh+8qUsy1" \
	"WxgMF6hWLipyX1DFVm9dSl3M1deLTYlK6ZM1UFI984uYYnkwySLQ=="
/* RSAPublicKey: n = 15 and e = 65537, then n = 14, e = 1, e = 2^64 + 1 */
#define RSA_TOY "MAgCAQ8CAwEAAQ=="
#define RSA_EVEN "MAgCAQ4CAwEAAQ=="
#define RSA_E1 "MAYCAQ8CAQE="
#define RSA_E_LONG "MA4CAQ8CCQEAAAAAAAAAAQ=="

static struct bytes
unbase64(const char *text, uint8_t *room, size_t cap)
{
	struct buf out = {room, 0, cap, false};

	assert_true(b64_decode(bytes_of(text), &out));
	return buf_bytes(&out);
}

static void
digests_are_those_of_the_algorithms(void **state)
{
	static const struct {
		enum dkim2_hash h;
		const char *base64;	/* of one CRLF (protocol.md Q3) */
	} row[] = {
		{DKIM2_SHA256, "frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY="},
		{DKIM2_SHA512, "GzAqLx5iSl+1rZTdxOX4v9dNJvo3US0OX6zjA9jEDu4N"
		    "D/o2SfXaQ/Q5kU0SgWbLbEd0p8qjsXTXU1RR62l7XQ=="},
	};

	(void)state;
	for (size_t k = 0; k < sizeof(row) / sizeof(row[0]); k++) {
		uint8_t once[DKIM2_HASH_MAX], parts[DKIM2_HASH_MAX];
		char text[B64_LEN(DKIM2_HASH_MAX)];
		struct buf out = BUF_ON(text);
		struct dkim2_hasher h;
		size_t n = dkim2_hash_size(row[k].h);

		assert_int_equal(0, dkim2_hash_once(row[k].h,
		    BYTES_LIT("\r\n"), once));
		b64_encode((struct bytes){once, n}, &out);
		assert_true(bytes_eq(buf_bytes(&out), bytes_of(row[k].base64)));
		assert_int_equal(0, dkim2_hasher_init(&h, row[k].h));
		assert_int_equal(0, dkim2_hasher_add(&h, BYTES_LIT("\r")));
		assert_int_equal(0, dkim2_hasher_add(&h, BYTES_LIT("")));
		assert_int_equal(0, dkim2_hasher_add(&h, BYTES_LIT("\n")));
		assert_int_equal(0, dkim2_hasher_end(&h, parts));
		dkim2_hasher_fini(&h);
		dkim2_hasher_fini(&h);
		assert_memory_equal(once, parts, n);
	}
}

static void
names_are_case_sensitive(void **state)
{
	(void)state;
	assert_int_equal(DKIM2_SHA256, dkim2_hash_by_name(BYTES_LIT("sha256")));
	assert_int_equal(DKIM2_SHA512, dkim2_hash_by_name(BYTES_LIT("sha512")));
	assert_int_equal(DKIM2_HASH__N,
	    dkim2_hash_by_name(BYTES_LIT("SHA256")));
	assert_int_equal(DKIM2_HASH__N, dkim2_hash_by_name(BYTES_LIT("")));
	assert_int_equal(DKIM2_RSA_SHA256,
	    dkim2_algorithm_by_name(BYTES_LIT("rsa-sha256")));
	assert_int_equal(DKIM2_ED25519_SHA256,
	    dkim2_algorithm_by_name(BYTES_LIT("ed25519-sha256")));
	assert_int_equal(DKIM2_ALGORITHM__N,
	    dkim2_algorithm_by_name(BYTES_LIT("mldsa44")));
	assert_int_equal(DKIM2_ALGORITHM__N,
	    dkim2_algorithm_by_name(BYTES_LIT("Rsa-sha256")));
}

static void
rsa_public_keys_are_read_or_refused(void **state)
{
	static const struct {
		const char *label;
		const char *der;
		bool good;
		unsigned bits;
		uint64_t exponent;
	} row[] = {
		{"SubjectPublicKeyInfo", RSA_SPKI, true, 1024, 65537},
		{"bare RSAPublicKey", RSA_BARE, true, 1024, 65537},
		{"more than a key in the bits", RSA_SPKI_TAIL, false, 0, 0},
		{"e = 3 is the caller's to judge", RSA_E3, true, 1024, 3},
		{"so is a toy", RSA_TOY, true, 4, 65537},
		{"even modulus", RSA_EVEN, false, 0, 0},
		{"e = 1", RSA_E1, false, 0, 0},
		{"e past 64 bits", RSA_E_LONG, false, 0, 0},
		{"key for PSS", RSA_PSS, false, 0, 0},
		{"elliptic curve", EC_SPKI, false, 0, 0},
		{"garbage", "Z2FyYmFnZQ==", false, 0, 0},
		{"nothing", "", false, 0, 0},
	};

	(void)state;
	for (size_t k = 0; k < sizeof(row) / sizeof(row[0]); k++) {
		uint8_t room[512];
		struct bytes der = unbase64(row[k].der, room, sizeof(room));
		struct dkim2_public_key key;
		bool good;

		assert_int_equal(0, dkim2_public_key_init(&key,
		    DKIM2_RSA_SHA256, der, &good));
		if (good != row[k].good)
			fail_msg("%s", row[k].label);
		if (good) {
			assert_int_equal(row[k].bits, key.bits);
			assert_true(row[k].exponent == key.exponent);
		}
		dkim2_public_key_fini(&key);
		if (!row[k].good)
			continue;
		room[der.n++] = 0;	/* something behind it */
		assert_int_equal(0, dkim2_public_key_init(&key,
		    DKIM2_RSA_SHA256, der, &good));
		assert_false(good);
		dkim2_public_key_fini(&key);
	}
}

static void
rsa_verifies_what_openssl_signed(void **state)
{
	uint8_t room[512], sig[512], digest[32];
	struct bytes s;
	struct dkim2_public_key key;
	bool good;

	(void)state;
	assert_int_equal(0, dkim2_public_key_init(&key, DKIM2_RSA_SHA256,
	    unbase64(RSA_SPKI, room, sizeof(room)), &good));
	assert_true(good);
	assert_int_equal(0, dkim2_hash_once(DKIM2_SHA256,
	    BYTES_LIT("one two three"), digest));
	s = unbase64(RSA_SIGNATURE, sig, sizeof(sig));
	assert_int_equal(0, dkim2_public_key_verify(&key, digest, s, &good));
	assert_true(good);

	s.n--;				/* one octet short: wrong, no error */
	assert_int_equal(0, dkim2_public_key_verify(&key, digest, s, &good));
	assert_false(good);
	s.n++;
	for (size_t k = 0; k < s.n; k += 9) {
		sig[k] ^= 1;
		assert_int_equal(0,
		    dkim2_public_key_verify(&key, digest, s, &good));
		assert_false(good);
		sig[k] ^= 1;
	}
	memset(sig, 0xff, s.n);		/* not below the modulus */
	assert_int_equal(0, dkim2_public_key_verify(&key, digest, s, &good));
	assert_false(good);
	s = unbase64(RSA_SIGNATURE_SHA1, sig, sizeof(sig));
	assert_int_equal(0, dkim2_public_key_verify(&key, digest, s, &good));
	assert_false(good);
	dkim2_public_key_fini(&key);
}

/* V1: whoever publishes a giant key must not choose what we compute. */
static void
rsa_past_our_bound_computes_nothing(void **state)
{
	struct dkim2_public_key key = {
		.algorithm = DKIM2_RSA_SHA256,
		.bits = DKIM2_RSA_BITS_MAX + 8,
		.rsa = NULL,		/* would crash if it were used */
	};
	static const uint8_t sig[DKIM2_RSA_BITS_MAX / 8 + 1], digest[32];
	bool good = true;

	(void)state;
	assert_int_equal(0, dkim2_public_key_verify(&key, digest,
	    (struct bytes){sig, sizeof(sig)}, &good));
	assert_false(good);
}

/* V2: 31 and 33 octets, an S past the order, a key of small order. */
static void
ed25519_is_strict(void **state)
{
	/* protocol.md Q1 */
	static const char p[] = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
	static const char v[] =
	    "VMq226/7dsSBxhnbXH0lczMzSfRxAiG4gQ3tXTxXy0OmnwM2ENFfmf9rouY0GmQN"
	    "uIUrw37nD/nlZGN5dLVEDA==";
	static const uint8_t order[32] = {
		0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c,
		0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, [31] = 0x10,
	};
	uint8_t octets[33], sig[64], digest[32];
	struct bytes s;
	struct dkim2_public_key key;
	unsigned carry = 0;
	bool good;

	(void)state;
	assert_int_equal(0, sodium_hex2bin(digest, 32, "3ecc5fbbd9caf5879d03d1"
	    "2e675e5b3091420de1413d56e7d5dacec3470ad055", 64, NULL, NULL,
	    NULL));
	(void)unbase64(p, octets, sizeof(octets));
	for (size_t n = 31; n <= 33; n++) {
		assert_int_equal(0, dkim2_public_key_init(&key,
		    DKIM2_ED25519_SHA256, (struct bytes){octets, n}, &good));
		assert_int_equal(good, n == 32);
	}
	assert_int_equal(0, dkim2_public_key_init(&key, DKIM2_ED25519_SHA256,
	    (struct bytes){octets, 32}, &good));
	s = unbase64(v, sig, sizeof(sig));
	assert_int_equal(0, dkim2_public_key_verify(&key, digest, s, &good));
	assert_true(good);
	s.n--;
	assert_int_equal(0, dkim2_public_key_verify(&key, digest, s, &good));
	assert_false(good);
	s.n++;
	for (size_t k = 0; k < 32; k++) {	/* S + L: the same point */
		carry += (unsigned)sig[32 + k] + order[k];
		sig[32 + k] = (uint8_t)carry;
		carry >>= 8;
	}
	assert_int_equal(0, dkim2_public_key_verify(&key, digest, s, &good));
	assert_false(good);

	memset(octets, 0, sizeof(octets));	/* y = 0: order 4 */
	memset(sig, 0, sizeof(sig));
	assert_int_equal(0, dkim2_public_key_init(&key, DKIM2_ED25519_SHA256,
	    (struct bytes){octets, 32}, &good));
	assert_int_equal(0, dkim2_public_key_verify(&key, digest, s, &good));
	assert_false(good);
}

#define PEM(label, text) \
	"-----BEGIN " label "-----\n" text "-----END " label "-----\n"
/* RFC 8032 test key 1; never used for anything else */
#define ED_PEM PEM("PRIVATE KEY", \
	"MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n")

static void
private_keys_are_read_or_refused(void **state)
{
	static const struct {
		const char *label;
		const char *pem;
		int r;
	} row[] = {
		{"ed25519", ED_PEM, 0},
		{"text around it", "hello\n" ED_PEM "bye\n", 0},
		{"CRLF", "-----BEGIN PRIVATE KEY-----\r\n"
		    "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7"
		    "rAMcrn9g\r\n-----END PRIVATE KEY-----\r\n", 0},
		{"nothing", "", -E_SYNTAX},
		{"no PEM", "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/Vpg", -E_SYNTAX},
		{"no end", "-----BEGIN PRIVATE KEY-----\nMC4CAQAw\n",
		    -E_SYNTAX},
		{"seed of 31 octets", PEM("PRIVATE KEY",
		    "MC0CAQAwBQYDK2VwBCEEH51hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7"
		    "rAMcrn8=\n"), -E_SYNTAX},
		{"a public key", PEM("PUBLIC KEY", RSA_SPKI "\n"), -E_SYNTAX},
		{"encrypted: no terminal is asked", PEM("RSA PRIVATE KEY",
		    "Proc-Type: 4,ENCRYPTED\n"
		    "DEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n"
		    "\nAAAAAAAAAAAAAAAAAAAAAA==\n"), -E_SYNTAX},
		{"elliptic curve", PEM("PRIVATE KEY",
		    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgIkoOcEg2"
		    "OAQE\nt00qgUrTOkTuHLl+OnU7LoHm58k1fT2hRANCAAQtftIRjXAogH"
		    "POvj8WHzem\nQdm4uebuLxUlpeSAQ0hQkCG3x7hIHolY1sjc4uCk04o7"
		    "IkxVkSvKANg0p+4g\n5kjX\n"), -E_SYNTAX},
		{"RSA of 1024 bits", PEM("RSA PRIVATE KEY",
		    "MIICWwIBAAKBgQCXyanz+BTAPvrz3pqGZI+4ZYLq2Gdc2OOO9E4VknmzcUcvSWqx\n"
		    "WqlktwHtH7T4AU6tFZuAGc1RDcdgrLZai8sbX8I/07Vx0hi8+QAO5imB4eVrdFUJ\n"
		    "obW5ao6uZ4PmAli1wGszLhos0CbK+aTl2Dj3x65wwIepWPdLZyuWGyy61wIDAQAB\n"
		    "AoGATG4XTenVSRhtdO7aEGICnG9BBNAC/BWaQBl0WBhxf5HCrmThfHySX0xng+c7\n"
		    "UMYXv7/plQ9o+y9c/aj6CY3qrw976W1RPHfqAvQDPl0cXOgCm8nWNfAzg38jPFnt\n"
		    "5jkDm9/icLVAXH60RsUPKZ34SOCwhVt2m9TzP0Riz7hH9EECQQDFXYPdhtg0jOa1\n"
		    "tbWl0F8uOYXyyn5pYXvn78lMGTG75JfnDkzwPxDlb/5GUJAuzBhE3BlXFKEXyPpd\n"
		    "KLEAAfdrAkEAxOHHftGekkNT826ynaqLHay8Yy2UK0j6hrn9Bb196yXxwkoXJdSE\n"
		    "X0IFad2feWAo2+4JH2FZtmupao+9nJDhRQJAc3MAb9UxI4xIaIKifxwkkSWU9TD+\n"
		    "QSaFFGdvmNQkA4T0VnRHDUHW4F9inj8CGF3K1HzrVcT7dq5ZxaTH5PlBgQJAIWZk\n"
		    "H6GUEyAU5+FJr/G0tA4Pz4t17Xnt9lkrEYQ6DmBbiShkkOhipH5gyLruSPsFM3pI\n"
		    "Veh//bB6BzfnZN43OQJAVQIE7ljfhck2PPTJcH2ikNHs9Uo1jQRYsXL4e8r6OMlf\n"
		    "ovTwC8Vz0W4HfvhK72L2RNKOA3q/Ruqmdx4BAsdaYQ==\n"),
		    -E_LIMIT},
	};

	(void)state;
	for (size_t k = 0; k < sizeof(row) / sizeof(row[0]); k++) {
		struct dkim2_private_key *key;
		const char *why = NULL;
		int r = dkim2_private_key_load(&key, bytes_of(row[k].pem),
		    &why);

		if (r != row[k].r)
			fail_msg("%s: %d", row[k].label, r);
		assert_int_equal(r == 0, key != NULL);
		if (r != 0)
			assert_non_null(why);
		dkim2_private_key_free(&key);
		assert_null(key);
	}
}

static void
ed25519_signs_the_worked_example(void **state)
{
	uint8_t digest[32], sig[DKIM2_SIGNATURE_MAX], wanted[64];
	char text[1024];
	struct buf out = BUF_ON(sig), record = BUF_ON(text);
	struct dkim2_private_key *key;

	(void)state;
	assert_int_equal(0, dkim2_private_key_load(&key, BYTES_LIT(ED_PEM),
	    NULL));
	assert_int_equal(0, sodium_hex2bin(digest, 32, "3ecc5fbbd9caf5879d03d1"
	    "2e675e5b3091420de1413d56e7d5dacec3470ad055", 64, NULL, NULL,
	    NULL));
	assert_int_equal(0, dkim2_private_key_sign(key, digest, &out));
	assert_true(bytes_eq(buf_bytes(&out), unbase64(
	    "VMq226/7dsSBxhnbXH0lczMzSfRxAiG4gQ3tXTxXy0OmnwM2ENFfmf9rouY0GmQN"
	    "uIUrw37nD/nlZGN5dLVEDA==", wanted, sizeof(wanted))));
	assert_int_equal(0, dkim2_private_key_record(key, &record));
	assert_true(bytes_eq(buf_bytes(&record), BYTES_LIT("v=DKIM1; "
	    "k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")));
	dkim2_private_key_free(&key);
}

/* generate, write, read, sign, publish, check; for both kinds */
static void
a_new_key_goes_round(void **state)
{
	(void)state;
	for (unsigned a = 0; a < DKIM2_ALGORITHM__N; a++) {
		char pem[4096], record[1024];
		uint8_t sig[DKIM2_SIGNATURE_MAX], der[512], digest[32] = {7};
		struct buf p = BUF_ON(pem), r = BUF_ON(record);
		struct buf s = BUF_ON(sig), d = BUF_ON(der);
		struct dkim2_private_key *made, *read;
		struct dkim2_public_key public;
		struct bytes text;
		bool good;

		assert_int_equal(0, dkim2_private_key_generate(&made, a));
		assert_int_equal(0, dkim2_private_key_pem(made, &p));
		assert_int_equal(0, dkim2_private_key_load(&read,
		    buf_bytes(&p), NULL));
		assert_int_equal(a, dkim2_private_key_algorithm(read));
		assert_int_equal(a == DKIM2_RSA_SHA256 ? 2048 : 256,
		    dkim2_private_key_bits(read));
		assert_int_equal(0, dkim2_private_key_sign(read, digest, &s));
		assert_int_equal(0, dkim2_private_key_record(made, &r));
		text = buf_bytes(&r);
		text = bytes_skip(text, bytes_find(text, BYTES_LIT("p=")) + 2);
		assert_true(b64_decode(text, &d));
		assert_int_equal(0, dkim2_public_key_init(&public, a,
		    buf_bytes(&d), &good));
		assert_true(good);
		assert_int_equal(0, dkim2_public_key_verify(&public, digest,
		    buf_bytes(&s), &good));
		assert_true(good);
		digest[31] ^= 1;
		assert_int_equal(0, dkim2_public_key_verify(&public, digest,
		    buf_bytes(&s), &good));
		assert_false(good);
		s.cap = s.n + 1;	/* no room for a second one */
		assert_int_equal(-E_LIMIT,
		    dkim2_private_key_sign(read, digest, &s));
		dkim2_public_key_fini(&public);
		dkim2_private_key_free(&made);
		dkim2_private_key_free(&read);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(digests_are_those_of_the_algorithms),
		cmocka_unit_test(names_are_case_sensitive),
		cmocka_unit_test(rsa_public_keys_are_read_or_refused),
		cmocka_unit_test(rsa_verifies_what_openssl_signed),
		cmocka_unit_test(rsa_past_our_bound_computes_nothing),
		cmocka_unit_test(ed25519_is_strict),
		cmocka_unit_test(private_keys_are_read_or_refused),
		cmocka_unit_test(ed25519_signs_the_worked_example),
		cmocka_unit_test(a_new_key_goes_round),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
