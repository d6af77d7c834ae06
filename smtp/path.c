#include "smtp/path.h"

#include "base/ascii.h"
#include "base/utf8.h"
#include "smtp/ip.h"

#define LOCAL_MAX 64	/* RFC 5321 4.5.3.1.1 */
#define DOMAIN_MAX 255	/* 4.5.3.1.2 */
#define PATH_MAX_N 256	/* 4.5.3.1.3, brackets included */
#define LABEL_MAX 63	/* RFC 1035 2.3.4 */

/* RFC 5322 3.2.3, which RFC 5321 takes over. */
static bool
is_atext(uint8_t c)
{
	return ascii_is_alnum(c) ||
	    (c != 0 && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

/*
 * Octets of the character at n that SMTPUTF8 lets in: strict UTF-8 above
 * ASCII, without the control characters there; 0 where there is none.
 * Source   RFC 6531 3.3
 */
static size_t
utf8_at(struct bytes b, size_t n, unsigned how)
{
	uint32_t code;
	size_t length;

	if ((how & SMTP_PATH_MAY_UTF8) == 0 || n == b.n || b.p[n] < 0x80)
		return 0;
	length = utf8_decode(bytes_skip(b, n), &code);
	return code >= 0xa0 ? length : 0;
}

/* Dot-string: octets of it at the front of b, 0 where there is none. */
static size_t
span_dot_string(struct bytes b, unsigned how)
{
	size_t n = 0;

	for (;;) {
		size_t atom = n;
		size_t step;

		while ((step = n < b.n && is_atext(b.p[n]) ? 1 :
		    utf8_at(b, n, how)) != 0)
			n += step;
		if (n == atom)
			return 0;
		if (n == b.n || b.p[n] != '.')
			return n;
		n++;
	}
}

static bool
is_qtext(uint8_t c)
{
	return c >= ' ' && c <= '~';
}

/* Quoted-string: as above, quotes included. */
static size_t
span_quoted(struct bytes b, unsigned how)
{
	size_t step;

	if (b.n == 0 || b.p[0] != '"')
		return 0;
	for (size_t n = 1; n < b.n; n += step) {
		step = 1;
		if (b.p[n] == '"')
			return n + 1;
		if (b.p[n] == '\\') {
			if (++n == b.n || !is_qtext(b.p[n]))
				return 0;
		} else if (!is_qtext(b.p[n])) {
			step = utf8_at(b, n, how);
		}
		if (step == 0)
			return 0;
	}
	return 0;
}

/*
 * Domain: letters, digits, hyphens inside of labels, dots between them; and
 * '_', which RFC 5321 does not have, but mail hosts in the field do.
 */
static size_t
span_domain(struct bytes b, unsigned how)
{
	size_t n = 0;

	for (;;) {
		size_t label = n;
		size_t step;

		while ((step = n < b.n && (ascii_is_alnum(b.p[n]) ||
		    b.p[n] == '-' || b.p[n] == '_') ? 1 :
		    utf8_at(b, n, how)) != 0)
			n += step;
		if (n == label || b.p[label] == '-' || b.p[n - 1] == '-')
			return 0;
		if (n == b.n || b.p[n] != '.')
			return n;
		n++;
	}
}

static bool
has_long_label(struct bytes domain)
{
	while (domain.p != NULL)
		if (bytes_cut(&domain, '.').n > LABEL_MAX)
			return true;
	return false;
}

/* Address literal: octets of it at the front of b, brackets included. */
static size_t
span_literal(struct bytes b)
{
	size_t end = bytes_index(b, ']');
	struct bytes inner;
	uint8_t ip[16];

	if (b.n == 0 || b.p[0] != '[' || end == b.n)
		return 0;
	inner = bytes_skip(bytes_first(b, end), 1);
	if (bytes_case_starts(inner, BYTES_LIT("IPv6:")))
		return smtp_ip_v6(bytes_skip(inner, 5), ip) ? end + 1 : 0;
	return smtp_ip_v4(inner, ip) ? end + 1 : 0;
}

/* Cuts n octets from the front of b. */
static struct bytes
take(struct bytes *b, size_t n)
{
	struct bytes front = bytes_first(*b, n);

	*b = bytes_skip(*b, n);
	return front;
}

static bool
has_8bit(struct bytes b)
{
	for (size_t k = 0; k < b.n; k++)
		if (b.p[k] >= 0x80)
			return true;
	return false;
}

/* 8-bit octets that are not let in are another fault than trash. */
static enum smtp_path_fault
fault_of(struct bytes b, unsigned how)
{
	if ((how & SMTP_PATH_MAY_UTF8) == 0 &&
	    has_8bit(bytes_first(b, bytes_index(b, '>'))))
		return SMTP_PATH_UTF8;
	return SMTP_PATH_SYNTAX;
}

static bool
read_mailbox(struct bytes *b, unsigned how, struct smtp_path *path)
{
	bool is_quoted = b->n != 0 && b->p[0] == '"';

	path->local = take(b,
	    is_quoted ? span_quoted(*b, how) : span_dot_string(*b, how));
	if (path->local.n == 0 || b->n == 0 || b->p[0] != '@')
		return false;
	take(b, 1);
	path->is_literal = b->n != 0 && b->p[0] == '[';
	path->domain = take(b,
	    path->is_literal ? span_literal(*b) : span_domain(*b, how));
	return path->domain.n != 0;
}

static bool
is_postmaster(struct bytes b)
{
	return b.n > 10 && b.p[10] == '>' &&
	    bytes_case_starts(b, BYTES_LIT("postmaster"));
}

enum smtp_path_fault
smtp_path_parse(struct bytes b, unsigned how, struct smtp_path *path,
    struct bytes *rest)
{
	bool is_rcpt = (how & SMTP_PATH_IS_RCPT) != 0;
	struct smtp_path got = {0};
	struct bytes left = b;

	if (b.n == 0 || b.p[0] != '<')
		return fault_of(b, how);
	take(&left, 1);
	if (left.n != 0 && left.p[0] == '@')
		return SMTP_PATH_ROUTE;
	if (left.n != 0 && left.p[0] == '>' && !is_rcpt)
		got.is_null = true;
	else if (is_rcpt && is_postmaster(left))
		got.local = take(&left, 10);
	else if (!read_mailbox(&left, how, &got))
		return fault_of(b, how);
	if (left.n == 0 || left.p[0] != '>')
		return fault_of(b, how);
	take(&left, 1);
	got.raw = bytes_first(b, b.n - left.n);
	got.is_utf8 = has_8bit(got.raw);
	if (got.local.n > LOCAL_MAX || got.domain.n > DOMAIN_MAX ||
	    got.raw.n > PATH_MAX_N ||
	    (!got.is_literal && has_long_label(got.domain)))
		return SMTP_PATH_LONG;
	*path = got;
	*rest = left;
	return SMTP_PATH_OK;
}

bool
smtp_path_is_domain(struct bytes b)
{
	return b.n != 0 && b.n <= DOMAIN_MAX && span_domain(b, 0) == b.n &&
	    !has_long_label(b);
}
