#include "dkim2/differ_guess.h"

#include "base/ascii.h"

/*
 * Ways in which mail servers and clients write the same thing differently.
 * Each function gives the form that may have been signed, made from the one
 * that came.
 */

static bool
is_changed(struct bytes from, const struct buf *out)
{
	return !out->full && !bytes_eq(from, buf_bytes(out));
}

/* ---- values of fields ---------------------------------------------------- */

/* Commas outside of quotes, with blank or without. */
static bool
rewrite_commas(struct bytes raw, struct buf *out, bool has_blank)
{
	bool is_quoted = false;

	for (size_t k = 0; k < raw.n; k++) {
		uint8_t c = raw.p[k];

		if (c == '"' && (k == 0 || raw.p[k - 1] != '\\'))
			is_quoted = !is_quoted;
		buf_add_octet(out, c);
		if (c != ',' || is_quoted)
			continue;
		while (k + 1 < raw.n && (ascii_is_wsp(raw.p[k + 1]) ||
		    raw.p[k + 1] == '\r' || raw.p[k + 1] == '\n'))
			k++;
		if (has_blank)
			buf_add_octet(out, ' ');
	}
	return is_changed(raw, out);
}

static bool
commas_bare(struct bytes raw, struct buf *out)
{
	return rewrite_commas(raw, out, false);
}

static bool
commas_blank(struct bytes raw, struct buf *out)
{
	return rewrite_commas(raw, out, true);
}

static bool
without_quotes(struct bytes raw, struct buf *out)
{
	for (size_t k = 0; k < raw.n; k++)
		if (raw.p[k] != '"')
			buf_add_octet(out, raw.p[k]);
	return is_changed(raw, out);
}

/* Puts quotes around what stands before each "<". */
static bool
names_quoted(struct bytes raw, struct buf *out)
{
	struct bytes rest = raw;

	if (bytes_index(raw, '"') != raw.n || bytes_index(raw, '<') == raw.n)
		return false;
	while (rest.p != NULL) {
		struct bytes one = bytes_trim(bytes_cut(&rest, ','));
		size_t at = bytes_index(one, '<');
		struct bytes name = bytes_trim(bytes_first(one, at));

		if (at != one.n && name.n != 0) {
			buf_add_octet(out, '"');
			buf_add(out, name);
			buf_add_str(out, "\" ");
			one = bytes_skip(one, at);
		}
		buf_add(out, one);
		if (rest.p != NULL)
			buf_add_str(out, ", ");
	}
	return is_changed(raw, out);
}

/* "charset=utf-8" as "charset="utf-8"". */
static bool
parameters_quoted(struct bytes raw, struct buf *out)
{
	bool is_open = false;

	if (bytes_index(raw, ';') == raw.n || bytes_index(raw, '"') != raw.n)
		return false;
	for (size_t k = 0; k < raw.n; k++) {
		uint8_t c = raw.p[k];

		if (is_open && (c == ';' || ascii_is_wsp(c) || c == '\r')) {
			buf_add_octet(out, '"');
			is_open = false;
		}
		buf_add_octet(out, c);
		if (c == '=' && !is_open) {
			buf_add_octet(out, '"');
			is_open = true;
		}
	}
	if (is_open)
		buf_add_octet(out, '"');
	return is_changed(raw, out);
}

static bool
in_lower_case(struct bytes raw, struct buf *out)
{
	for (size_t k = 0; k < raw.n; k++)
		buf_add_octet(out, ascii_lower(raw.p[k]));
	return is_changed(raw, out);
}

/* A server that broke a long word put in a blank that was not there. */
static bool
folds_without_blank(struct bytes raw, struct buf *out)
{
	for (size_t k = 0; k < raw.n; k++) {
		if (raw.p[k] == '\r' && k + 2 < raw.n && raw.p[k + 1] == '\n')
			k += 2;
		else
			buf_add_octet(out, raw.p[k]);
	}
	return is_changed(raw, out);
}

static bool
in_brackets(struct bytes raw, struct buf *out)
{
	struct bytes v = bytes_trim(raw);

	if (bytes_index(v, '@') == v.n || bytes_index(v, '<') != v.n ||
	    bytes_index(v, ',') != v.n)
		return false;
	buf_add_octet(out, '<');
	buf_add(out, v);
	buf_add_octet(out, '>');
	return true;
}

static bool
without_brackets(struct bytes raw, struct buf *out)
{
	struct bytes v = bytes_trim(raw);

	if (!bytes_starts(v, BYTES_LIT("<")) ||
	    !bytes_ends(v, BYTES_LIT(">")) || bytes_index(v, ',') != v.n)
		return false;
	buf_add(out, (struct bytes){v.p + 1, v.n - 2});
	return true;
}

/* "1.0 (Some Client)" */
static bool
without_comment(struct bytes raw, struct buf *out)
{
	struct bytes v = bytes_trim(raw);
	size_t at = v.n;

	if (!bytes_ends(v, BYTES_LIT(")")))
		return false;
	while (at != 0 && v.p[at - 1] != '(')
		at--;
	if (at == 0)
		return false;
	buf_add(out, bytes_first(v, at - 1));
	return true;
}

static bool
without_tabs(struct bytes raw, struct buf *out)
{
	for (size_t k = 0; k < raw.n; k++)
		if (raw.p[k] != '\t')
			buf_add_octet(out, raw.p[k]);
	return is_changed(raw, out);
}

const struct guess_form guess_forms[] = {
	{commas_bare, "without blanks behind its commas"},
	{commas_blank, "with a blank behind each comma"},
	{without_quotes, "without quotes"},
	{names_quoted, "with quotes around its names"},
	{parameters_quoted, "with quotes around its parameters"},
	{in_lower_case, "in lower case"},
	{folds_without_blank, "without the blanks at its folds"},
	{in_brackets, "with angle brackets"},
	{without_brackets, "without angle brackets"},
	{without_comment, "without the comment at its end"},
	{without_tabs, "without its tabs"},
};
const size_t guess_n_forms = sizeof(guess_forms) / sizeof(guess_forms[0]);

/* ---- bodies -------------------------------------------------------------- */

/* Cuts the first line and its end off; the last one may have none. */
static struct bytes
next_line(struct bytes *rest, bool *has_end)
{
	size_t at = bytes_find(*rest, BYTES_LIT("\r\n"));
	struct bytes line = bytes_first(*rest, at);

	*has_end = at != rest->n;
	*rest = bytes_skip(*rest, at + 2);
	return line;
}

static void
put_line(struct buf *out, struct bytes line, bool has_end)
{
	buf_add(out, line);
	if (has_end)
		buf_add_str(out, "\r\n");
}

static size_t
trailing_blanks(struct bytes line)
{
	size_t n = 0;

	while (n < line.n && ascii_is_wsp(line.p[line.n - 1 - n]))
		n++;
	return n;
}

static bool
ends_stripped(struct bytes b, struct buf *out)
{
	struct bytes rest = b;
	bool has_end;

	while (rest.n != 0) {
		struct bytes line = next_line(&rest, &has_end);

		line.n -= trailing_blanks(line);
		put_line(out, line, has_end);
	}
	return is_changed(b, out);
}

/* The two dashes above a signature had a blank behind them. */
static bool
dashes_blank(struct bytes b, struct buf *out)
{
	struct bytes rest = b;
	bool has_end;

	while (rest.n != 0) {
		struct bytes line = next_line(&rest, &has_end);

		put_line(out, bytes_eq(line, BYTES_LIT("--")) ?
		    BYTES_LIT("-- ") : line, has_end);
	}
	return is_changed(b, out);
}

static bool
blanks_as_one(struct bytes b, struct buf *out)
{
	struct bytes rest = b;
	bool has_end;

	while (rest.n != 0) {
		struct bytes line = next_line(&rest, &has_end);

		line.n -= trailing_blanks(line);
		for (size_t k = 0; k < line.n; k++)
			if (!ascii_is_wsp(line.p[k]))
				buf_add_octet(out, line.p[k]);
			else if (k == 0 || !ascii_is_wsp(line.p[k - 1]))
				buf_add_octet(out, ' ');
		put_line(out, (struct bytes){NULL, 0}, has_end);
	}
	return is_changed(b, out);
}

static bool
tabs_expanded(struct bytes b, struct buf *out)
{
	size_t column = 0;

	for (size_t k = 0; k < b.n; k++) {
		size_t n = 1;

		if (b.p[k] == '\t')
			n = 8 - column % 8;
		for (size_t j = 0; j < n; j++)
			buf_add_octet(out, b.p[k] == '\t' ? ' ' : b.p[k]);
		column = b.p[k] == '\n' ? 0 : column + n;
	}
	return is_changed(b, out);
}

static bool
tabs_as_blank(struct bytes b, struct buf *out)
{
	for (size_t k = 0; k < b.n; k++)
		buf_add_octet(out, b.p[k] == '\t' ? ' ' : b.p[k]);
	return is_changed(b, out);
}

static bool
blanks_as_tabs(struct bytes b, struct buf *out)
{
	static const struct bytes eight = BYTES_LIT("        ");
	struct bytes rest = b;
	bool has_end;

	while (rest.n != 0) {
		struct bytes line = next_line(&rest, &has_end);

		while (bytes_starts(line, eight)) {
			buf_add_octet(out, '\t');
			line = bytes_skip(line, eight.n);
		}
		put_line(out, line, has_end);
	}
	return is_changed(b, out);
}

/* Lines that begin with `from` get `to` in its place. */
static bool
rewrite_starts(struct bytes b, struct buf *out, struct bytes from,
    struct bytes to)
{
	struct bytes rest = b;
	bool has_end;

	while (rest.n != 0) {
		struct bytes line = next_line(&rest, &has_end);

		if (bytes_starts(line, from)) {
			buf_add(out, to);
			line = bytes_skip(line, from.n);
		}
		put_line(out, line, has_end);
	}
	return is_changed(b, out);
}

static bool
dots_taken(struct bytes b, struct buf *out)
{
	return rewrite_starts(b, out, BYTES_LIT(".."), BYTES_LIT("."));
}

static bool
dots_put(struct bytes b, struct buf *out)
{
	return rewrite_starts(b, out, BYTES_LIT("."), BYTES_LIT(".."));
}

static bool
from_bare(struct bytes b, struct buf *out)
{
	return rewrite_starts(b, out, BYTES_LIT(">From "),
	    BYTES_LIT("From "));
}

static bool
from_quoted(struct bytes b, struct buf *out)
{
	return rewrite_starts(b, out, BYTES_LIT("From "),
	    BYTES_LIT(">From "));
}

/* CRLF that became CRLF CRLF: every second line is empty. */
static bool
line_ends_once(struct bytes b, struct buf *out)
{
	struct bytes rest = b;
	bool has_end, is_second = false;

	while (rest.n != 0) {
		struct bytes line = next_line(&rest, &has_end);

		if (is_second && line.n != 0)
			return false;
		if (!is_second)
			put_line(out, line, has_end);
		is_second = !is_second;
	}
	return is_changed(b, out);
}

static bool
without_lone_cr(struct bytes b, struct buf *out)
{
	for (size_t k = 0; k < b.n; k++)
		if (b.p[k] != '\r' || (k + 1 < b.n && b.p[k + 1] == '\n'))
			buf_add_octet(out, b.p[k]);
	return is_changed(b, out);
}

static bool
with_lf_alone(struct bytes b, struct buf *out)
{
	for (size_t k = 0; k < b.n; k++)
		if (b.p[k] != '\r' || k + 1 == b.n || b.p[k + 1] != '\n')
			buf_add_octet(out, b.p[k]);
	return is_changed(b, out);
}

static size_t
longest_line(struct bytes b)
{
	size_t n = 0;
	bool has_end;

	while (b.n != 0) {
		struct bytes line = next_line(&b, &has_end);

		if (line.n > n)
			n = line.n;
	}
	return n;
}

/*
 * Joins each line of the greatest length with the next one: what servers make
 * of a line that is too long for them.
 */
static bool
join_cuts(struct bytes b, struct buf *out, struct bytes mark, struct bytes lead)
{
	size_t longest = longest_line(b);
	struct bytes rest = b;
	bool has_end;

	if (longest < 70)
		return false;
	while (rest.n != 0) {
		struct bytes line = next_line(&rest, &has_end);
		bool is_cut = line.n == longest && has_end &&
		    bytes_ends(line, mark) && bytes_starts(rest, lead);

		if (is_cut) {
			line.n -= mark.n;
			rest = bytes_skip(rest, lead.n);
		}
		put_line(out, line, has_end && !is_cut);
	}
	return is_changed(b, out);
}

static bool
cuts_joined(struct bytes b, struct buf *out)
{
	return join_cuts(b, out, BYTES_LIT(""), BYTES_LIT(""));
}

static bool
cuts_joined_blank(struct bytes b, struct buf *out)
{
	return join_cuts(b, out, BYTES_LIT(""), BYTES_LIT(" "));
}

static bool
cuts_joined_mark(struct bytes b, struct buf *out)
{
	return join_cuts(b, out, BYTES_LIT("!"), BYTES_LIT(" "));
}

static bool
empty_line_on_top(struct bytes b, struct buf *out)
{
	buf_add_str(out, "\r\n");
	buf_add(out, b);
	return true;
}

const struct guess_form guess_body_forms[] = {
	{ends_stripped, "without the white space at the end of its lines"},
	{dashes_blank, "with `-- ` in place of `--`: a server took the blank "
	 "at the end of the line away"},
	{tabs_expanded, "with blanks in place of its tabs"},
	{tabs_as_blank, "with one blank in place of each tab"},
	{blanks_as_tabs, "with tabs in place of eight blanks"},
	{cuts_joined_blank, "with its longest lines joined again: a server cut "
	 "lines that were too long for it and put a blank in front"},
	{cuts_joined, "with its longest lines joined again: a server cut lines "
	 "that were too long for it"},
	{cuts_joined_mark, "with its longest lines joined again: a server cut "
	 "lines that were too long for it and marked them with `!`"},
	{dots_taken, "with one dot less in front of lines that begin with two: "
	 "dots were stuffed once too often"},
	{dots_put, "with one dot more in front of lines that begin with one: "
	 "dots were taken away once too often"},
	{from_bare, "without the `>` in front of `From `, which mailboxes put "
	 "there"},
	{from_quoted, "with a `>` in front of `From `"},
	{line_ends_once, "without every second line, all of them empty: line "
	 "ends were doubled"},
	{without_lone_cr, "without the CR that stand alone"},
	{with_lf_alone, "with LF alone as its line ends: the signer did not "
	 "sign what it sent"},
	{blanks_as_one, "in the relaxed form of DKIM: the signer did not use "
	 "the form of DKIM2"},
	{empty_line_on_top, "with an empty line more at its top"},
};
const size_t guess_n_body_forms = sizeof(guess_body_forms) /
    sizeof(guess_body_forms[0]);
