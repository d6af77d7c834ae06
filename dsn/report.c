#include "dsn/report_text.h"

#include "base/ascii.h"
#include "base/err.h"
#include "base/utf8.h"
#include "dkim2/crypto.h"
#include "dkim2/mime.h"

#include <assert.h>

#define ENVID_MAX 100		/* octets (RFC 3461 5.4) */
#define ORCPT_MAX 500
#define BOUNDARY_OCTETS 20	/* of the digest, in hexadecimal */
#define FIXED_MAX 8192		/* all that is not of a recipient */
#define RECIPIENT_MAX 1200	/* the same of one, without what he gave */

/* ---- dates (RFC 5322 3.3) ------------------------------------------------ */

#define DAY_S 86400
#define LAST_S 253402300799	/* of the year 9999 */

/* The year, month from 0 and day of a day since 1970. */
static void
civil(int64_t days, int64_t *year, unsigned *month, unsigned *day)
{
	static const uint8_t length[] = {31, 28, 31, 30, 31, 30, 31, 31, 30,
	    31, 30, 31};
	bool is_leap;

	for (*year = 1970;; ++*year) {
		is_leap = *year % 4 == 0 && (*year % 100 != 0 ||
		    *year % 400 == 0);
		if (days < (is_leap ? 366 : 365))
			break;
		days -= is_leap ? 366 : 365;
	}
	for (*month = 0;; ++*month) {
		unsigned n = *month == 1 && is_leap ? 29 : length[*month];

		if (days < n)
			break;
		days -= n;
	}
	*day = (unsigned)days + 1;
}

static void
add_date(int64_t time_s, struct buf *out)
{
	static const char weekday[7][4] = {"Thu", "Fri", "Sat", "Sun", "Mon",
	    "Tue", "Wed"};
	static const char names[12][4] = {"Jan", "Feb", "Mar", "Apr", "May",
	    "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	int64_t t = time_s < 0 ? 0 : time_s > LAST_S ? LAST_S : time_s, year;
	unsigned month, day, s = (unsigned)(t % DAY_S);

	civil(t / DAY_S, &year, &month, &day);
	buf_printf(out, "%s, %u %s %u %02u:%02u:%02u +0000",
	    weekday[t / DAY_S % 7], day, names[month], (unsigned)year,
	    s / 3600, s / 60 % 60, s % 60);
}

/* ---- the boundary -------------------------------------------------------- */

/*
 * A boundary that is in nothing that is returned: it is a digest of all that,
 * and who could write it there had found a fixed point of SHA-256. The same
 * facts have the same one.
 */
static int
write_boundary(const struct dsn_made *d, struct buf *out)
{
	uint8_t digest[DKIM2_HASH_MAX];
	struct dkim2_hasher h;
	int r = dkim2_hasher_init(&h, DKIM2_SHA256);

	if (r != 0)
		return r;
	r = dkim2_hasher_add(&h, d->id);
	if (r == 0)
		r = dkim2_hasher_add(&h, d->returned_header);
	if (r == 0 && d->has_returned_body)
		r = dkim2_hasher_add(&h, d->returned_body);
	if (r == 0)
		r = dkim2_hasher_end(&h, digest);
	dkim2_hasher_fini(&h);
	buf_add_str(out, "=_");
	for (size_t k = 0; r == 0 && k < BOUNDARY_OCTETS; k++)
		buf_printf(out, "%02x", digest[k]);
	return r;
}

/* ---- the header ---------------------------------------------------------- */

/* A path or a domain in a field: octets that would end it become '?'. */
static void
add_visible(struct buf *out, struct bytes b)
{
	for (size_t k = 0; k < b.n; k++)
		buf_add_octet(out, b.p[k] < ' ' || b.p[k] == 0x7f ? '?' :
		    b.p[k]);
}

static void
write_header(const struct dsn_made *d, struct bytes boundary, struct buf *out)
{
	buf_add_str(out, "Date: ");
	add_date(d->now_s, out);
	buf_add_str(out, "\r\nFrom: Mail Delivery System <MAILER-DAEMON@");
	add_visible(out, d->domain);
	buf_add_str(out, ">\r\nTo: ");
	add_visible(out, d->to);
	buf_add_str(out, "\r\nSubject: Your message could not be delivered"
	    "\r\nMessage-ID: <");
	for (size_t k = 0; k < d->id.n; k++)
		buf_add_octet(out, ascii_is_alnum(d->id.p[k]) ? d->id.p[k] :
		    '-');
	buf_add_str(out, ".dsn@");
	add_visible(out, d->domain);
	buf_add_str(out, ">\r\nAuto-Submitted: auto-replied\r\n"
	    "MIME-Version: 1.0\r\n"
	    "Content-Type: multipart/report; report-type=delivery-status;\r\n"
	    "\tboundary=\"");
	buf_add(out, boundary);
	buf_add_str(out, "\"\r\n");
}

/* ---- delivery status (RFC 3464) ------------------------------------------ */

static bool
is_utf8(struct bytes b)
{
	size_t n;

	while (b.n != 0) {
		n = utf8_length(b);
		if (n == 0)
			return false;
		b = bytes_skip(b, n);
	}
	return true;
}

static bool
is_printable(struct bytes b)
{
	for (size_t k = 0; k < b.n; k++)
		if (b.p[k] != ' ' && !ascii_is_graph(b.p[k]))
			return false;
	return true;
}

/* An address in UTF-8 has a form of its own in ASCII (RFC 6533 3). */
static void
add_unicode_address(struct buf *out, struct bytes b)
{
	buf_add_str(out, "utf-8; ");
	while (b.n != 0) {
		uint32_t code = 0;
		size_t n = utf8_decode(b, &code);

		if (code > 0x7f || code <= ' ' || code == '+' ||
		    code == '=' || code == '\\' || code == 0x7f)
			buf_printf(out, "\\x{%02X}", (unsigned)code);
		else
			buf_add_octet(out, (uint8_t)code);
		b = bytes_skip(b, n);
	}
}

static void
add_final(struct buf *out, struct bytes final)
{
	buf_add_str(out, "Final-Recipient: ");
	if (final.n <= REPORT_ADDRESS_MAX && report_is_8bit(final) &&
	    is_utf8(final)) {
		add_unicode_address(out, final);
	} else {
		buf_add_str(out, "rfc822; ");
		report_add_address(out, final);
	}
	buf_add_str(out, "\r\n");
}

/* "rfc822;a@b"; anything else is left out. */
static void
add_original(struct buf *out, struct bytes original)
{
	struct bytes address = original;
	struct bytes type = bytes_cut(&address, ';'), token;

	if (original.n > ORCPT_MAX || !is_printable(original) ||
	    bytes_trim(address).n == 0 || !mime_token_parse(type, &token))
		return;
	buf_add_str(out, "Original-Recipient: ");
	buf_add(out, token);
	buf_add_str(out, "; ");
	buf_add(out, bytes_trim(address));
	buf_add_str(out, "\r\n");
}

static void
add_group(struct buf *out, const struct dsn_failed *f)
{
	char room[REPORT_REPLY_MAX + 16];
	struct buf line = BUF_ON(room);

	buf_add_str(out, "\r\n");
	add_original(out, f->original);
	add_final(out, f->final);
	buf_add_str(out, "Action: failed\r\nStatus: ");
	buf_add(out, report_status(f));
	buf_add_str(out, "\r\n");
	report_add_clean(&line, f->diagnostic, REPORT_REPLY_MAX);
	if (line.n == 0)
		return;
	buf_add_str(out, "Diagnostic-Code: smtp; ");
	report_add_folded(out, 23, " ", buf_bytes(&line));
	buf_add_str(out, "\r\n");
}

static void
add_status(struct buf *out, const struct dsn_made *d)
{
	buf_add_str(out, "Reporting-MTA: dns; ");
	report_add_clean(out, d->hostname, REPORT_ADDRESS_MAX);
	buf_add_str(out, "\r\n");
	if (d->envid.n != 0 && d->envid.n <= ENVID_MAX &&
	    bytes_trim(d->envid).n != 0 && is_printable(d->envid)) {
		buf_add_str(out, "Original-Envelope-Id: ");
		buf_add(out, bytes_trim(d->envid));
		buf_add_str(out, "\r\n");
	}
	if (d->arrived_s != 0) {
		buf_add_str(out, "Arrival-Date: ");
		add_date(d->arrived_s, out);
		buf_add_str(out, "\r\n");
	}
	for (size_t k = 0; k < d->n_rcpts; k++)
		add_group(out, &d->rcpts[k]);
}

/* ---- what is returned, and the whole ------------------------------------- */

static void
add_part(struct buf *out, struct bytes boundary, const char *type,
    bool is_8bit)
{
	buf_add_str(out, "--");
	buf_add(out, boundary);
	buf_add_str(out, "\r\nContent-Type: ");
	buf_add_str(out, type);
	buf_add_str(out, is_8bit ? "\r\nContent-Transfer-Encoding: 8bit" : "");
	buf_add_str(out, "\r\n\r\n");
}

static void
write_body(const struct dsn_made *d, struct bytes boundary, bool is_8bit,
    struct buf *out)
{
	add_part(out, boundary, "text/plain; charset=us-ascii", false);
	report_add_text(d, out);
	add_part(out, boundary, "message/delivery-status", false);
	add_status(out, d);
	buf_add_str(out, "\r\n");
	/* these two (draft 16.2), whatever the header is in: other hops read
	 * no message/global */
	add_part(out, boundary, d->has_returned_body ? "message/rfc822" :
	    "text/rfc822-headers", is_8bit);
	buf_add(out, d->returned_header);
	if (!bytes_ends(d->returned_header, BYTES_LIT("\r\n")))
		buf_add_str(out, "\r\n");
	if (d->has_returned_body) {
		buf_add_str(out, "\r\n");
		buf_add(out, d->returned_body);
	}
	buf_add_str(out, "\r\n--");
	buf_add(out, boundary);
	buf_add_str(out, "--\r\n");
}

/* Room for all; what is told is cut, or grows four times at most. */
static size_t
room_for(const struct dsn_made *d)
{
	size_t n = FIXED_MAX + d->returned_header.n + d->hostname.n;

	if (d->has_returned_body)
		n += d->returned_body.n;
	for (size_t k = 0; k < d->n_rcpts; k++) {
		const struct dsn_failed *f = &d->rcpts[k];

		n += RECIPIENT_MAX +
		    8 * bytes_first(f->final, REPORT_ADDRESS_MAX).n +
		    bytes_first(f->original, ORCPT_MAX).n +
		    8 * bytes_first(f->diagnostic, REPORT_REPLY_MAX).n;
	}
	return n;
}

int
dsn_report_write(const struct dsn_made *made, struct arena *a,
    struct bytes *header, struct bytes *body, bool *is_8bit)
{
	char room[2 * BOUNDARY_OCTETS + 8];
	struct buf boundary = BUF_ON(room), h, b;
	struct dsn_made seven = *made, *d = &seven;
	int r;

	if (report_is_8bit(d->returned_body))
		d->has_returned_body = false;
	if (d->n_rcpts == 0 || d->n_rcpts > DSN_RECIPIENTS_MAX ||
	    d->returned_header.n == 0)
		return -E_LIMIT;
	if (arena_room(a, FIXED_MAX + 2 * d->domain.n + d->to.n + d->id.n,
	    &h) != 0 || arena_room(a, room_for(d), &b) != 0)
		return -E_NOMEM;
	*is_8bit = report_is_8bit(d->returned_header);
	r = write_boundary(d, &boundary);
	if (r != 0)
		return r;
	write_header(d, buf_bytes(&boundary), &h);
	write_body(d, buf_bytes(&boundary), *is_8bit, &b);
	assert(!boundary.full && !h.full && !b.full);
	*header = buf_bytes(&h);
	*body = buf_bytes(&b);
	return 0;
}
