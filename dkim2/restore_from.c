#include "dkim2/restore.h"

#include "base/ascii.h"
#include "base/b64.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/utf8.h"
#include "dkim2/from.h"
#include "dkim2/mailbox.h"

static bool
is_space(uint8_t c)
{
	return ascii_is_wsp(c) || c == '\r' || c == '\n';
}

/* ---- encoded words (RFC 2047) -------------------------------------------- */

enum charset { CHARSET_UTF8, CHARSET_ASCII, CHARSET_LATIN1, CHARSET_WINDOWS,
    CHARSET_OTHER };

static enum charset
charset_of(struct bytes name)
{
	static const struct {
		struct bytes name;
		enum charset charset;
	} rows[] = {
		{BYTES_LIT("utf-8"), CHARSET_UTF8},
		{BYTES_LIT("utf8"), CHARSET_UTF8},
		{BYTES_LIT("us-ascii"), CHARSET_ASCII},
		{BYTES_LIT("ascii"), CHARSET_ASCII},
		{BYTES_LIT("iso-8859-1"), CHARSET_LATIN1},
		{BYTES_LIT("latin1"), CHARSET_LATIN1},
		{BYTES_LIT("windows-1252"), CHARSET_WINDOWS},
	};

	/* a language may stand behind it (RFC 2231 5) */
	name = bytes_first(name, bytes_index(name, '*'));
	for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++)
		if (bytes_case_eq(name, rows[k].name))
			return rows[k].charset;
	return CHARSET_OTHER;
}

static int
hex_digit(uint8_t c)
{
	if (ascii_is_digit(c))
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The Q encoding; false where that is not what it is. */
static bool
decode_q(struct bytes b, struct buf *out)
{
	while (b.n != 0) {
		uint8_t c = b.p[0];

		b = bytes_skip(b, 1);
		if (c == '=') {
			int high = b.n < 2 ? -1 : hex_digit(b.p[0]);
			int low = b.n < 2 ? -1 : hex_digit(b.p[1]);

			if (high < 0 || low < 0)
				return false;
			c = (uint8_t)(high << 4 | low);
			b = bytes_skip(b, 2);
		} else if (c == '_') {
			c = ' ';
		} else if (!ascii_is_graph(c)) {
			return false;
		}
		buf_add_octet(out, c);
	}
	return !out->full;
}

/* The character of an octet; 0 where there is none. */
static uint32_t
character(uint8_t c, enum charset charset)
{
	static const uint16_t windows[32] = {
		0x20ac, 0, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021,
		0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0, 0x017d, 0,
		0, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
		0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0, 0x017e, 0x0178,
	};

	if (c < 0x80)
		return c;
	if (charset == CHARSET_ASCII)
		return 0;
	if (charset == CHARSET_WINDOWS && c < 0xa0)
		return windows[c - 0x80];
	return c;
}

/* Adds octets of a charset as UTF-8; false where they are none. */
static bool
convert(struct bytes b, enum charset charset, struct buf *out)
{
	for (size_t k = 0; charset != CHARSET_UTF8 && k < b.n; k++) {
		uint32_t code = character(b.p[k], charset);

		if (code == 0)
			return false;
		if (code >= 0x800)
			buf_add_octet(out, (uint8_t)(0xe0 | code >> 12));
		if (code >= 0x800)
			buf_add_octet(out, (uint8_t)(0x80 |
			    (code >> 6 & 0x3f)));
		else if (code >= 0x80)
			buf_add_octet(out, (uint8_t)(0xc0 | code >> 6));
		buf_add_octet(out, (uint8_t)(code < 0x80 ? code :
		    0x80 | (code & 0x3f)));
	}
	/* a character may be cut by the end of a word: all is looked at later */
	if (charset == CHARSET_UTF8)
		buf_add(out, b);
	return !out->full;
}

/* Or a fold would be taken for one that stands there. */
static bool
has_no_controls(const struct buf *b)
{
	for (size_t k = 0; k < b->n; k++)
		if (b->p[k] < ' ' || b->p[k] == 0x7f)
			return false;
	return true;
}

/*
 * Decodes a word, if it is an encoded one.
 *
 * octets   empty, takes it as it is in its charset
 * Returns  false where it is none, or none that we can read
 */
static bool
decode_word(struct bytes word, struct buf *octets, enum charset *charset)
{
	struct bytes rest, name, encoding;

	if (!bytes_starts(word, BYTES_LIT("=?")) || word.n < 6 ||
	    !bytes_ends(word, BYTES_LIT("?=")))
		return false;
	rest = bytes_first(bytes_skip(word, 2), word.n - 4);
	name = bytes_cut(&rest, '?');
	encoding = bytes_cut(&rest, '?');
	*charset = charset_of(name);
	if (rest.p == NULL || encoding.n != 1 || *charset == CHARSET_OTHER ||
	    bytes_index(rest, '?') != rest.n)
		return false;
	if (ascii_lower(encoding.p[0]) == 'q')
		return decode_q(rest, octets) && has_no_controls(octets);
	return ascii_lower(encoding.p[0]) == 'b' &&
	    b64_decode(rest, octets) && has_no_controls(octets);
}

/* ---- words --------------------------------------------------------------- */

/* Words on their way into a text. */
struct words {
	struct buf *out;
	struct buf *scratch;
	bool has_blank;		/* since the last one */
	bool was_encoded;	/* that one */
};

/* Blanks between two encoded words do not count (RFC 2047 6.2). */
static void
begin_word(struct words *w, bool is_encoded)
{
	if (w->has_blank && w->out->n != 0 && !(is_encoded && w->was_encoded))
		buf_add_octet(w->out, ' ');
	w->has_blank = false;
	w->was_encoded = is_encoded;
}

static void
add_word(struct words *w, struct bytes word)
{
	enum charset charset;
	struct words before = *w;
	size_t n = w->out->n;

	w->scratch->n = 0;
	if (decode_word(word, w->scratch, &charset)) {
		begin_word(w, true);
		if (convert(buf_bytes(w->scratch), charset, w->out))
			return;
		*w = before;
		w->out->n = n;
	}
	begin_word(w, false);
	buf_add(w->out, word);
}

/* An octet, or what a backslash says; folds are no octets. */
static bool
take_octet(struct bytes *b, uint8_t *c)
{
	if (b->p[0] == '\\')
		*b = bytes_skip(*b, 1);
	if (b->n == 0)
		return false;
	*c = b->p[0];
	*b = bytes_skip(*b, 1);
	return true;
}

/* Takes a quoted string, which has no encoded words. */
static void
take_quoted(struct bytes *b, struct words *w)
{
	uint8_t c;

	*b = bytes_skip(*b, 1);
	begin_word(w, false);
	while (b->n != 0 && b->p[0] != '"')
		if (take_octet(b, &c))
			buf_add_octet(w->out, c);
	*b = bytes_skip(*b, 1);
}

static bool
is_parenthesis(uint8_t c)
{
	return c == '(' || c == ')';
}

/* The words of comments; the parentheses keep them apart. */
static void
add_notes(struct bytes text, struct words *w)
{
	while (text.n != 0) {
		size_t n = 0;

		while (n < text.n && !is_space(text.p[n]) &&
		    !is_parenthesis(text.p[n]))
			n++;
		if (n != 0)
			add_word(w, bytes_first(text, n));
		else if (is_parenthesis(text.p[0]))
			add_word(w, bytes_first(text, 1));
		else
			w->has_blank = true;
		text = bytes_skip(text, n == 0 ? 1 : n);
	}
}

/* Takes a comment, and those that follow it. */
static void
take_comment(struct bytes *b, struct words *notes)
{
	struct bytes rest = *b;

	(void)mailbox_skip_cfws(b);
	notes->has_blank = true;
	add_notes(bytes_between(rest.p, b->p), notes);
}

/* The words of a phrase, or of a local part. */
static void
take_words(struct bytes b, struct words *w, struct words *notes)
{
	while (b.n != 0) {
		size_t n = 0;

		if (is_space(b.p[0])) {
			w->has_blank = true;
			b = bytes_skip(b, 1);
			continue;
		}
		if (b.p[0] == '(') {
			w->has_blank = true;
			take_comment(&b, notes);
			continue;
		}
		if (b.p[0] == '"') {
			take_quoted(&b, w);
			continue;
		}
		while (n < b.n && !is_space(b.p[n]) && b.p[n] != '(' &&
		    b.p[n] != '"')
			n++;
		add_word(w, bytes_first(b, n));
		b = bytes_skip(b, n);
	}
}

/* ---- a field ------------------------------------------------------------- */

/* Makes blanks single, takes them off the ends. False for what is no text. */
static bool
tidy(struct buf *b, struct bytes *out)
{
	struct bytes rest = buf_bytes(b);
	size_t n = 0;

	while (rest.n != 0) {
		size_t length = utf8_length(rest);
		uint8_t c = rest.p[0];

		if (length == 0 || (c < ' ' && !is_space(c)) || c == 0x7f)
			return false;
		if (!is_space(c)) {
			memmove(b->p + n, rest.p, length);
			n += length;
		} else if (n != 0 && b->p[n - 1] != ' ') {
			b->p[n++] = ' ';
		}
		rest = bytes_skip(rest, length);
	}
	if (n != 0 && b->p[n - 1] == ' ')
		n--;
	*out = (struct bytes){b->p, n};
	return !b->full;
}

/* Without its blanks, comments and quotes. */
static void
take_local(struct bytes b, struct buf *out, struct words *notes)
{
	while (b.n != 0) {
		struct words w = {.out = out};

		if (is_space(b.p[0])) {
			b = bytes_skip(b, 1);
		} else if (b.p[0] == '(') {
			take_comment(&b, notes);
		} else if (b.p[0] == '"') {
			take_quoted(&b, &w);
		} else {
			buf_add_octet(out, b.p[0]);
			b = bytes_skip(b, 1);
		}
	}
}

/* What stands behind the domain: comments alone, and the bracket. */
static void
take_end(struct bytes b, struct words *notes)
{
	while (b.n != 0) {
		if (b.p[0] == '(')
			take_comment(&b, notes);
		else
			b = bytes_skip(b, 1);
	}
}

/* The mailbox of a field, and the words before it. */
static bool
find_mailbox(struct bytes value, struct mailbox *m, struct bytes *phrase)
{
	struct bytes b = value, domain;

	if (from_parse(value, &domain) != DKIM2_FROM_ONE ||
	    !mailbox_parse(&b, m))
		return false;
	*phrase = bytes_first(value, 0);
	if (b.n != 0) {			/* an address as its own name */
		*phrase = bytes_between(value.p, b.p);
		return mailbox_parse(&b, m) && b.n == 0;
	}
	if (m->local.p != value.p)
		*phrase = bytes_between(value.p, m->local.p - 1);
	return true;
}

int
restore_from_read(struct restore_from *f, struct bytes value, struct arena *a,
    bool *good)
{
	struct buf room[4];
	struct words name = {.out = &room[0], .scratch = &room[3]};
	struct words notes = {.out = &room[1], .scratch = &room[3]};
	struct bytes phrase, local;
	struct mailbox m;

	*good = false;
	if (value.n > RESTORE_FROM_MAX || !find_mailbox(value, &m, &phrase))
		return 0;
	for (size_t k = 0; k < 4; k++)	/* an octet becomes 3 at the most */
		if (arena_buf(a, 3 * value.n + 2, &room[k]) != 0)
			return -E_NOMEM;
	take_words(phrase, &name, &notes);
	take_local(m.local, &room[2], &notes);
	take_end(bytes_between(m.domain.p + m.domain.n, value.p + value.n),
	    &notes);
	f->domain = m.domain;
	local = buf_bytes(&room[2]);
	*good = tidy(&room[0], &f->name) && tidy(&room[1], &f->notes) &&
	    tidy(&room[2], &f->local) && !room[2].full &&
	    f->local.n == local.n && local.n != 0;
	return 0;
}

bool
restore_from_is_same_mailbox(const struct restore_from *x,
    const struct restore_from *y)
{
	return bytes_eq(x->local, y->local) &&
	    bytes_case_eq(x->domain, y->domain);
}

bool
restore_from_is_same(const struct restore_from *x,
    const struct restore_from *y)
{
	return restore_from_is_same_mailbox(x, y) &&
	    bytes_eq(x->name, y->name) && bytes_eq(x->notes, y->notes);
}
