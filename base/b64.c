#include "base/b64.h"

static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void
b64_encode(struct bytes b, struct buf *out)
{
	for (size_t k = 0; k < b.n; k += 3) {
		size_t left = b.n - k;
		uint32_t v = (uint32_t)b.p[k] << 16;
		uint8_t quad[4];

		if (left > 1)
			v |= (uint32_t)b.p[k + 1] << 8;
		if (left > 2)
			v |= b.p[k + 2];
		quad[0] = (uint8_t)alphabet[v >> 18];
		quad[1] = (uint8_t)alphabet[(v >> 12) & 63];
		quad[2] = left > 1 ? (uint8_t)alphabet[(v >> 6) & 63] : '=';
		quad[3] = left > 2 ? (uint8_t)alphabet[v & 63] : '=';
		buf_add(out, (struct bytes){quad, 4});
	}
}

/* What an octet from '+' to 'z' stands for, and one more; 0: nothing. */
static const uint8_t values['z' - '+' + 1] = {
	63, 0, 0, 0, 64,				/* + , - . / */
	53, 54, 55, 56, 57, 58, 59, 60, 61, 62,		/* 0 to 9 */
	0, 0, 0, 0, 0, 0, 0,				/* : to @ */
	1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13,	/* A to M */
	14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26,
	0, 0, 0, 0, 0, 0,				/* [ to ` */
	27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39,
	40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52,
};

static inline int
sextet(uint8_t c)
{
	return c < '+' || c > 'z' ? -1 : values[c - '+'] - 1;
}

/* Makes three octets of four; false where one is none of the alphabet. */
static inline bool
three_of(const uint8_t *quad, uint8_t *octets)
{
	int a = sextet(quad[0]), b = sextet(quad[1]);
	int c = sextet(quad[2]), d = sextet(quad[3]);

	if ((a | b | c | d) < 0)
		return false;
	octets[0] = (uint8_t)(a << 2 | b >> 4);
	octets[1] = (uint8_t)(b << 4 | c >> 2);
	octets[2] = (uint8_t)(c << 6 | d);
	return true;
}

bool
b64_decode(struct bytes b, struct buf *out)
{
	size_t whole = b.n / 4 * 3, n = 3;
	uint8_t quad[4], *to;

	if (b.n % 4 != 0)
		return false;
	if (b.n == 0)
		return !out->full;
	if (b.p[b.n - 1] == '=')
		n = b.p[b.n - 2] == '=' ? 1 : 2;
	if (whole - 3 + n > buf_room(out)) {
		out->full = true;
		return false;
	}
	for (to = out->p + out->n; b.n > 4; b = bytes_skip(b, 4), to += 3)
		if (!three_of(b.p, to))
			return false;
	/* only the last four may be padded, with zeros behind what counts */
	memcpy(quad, b.p, n + 1);
	memset(quad + n + 1, 'A', 3 - n);
	if (!three_of(quad, quad))
		return false;
	for (size_t j = n; j < 3; j++)
		if (quad[j] != 0)
			return false;
	memcpy(to, quad, n);
	out->n += whole - 3 + n;
	return true;
}
