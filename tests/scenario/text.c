#include "tests/scenario/text.h"

#include <stdlib.h>

bool
text_fits(struct bytes pattern, struct bytes text)
{
	size_t p = 0, t = 0, star = SIZE_MAX, from = 0;

	while (t < text.n) {
		if (p < pattern.n && pattern.p[p] == '*') {
			star = p++;
			from = t;
		} else if (p < pattern.n && (pattern.p[p] == '?' ||
		    pattern.p[p] == text.p[t])) {
			p++;
			t++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			t = ++from;
		} else {
			return false;
		}
	}
	while (p < pattern.n && pattern.p[p] == '*')
		p++;
	return p == pattern.n;
}

bool
text_unescape(struct bytes text, struct buf *out)
{
	for (size_t k = 0; k < text.n; k++) {
		uint8_t c = text.p[k];
		unsigned long n;
		char *end;

		if (c != '\\') {
			buf_add_octet(out, c);
			continue;
		}
		if (++k == text.n)
			return false;
		switch (text.p[k]) {
		case 'r':
			buf_add_octet(out, '\r');
			break;
		case 'n':
			buf_add_octet(out, '\n');
			break;
		case '0':
			buf_add_octet(out, '\0');
			break;
		case '\\':
			buf_add_octet(out, '\\');
			break;
		case 'x':
			n = strtoul((char[]){(char)text.p[k + 1],
			    (char)text.p[k + 2], '\0'}, NULL, 16);
			buf_add_octet(out, (uint8_t)n);
			k += 2;
			break;
		case '*':
			n = strtoul((const char *)text.p + k + 1, &end, 10);
			c = out->p[out->n - 1];
			while (n-- > 1)
				buf_add_octet(out, c);
			k = (size_t)(end - (const char *)text.p) - 1;
			break;
		default:
			return false;
		}
	}
	return !out->full;
}

void
text_undot(struct bytes sent, struct buf *out)
{
	bool is_begun = true;

	for (size_t k = 0; k < sent.n; k++) {
		if (!is_begun || sent.p[k] != '.')
			buf_add_octet(out, sent.p[k]);
		is_begun = sent.p[k] == '\n';
	}
}
