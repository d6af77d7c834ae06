#include "daemon/arrival.h"

#include <sodium.h>
#include <stdlib.h>

#include "base/ascii.h"

/* Past it no chain is one that verifies: those keep the order they have. */
#define SORTED_MAX 256U

static bool
is_chain_field(const struct dkim2_field *f)
{
	return bytes_case_eq(f->name, BYTES_LIT("DKIM2-Signature")) ||
	    bytes_case_eq(f->name, BYTES_LIT("Message-Instance"));
}

/* A field without the case of its name and without white space. */
static void
digest_field(const struct dkim2_field *f, uint8_t out[ARRIVAL_DIGEST])
{
	static const uint8_t colon = ':';
	crypto_hash_sha256_state state;
	size_t from = 0;

	crypto_hash_sha256_init(&state);
	for (size_t k = 0; k < f->name.n; k++) {
		uint8_t c = ascii_lower(f->name.p[k]);

		crypto_hash_sha256_update(&state, &c, 1);
	}
	crypto_hash_sha256_update(&state, &colon, 1);
	for (size_t k = 0; k <= f->value.n; k++) {
		if (k != f->value.n && !ascii_is_wsp(f->value.p[k]) &&
		    f->value.p[k] != '\r' && f->value.p[k] != '\n')
			continue;
		if (k != from)
			crypto_hash_sha256_update(&state, f->value.p + from,
			    k - from);
		from = k + 1;
	}
	crypto_hash_sha256_final(&state, out);
}

static int
by_octets(const void *a, const void *b)
{
	return memcmp(a, b, ARRIVAL_DIGEST);
}

bool
arrival_chain(const struct dkim2_message *m, uint8_t out[ARRIVAL_DIGEST])
{
	uint8_t digests[SORTED_MAX][ARRIVAL_DIGEST];
	crypto_hash_sha256_state state;
	size_t n = 0;

	crypto_hash_sha256_init(&state);
	for (size_t k = 0; k < m->n_fields; k++) {
		if (!is_chain_field(m->fields + k))
			continue;
		if (n != 0 && n % SORTED_MAX == 0)
			crypto_hash_sha256_update(&state, digests[0],
			    sizeof(digests));
		digest_field(m->fields + k, digests[n++ % SORTED_MAX]);
	}
	if (n <= SORTED_MAX)
		qsort(digests, n, sizeof(digests[0]), by_octets);
	if (n != 0)
		crypto_hash_sha256_update(&state, digests[0],
		    ((n - 1) % SORTED_MAX + 1) * sizeof(digests[0]));
	crypto_hash_sha256_final(&state, out);
	return n != 0;
}
