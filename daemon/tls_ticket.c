#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <sodium.h>
#include <string.h>

#include "daemon/tls_state.h"

/* A ticket is good for the epoch it was made in and the one behind it. */
#define EPOCH_MS (TLS_TICKET_S * 1000LL)

struct ticket_key {
	uint8_t name[16];
	uint8_t aes[32];
	uint8_t mac[32];
};

/*
 * Made by the master before it forks, so that a ticket of one worker, or of
 * a generation that has left, is good for all. Everybody turns it on by the
 * clock that all processes share; the secret of an epoch does not give away
 * the one before (RFC 5077 5.5).
 */
static struct {
	bool is_made;
	int64_t epoch;
	uint8_t secret[crypto_kdf_KEYBYTES];
	struct ticket_key now, before;
} tickets;

static void
derive(struct ticket_key *k, uint8_t next[crypto_kdf_KEYBYTES])
{
	static const char context[] = "hs-tickt";
	uint8_t first[48];

	crypto_kdf_derive_from_key(first, sizeof(first), 1, context,
	    tickets.secret);
	memcpy(k->name, first, sizeof(k->name));
	memcpy(k->aes, first + sizeof(k->name), sizeof(k->aes));
	crypto_kdf_derive_from_key(k->mac, sizeof(k->mac), 2, context,
	    tickets.secret);
	crypto_kdf_derive_from_key(next, crypto_kdf_KEYBYTES, 3, context,
	    tickets.secret);
	sodium_memzero(first, sizeof(first));
}

void
tls_tickets_turn(int64_t now_ms)
{
	int64_t epoch = now_ms / EPOCH_MS;
	uint8_t next[crypto_kdf_KEYBYTES];

	if (!tickets.is_made) {
		randombytes_buf(tickets.secret, sizeof(tickets.secret));
		tickets.epoch = epoch - 2;	/* so that both keys are */
		tickets.is_made = true;
	}
	for (; tickets.epoch < epoch; tickets.epoch++) {
		tickets.before = tickets.now;
		derive(&tickets.now, next);
		memcpy(tickets.secret, next, sizeof(next));
	}
	sodium_memzero(next, sizeof(next));
}

static bool
use(const struct ticket_key *k, uint8_t iv[EVP_MAX_IV_LENGTH],
    EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, bool is_new)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY,
		    (void *)k->mac, sizeof(k->mac)),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST,
		    digest, 0),
		OSSL_PARAM_construct_end(),
	};

	return EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, k->aes, iv,
	    is_new) == 1 && EVP_MAC_CTX_set_params(mac, params) == 1;
}

int
tls_ticket_call(SSL *ssl, unsigned char name[16], unsigned char *iv,
    EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int is_new)
{
	const struct tls_link *link = SSL_get_app_data(ssl);
	const struct ticket_key *k = &tickets.now;

	tls_tickets_turn(link->now_ms);
	if (is_new) {
		memcpy(name, k->name, sizeof(k->name));
		if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(
		    EVP_aes_256_cbc())) != 1)
			return -1;
		return use(k, iv, cipher, mac, true) ? 1 : -1;
	}
	if (memcmp(name, k->name, sizeof(k->name)) != 0)
		k = &tickets.before;
	if (memcmp(name, k->name, sizeof(k->name)) != 0)
		return 0;	/* a full handshake, then */
	if (!use(k, iv, cipher, mac, false))
		return -1;
	/* 2: it gets a new one; those of TLS 1.3 are used once (RFC 8446 C.4) */
	return k == &tickets.now && SSL_version(ssl) < TLS1_3_VERSION ? 1 : 2;
}
