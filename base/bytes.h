/* A view of octets, and the few questions one asks of it. */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A view of octets owned by someone else. May hold NUL. Never freed. */
struct bytes {
	const uint8_t *p;
	size_t n;
};

#define BYTES_LIT(s) ((struct bytes){(const uint8_t *)("" s), sizeof(s) - 1})

/* Arguments for printf("%.*s"): only for text known to hold no NUL. */
#define BYTES_FMT(b) (int)(b).n, (const char *)(b).p

static inline struct bytes
bytes_of(const char *s)
{
	return (struct bytes){(const uint8_t *)s, strlen(s)};
}

/* The octets from p up to, and without, end. */
static inline struct bytes
bytes_between(const uint8_t *p, const uint8_t *end)
{
	return (struct bytes){p, (size_t)(end - p)};
}

/* The first n octets, or all of it where there are fewer. */
static inline struct bytes
bytes_first(struct bytes b, size_t n)
{
	if (n < b.n)
		b.n = n;
	return b;
}

/* What is left behind the first n octets; empty where there are fewer. */
static inline struct bytes
bytes_skip(struct bytes b, size_t n)
{
	if (n > b.n)
		n = b.n;
	if (n != 0)
		b.p += n;
	b.n -= n;
	return b;
}

static inline bool
bytes_eq(struct bytes a, struct bytes b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool
bytes_starts(struct bytes b, struct bytes prefix)
{
	return b.n >= prefix.n && bytes_eq(bytes_first(b, prefix.n), prefix);
}

static inline bool
bytes_ends(struct bytes b, struct bytes suffix)
{
	return b.n >= suffix.n &&
	    bytes_eq(bytes_skip(b, b.n - suffix.n), suffix);
}

/* Where octet c stands first, or b.n where it does not. */
static inline size_t
bytes_index(struct bytes b, uint8_t c)
{
	const uint8_t *at;

	if (b.n == 0)
		return 0;
	at = memchr(b.p, c, b.n);
	return at == NULL ? b.n : (size_t)(at - b.p);
}

/* Octet order, a prefix first: <0, 0 or >0. */
int bytes_compare(struct bytes a, struct bytes b);

/* How many octets from the front on are the same. */
size_t bytes_common(struct bytes a, struct bytes b);

/* Equal but for the case of the letters A to Z. */
bool bytes_case_eq(struct bytes a, struct bytes b);

/* bytes_case_eq() of the first prefix.n octets. */
bool bytes_case_starts(struct bytes b, struct bytes prefix);

/* Without the SP and HTAB at both ends. */
struct bytes bytes_trim(struct bytes b);

/* Where needle stands first, or b.n where it does not; empty is at 0. */
size_t bytes_find(struct bytes b, struct bytes needle);

/*
 * Cuts the octets before the first c, and c itself, from the front of rest.
 *
 * Returns  what stood before c; where there is no c, all of rest, and rest
 *          is then empty with p == NULL (so that a last empty piece behind
 *          a trailing c is still seen)
 */
struct bytes bytes_cut(struct bytes *rest, uint8_t c);

/*
 * Reads b as a decimal number: digits only, at least one, leading zeros
 * tolerated, at most max.
 *
 * Returns  false where b is anything else; *value is then unchanged
 */
bool bytes_number(struct bytes b, uint64_t max, uint64_t *value);

#endif
