#include "smtp/xtext.h"

#include "base/ascii.h"

static int
hex_value(uint8_t c)
{
	if (ascii_is_digit(c))
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool
smtp_xtext_decode(struct bytes b, struct buf *out)
{
	for (size_t k = 0; k < b.n; k++) {
		uint8_t c = b.p[k];
		int high, low;

		if (!ascii_is_graph(c) || c == '=')
			return false;
		if (c != '+') {
			buf_add_octet(out, c);
			continue;
		}
		if (b.n - k < 3)
			return false;
		high = hex_value(b.p[++k]);
		low = hex_value(b.p[++k]);
		if (high < 0 || low < 0)
			return false;
		buf_add_octet(out, (uint8_t)(high << 4 | low));
	}
	return !out->full;
}
