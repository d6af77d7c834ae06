#include "daemon/memory_wire.h"

#include <sodium.h>

void
memory_digest(const uint8_t secret[MEMORY_SECRET_SIZE], uint8_t kind,
    const struct bytes *parts, size_t n, uint8_t *out, size_t n_out)
{
	crypto_generichash_state state;

	crypto_generichash_init(&state, secret, MEMORY_SECRET_SIZE,
	    MEMORY_KEY_SIZE);
	crypto_generichash_update(&state, &kind, 1);
	for (size_t k = 0; k < n; k++) {
		uint64_t length = parts[k].n;

		crypto_generichash_update(&state, (uint8_t *)&length,
		    sizeof(length));
		if (length != 0)
			crypto_generichash_update(&state, parts[k].p, length);
	}
	crypto_generichash_final(&state, out, n_out);
}
