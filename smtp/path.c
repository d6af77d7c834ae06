#include "smtp/path.h"

#include "base/ascii.h"

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

/* Dot-string: octets of it at the front of b, 0 where there is none. */
static size_t
span_dot_string(struct bytes b)
{
	size_t n = 0;

	for (;;) {
		size_t atom = n;

		while (n < b.n && is_atext(b.p[n]))
			n++;
		if (n == atom)
			return 0;
		if (n == b.n || b.p[n] != '.')
			return n;
		n++;
	}
}

/* Quoted-string: as above, quotes included. */
static size_t
span_quoted(struct bytes b)
{
	if (b.n == 0 || b.p[0] != '"')
		return 0;
	for (size_t n = 1; n < b.n; n++) {
		if (b.p[n] == '"')
			return n + 1;
		if (b.p[n] == '\\' && ++n == b.n)
			return 0;
		if (b.p[n] < ' ' || b.p[n] > '~')
			return 0;
	}
	return 0;
}

/*
 * Domain: letters, digits, hyphens inside of labels, dots between them; and
 * '_', which RFC 5321 does not have, but mail hosts in the field do.
 */
static size_t
span_domain(struct bytes b)
{
	size_t n = 0;

	for (;;) {
		size_t label = n;

		while (n < b.n && (ascii_is_alnum(b.p[n]) || b.p[n] == '-' ||
		    b.p[n] == '_'))
			n++;
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

/* Four numbers to 255 of one to three digits. */
static bool
is_ipv4(struct bytes b)
{
	int n = 0;

	while (b.p != NULL) {
		struct bytes part = bytes_cut(&b, '.');
		uint64_t value;

		if (part.n > 3 || !bytes_number(part, 255, &value))
			return false;
		n++;
	}
	return n == 4;
}

static bool
is_hex_group(struct bytes b)
{
	for (size_t k = 0; k < b.n; k++)
		if (!ascii_is_digit(b.p[k]) &&
		    (ascii_lower(b.p[k]) < 'a' || ascii_lower(b.p[k]) > 'f'))
			return false;
	return b.n >= 1 && b.n <= 4;
}

/*
 * Counts the 16-bit groups of one side of "::"; an IPv4 address at the very
 * end counts two. Returns -1 where it is none.
 */
static int
count_groups(struct bytes b, bool may_end_ipv4)
{
	int n = 0;

	if (b.n == 0)
		return 0;
	while (b.p != NULL) {
		struct bytes group = bytes_cut(&b, ':');

		if (is_hex_group(group))
			n++;
		else if (may_end_ipv4 && b.p == NULL && is_ipv4(group))
			n += 2;
		else
			return -1;
	}
	return n;
}

/* RFC 5321 4.1.3: "::" stands for two groups at least. */
static bool
is_ipv6(struct bytes b)
{
	size_t at = bytes_find(b, BYTES_LIT("::"));
	int left, right;

	if (at == b.n)
		return b.n != 0 && count_groups(b, true) == 8;
	left = count_groups(bytes_first(b, at), false);
	right = count_groups(bytes_skip(b, at + 2), true);
	return left >= 0 && right >= 0 && left + right <= 6;
}

/* Address literal: octets of it at the front of b, brackets included. */
static size_t
span_literal(struct bytes b)
{
	size_t end = bytes_index(b, ']');
	struct bytes inner;

	if (b.n == 0 || b.p[0] != '[' || end == b.n)
		return 0;
	inner = bytes_skip(bytes_first(b, end), 1);
	if (bytes_case_starts(inner, BYTES_LIT("IPv6:")))
		return is_ipv6(bytes_skip(inner, 5)) ? end + 1 : 0;
	return is_ipv4(inner) ? end + 1 : 0;
}

/* Cuts n octets from the front of b. */
static struct bytes
take(struct bytes *b, size_t n)
{
	struct bytes front = bytes_first(*b, n);

	*b = bytes_skip(*b, n);
	return front;
}

/* 8-bit octets up to the closing bracket are another fault than trash. */
static enum smtp_path_fault
fault_of(struct bytes b)
{
	b = bytes_first(b, bytes_index(b, '>'));
	for (size_t k = 0; k < b.n; k++)
		if (b.p[k] >= 0x80)
			return SMTP_PATH_UTF8;
	return SMTP_PATH_SYNTAX;
}

static bool
read_mailbox(struct bytes *b, struct smtp_path *path)
{
	bool is_quoted = b->n != 0 && b->p[0] == '"';

	path->local = take(b, is_quoted ? span_quoted(*b) : span_dot_string(*b));
	if (path->local.n == 0 || b->n == 0 || b->p[0] != '@')
		return false;
	take(b, 1);
	path->is_literal = b->n != 0 && b->p[0] == '[';
	path->domain = take(b,
	    path->is_literal ? span_literal(*b) : span_domain(*b));
	return path->domain.n != 0;
}

static bool
is_postmaster(struct bytes b)
{
	return b.n > 10 && b.p[10] == '>' &&
	    bytes_case_starts(b, BYTES_LIT("postmaster"));
}

enum smtp_path_fault
smtp_path_parse(struct bytes b, bool is_rcpt, struct smtp_path *path,
    struct bytes *rest)
{
	struct smtp_path got = {0};
	struct bytes left = b;

	if (b.n == 0 || b.p[0] != '<')
		return fault_of(b);
	take(&left, 1);
	if (left.n != 0 && left.p[0] == '@')
		return SMTP_PATH_ROUTE;
	if (left.n != 0 && left.p[0] == '>' && !is_rcpt)
		got.is_null = true;
	else if (is_rcpt && is_postmaster(left))
		got.local = take(&left, 10);
	else if (!read_mailbox(&left, &got))
		return fault_of(b);
	if (left.n == 0 || left.p[0] != '>')
		return fault_of(b);
	take(&left, 1);
	got.raw = bytes_first(b, b.n - left.n);
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
	return b.n != 0 && b.n <= DOMAIN_MAX && span_domain(b) == b.n &&
	    !has_long_label(b);
}
