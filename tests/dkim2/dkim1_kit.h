/* What the tests of DKIM1 share. Include after kit.h. */
#ifndef TESTS_DKIM2_DKIM1_KIT_H
#define TESTS_DKIM2_DKIM1_KIT_H

#include "dkim2/crypto.h"
#include "dkim2/dkim1_field.h"

/* RFC 8032 test key 1, that of RFC 8463 A too; never used for anything else */
#define ED1_PEM "-----BEGIN PRIVATE KEY-----\n" \
	"MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n" \
	"-----END PRIVATE KEY-----\n"
#define ED1_P "p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
#define ED1_RECORD "v=DKIM1; k=ed25519; " ED1_P
#define RFC6376_P "p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9" \
	"ZJW3/DkMoGeLnQg1fWn7/zYtIxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBIt" \
	"La7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwG" \
	"jaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB"
#define RFC8463_P "p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6" \
	"NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACD" \
	"fzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2" \
	"EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB"

struct record {
	const char *name;
	const char *text;	/* NULL: a temporary failure */
};

/* Answers every want from a table; what is not there is absent. */
static inline void
kit_answer(struct dkim1_verify *v, const struct record *records, size_t n)
{
	const struct bytes *names;
	size_t n_names = dkim1_verify_wants(v, &names);

	for (size_t k = 0; k < n_names; k++) {
		enum dkim2_key found = DKIM2_KEY_ABSENT;
		struct bytes text[8];
		size_t n_text = 0;

		for (size_t j = 0; j < n; j++) {
			if (!bytes_eq(names[k], bytes_of(records[j].name)))
				continue;
			found = records[j].text == NULL ?
			    DKIM2_KEY_TEMPFAIL : DKIM2_KEY_TXT;
			if (found == DKIM2_KEY_TXT)
				text[n_text++] = bytes_of(records[j].text);
		}
		assert_int_equal(dkim1_verify_answer(v, k, found, text,
		    n_text), 0);
	}
}

/* Verifies a message whose body comes in pieces of at most step octets. */
static inline struct dkim1_verify *
kit_verify(struct bytes octets, size_t step, int64_t now_s,
    const struct record *records, size_t n, struct arena *a)
{
	struct dkim2_message *m = arena_alloc(a, sizeof(*m));
	struct bytes body = kit_split(octets, m, a);
	struct dkim1_verify *v;

	assert_int_equal(dkim1_verify_new(&v, a, now_s), 0);
	assert_int_equal(dkim1_verify_header(v, m), 0);
	for (; body.n != 0; body = bytes_skip(body, step)) {
		assert_int_equal(dkim1_verify_step(v), DKIM2_MORE);
		assert_int_equal(dkim1_verify_body(v,
		    bytes_first(body, step)), 0);
	}
	assert_null(dkim1_verify_result(v));
	assert_int_equal(dkim1_verify_end(v), 0);
	kit_answer(v, records, n);
	assert_int_equal(dkim1_verify_step(v), DKIM2_DONE);
	return v;
}

static inline struct dkim2_private_key *
kit_key(const char *pem)
{
	struct dkim2_private_key *k = NULL;

	assert_int_equal(dkim2_private_key_load(&k, bytes_of(pem), NULL), 0);
	return k;
}

#endif
