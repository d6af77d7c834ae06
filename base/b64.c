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

bool
b64_decode(struct bytes b, struct buf *out)
{
	if (b.n % 4 != 0)
		return false;
	for (size_t k = 0; k < b.n; k += 4) {
		uint8_t octets[3];
		size_t n = 3;
		uint32_t v = 0;

		if (k + 4 == b.n && b.p[k + 3] == '=')
			n = b.p[k + 2] == '=' ? 1 : 2;
		for (size_t j = 0; j < 4; j++) {
			int s = j <= n ? sextet(b.p[k + j]) : 0;

			if (s < 0)
				return false;
			v = v << 6 | (uint32_t)s;
		}
		octets[0] = (uint8_t)(v >> 16);
		octets[1] = (uint8_t)(v >> 8);
		octets[2] = (uint8_t)v;
		for (size_t j = n; j < 3; j++)
			if (octets[j] != 0)
				return false;
		buf_add(out, (struct bytes){octets, n});
	}
	return !out->full;
}
