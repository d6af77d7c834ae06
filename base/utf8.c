#include "base/utf8.h"

/* Source: RFC 3629 4. */
size_t
utf8_length(struct bytes b)
{
	static const struct {
		uint8_t first, last;	/* of the lead octet */
		uint8_t low, high;	/* of the octet behind it */
		uint8_t n;
	} rows[] = {
		{0x00, 0x7f, 0x80, 0xbf, 1},
		{0xc2, 0xdf, 0x80, 0xbf, 2},
		{0xe0, 0xe0, 0xa0, 0xbf, 3},
		{0xe1, 0xec, 0x80, 0xbf, 3},
		{0xed, 0xed, 0x80, 0x9f, 3},
		{0xee, 0xef, 0x80, 0xbf, 3},
		{0xf0, 0xf0, 0x90, 0xbf, 4},
		{0xf1, 0xf3, 0x80, 0xbf, 4},
		{0xf4, 0xf4, 0x80, 0x8f, 4},
	};
	size_t row = 0;

	while (row < sizeof(rows) / sizeof(rows[0]) &&
	    (b.p[0] < rows[row].first || b.p[0] > rows[row].last))
		row++;
	if (row == sizeof(rows) / sizeof(rows[0]) || b.n < rows[row].n)
		return 0;
	for (size_t k = 1; k < rows[row].n; k++) {
		uint8_t low = k == 1 ? rows[row].low : 0x80;
		uint8_t high = k == 1 ? rows[row].high : 0xbf;

		if (b.p[k] < low || b.p[k] > high)
			return 0;
	}
	return rows[row].n;
}

size_t
utf8_decode(struct bytes b, uint32_t *code)
{
	static const uint8_t lead_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
	size_t n = utf8_length(b);

	*code = n == 0 ? 0 : b.p[0] & lead_bits[n];
	for (size_t k = 1; k < n; k++)
		*code = *code << 6 | (b.p[k] & 0x3fU);
	return n;
}
