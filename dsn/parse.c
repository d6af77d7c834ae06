#include "dsn/parse.h"

#include "base/ascii.h"
#include "base/err.h"
#include "dkim2/mime.h"

/* ---- delivery status (RFC 3464 2) --------------------------------------- */

/* Without white space and folds at both ends. */
static struct bytes
trim(struct bytes b)
{
	while (b.n != 0 && (ascii_is_wsp(b.p[0]) || b.p[0] == '\r' ||
	    b.p[0] == '\n'))
		b = bytes_skip(b, 1);
	while (b.n != 0 && (ascii_is_wsp(b.p[b.n - 1]) ||
	    b.p[b.n - 1] == '\r' || b.p[b.n - 1] == '\n'))
		b.n--;
	return b;
}

/* A field that there may be once: absent is good, twice is not. */
static bool
find_once(const struct dkim2_message *m, struct bytes name,
    struct bytes *value)
{
	const struct dkim2_field *f;
	size_t n = dkim2_message_find(m, name, &f);

	*value = n == 1 ? trim(f->value) : (struct bytes){NULL, 0};
	return n <= 1;
}

/* "type; value", as in Final-Recipient and Reporting-MTA (2.1.2). */
static bool
strip_type(struct bytes *value)
{
	struct bytes type, rest = *value;

	type = bytes_cut(&rest, ';');
	*value = trim(rest);
	return rest.p != NULL && value->n != 0 &&
	    mime_token_parse(type, &type);
}

static bool
read_action(struct bytes value, enum dsn_action *action)
{
	static const struct bytes names[] = {
		[DSN_FAILED] = BYTES_LIT("failed"),
		[DSN_DELAYED] = BYTES_LIT("delayed"),
		[DSN_DELIVERED] = BYTES_LIT("delivered"),
		[DSN_RELAYED] = BYTES_LIT("relayed"),
		[DSN_EXPANDED] = BYTES_LIT("expanded"),
	};
	struct bytes token;

	if (!mime_token_parse(value, &token))
		return false;
	for (unsigned k = 0; k < DSN_ACTION__N; k++) {
		if (!bytes_case_eq(token, names[k]))
			continue;
		*action = (enum dsn_action)k;
		return true;
	}
	return false;
}

/* "5.1.1": one of 2, 4, 5, then one to three digits twice (RFC 3463 2). */
static bool
is_status(struct bytes b)
{
	struct bytes class = bytes_cut(&b, '.'), subject = bytes_cut(&b, '.');
	uint64_t n;

	return class.n == 1 && bytes_index(BYTES_LIT("245"), class.p[0]) < 3 &&
	    subject.n <= 3 && bytes_number(subject, 999, &n) &&
	    b.n <= 3 && bytes_number(b, 999, &n);
}

static bool
read_recipient(const struct dkim2_message *group, struct dsn_recipient *r)
{
	struct bytes action, status;

	return find_once(group, BYTES_LIT("Final-Recipient"), &r->final) &&
	    strip_type(&r->final) &&
	    find_once(group, BYTES_LIT("Original-Recipient"), &r->original) &&
	    (r->original.p == NULL || strip_type(&r->original)) &&
	    find_once(group, BYTES_LIT("Action"), &action) &&
	    read_action(action, &r->action) &&
	    find_once(group, BYTES_LIT("Status"), &status) &&
	    mime_token_parse(status, &r->status) && is_status(r->status) &&
	    find_once(group, BYTES_LIT("Diagnostic-Code"), &r->diagnostic);
}

static bool
read_message_fields(const struct dkim2_message *group, struct dsn_report *r)
{
	return find_once(group, BYTES_LIT("Reporting-MTA"),
	    &r->reporting_mta) && strip_type(&r->reporting_mta) &&
	    find_once(group, BYTES_LIT("Original-Envelope-Id"),
	    &r->envelope_id);
}

/* Takes the next group of fields; empty at the end. */
static struct bytes
take_group(struct bytes *rest)
{
	static const struct bytes end = BYTES_LIT("\r\n\r\n");
	struct bytes group;

	while (bytes_starts(*rest, BYTES_LIT("\r\n")))
		*rest = bytes_skip(*rest, 2);
	group = bytes_first(*rest, bytes_find(*rest, end));
	if (group.n != rest->n)
		group.n += 2;
	*rest = bytes_skip(*rest, group.n);
	return group;
}

static int
read_status(struct dsn_report *r, struct bytes body, struct arena *a,
    bool *good)
{
	struct dsn_recipient *recipients;
	struct dkim2_message group;
	struct bytes rest = body;
	size_t n = 0;
	int e;

	*good = false;
	while (take_group(&rest).n != 0)
		n++;
	if (n < 2 || n - 1 > DSN_RECIPIENTS_MAX)
		return 0;
	recipients = arena_array(a, n - 1, sizeof(*recipients));
	if (recipients == NULL)
		return -E_NOMEM;
	rest = body;
	for (size_t k = 0; k < n; k++) {
		e = dkim2_message_parse(&group, take_group(&rest),
		    MIME_FIELDS_MAX, a);
		if (e == -E_NOMEM)
			return e;
		if (e != 0 || !(k == 0 ? read_message_fields(&group, r) :
		    read_recipient(&group, &recipients[k - 1])))
			return 0;
	}
	r->recipients = recipients;
	r->n_recipients = n - 1;
	*good = true;
	return 0;
}

/* ---- what was returned -------------------------------------------------- */

/* Says what the third part is; false where it is nothing that we know. */
static bool
is_returned(const struct mime_type *t, bool *has_body)
{
	*has_body = mime_type_is(t, BYTES_LIT("message"),
	    BYTES_LIT("rfc822")) ||
	    mime_type_is(t, BYTES_LIT("message"), BYTES_LIT("global"));
	return *has_body || mime_type_is(t, BYTES_LIT("text"),
	    BYTES_LIT("rfc822-headers")) ||
	    mime_type_is(t, BYTES_LIT("message"),
	    BYTES_LIT("global-headers"));
}

/*
 * Of a part that is said to hold header fields only, what may follow them is
 * nobody's word and is left out.
 */
static int
read_returned(struct dsn_report *r, const struct mime_part *p,
    struct arena *a, enum dsn_parsed *verdict)
{
	size_t body_at = p->body.n;
	size_t n = dkim2_header_end(p->body, &body_at);
	int e;

	if (!is_returned(&p->type, &r->has_returned_body)) {
		*verdict = DSN_RETURNED_OTHER;
		return 0;
	}
	if (p->encoding != MIME_PLAIN) {
		*verdict = p->encoding == MIME_ENCODED ? DSN_RETURNED_ENCODED :
		    DSN_RETURNED_MALFORMED;
		return 0;
	}
	e = dkim2_message_parse(&r->returned, bytes_first(p->body, n),
	    DSN_RETURNED_FIELDS_MAX, a);
	if (e == -E_NOMEM)
		return e;
	*verdict = e == 0 && r->returned.n_fields != 0 ? DSN_PARSED :
	    DSN_RETURNED_MALFORMED;
	if (r->has_returned_body)
		r->returned_body = bytes_skip(p->body, body_at);
	return 0;
}

/* ---- the report --------------------------------------------------------- */

/* Whether this is a multipart/report on delivery status, and readable. */
static enum dsn_parsed
read_type(const struct dkim2_message *m, struct mime_type *t)
{
	const struct dkim2_field *f;
	size_t n = dkim2_message_find(m, BYTES_LIT("Content-Type"), &f);

	if (n == 0)
		return DSN_NO_REPORT;
	if (n > 1 || !mime_type_parse(t, f->value))
		return DSN_MALFORMED;
	if (!mime_type_is(t, BYTES_LIT("multipart"), BYTES_LIT("report")) ||
	    !bytes_case_eq(t->report_type, BYTES_LIT("delivery-status")))
		return DSN_NO_REPORT;
	/* A multipart is never encoded as a whole (RFC 2045 6.4). */
	return t->boundary.p != NULL && mime_encoding_of(m) == MIME_PLAIN ?
	    DSN_PARSED : DSN_MALFORMED;
}

static bool
is_status_part(const struct mime_part *p)
{
	return p->encoding == MIME_PLAIN &&
	    (mime_type_is(&p->type, BYTES_LIT("message"),
	    BYTES_LIT("delivery-status")) ||
	    mime_type_is(&p->type, BYTES_LIT("message"),
	    BYTES_LIT("global-delivery-status")));
}

/* Reads the parts; *verdict is DSN_MALFORMED until all that must be is. */
static int
read_parts(struct dsn_report *r, const struct bytes *octets, size_t n,
    struct arena *a, enum dsn_parsed *verdict)
{
	struct mime_part part[DSN_PARTS_MAX];
	bool good = true;
	int e = 0;

	for (size_t k = 0; e == 0 && good && k < n; k++)
		e = mime_part_parse(&part[k], octets[k], a, &good);
	if (e != 0 || !good || n < 2 || !is_status_part(&part[1]))
		return e;
	e = read_status(r, part[1].body, a, &good);
	if (e != 0 || !good)
		return e;
	if (n == 3)
		return read_returned(r, &part[2], a, verdict);
	*verdict = DSN_NOTHING_RETURNED;
	return 0;
}

int
dsn_report_parse(struct dsn_report *r, const struct dkim2_message *m,
    struct bytes body, struct arena *a, enum dsn_parsed *verdict)
{
	struct bytes parts[DSN_PARTS_MAX];
	struct mime_type type;
	size_t n;
	int e;

	*r = (struct dsn_report){.n_recipients = 0};
	*verdict = read_type(m, &type);
	if (*verdict != DSN_PARSED)
		return 0;
	*verdict = DSN_MALFORMED;
	if (mime_split(body, type.boundary, parts, DSN_PARTS_MAX, &n) !=
	    MIME_SPLIT)
		return 0;
	e = read_parts(r, parts, n, a, verdict);
	if (*verdict == DSN_MALFORMED)
		*r = (struct dsn_report){.n_recipients = 0};
	else if (*verdict != DSN_PARSED) {
		r->returned = (struct dkim2_message){.n_fields = 0};
		r->returned_body = (struct bytes){NULL, 0};
		r->has_returned_body = false;
	}
	return e;
}
