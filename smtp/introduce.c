#include "smtp/introduce.h"

/* ---- PROXY ---- */

static bool
is_ipv4(const struct smtp_endpoint *e)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	return memcmp(e->ip, mapped, sizeof(mapped)) == 0;
}

void
smtp_introduce_proxy_v1(struct buf *out, const struct smtp_introduction *who)
{
	bool from4, to4, is_v4;

	if (who == NULL) {
		buf_add(out, BYTES_LIT("PROXY UNKNOWN\r\n"));
		return;
	}
	from4 = is_ipv4(&who->from);
	to4 = is_ipv4(&who->to);
	is_v4 = from4 && to4;
	buf_printf(out, "PROXY TCP%c %s%s %s%s %u %u\r\n", is_v4 ? '4' : '6',
	    from4 && !is_v4 ? "::ffff:" : "", who->from.text,
	    to4 && !is_v4 ? "::ffff:" : "", who->to.text,
	    who->from.port, who->to.port);
}

static void
add_port(struct buf *out, uint16_t port)
{
	buf_add_octet(out, (uint8_t)(port >> 8));
	buf_add_octet(out, (uint8_t)port);
}

void
smtp_introduce_proxy_v2(struct buf *out, const struct smtp_introduction *who)
{
	bool is_v4 = who != NULL && is_ipv4(&who->from) && is_ipv4(&who->to);
	size_t skip = is_v4 ? 12 : 0;
	size_t n = 16 - skip;

	buf_add(out, BYTES_LIT("\r\n\r\n\0\r\nQUIT\n"));
	if (who == NULL) {
		buf_add(out, BYTES_LIT("\x20\0\0\0"));	/* version 2, LOCAL */
		return;
	}
	buf_add_octet(out, 0x21);	/* version 2, PROXY */
	buf_add_octet(out, is_v4 ? 0x11 : 0x21);
	add_port(out, (uint16_t)(2 * n + 4));
	buf_add(out, (struct bytes){who->from.ip + skip, n});
	buf_add(out, (struct bytes){who->to.ip + skip, n});
	add_port(out, who->from.port);
	add_port(out, who->to.port);
}

/* ---- XCLIENT ---- */

#define COMMAND_MAX 512

static void
add_xtext(struct buf *out, struct bytes text)
{
	for (size_t k = 0; k < text.n; k++) {
		uint8_t c = text.p[k];

		if (c > ' ' && c < 0x7f && c != '+' && c != '=')
			buf_add_octet(out, c);
		else
			buf_printf(out, "+%02X", c);
	}
}

static void
add_attribute(struct buf *out, unsigned k, const struct smtp_introduction *who)
{
	switch (1U << k) {
	case SMTP_XCLIENT_NAME:
		buf_add_str(out, "[UNAVAILABLE]");
		break;
	case SMTP_XCLIENT_ADDR:
	case SMTP_XCLIENT_DESTADDR: {
		const struct smtp_endpoint *e = 1U << k == SMTP_XCLIENT_ADDR
		    ? &who->from : &who->to;

		buf_printf(out, "%s%s", is_ipv4(e) ? "" : "IPV6:", e->text);
		break;
	}
	case SMTP_XCLIENT_PORT:
		buf_add_number(out, who->from.port);
		break;
	case SMTP_XCLIENT_DESTPORT:
		buf_add_number(out, who->to.port);
		break;
	case SMTP_XCLIENT_PROTO:
		buf_add_str(out, who->proto);
		break;
	case SMTP_XCLIENT_HELO:
		add_xtext(out, who->helo);
		break;
	default:
		break;
	}
}

void
smtp_introduce_xclient(struct buf *out, unsigned announced,
    const struct smtp_introduction *who)
{
	size_t begin = out->n;

	/* who has not greeted has no HELO, and nobody logged in with us */
	announced &= ~SMTP_XCLIENT_LOGIN;
	if (who->helo.n == 0)
		announced &= ~SMTP_XCLIENT_HELO;
	buf_add(out, BYTES_LIT("XCLIENT"));
	for (unsigned k = 0; k < SMTP_XCLIENT_N; k++) {
		uint8_t octets[COMMAND_MAX];
		struct buf b = BUF_ON(octets);

		if ((announced & 1U << k) == 0)
			continue;
		buf_add_octet(&b, ' ');
		buf_add(&b, smtp_xclient_name(k));
		buf_add_octet(&b, '=');
		add_attribute(&b, k, who);
		if (!b.full && out->n - begin + b.n + 2 <= COMMAND_MAX)
			buf_add(out, buf_bytes(&b));
	}
	buf_add(out, BYTES_LIT("\r\n"));
}
