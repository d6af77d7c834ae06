#include "daemon/repair.h"

#include "base/ascii.h"
#include "base/utf8.h"
#include "daemon/decide.h"
#include "daemon/received.h"

#define DOMAIN_MAX 255U

/* Octets at the front that are ASCII. */
static size_t
span_ascii(struct bytes b)
{
	size_t k = 0;
	uint64_t w;

	for (; b.n - k >= sizeof(w); k += sizeof(w)) {
		memcpy(&w, b.p + k, sizeof(w));
		if ((w & UINT64_C(0x8080808080808080)) != 0)
			break;
	}
	while (k < b.n && b.p[k] < 0x80)
		k++;
	return k;
}

/* From the first octet above ASCII on. */
static bool
is_utf8(struct bytes b)
{
	while (b.n != 0) {
		size_t n = utf8_length(b);

		if (n == 0)
			return false;
		b = bytes_skip(b, n);
		b = bytes_skip(b, span_ascii(b));
	}
	return true;
}

static const struct dkim2_field *
find(const struct dkim2_message *m, const char *name)
{
	const struct dkim2_field *first;

	return dkim2_message_find(m, bytes_of(name), &first) == 0 ? NULL :
	    first;
}

static bool
is_multipart(const struct dkim2_field *type)
{
	struct bytes v = type->value;

	while (v.n != 0 && (ascii_is_wsp(v.p[0]) || v.p[0] == '\r' ||
	    v.p[0] == '\n'))
		v = bytes_skip(v, 1);
	return bytes_case_starts(v, BYTES_LIT("multipart/"));
}

/* The body has octets of 8 bits: what is to say so. */
static unsigned
look_8bit(const struct dkim2_message *m)
{
	const struct dkim2_field *type = find(m, "content-type");
	unsigned lacks = 0;

	if (find(m, "mime-version") == NULL) {
		lacks |= REPAIR_MIME_VERSION;
		if (type == NULL)
			lacks |= REPAIR_TYPE;
	}
	if (find(m, "content-transfer-encoding") == NULL &&
	    (type == NULL || !is_multipart(type)))
		lacks |= REPAIR_ENCODING;
	return lacks;
}

void
repair_look(struct repair *r, const struct dkim2_message *m, struct bytes body)
{
	struct bytes high = bytes_skip(body, span_ascii(body));

	*r = (struct repair){.lacks = 0};
	if (decide_has_chain(m))
		return;
	if (find(m, "date") == NULL)
		r->lacks |= REPAIR_DATE;
	if (find(m, "message-id") == NULL)
		r->lacks |= REPAIR_MESSAGE_ID;
	if (high.n == 0)
		return;
	r->lacks |= look_8bit(m);
	r->is_utf8 = (r->lacks & REPAIR_TYPE) != 0 && is_utf8(high);
}

/* Letters, digits and hyphens, with dots between. */
static bool
is_plain_domain(struct bytes d)
{
	uint8_t before = '.';

	for (size_t k = 0; k < d.n; k++) {
		if (!ascii_is_alnum(d.p[k]) && d.p[k] != '-' &&
		    (d.p[k] != '.' || before == '.'))
			return false;
		before = d.p[k];
	}
	return before != '.' && d.n <= DOMAIN_MAX;
}

void
repair_write(const struct repair *r, const struct repair_facts *f,
    struct buf *out)
{
	if ((r->lacks & REPAIR_DATE) != 0) {
		buf_add_str(out, "Date: ");
		received_date(f->time_s, out);
		buf_add_str(out, "\r\n");
	}
	if ((r->lacks & REPAIR_MESSAGE_ID) != 0)
		buf_printf(out, "Message-ID: <%.*s@%.*s>\r\n",
		    BYTES_FMT(f->id), BYTES_FMT(is_plain_domain(f->domain) ?
		    f->domain : bytes_of(f->hostname)));
	if ((r->lacks & REPAIR_MIME_VERSION) != 0)
		buf_add_str(out, "MIME-Version: 1.0\r\n");
	if ((r->lacks & REPAIR_TYPE) != 0)
		buf_printf(out, "Content-Type: text/plain; charset=%s\r\n",
		    r->is_utf8 ? "utf-8" : "unknown-8bit");
	if ((r->lacks & REPAIR_ENCODING) != 0)
		buf_add_str(out, "Content-Transfer-Encoding: 8bit\r\n");
}
