#include "tests/scenario/message.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/scenario/site.h"

#define FROM "From: Alice <alice@one.example>\r\n"
#define TRACE "Date: Thu, 26 Nov 2026 00:00:00 +0000\r\n" \
	"Message-ID: <1@one.example>\r\n"
#define SUBJECT "Subject: a letter\r\n"
#define HEADER FROM "To: <bob@two.example>\r\n" TRACE SUBJECT
#define BODY "Hello Bob,\r\n.a line with a dot\r\n"

/* The same with the dot of its body doubled, as it goes through DATA. */
#define SENT "Hello Bob,\r\n..a line with a dot\r\n"

static bool
cut(struct bytes *kind, const char *word)
{
	struct bytes w = bytes_of(word);

	if (!bytes_starts(*kind, w))
		return false;
	*kind = bytes_skip(*kind, w.n);
	return true;
}

/* All but the body, which has a dot to be doubled: as it was sent. */
static void
add_body(struct bytes message, const char *sent, struct buf *out)
{
	buf_add(out, bytes_first(message, message.n - strlen(BODY)));
	buf_add_str(out, sent);
}

static void
add_signed(struct bytes message, struct bytes paths, struct buf *out)
{
	size_t space = bytes_index(paths, ' ');
	char from[320], to[320];
	size_t room = 1U << 20;
	struct buf b = {malloc(room), 0, room, false};

	snprintf(from, sizeof(from), "%.*s",
	    BYTES_FMT(bytes_first(paths, space)));
	snprintf(to, sizeof(to), "%.*s",
	    BYTES_FMT(bytes_skip(paths, space + 1)));
	site_sign(message, BYTES_LIT("one.example"), from, to, &b);
	add_body(buf_bytes(&b), SENT, out);
	free(b.p);
}

/* Signed, and another body since. */
static void
add_changed(struct bytes paths, struct buf *out)
{
	add_signed(BYTES_LIT(HEADER "\r\n" BODY), paths, out);
	buf_add_str(out, "Good bye\r\n");
}

/* By DKIM1, n times. */
static void
add_dkim1(struct bytes domain, unsigned n, const char *sent, struct buf *out)
{
	struct bytes message = BYTES_LIT(HEADER "\r\n" BODY);
	size_t room = 1U << 20;
	struct buf b[2] = {{malloc(room), 0, room, false},
	    {malloc(room), 0, room, false}};

	for (unsigned k = 0; k < n; k++) {
		b[k % 2].n = 0;
		site_sign_dkim1(message, domain, &b[k % 2]);
		message = buf_bytes(&b[k % 2]);
	}
	add_body(message, sent, out);
	free(b[0].p);
	free(b[1].p);
}

static void
add_both(struct bytes paths, struct buf *out)
{
	size_t room = 1U << 16;
	struct buf b = {malloc(room), 0, room, false};

	site_sign_dkim1(BYTES_LIT(HEADER "\r\n" BODY),
	    BYTES_LIT("one.example"), &b);
	add_signed(buf_bytes(&b), paths, out);
	free(b.p);
}

bool
message_make(struct bytes kind, struct buf *out)
{
	unsigned long n = 0;
	size_t space = bytes_index(kind, ' ');

	if (space < kind.n)
		n = strtoul((const char *)kind.p + space + 1, NULL, 10);
	if (cut(&kind, "signed ")) {
		add_signed(BYTES_LIT(HEADER "\r\n" BODY), kind, out);
	} else if (cut(&kind, "shared ")) {
		add_signed(BYTES_LIT(FROM "To: <secret@one.example>, "
		    "<x@one.example>\r\n" TRACE SUBJECT "\r\n" BODY),
		    kind, out);
	} else if (cut(&kind, "signed-8bit ")) {
		add_signed(BYTES_LIT(HEADER "\r\nna\xc3\xafve\r\n" BODY),
		    kind, out);
	} else if (cut(&kind, "signed-report ")) {
		add_signed(BYTES_LIT(HEADER "Content-Type: multipart/report; "
		    "report-type=disposition-notification; boundary=b\r\n\r\n"
		    BODY), kind, out);
	} else if (cut(&kind, "auto ")) {
		add_signed(BYTES_LIT("Auto-Submitted: auto-replied\r\n"
		    HEADER "\r\n" BODY), kind, out);
	} else if (cut(&kind, "changed ")) {
		add_changed(kind, out);
	} else if (cut(&kind, "list ")) {
		add_signed(BYTES_LIT("List-Id: <l.one.example>\r\n" HEADER
		    "\r\n" BODY), kind, out);
	} else if (cut(&kind, "asking ")) {
		add_signed(BYTES_LIT("X-Feedback: yes\r\n" HEADER "\r\n"
		    BODY), kind, out);
	} else if (cut(&kind, "both ")) {
		add_both(kind, out);
	} else if (cut(&kind, "dkim1 ")) {
		add_dkim1(kind, 1, SENT, out);
	} else if (cut(&kind, "dkim1-changed ")) {
		add_dkim1(kind, 1, "Good bye\r\n", out);
	} else if (cut(&kind, "dkim1-many ")) {
		add_dkim1(kind, 9, SENT, out);
	} else if (cut(&kind, "to ")) {
		buf_printf(out, FROM "To: %.*s\r\n" TRACE SUBJECT "\r\n" SENT,
		    BYTES_FMT(kind));
	} else if (cut(&kind, "big ")) {
		buf_add_str(out, HEADER "\r\n");
		for (unsigned long k = 0; k + 64 <= n; k += 64)
			buf_add_str(out, "0123456789012345678901234567890123"
			    "4567890123456789012345678901\r\n");
	} else if (cut(&kind, "fields ")) {
		buf_add_str(out, HEADER);
		for (unsigned long k = 0; k < n; k++)
			buf_printf(out, "X-%lu: y\r\n", k);
		buf_add_str(out, "\r\n" SENT);
	} else if (cut(&kind, "received ")) {
		for (unsigned long k = 0; k < n; k++)
			buf_printf(out, "Received: by h%lu.example; "
			    "Thu, 26 Nov 2026 00:00:00 +0000\r\n", k);
		buf_add_str(out, HEADER "\r\n" SENT);
	} else if (cut(&kind, "plain")) {
		buf_add_str(out, HEADER "\r\n" SENT);
	} else if (cut(&kind, "8bit")) {
		buf_add_str(out, HEADER "\r\nna\xc3\xafve\r\n");
	} else if (cut(&kind, "nul")) {
		buf_add(out, BYTES_LIT(HEADER "\r\na\0b\r\n"));
	} else if (cut(&kind, "no-from")) {
		buf_add_str(out, TRACE SUBJECT "\r\n" SENT);
	} else if (cut(&kind, "no-date")) {
		buf_add_str(out, FROM SUBJECT "\r\n" SENT);
	} else if (cut(&kind, "report")) {
		buf_add_str(out, HEADER "Content-Type: multipart/report; "
		    "boundary=x\r\n\r\n" SENT);
	} else {
		return false;
	}
	buf_add_str(out, ".\r\n");
	return !out->full;
}
