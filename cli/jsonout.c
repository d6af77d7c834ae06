#include "cli/jsonout.h"

/* Octets of the UTF-8 character at the front of b; 0 where there is none. */
static size_t
character(struct bytes b)
{
	uint8_t c = b.p[0];
	size_t n = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 :
	    c < 0xf5 ? 4 : 0;

	if (n == 0 || n > b.n)
		return 0;
	for (size_t k = 1; k < n; k++)
		if ((b.p[k] & 0xc0) != 0x80)
			return 0;
	/* too long a form, a surrogate, past U+10FFFF (RFC 3629 4) */
	if ((c == 0xe0 && b.p[1] < 0xa0) || (c == 0xed && b.p[1] > 0x9f) ||
	    (c == 0xf0 && b.p[1] < 0x90) || (c == 0xf4 && b.p[1] > 0x8f))
		return 0;
	return n;
}

void
json_put_string(FILE *f, struct bytes b)
{
	if (b.p == NULL) {
		fputs("null", f);
		return;
	}
	fputc('"', f);
	while (b.n != 0) {
		size_t n = character(b);

		if (n == 0)
			fputs("\\ufffd", f);
		else if (b.p[0] == '"' || b.p[0] == '\\')
			fprintf(f, "\\%c", b.p[0]);
		else if (b.p[0] < 0x20 || b.p[0] == 0x7f)
			fprintf(f, "\\u%04x", b.p[0]);
		else
			fwrite(b.p, 1, n, f);
		b = bytes_skip(b, n == 0 ? 1 : n);
	}
	fputc('"', f);
}

void
json_put_strings(FILE *f, const struct bytes *b, size_t n)
{
	fputc('[', f);
	for (size_t k = 0; k < n; k++) {
		if (k != 0)
			fputc(',', f);
		json_put_string(f, b[k]);
	}
	fputc(']', f);
}
