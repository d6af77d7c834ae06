#include "daemon/received.h"

#include <time.h>

#include "base/ascii.h"
#include "base/logline.h"

void
received_date(int64_t time_s, struct buf *out)
{
	static const char day[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu",
	    "Fri", "Sat"};
	static const char month[12][4] = {"Jan", "Feb", "Mar", "Apr", "May",
	    "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	time_t t = (time_t)time_s;
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL)
		return;
	buf_printf(out, "%s, %d %s %d %02d:%02d:%02d +0000", day[tm.tm_wday],
	    tm.tm_mday, month[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour,
	    tm.tm_min, tm.tm_sec);
}

/* HELO says anything: what has a meaning in a field becomes '?'. */
static void
add_helo(struct bytes helo, struct buf *out)
{
	if (helo.n == 0)
		buf_add_str(out, "unknown");
	for (size_t k = 0; k < helo.n && k < 255; k++) {
		uint8_t c = helo.p[k];

		buf_add_octet(out, ascii_is_graph(c) && c != '(' && c != ')' &&
		    c != '\\' && c != '"' && c != ';' ? c : '?');
	}
}

/* UTF8SMTP has its E in it; what said HELO has neither TLS nor AUTH. */
static void
add_protocol(const struct received *r, struct buf *out)
{
	buf_add_str(out, r->is_utf8 ? "UTF8" :
	    r->is_esmtp && !r->is_lmtp ? "E" : "");
	buf_add_str(out, r->is_lmtp ? "LMTP" : "SMTP");
	if (!r->is_esmtp)
		return;
	buf_add_str(out, r->tls != NULL ? "S" : "");
	buf_add_str(out, r->is_auth ? "A" : "");
}

void
received_write(const struct received *r, struct buf *out)
{
	buf_add_str(out, "Received: from ");
	add_helo(r->helo, out);
	buf_printf(out, " ([%s%s])\r\n\t",
	    strchr(r->ip, ':') != NULL ? "IPv6:" : "", r->ip);
	if (r->tls != NULL)
		buf_printf(out, "(using %s with cipher %s)\r\n\t", r->tls,
		    r->cipher);
	buf_add_str(out, "by ");
	buf_add_str(out, r->hostname);
	buf_add_str(out, " (hopseal) with ");
	add_protocol(r, out);
	buf_printf(out, " id %s", r->id);
	if (r->rcpt.n != 0) {
		buf_add_str(out, "\r\n\tfor ");
		buf_add(out, r->rcpt);
	}
	buf_add_str(out, ";\r\n\t");
	received_date(r->time_s, out);
	buf_add_str(out, "\r\n");
}

/* Behind what stands there; empty where it does not. */
static struct bytes
behind(struct bytes b, const char *what)
{
	return bytes_skip(b, bytes_find(b, bytes_of(what)) + strlen(what));
}

bool
received_id(struct bytes value, const char *hostname, struct bytes *id)
{
	struct bytes b = behind(value, "by ");
	size_t n = strlen(hostname);

	if (!bytes_case_eq(bytes_first(b, n), bytes_of(hostname)) ||
	    !bytes_starts(bytes_skip(b, n), BYTES_LIT(" (hopseal) with ")))
		return false;
	b = behind(b, " id ");
	n = 0;
	while (n < b.n && ascii_is_alnum(b.p[n]))
		n++;
	*id = bytes_first(b, n);
	return logline_is_id(*id);
}
