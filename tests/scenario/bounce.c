#include "tests/scenario/bounce.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/scenario/site.h"
#include "tests/scenario/text.h"

#define ROOM (8U << 20)

struct wanted {
	struct bytes to, original, also, as;
	bool is_delayed, is_whole, is_changed, is_bare, is_text, is_blind,
	    is_read;
	struct bytes envelope;		/* p == NULL: it is not signed */
};

static bool
read_words(struct bytes words, struct wanted *w)
{
	static const struct {
		const char *word;
		size_t at;
		bool has_more;
	} known[] = {
		{"to", offsetof(struct wanted, to), true},
		{"original", offsetof(struct wanted, original), true},
		{"also", offsetof(struct wanted, also), true},
		{"as", offsetof(struct wanted, as), true},
		{"delayed", offsetof(struct wanted, is_delayed), false},
		{"whole", offsetof(struct wanted, is_whole), false},
		{"changed", offsetof(struct wanted, is_changed), false},
		{"bare", offsetof(struct wanted, is_bare), false},
		{"text", offsetof(struct wanted, is_text), false},
		{"blind", offsetof(struct wanted, is_blind), false},
		{"read", offsetof(struct wanted, is_read), false},
	};

	*w = (struct wanted){.to = BYTES_LIT("bob@two.example"),
	    .as = BYTES_LIT("one.example")};
	while (words.n != 0) {
		struct bytes word = bytes_cut(&words, ' ');
		size_t k = 0;

		if (bytes_eq(word, BYTES_LIT("signed"))) {
			w->envelope = words;
			return true;
		}
		while (k < sizeof(known) / sizeof(known[0]) &&
		    !bytes_eq(word, bytes_of(known[k].word)))
			k++;
		if (k == sizeof(known) / sizeof(known[0]))
			return false;
		if (known[k].has_more)
			*(struct bytes *)((char *)w + known[k].at) =
			    bytes_cut(&words, ' ');
		else
			*(bool *)((char *)w + known[k].at) = true;
	}
	return true;
}

static void
put_header(const struct wanted *w, const char *type, struct buf *out)
{
	buf_printf(out, "From: Mail Delivery System <MAILER-DAEMON@%.*s>\r\n"
	    "To: <alice@one.example>\r\n"
	    "Date: Thu, 26 Nov 2026 00:00:00 +0000\r\n"
	    "Message-ID: <bounce.1@inside.example>\r\n"
	    "Subject: Undelivered mail\r\nAuto-Submitted: auto-replied\r\n"
	    "MIME-Version: 1.0\r\nContent-Type: %s\r\n\r\n",
	    BYTES_FMT(w->envelope.p != NULL ? w->as :
	    BYTES_LIT("two.example")), type);
}

static void
put_recipient(const struct wanted *w, struct bytes to, const char *status,
    struct buf *out)
{
	if (to.n == 0)
		return;
	buf_add_str(out, "\r\n");
	if (w->original.n != 0)
		buf_printf(out, "Original-Recipient: rfc822;%.*s\r\n",
		    BYTES_FMT(w->original));
	buf_printf(out, "Final-Recipient: rfc822; %.*s\r\nAction: %s\r\n"
	    "Status: %s\r\nDiagnostic-Code: smtp; 550 %.*s has moved to "
	    "secret.example\r\n", BYTES_FMT(to),
	    w->is_delayed ? "delayed" : "failed",
	    w->is_delayed ? "4.4.7" : status, BYTES_FMT(to));
}

static void
put_returned(const struct wanted *w, struct bytes m, struct buf *out)
{
	struct bytes subject = BYTES_LIT("Subject: ");
	size_t end = bytes_find(m, BYTES_LIT("\r\n\r\n")) + 2;
	size_t at = bytes_find(m, subject);

	if (!w->is_bare)
		buf_printf(out, "Return-Path: <alice@one.example>\r\n"
		    "Delivered-To: secret@inside.example\r\n"
		    "Received: by inside.example; "
		    "Thu, 26 Nov 2026 00:00:00 +0000\r\n");
	if (w->is_changed && at != m.n) {
		buf_add(out, bytes_first(m, at + subject.n));
		buf_add_str(out, "[spam] ");
		end -= at + subject.n;
		m = bytes_skip(m, at + subject.n);
	}
	buf_add(out, w->is_whole ? m : bytes_first(m, end));
}

static void
put_report(const struct wanted *w, struct bytes m, struct buf *out)
{
	put_header(w, w->is_read
	    ? "multipart/report; report-type=disposition-notification; "
	    "boundary=\"edge\"" : "multipart/report; "
	    "report-type=delivery-status;\r\n\tboundary=\"edge\"", out);
	buf_printf(out, "--edge\r\n\r\nThis is the mail system at "
	    "inside.example.\r\n\r\n--edge\r\n"
	    "Content-Type: message/delivery-status\r\n\r\n"
	    "Reporting-MTA: dns; inside.example\r\n");
	put_recipient(w, w->to, "5.1.1", out);
	put_recipient(w, w->also, "5.2.2", out);
	if (!w->is_blind) {
		buf_printf(out, "\r\n--edge\r\nContent-Type: %s\r\n\r\n",
		    w->is_whole ? "message/rfc822" : "text/rfc822-headers");
		put_returned(w, m, out);
	}
	buf_add_str(out, "\r\n--edge--\r\n");
}

static void
put_signed(const struct wanted *w, struct bytes m, struct buf *out)
{
	struct bytes rest = w->envelope;
	struct bytes from = bytes_cut(&rest, ' ');
	char path[2][320];

	snprintf(path[0], sizeof(path[0]), "%.*s", BYTES_FMT(from));
	snprintf(path[1], sizeof(path[1]), "%.*s", BYTES_FMT(rest));
	site_sign(m, w->as, path[0], path[1], out);
}

/* A dot at the beginning of a line is doubled. */
static void
put_dotted(struct bytes m, struct buf *out)
{
	for (size_t k = 0; k < m.n; k++) {
		if (m.p[k] == '.' && (k == 0 || m.p[k - 1] == '\n'))
			buf_add_octet(out, '.');
		buf_add_octet(out, m.p[k]);
	}
}

bool
bounce_make(struct bytes content, struct bytes words, struct buf *out)
{
	struct buf b[3];
	struct wanted w;
	bool is_known = read_words(words, &w);

	for (unsigned k = 0; k < 3; k++) {
		b[k] = (struct buf){malloc(ROOM), 0, ROOM, false};
		assert(b[k].p != NULL);
	}
	text_undot(content, &b[0]);
	if (w.is_text) {
		put_header(&w, "text/plain", &b[1]);
		buf_add_str(&b[1], "I could not deliver it.\r\n");
	} else {
		put_report(&w, buf_bytes(&b[0]), &b[1]);
	}
	if (w.envelope.p != NULL)
		put_signed(&w, buf_bytes(&b[1]), &b[2]);
	put_dotted(buf_bytes(w.envelope.p != NULL ? &b[2] : &b[1]), out);
	for (unsigned k = 0; k < 3; k++)
		free(b[k].p);
	return is_known && !out->full;
}
