#include "base/buf.h"

#include <stdio.h>

#include "base/ascii.h"

void
buf_add_number(struct buf *b, uint64_t v)
{
	uint8_t digits[20];
	size_t n = 0;

	do {
		digits[sizeof(digits) - ++n] = (uint8_t)('0' + v % 10);
		v /= 10;
	} while (v != 0);
	buf_add(b, (struct bytes){digits + sizeof(digits) - n, n});
}

void
buf_printf(struct buf *b, const char *fmt, ...)
{
	char text[1024];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(text)) {
		b->full = true;
		return;
	}
	buf_add(b, (struct bytes){(uint8_t *)text, (size_t)n});
}

void
buf_add_escaped(struct buf *b, struct bytes s, size_t max)
{
	struct bytes shown = bytes_first(s, max);

	for (size_t k = 0; k < shown.n; k++) {
		uint8_t c = shown.p[k];

		if ((ascii_is_graph(c) || c == ' ') && c != '\\') {
			buf_add_octet(b, c);
		} else {
			uint8_t octal[4] = {'\\', (uint8_t)('0' + (c >> 6)),
			    (uint8_t)('0' + ((c >> 3) & 7)),
			    (uint8_t)('0' + (c & 7))};

			buf_add(b, (struct bytes){octal, 4});
		}
	}
	if (shown.n < s.n)
		buf_add(b, BYTES_LIT("..."));
}
