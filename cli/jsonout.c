#include "cli/jsonout.h"

#include "base/utf8.h"

void
json_put_string(FILE *f, struct bytes b)
{
	if (b.p == NULL) {
		fputs("null", f);
		return;
	}
	fputc('"', f);
	while (b.n != 0) {
		size_t n = utf8_length(b);

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
