#include "dsn/report_text.h"

#include "base/ascii.h"

#define LINE_MAX 76

void
report_add_clean(struct buf *out, struct bytes s, size_t max)
{
	bool is_gap = false, is_first = true;

	for (size_t k = 0; k < s.n && k < max; k++) {
		uint8_t c = s.p[k];

		if (c <= ' ' || c == 0x7f) {
			is_gap = true;
			continue;
		}
		if (is_gap && !is_first)
			buf_add_octet(out, ' ');
		is_gap = is_first = false;
		buf_add_octet(out, c > 0x7f ? '?' : c);
	}
	if (s.n > max)
		buf_add_str(out, "...");
}

void
report_add_folded(struct buf *out, size_t column, const char *indent,
    struct bytes text)
{
	bool is_first = true;

	while (text.p != NULL) {
		struct bytes word = bytes_cut(&text, ' ');

		if (word.n == 0)
			continue;
		if (!is_first && column + 1 + word.n > LINE_MAX) {
			buf_add_str(out, "\r\n");
			buf_add_str(out, indent);
			column = strlen(indent);
		} else if (!is_first) {
			buf_add_octet(out, ' ');
			column++;
		}
		is_first = false;
		buf_add(out, word);
		column += word.n;
	}
}

void
report_add_address(struct buf *out, struct bytes address)
{
	size_t n = out->n;
	bool is_plain = address.n <= REPORT_ADDRESS_MAX;

	for (size_t k = 0; k < address.n; k++)
		is_plain = is_plain && address.p[k] >= ' ' &&
		    address.p[k] < 0x7f;
	if (is_plain)
		buf_add(out, bytes_trim(address));
	else
		report_add_clean(out, address, REPORT_ADDRESS_MAX);
	if (out->n == n)
		buf_add_octet(out, '?');
}

bool
report_is_8bit(struct bytes b)
{
	for (size_t k = 0; k < b.n; k++)
		if (b.p[k] > 0x7f)
			return true;
	return false;
}

/* ---- status codes (RFC 3463) --------------------------------------------- */

/* Says whether b is a code, of failure, and what its two numbers are. */
static bool
read_status(struct bytes b, uint64_t *subject, uint64_t *detail)
{
	struct bytes class = bytes_cut(&b, '.'), middle = bytes_cut(&b, '.');

	return class.n == 1 && (class.p[0] == '4' || class.p[0] == '5') &&
	    middle.n <= 3 && bytes_number(middle, 999, subject) &&
	    b.n <= 3 && bytes_number(b, 999, detail);
}

struct bytes
report_status(const struct dsn_failed *f)
{
	uint64_t subject, detail;

	if (read_status(f->status, &subject, &detail))
		return f->status;
	return f->is_expired ? BYTES_LIT("4.4.7") : BYTES_LIT("5.0.0");
}

#define ANY 1000

/* What codes mean to him who wrote the message; the first that fits. */
static const struct meaning {
	unsigned subject, detail;
	const char *what;
	const char *to_do;
} meanings[] = {
	{1, 8, "The address that it came from was not accepted.",
	    "Ask the people who run your mail: the lines above tell them why."},
	{1, 7, "The address that it came from was not accepted.",
	    "Ask the people who run your mail: the lines above tell them why."},
	{1, ANY, "There is no such address.",
	    "Check how it is spelled, and whether it is still in use."},
	{2, 1, "The mailbox takes no mail.",
	    "Reach the person in another way."},
	{2, 2, "The mailbox is full.",
	    "Send it again later, or reach the person in another way."},
	{2, 3, "The message is too large for the mailbox.",
	    "Send it again with less in it."},
	{3, 4, "The message is too large for the server.",
	    "Send it again with less in it."},
	{4, 6, "The address leads round in a circle.",
	    "Reach the person in another way and tell of this message."},
	{4, 7, "The server did not take it in time.",	/* whatever it said */
	    "Check how the part behind the @ is spelled; if it is right, send "
	    "the message again later."},
	{4, ANY, "The server could not be reached.",
	    "Check how the part behind the @ is spelled; if it is right, send "
	    "the message again later."},
	{5, 3, "It was sent to too many recipients at a time.",
	    "Send it again to fewer at a time."},
	{6, ANY, "The server can not take a message of this kind.",
	    "Send it again as plain text, with an address without special "
	    "characters."},
	{7, ANY, "A rule there does not let it in.",
	    "Reach the person in another way, or ask the people who run mail "
	    "there."},
	{ANY, ANY, "It was refused.",
	    "If you do not see why, ask the people who run mail there: the "
	    "lines above tell them more."},
};

static const struct meaning *
meaning_of(const struct dsn_failed *f)
{
	const struct meaning *m = meanings;
	uint64_t subject = 0, detail = 0;

	read_status(report_status(f), &subject, &detail);
	while ((m->subject != ANY && m->subject != subject) ||
	    (m->detail != ANY && m->detail != detail))
		m++;
	return m;
}

/* ---- the part for people ------------------------------------------------- */

static void
add_paragraph(struct buf *out, const char *text)
{
	report_add_folded(out, 0, "", bytes_of(text));
	buf_add_str(out, "\r\n\r\n");
}

static void
add_recipient(const struct dsn_failed *f, struct buf *out)
{
	char room[REPORT_REPLY_MAX + 64];
	struct buf line = BUF_ON(room);

	buf_add_octet(out, '<');
	report_add_address(out, f->final);
	buf_add_str(out, ">\r\n    ");
	buf_add_str(&line, meaning_of(f)->what);
	buf_add_str(&line, f->is_expired ? " We tried for a long time and "
	    "gave up." : "");
	buf_add_str(&line, " (");
	buf_add(&line, report_status(f));
	buf_add_octet(&line, ')');
	report_add_folded(out, 4, "    ", buf_bytes(&line));
	buf_add_str(out, "\r\n");
	if (f->diagnostic.n != 0) {
		line.n = 0;
		buf_add_str(&line, "The server said: ");
		report_add_clean(&line, f->diagnostic, REPORT_REPLY_MAX);
		buf_add_str(out, "    ");
		report_add_folded(out, 4, "    ", buf_bytes(&line));
		buf_add_str(out, "\r\n");
	}
	buf_add_str(out, "    ");
	report_add_folded(out, 4, "    ", bytes_of(meaning_of(f)->to_do));
	buf_add_str(out, "\r\n\r\n");
}

void
report_add_text(const struct dsn_made *d, struct buf *out)
{
	buf_add_str(out, "This is the mail system at ");
	report_add_clean(out, d->hostname, REPORT_ADDRESS_MAX);
	buf_add_str(out, ".\r\n\r\n");
	add_paragraph(out, d->n_rcpts == 1 ?
	    "Your message could not be delivered to the recipient below, and "
	    "it will not be tried again." :
	    "Your message could not be delivered to the recipients below, and "
	    "it will not be tried again.");
	for (size_t k = 0; k < d->n_rcpts; k++)
		add_recipient(&d->rcpts[k], out);
	add_paragraph(out, d->has_returned_body ?
	    "A report for programs and the message are attached." :
	    "A report for programs and the header of the message are "
	    "attached.");
}
