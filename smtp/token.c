#include "smtp/token.h"

#include <sodium.h>

#include "base/ascii.h"

#define DAY_S 86400
#define DAY_N 2U	/* octets: until 2149 */
#define MAC_N 12U
#define ID_AT DAY_N
#define MAC_AT (DAY_N + SMTP_TOKEN_ID)
#define OCTETS (MAC_AT + MAC_N)		/* 30: whole letters of base 32 */
#define PREFIX "hopseal="
#define PREFIX_N (sizeof(PREFIX) - 1)

_Static_assert(OCTETS * 8 % 5 == 0 &&
    PREFIX_N + OCTETS * 8 / 5 == SMTP_TOKEN_N, "the letters come out even");

static const char base32[] = "abcdefghijklmnopqrstuvwxyz234567";

/* ---- what is keyed ---------------------------------------------------------- */

struct keyed {
	crypto_generichash_state state;
	bool is_good;
};

/* The secret may be longer than a key can be: its hash is the key. */
static void
keyed_begin(struct keyed *k, struct bytes secret, char what, size_t n)
{
	uint8_t key[crypto_generichash_KEYBYTES];

	k->is_good = crypto_generichash(key, sizeof(key), secret.p, secret.n,
	    NULL, 0) == 0 && crypto_generichash_init(&k->state, key,
	    sizeof(key), n) == 0 && crypto_generichash_update(&k->state,
	    (const uint8_t *)&what, 1) == 0;
	sodium_memzero(key, sizeof(key));
}

static void
keyed_add(struct keyed *k, struct bytes b)
{
	k->is_good = k->is_good &&
	    crypto_generichash_update(&k->state, b.p, b.n) == 0;
}

static void
keyed_add_lower(struct keyed *k, struct bytes b)
{
	for (size_t n = 0; n < b.n; n++) {
		uint8_t c = ascii_lower(b.p[n]);

		keyed_add(k, (struct bytes){&c, 1});
	}
}

static bool
keyed_end(struct keyed *k, uint8_t *out, size_t n)
{
	return k->is_good && crypto_generichash_final(&k->state, out, n) == 0;
}

/* The id of a reverse-path; an '@' or NUL can not stand in its domain. */
static bool
id_make(struct bytes secret, uint8_t octets[OCTETS], struct bytes local,
    struct bytes domain)
{
	struct keyed k;

	keyed_begin(&k, secret, 'i', SMTP_TOKEN_ID);
	keyed_add(&k, (struct bytes){octets, DAY_N});
	keyed_add_lower(&k, domain);
	keyed_add(&k, BYTES_LIT("@"));
	keyed_add(&k, local);
	return keyed_end(&k, octets + ID_AT, SMTP_TOKEN_ID);
}

static bool
mac_make(struct bytes secret, const uint8_t octets[OCTETS],
    struct bytes under, uint8_t mac[MAC_N])
{
	uint8_t sum[crypto_generichash_BYTES_MIN];
	struct keyed k;

	keyed_begin(&k, secret, 'm', sizeof(sum));
	keyed_add(&k, (struct bytes){octets, MAC_AT});
	keyed_add_lower(&k, under);
	if (!keyed_end(&k, sum, sizeof(sum)))
		return false;
	memcpy(mac, sum, MAC_N);
	return true;
}

/* ---- letters ---------------------------------------------------------------- */

static void
letters_write(const uint8_t octets[OCTETS], struct buf *out)
{
	unsigned bits = 0, n = 0;

	for (size_t k = 0; k < OCTETS; k++) {
		bits = (bits & 0xff) << 8 | octets[k];
		for (n += 8; n >= 5; n -= 5)
			buf_add_octet(out,
			    (uint8_t)base32[bits >> (n - 5) & 31]);
	}
}

static bool
letters_read(struct bytes letters, uint8_t octets[OCTETS])
{
	unsigned bits = 0, n = 0;
	size_t k = 0;

	for (size_t at = 0; at < letters.n; at++) {
		uint8_t c = ascii_lower(letters.p[at]);
		const char *found = c == 0 ? NULL : strchr(base32, c);

		if (found == NULL)
			return false;
		bits = (bits & 0xff) << 5 | (unsigned)(found - base32);
		n += 5;
		if (n >= 8) {
			n -= 8;
			octets[k++] = (uint8_t)(bits >> n);
		}
	}
	return true;
}

/* ---- both ------------------------------------------------------------------- */

bool
smtp_token_make(const struct smtp_secrets *secrets, uint8_t id[SMTP_TOKEN_ID],
    struct bytes local, struct bytes domain, struct bytes under,
    int64_t now_s, struct buf *out)
{
	uint16_t day = (uint16_t)(now_s / DAY_S);
	uint8_t octets[OCTETS] = {(uint8_t)(day >> 8), (uint8_t)day};

	if (buf_room(out) < SMTP_TOKEN_N ||
	    !id_make(secrets->all[0], octets, local, domain) ||
	    !mac_make(secrets->all[0], octets, under, octets + MAC_AT))
		return false;
	memcpy(id, octets + ID_AT, SMTP_TOKEN_ID);
	buf_add_str(out, PREFIX);
	letters_write(octets, out);
	return true;
}

enum smtp_return
smtp_token_read(const struct smtp_secrets *secrets, struct bytes local,
    struct bytes under, int64_t now_s, uint8_t id[SMTP_TOKEN_ID])
{
	uint8_t octets[OCTETS], mac[MAC_N];
	bool is_good = false;
	int64_t age;

	if (!bytes_case_starts(local, BYTES_LIT(PREFIX)))
		return SMTP_RETURN_NONE;
	if (local.n != SMTP_TOKEN_N ||
	    !letters_read(bytes_skip(local, PREFIX_N), octets))
		return SMTP_RETURN_FORGED;
	for (size_t k = 0; k < secrets->n && !is_good; k++)
		is_good = mac_make(secrets->all[k], octets, under, mac) &&
		    sodium_memcmp(mac, octets + MAC_AT, MAC_N) == 0;
	if (!is_good)
		return SMTP_RETURN_FORGED;
	age = now_s / DAY_S - (octets[0] << 8 | octets[1]);
	if (age > SMTP_RETURN_DAYS || age < -1)
		return SMTP_RETURN_EXPIRED;
	memcpy(id, octets + ID_AT, SMTP_TOKEN_ID);
	return SMTP_RETURN_GOOD;
}
