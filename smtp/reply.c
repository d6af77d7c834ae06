#include "smtp/reply.h"

#include <assert.h>

#include "base/ascii.h"

#define PIECE 480	/* of a line of 512, RFC 5321 4.5.3.1.5 */
#define ENHANCED_MAX 11

static void
add_line(struct buf *out, int code, const char *enhanced, struct bytes text,
    bool is_last)
{
	bool has_text = text.n != 0 || enhanced != NULL;

	buf_add_number(out, (uint64_t)code);
	if (!is_last || has_text)
		buf_add_octet(out, is_last ? ' ' : '-');
	if (enhanced != NULL) {
		buf_add_str(out, enhanced);
		if (text.n != 0)
			buf_add_octet(out, ' ');
	}
	for (size_t k = 0; k < text.n; k++) {
		uint8_t c = text.p[k];

		if (c == '\r')
			continue;
		buf_add_octet(out,
		    ascii_is_graph(c) || ascii_is_wsp(c) ? c : '?');
	}
	buf_add(out, BYTES_LIT("\r\n"));
}

void
smtp_reply_add(struct buf *out, int code, const char *enhanced,
    struct bytes text)
{
	int n_lines = 0;
	bool is_last;

	assert(code >= 200 && code <= 599);
	assert(enhanced == NULL || strlen(enhanced) <= ENHANCED_MAX);
	text = bytes_first(text, SMTP_REPLY_TEXT);
	do {
		struct bytes line = bytes_first(text, bytes_index(text, '\n'));

		line = bytes_first(line, PIECE);
		text = bytes_skip(text, line.n);
		if (text.n != 0 && text.p[0] == '\n')
			text = bytes_skip(text, 1);
		is_last = text.n == 0 || ++n_lines == SMTP_REPLY_LINES;
		add_line(out, code, enhanced, line, is_last);
	} while (!is_last);
}
