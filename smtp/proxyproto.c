#include "smtp/proxyproto.h"

#include "smtp/ip.h"

#define SIGNATURE BYTES_LIT("\r\n\r\n\0\r\nQUIT\n")
#define V2_HEAD 16

/* Octets of the addresses of version 2, by family. */
#define V2_INET 12
#define V2_INET6 36

void
smtp_proxyproto_init(struct smtp_proxyproto *p)
{
	memset(p, 0, sizeof(*p));
}

/* Takes octets until there are n of them; whether there are. */
static bool
gather(struct smtp_proxyproto *p, struct bytes *in, size_t n)
{
	struct bytes now = bytes_first(*in, n - p->n);

	if (now.n != 0)
		memcpy(p->octets + p->n, now.p, now.n);
	p->n += now.n;
	*in = bytes_skip(*in, now.n);
	return p->n == n;
}

static uint16_t
number16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* A port has no sign, and no zeros in front of it. */
static bool
read_port(struct bytes b, uint16_t *port)
{
	uint64_t n;

	if ((b.n > 1 && b.p[0] == '0') || !bytes_number(b, 65535, &n))
		return false;
	*port = (uint16_t)n;
	return true;
}

/* The line, without its CRLF and without "PROXY ". */
static bool
read_v1(struct smtp_proxyproto *p, struct bytes line)
{
	struct bytes family = bytes_cut(&line, ' ');
	struct bytes from = bytes_cut(&line, ' ');
	struct bytes to = bytes_cut(&line, ' ');
	struct bytes from_port = bytes_cut(&line, ' ');
	bool is_v6 = bytes_eq(family, BYTES_LIT("TCP6"));

	if (bytes_eq(family, BYTES_LIT("UNKNOWN")))
		return true;
	if (!is_v6 && !bytes_eq(family, BYTES_LIT("TCP4")))
		return false;
	p->is_known = true;
	return (is_v6 ? smtp_ip_v6(from, p->ip) : smtp_ip_v4(from, p->ip)) &&
	    (is_v6 ? smtp_ip_v6(to, p->dest_ip) : smtp_ip_v4(to, p->dest_ip)) &&
	    read_port(from_port, &p->port) && read_port(line, &p->dest_port);
}

static enum smtp_proxyproto_step
gather_v1(struct smtp_proxyproto *p, struct bytes *in)
{
	while (p->n < 2 || p->octets[p->n - 2] != '\r' ||
	    p->octets[p->n - 1] != '\n') {
		if (p->n == SMTP_PROXYPROTO_V1_MAX)
			return SMTP_PROXYPROTO_BAD;
		if (!gather(p, in, p->n + 1))
			return SMTP_PROXYPROTO_MORE;
	}
	return read_v1(p, (struct bytes){p->octets + 6, p->n - 8}) ?
	    SMTP_PROXYPROTO_READY : SMTP_PROXYPROTO_BAD;
}

/* What the first 16 octets of version 2 announce. */
struct v2 {
	bool is_good;
	bool is_known;
	size_t n;		/* octets behind the 16 */
	size_t n_addresses;	/* of them */
};

static struct v2
look_at_v2(const uint8_t *p)
{
	struct v2 v = {.n = number16(p + 14)};
	uint8_t command = p[12], family = p[13];

	v.is_known = command == 0x21 && (family == 0x11 || family == 0x21);
	if (v.is_known)
		v.n_addresses = family == 0x11 ? V2_INET : V2_INET6;
	/* LOCAL, any family; PROXY: unspecified, TCP, a UNIX stream */
	v.is_good = (command == 0x20 || (command == 0x21 &&
	    (family == 0 || family == 0x31 || v.is_known))) &&
	    v.n >= v.n_addresses && v.n <= SMTP_PROXYPROTO_V2_MAX;
	return v;
}

static void
read_v2(struct smtp_proxyproto *p, size_t n_addresses)
{
	static const uint8_t mapped[16] = {[10] = 0xff, [11] = 0xff};
	const uint8_t *at = p->octets + V2_HEAD;
	size_t n = n_addresses == V2_INET ? 4 : 16;

	p->is_known = true;
	memcpy(p->ip, mapped, 16);
	memcpy(p->dest_ip, mapped, 16);
	memcpy(p->ip + 16 - n, at, n);
	memcpy(p->dest_ip + 16 - n, at + n, n);
	p->port = number16(at + 2 * n);
	p->dest_port = number16(at + 2 * n + 2);
}

static enum smtp_proxyproto_step
gather_v2(struct smtp_proxyproto *p, struct bytes *in)
{
	struct v2 v;
	size_t now;

	if (p->n < V2_HEAD && !gather(p, in, V2_HEAD))
		return SMTP_PROXYPROTO_MORE;
	v = look_at_v2(p->octets);
	if (!v.is_good)
		return SMTP_PROXYPROTO_BAD;
	if (p->n <= V2_HEAD + v.n_addresses && !p->is_known) {
		if (!gather(p, in, V2_HEAD + v.n_addresses))
			return SMTP_PROXYPROTO_MORE;
		if (v.is_known)
			read_v2(p, v.n_addresses);
	}
	now = v.n - v.n_addresses - p->n_skip;
	now = in->n < now ? in->n : now;
	p->n_skip += now;
	*in = bytes_skip(*in, now);
	return p->n_skip == v.n - v.n_addresses ? SMTP_PROXYPROTO_READY :
	    SMTP_PROXYPROTO_MORE;
}

enum smtp_proxyproto_step
smtp_proxyproto_read(struct smtp_proxyproto *p, struct bytes *in)
{
	const struct bytes v1 = BYTES_LIT("PROXY ");
	const struct bytes v2 = SIGNATURE;

	/* octet by octet, so that nothing is waited for in vain */
	for (;;) {
		struct bytes got = {p->octets, p->n};

		if (bytes_starts(got, v1))
			return gather_v1(p, in);
		if (bytes_starts(got, v2))
			return gather_v2(p, in);
		if (!bytes_starts(v1, got) && !bytes_starts(v2, got))
			return SMTP_PROXYPROTO_BAD;
		if (!gather(p, in, p->n + 1))
			return SMTP_PROXYPROTO_MORE;
	}
}
