#include "smtp/xclient.h"

#include "base/ascii.h"
#include "base/utf8.h"
#include "smtp/command.h"
#include "smtp/ip.h"
#include "smtp/xtext.h"

static unsigned
find_attribute(struct bytes name)
{
	for (unsigned k = 0; k < SMTP_XCLIENT_N; k++)
		if (bytes_case_eq(name, smtp_xclient_name(k)))
			return 1U << k;
	return 0;
}

static bool
take_ip(struct bytes value, uint8_t ip[16], bool *has)
{
	struct bytes v6 = bytes_skip(value, 5);

	*has = bytes_case_starts(value, BYTES_LIT("IPV6:")) ?
	    smtp_ip_v6(v6, ip) : smtp_ip_v4(value, ip);
	return *has;
}

static bool
take_port(struct bytes value, uint16_t *port)
{
	uint64_t n;

	if (!bytes_number(value, 65535, &n))
		return false;
	*port = (uint16_t)n;
	return true;
}

static bool
take_proto(struct bytes value, bool *is_esmtp)
{
	*is_esmtp = bytes_case_eq(value, BYTES_LIT("ESMTP"));
	return *is_esmtp || bytes_case_eq(value, BYTES_LIT("SMTP"));
}

/* Names of users may be UTF-8; nothing may break out of a line. */
static bool
is_login(struct bytes b)
{
	while (b.n != 0) {
		size_t n = utf8_length(b);

		if (n == 0 || (n == 1 && !ascii_is_graph(b.p[0])))
			return false;
		b = bytes_skip(b, n);
	}
	return true;
}

/* One attribute that has a value. */
static bool
take(struct smtp_xclient *x, unsigned attribute, struct bytes value)
{
	switch (attribute) {
	case SMTP_XCLIENT_NAME:
		x->name = value;
		return smtp_command_is_name(value);
	case SMTP_XCLIENT_ADDR:
		return take_ip(value, x->ip, &x->has_ip);
	case SMTP_XCLIENT_PORT:
		return take_port(value, &x->port);
	case SMTP_XCLIENT_PROTO:
		return take_proto(value, &x->is_esmtp);
	case SMTP_XCLIENT_HELO:
		x->helo = value;
		return smtp_command_is_name(value);
	case SMTP_XCLIENT_LOGIN:
		x->login = value;
		return is_login(value);
	case SMTP_XCLIENT_DESTADDR:
		return take_ip(value, x->dest_ip, &x->has_dest_ip);
	case SMTP_XCLIENT_DESTPORT:
		return take_port(value, &x->dest_port);
	}
	return false;
}

static bool
is_unavailable(struct bytes value)
{
	return bytes_case_eq(value, BYTES_LIT("[UNAVAILABLE]")) ||
	    bytes_case_eq(value, BYTES_LIT("[TEMPUNAVAIL]"));
}

bool
smtp_xclient_parse(struct bytes arg, struct smtp_xclient *x, struct buf *out)
{
	*x = (struct smtp_xclient){0};
	while (arg.n != 0) {
		struct bytes word = bytes_first(arg, bytes_index(arg, ' '));
		unsigned attribute;
		struct bytes value;
		size_t before = out->n;

		arg = bytes_skip(arg, word.n + 1);
		if (word.n == 0)
			continue;
		attribute = find_attribute(bytes_cut(&word, '='));
		if (attribute == 0 || (x->said & attribute) != 0 ||
		    !smtp_xtext_decode(word, out))
			return false;
		x->said |= attribute;
		value = bytes_skip(buf_bytes(out), before);
		if (value.n > SMTP_XCLIENT_MAX)
			return false;
		if (!is_unavailable(value) && !take(x, attribute, value))
			return false;
	}
	return x->said != 0;
}
