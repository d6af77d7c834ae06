#include "smtp/replyparse.h"

#include "base/ascii.h"

void
smtp_replyparse_init(struct smtp_replyparse *p)
{
	p->last_line = (struct bytes){0};
	p->code = 0;
	p->n_lines = 0;
	p->n_enhanced = 0;
	p->text = BUF_ON(p->text_octets);
	p->is_ready = false;
	p->fault = NULL;
	smtp_line_init(&p->line, p->line_octets, sizeof(p->line_octets));
}

static enum smtp_replyparse_step
broken(struct smtp_replyparse *p, const char *fault)
{
	p->fault = fault;
	return SMTP_REPLYPARSE_BROKEN;
}

/* The code at the front of a line, 0 where there is none. */
static int
read_code(struct bytes line)
{
	if (line.n < 3 || line.p[0] < '2' || line.p[0] > '5' ||
	    !ascii_is_digit(line.p[1]) || !ascii_is_digit(line.p[2]))
		return 0;
	if (line.n > 3 && line.p[3] != ' ' && line.p[3] != '-')
		return 0;
	return (line.p[0] - '0') * 100 + (line.p[1] - '0') * 10 +
	    line.p[2] - '0';
}

static size_t
span_digits(struct bytes b)
{
	size_t n = 0;

	while (n < b.n && ascii_is_digit(b.p[n]))
		n++;
	return n >= 1 && n <= 3 ? n : 0;
}

/* RFC 3463 2: class "." subject "." detail, of the class of the code. */
static size_t
span_enhanced(struct bytes b, int code)
{
	size_t subject, detail, n;

	if (b.n < 5 || b.p[0] != '0' + code / 100 || b.p[1] != '.')
		return 0;
	subject = span_digits(bytes_skip(b, 2));
	n = 2 + subject;
	if (subject == 0 || n == b.n || b.p[n] != '.')
		return 0;
	detail = span_digits(bytes_skip(b, ++n));
	n += detail;
	if (detail == 0 || (n < b.n && b.p[n] != ' '))
		return 0;
	return n;
}

/* Keeps the text of a line, and of the first its enhanced status. */
static void
keep_text(struct smtp_replyparse *p, struct bytes text)
{
	size_t n = span_enhanced(text, p->code);

	if (p->n_lines == 1 && n != 0) {
		memcpy(p->enhanced, text.p, n);
		p->n_enhanced = n;
	}
	if (n != 0 && bytes_eq(bytes_first(text, n),
	    (struct bytes){p->enhanced, p->n_enhanced})) {
		text = bytes_skip(text, n);
		if (text.n != 0)
			text = bytes_skip(text, 1);
	}
	if (p->n_lines > 1 && buf_room(&p->text) != 0)
		buf_add_octet(&p->text, '\n');
	buf_add(&p->text, bytes_first(text, buf_room(&p->text)));
}

enum smtp_replyparse_step
smtp_replyparse_next(struct smtp_replyparse *p, struct bytes *in)
{
	struct bytes line;
	int code;

	if (p->is_ready)
		smtp_replyparse_init(p);
	switch (smtp_line_read(&p->line, in)) {
	case SMTP_LINE_MORE:
		return SMTP_REPLYPARSE_MORE;
	case SMTP_LINE_ENDLESS:
		return broken(p, "reply line without end");
	case SMTP_LINE_READY:
		break;
	}
	line = smtp_line_octets(&p->line);
	code = read_code(line);
	if (p->line.has_bare_lf)
		return broken(p, "bare LF in a reply");
	if (code == 0)
		return broken(p, "not a reply");
	if (p->code != 0 && code != p->code)
		return broken(p, "reply with different codes");
	if (++p->n_lines > SMTP_REPLY_LINES_MAX)
		return broken(p, "reply with too many lines");
	p->code = code;
	p->last_line = bytes_skip(line, 4);
	keep_text(p, p->last_line);
	if (line.n > 3 && line.p[3] == '-')
		return SMTP_REPLYPARSE_LINE;
	p->is_ready = true;
	return SMTP_REPLYPARSE_READY;
}

struct smtp_reply
smtp_replyparse_reply(const struct smtp_replyparse *p)
{
	return (struct smtp_reply){p->code, {p->enhanced, p->n_enhanced},
	    buf_bytes(&p->text)};
}
