#include "tests/scenario/manager.h"

#include <string.h>

struct changes {
	bool tag, fields, footer, refold, strip, munge, body, requote, wrap;
	struct bytes extra;
};

static bool
read_changes(struct bytes words, struct changes *c)
{
	static const struct {
		const char *word;
		size_t at;
	} known[] = {
		{"tag", offsetof(struct changes, tag)},
		{"fields", offsetof(struct changes, fields)},
		{"footer", offsetof(struct changes, footer)},
		{"refold", offsetof(struct changes, refold)},
		{"strip", offsetof(struct changes, strip)},
		{"munge", offsetof(struct changes, munge)},
		{"body", offsetof(struct changes, body)},
		{"requote", offsetof(struct changes, requote)},
		{"wrap", offsetof(struct changes, wrap)},
	};

	*c = (struct changes){.tag = false};
	while (words.n != 0) {
		struct bytes word = bytes_cut(&words, ' ');
		size_t k = 0;

		if (bytes_eq(word, BYTES_LIT("x"))) {
			c->extra = words;
			return true;
		}
		while (k < sizeof(known) / sizeof(known[0]) &&
		    !bytes_eq(word, bytes_of(known[k].word)))
			k++;
		if (k == sizeof(known) / sizeof(known[0]))
			return false;
		*(bool *)((char *)c + known[k].at) = true;
	}
	return true;
}

/* The next field with its folds and last CRLF; empty at the empty line. */
static struct bytes
next_field(struct bytes *rest)
{
	size_t n = 0;

	if (bytes_starts(*rest, BYTES_LIT("\r\n")))
		return (struct bytes){NULL, 0};
	do
		n += bytes_find(bytes_skip(*rest, n), BYTES_LIT("\r\n")) + 2;
	while (n < rest->n && (rest->p[n] == ' ' || rest->p[n] == '\t'));
	n = n < rest->n ? n : rest->n;
	*rest = bytes_skip(*rest, n);
	return (struct bytes){rest->p - n, n};
}

static bool
is_dkim2(struct bytes field)
{
	return bytes_case_starts(field, BYTES_LIT("DKIM2-Signature:")) ||
	    bytes_case_starts(field, BYTES_LIT("Message-Instance:"));
}

/* On one line, each run of white space as one blank. */
static void
unfold(struct bytes field, struct buf *out)
{
	for (size_t k = 0; k + 2 < field.n; k++) {
		if (field.p[k] == '\r' || field.p[k] == '\n')
			continue;
		buf_add_octet(out, field.p[k] == '\t' ? ' ' : field.p[k]);
	}
	buf_add(out, BYTES_LIT("\r\n"));
}

/* Those that were below come first. */
static void
put_dkim2(struct bytes content, struct buf *out)
{
	struct bytes list[32], rest = content, field;
	size_t n = 0;

	while ((field = next_field(&rest)).n != 0)
		if (is_dkim2(field) && n < 32)
			list[n++] = field;
	while (n != 0)
		unfold(list[--n], out);
}

static void
put_field(const struct changes *c, struct bytes field, struct buf *out)
{
	struct bytes subject = BYTES_LIT("Subject: ");

	if (is_dkim2(field) && (c->strip || c->refold))
		return;
	if (c->tag && bytes_starts(field, subject)) {
		buf_add_str(out, "Subject: [l] ");
		buf_add(out, bytes_skip(field, subject.n));
	} else if (c->munge && bytes_starts(field, BYTES_LIT("From: "))) {
		buf_add_str(out, "From: Alice by way of l <l@two.example>\r\n");
	} else if (c->requote && bytes_starts(field, BYTES_LIT("From: "))) {
		buf_add_str(out, "From: =?utf-8?q?Alice?=\r\n"
		    " <alice@one.example>\r\n");
	} else {
		buf_add(out, field);
	}
}

static void
wrap(struct bytes content, struct buf *out)
{
	buf_add_str(out, "From: l <l@two.example>\r\n"
	    "Message-ID: <wrapped.1@two.example>\r\nSubject: a letter\r\n"
	    "MIME-Version: 1.0\r\n"
	    "Content-Type: multipart/mixed; boundary=edge\r\n\r\n--edge\r\n"
	    "Content-Type: message/rfc822\r\n\r\n");
	buf_add(out, content);
	buf_add_str(out, "--edge--\r\n");
}

bool
manager_make(struct bytes content, struct bytes words, struct buf *out)
{
	struct bytes rest = content, field;
	struct changes c;

	if (!read_changes(words, &c))
		return false;
	if (c.wrap) {
		wrap(content, out);
		return !out->full;
	}
	if (c.extra.n != 0) {
		buf_add(out, c.extra);
		buf_add(out, BYTES_LIT("\r\n"));
	}
	buf_add_str(out, "Received: by lists.two.example; "
	    "Thu, 26 Nov 2026 00:00:00 +0000\r\n");
	if (c.refold)
		put_dkim2(content, out);
	if (c.fields)
		buf_add_str(out, "List-Id: <l.two.example>\r\n"
		    "List-Unsubscribe: <mailto:l-leave@two.example>\r\n");
	while ((field = next_field(&rest)).n != 0)
		put_field(&c, field, out);
	if (c.body)
		buf_add_str(out, "\r\nnothing of it is left\r\n");
	else
		buf_add(out, rest);
	if (c.footer)
		buf_add_str(out, "-- \r\nl@two.example, leave as you like\r\n");
	return !out->full;
}
