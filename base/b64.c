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

static int
sextet(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
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
