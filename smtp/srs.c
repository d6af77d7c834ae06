#include "smtp/srs.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/ascii.h"
#include "smtp/path.h"

#define LOCAL_MAX 64U		/* RFC 5321 4.5.3.1.1 */
#define PATH_MAX_N 256U
#define DAY_S 86400
#define DAYS 1024		/* what two letters of base 32 can say */
#define HASH_N 4U		/* characters, as postsrsd's default */
#define HASH_MAX 27U		/* all of SHA-1, without padding */
#define SHA1_N 20U
#define TAG_N 4U		/* "SRS0" */

static const char base32[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    "abcdefghijklmnopqrstuvwxyz0123456789+/";

/* ---- the parts of an address ----------------------------------------------- */

/*
 * The characters of the hash over octets without case, the first n of them.
 * Returns false where the crypto library fails.
 */
static bool
hash_make(struct bytes secret, const struct buf *said, char *out, size_t n)
{
	uint8_t sum[SHA1_N + 1] = {0};
	unsigned n_sum = 0;

	if (HMAC(EVP_sha1(), secret.p, (int)secret.n, said->p, said->n, sum,
	    &n_sum) == NULL || n_sum != SHA1_N)
		return false;
	for (size_t k = 0; k < n; k++) {
		size_t at = k * 6 / 8;
		unsigned two = (unsigned)sum[at] << 8 | sum[at + 1];

		out[k] = base64[two >> (10 - k * 6 % 8) & 63];
	}
	return true;
}

static void
add_lower(struct buf *out, struct bytes b)
{
	for (size_t k = 0; k < b.n; k++)
		buf_add_octet(out, ascii_lower(b.p[k]));
}

/* Whether hash is the one of said under one of the secrets. */
static bool
hash_is_good(const struct smtp_secrets *secrets, const struct buf *said,
    struct bytes hash)
{
	char ours[HASH_MAX];

	if (hash.n < HASH_N || hash.n > HASH_MAX || said->full)
		return false;
	for (size_t k = 0; k < secrets->n; k++)
		if (hash_make(secrets->all[k], said, ours, hash.n) &&
		    bytes_case_eq(hash, (struct bytes){(const uint8_t *)ours,
		        hash.n}))
			return true;
	return false;
}

static void
day_make(int64_t now_s, char day[2])
{
	unsigned n = (unsigned)(now_s / DAY_S % DAYS);

	day[0] = base32[n >> 5];
	day[1] = base32[n & 31];
}

static int
digit_of(uint8_t c)
{
	c = ascii_lower(c);
	if (c >= 'a' && c <= 'z')
		return c - 'a';
	return c >= '2' && c <= '7' ? c - '2' + 26 : -1;
}

/* How many days ago, or -1 for one ahead; false: it is no day. */
static bool
day_read(struct bytes day, int64_t now_s, int *age)
{
	int high, low;

	if (day.n != 2)
		return false;
	high = digit_of(day.p[0]);
	low = digit_of(day.p[1]);
	if (high < 0 || low < 0)
		return false;
	*age = (int)(now_s / DAY_S % DAYS) - (high << 5 | low);
	if (*age < -1)
		*age += DAYS;
	else if (*age == DAYS - 1)	/* over the end of the circle */
		*age = -1;
	return true;
}

/* "SRS0" or "SRS1" and a separator, any case. */
static bool
has_tag(struct bytes local, uint8_t digit)
{
	return local.n > TAG_N &&
	    bytes_case_starts(local, BYTES_LIT("SRS")) &&
	    local.p[TAG_N - 1] == digit && (local.p[TAG_N] == '=' ||
	    local.p[TAG_N] == '-' || local.p[TAG_N] == '+');
}

/* HASH "=" HOST "=" REST; behind "SRS1=". */
struct second {
	struct bytes hash;
	struct bytes host;
	struct bytes rest;	/* of the SRS0: separator, hash, day ... */
};

static bool
second_read(struct bytes local, struct second *out)
{
	struct bytes left = bytes_skip(local, TAG_N + 1);

	out->hash = bytes_cut(&left, '=');
	out->host = bytes_cut(&left, '=');
	out->rest = left;
	/* what an SRS0 begins with behind its name */
	return out->hash.n != 0 && smtp_path_is_domain(out->host) &&
	    left.n != 0 && (left.p[0] == '=' || left.p[0] == '-' ||
	    left.p[0] == '+');
}

/* Whether what is written is a path, and all of it. */
static bool
is_path(struct bytes b)
{
	struct smtp_path path;
	struct bytes rest;

	return smtp_path_parse(b, 0, &path, &rest) == SMTP_PATH_OK &&
	    rest.n == 0 && !path.is_null && !path.is_literal;
}

/* Whether an address can stand in another: a plain one, in ASCII. */
static bool
is_plain(struct bytes local, struct bytes domain)
{
	uint8_t octets[PATH_MAX_N];
	struct buf path = BUF_ON(octets);

	if (local.n == 0 || local.p[0] == '"' ||
	    bytes_index(local, 0) != local.n || !smtp_path_is_domain(domain))
		return false;
	buf_printf(&path, "<%.*s@%.*s>", BYTES_FMT(local), BYTES_FMT(domain));
	return !path.full && is_path(buf_bytes(&path));
}

/* ---- make ------------------------------------------------------------------- */

static bool
make_first(const struct smtp_secrets *secrets, struct bytes local,
    struct bytes domain, int64_t now_s, struct buf *out)
{
	uint8_t octets[2 + 2 * PATH_MAX_N];
	struct buf said = BUF_ON(octets);
	char day[2], hash[HASH_N];

	day_make(now_s, day);
	add_lower(&said, (struct bytes){(const uint8_t *)day, 2});
	add_lower(&said, domain);
	add_lower(&said, local);
	if (said.full || !hash_make(secrets->all[0], &said, hash, HASH_N))
		return false;
	buf_printf(out, "SRS0=%.4s=%.2s=%.*s=%.*s", hash, day,
	    BYTES_FMT(domain), BYTES_FMT(local));
	return true;
}

/* host and rest are what leads back to the SRS0 at the first forwarder. */
static bool
make_second(const struct smtp_secrets *secrets, struct bytes host,
    struct bytes rest, struct buf *out)
{
	uint8_t octets[2 * PATH_MAX_N];
	struct buf said = BUF_ON(octets);
	char hash[HASH_N];

	add_lower(&said, host);
	add_lower(&said, rest);
	if (said.full || !hash_make(secrets->all[0], &said, hash, HASH_N))
		return false;
	buf_printf(out, "SRS1=%.4s=%.*s=%.*s", hash, BYTES_FMT(host),
	    BYTES_FMT(rest));
	return true;
}

bool
smtp_srs_make(const struct smtp_secrets *secrets, struct bytes local,
    struct bytes domain, int64_t now_s, struct buf *out)
{
	uint8_t octets[PATH_MAX_N + 2];
	struct buf made = BUF_ON(octets);
	struct second second;
	bool is_made;
	size_t n;

	if (!is_plain(local, domain))
		return false;
	buf_add_octet(&made, '<');
	if (has_tag(local, '1') && second_read(local, &second))
		is_made = make_second(secrets, second.host, second.rest, &made);
	else if (has_tag(local, '0'))
		is_made = make_second(secrets, domain,
		    bytes_skip(local, TAG_N), &made);
	else
		is_made = make_first(secrets, local, domain, now_s, &made);
	n = made.n - 1;
	buf_add_str(&made, "@a.b>");
	/* the form holds only where all of it is a plain local part */
	if (!is_made || made.full || n > LOCAL_MAX || !is_path(buf_bytes(&made)))
		return false;
	buf_add(out, (struct bytes){made.p + 1, n});
	return !out->full;
}

/* ---- read ------------------------------------------------------------------- */

/* Adds what a good address leads back to. */
static enum smtp_return
lead_back(struct buf *out, const char *tag, struct bytes local,
    struct bytes domain)
{
	uint8_t octets[PATH_MAX_N];
	struct buf made = BUF_ON(octets);

	buf_printf(&made, "<%s%.*s@%.*s>", tag, BYTES_FMT(local),
	    BYTES_FMT(domain));
	if (made.full || !is_path(buf_bytes(&made)))
		return SMTP_RETURN_FORGED;
	buf_add(out, buf_bytes(&made));
	return SMTP_RETURN_GOOD;
}

static enum smtp_return
read_first(const struct smtp_secrets *secrets, struct bytes local,
    int64_t now_s, struct buf *out)
{
	uint8_t octets[PATH_MAX_N];
	struct buf said = BUF_ON(octets);
	struct bytes left = bytes_skip(local, TAG_N + 1);
	struct bytes hash = bytes_cut(&left, '=');
	struct bytes day = bytes_cut(&left, '=');
	struct bytes domain = bytes_cut(&left, '=');
	int age;

	add_lower(&said, day);
	add_lower(&said, domain);
	add_lower(&said, left);
	if (left.n == 0 || !day_read(day, now_s, &age) ||
	    !hash_is_good(secrets, &said, hash))
		return SMTP_RETURN_FORGED;
	if (age > SMTP_RETURN_DAYS)
		return SMTP_RETURN_EXPIRED;
	return lead_back(out, "", left, domain);
}

/* An SRS1 has no day: the SRS0 that it leads to has one. */
static enum smtp_return
read_second(const struct smtp_secrets *secrets, struct bytes local,
    struct buf *out)
{
	uint8_t octets[PATH_MAX_N];
	struct buf said = BUF_ON(octets);
	struct second second;

	if (!second_read(local, &second))
		return SMTP_RETURN_FORGED;
	add_lower(&said, second.host);
	add_lower(&said, second.rest);
	if (!hash_is_good(secrets, &said, second.hash))
		return SMTP_RETURN_FORGED;
	return lead_back(out, "SRS0", second.rest, second.host);
}

enum smtp_return
smtp_srs_read(const struct smtp_secrets *secrets, struct bytes local,
    int64_t now_s, struct buf *out)
{
	if (bytes_index(local, 0) != local.n)
		return SMTP_RETURN_NONE;	/* that is no C string */
	if (has_tag(local, '0'))
		return read_first(secrets, local, now_s, out);
	if (has_tag(local, '1'))
		return read_second(secrets, local, out);
	return SMTP_RETURN_NONE;
}
