#include "config/value.h"

#include <arpa/inet.h>

#include "base/ascii.h"

#define NAME_MAX_OCTETS 253U
#define LABEL_MAX 63U
#define LOCAL_MAX 64U

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static const char out_of_memory[] = "needs more memory than there is";

static bool
is_label(struct bytes label, bool is_underscore_good)
{
	if (label.n == 0 || label.n > LABEL_MAX || label.p[0] == '-' ||
	    label.p[label.n - 1] == '-')
		return false;
	for (size_t k = 0; k < label.n; k++)
		if (!ascii_is_alnum(label.p[k]) && label.p[k] != '-' &&
		    (label.p[k] != '_' || !is_underscore_good))
			return false;
	return true;
}

static bool
has_8bit(struct bytes text)
{
	for (size_t k = 0; k < text.n; k++)
		if (text.p[k] >= 0x80)
			return true;
	return false;
}

static bool
is_digits(struct bytes text)
{
	for (size_t k = 0; k < text.n; k++)
		if (!ascii_is_digit(text.p[k]))
			return false;
	return text.n != 0;
}

const char *
config_value_name(struct bytes text)
{
	struct bytes rest = text;
	struct bytes label = text;

	if (text.n == 0)
		return "is empty; write a name such as mx.example.org";
	if (has_8bit(text))
		return "has 8-bit octets; write its A-labels (xn--...)";
	if (text.p[text.n - 1] == '.')
		return "ends with a dot; leave it out";
	if (text.p[0] == '*' || text.p[0] == '.')
		return "is a pattern; write each name in full";
	if (text.n > NAME_MAX_OCTETS)
		return "is longer than 253 octets; no DNS name is";
	while (rest.p != NULL) {
		label = bytes_cut(&rest, '.');
		if (!is_label(label, false))
			return "is no DNS name; write letters, digits and "
			    "hyphens in labels of 1 to 63, such as "
			    "mx.example.org";
	}
	if (is_digits(label))
		return "is an address or a number; write a DNS name";
	return NULL;
}

const char *
config_value_domain(struct bytes text, struct arena *a, struct bytes *domain)
{
	const char *why = config_value_name(text);
	struct buf out;

	if (why != NULL)
		return why;
	if (arena_buf(a, text.n + 1, &out) != 0)
		return out_of_memory;
	for (size_t k = 0; k < text.n; k++)
		buf_add_octet(&out, ascii_lower(text.p[k]));
	*domain = buf_bytes(&out);
	return NULL;
}

const char *
config_value_selector(struct bytes text)
{
	struct bytes rest = text;

	if (text.n > NAME_MAX_OCTETS)
		return "is longer than 253 octets; no selector is";
	do {
		if (!is_label(bytes_cut(&rest, '.'), true))
			return "is no selector; write letters, digits and "
			    "hyphens";
	} while (rest.p != NULL);
	return NULL;
}

/* Source RFC 5321 4.1.2 (dot-string), RFC 5322 3.2.3 (atext) */
static bool
is_dot_string(struct bytes text)
{
	static const char marks[] = "!#$%&'*+-/=?^_`{|}~";
	struct bytes rest = text;

	do {
		struct bytes atom = bytes_cut(&rest, '.');

		if (atom.n == 0)
			return false;
		for (size_t k = 0; k < atom.n; k++)
			if (!ascii_is_alnum(atom.p[k]) && (atom.p[k] == '\0' ||
			    strchr(marks, atom.p[k]) == NULL))
				return false;
	} while (rest.p != NULL);
	return true;
}

const char *
config_value_address(struct bytes text, struct bytes *local,
    struct bytes *domain)
{
	size_t at = bytes_index(text, '@');

	if (at == text.n)
		return "is no address; write LOCAL@DOMAIN";
	*local = bytes_first(text, at);
	*domain = bytes_skip(text, at + 1);
	if (has_8bit(*local))
		return "has 8-bit octets before the @; such addresses are not "
		    "taken";
	if (local->n > LOCAL_MAX)
		return "has more than 64 octets before the @; no address has";
	if (!is_dot_string(*local))
		return "has a local part that is no dot-string; write letters, "
		    "digits and .!#$%&'*+-/=?^_`{|}~ without quotes";
	return config_value_name(*domain);
}

bool
config_value_ip(struct bytes text, uint8_t ip[16])
{
	char copy[64];

	if (text.n == 0 || text.n >= sizeof(copy) ||
	    bytes_index(text, '\0') != text.n)
		return false;
	memcpy(copy, text.p, text.n);
	copy[text.n] = '\0';
	if (inet_pton(AF_INET6, copy, ip) == 1)
		return true;
	if (inet_pton(AF_INET, copy, ip + sizeof(mapped)) != 1)
		return false;
	memcpy(ip, mapped, sizeof(mapped));
	return true;
}

bool
config_value_is_v4(const uint8_t ip[16])
{
	return memcmp(ip, mapped, sizeof(mapped)) == 0;
}

static bool
port_read(struct bytes text, uint16_t *port)
{
	uint64_t v;

	if (!bytes_number(text, UINT16_MAX, &v) || v == 0)
		return false;
	*port = (uint16_t)v;
	return true;
}

/*
 * Cuts HOST, [V6] or [V6]:PORT, HOST:PORT in two. The port is empty with
 * p == NULL where there is no colon for it.
 */
static bool
host_cut(struct bytes text, struct bytes *host, struct bytes *port,
    bool *is_bracketed)
{
	struct bytes rest = text;

	*is_bracketed = text.n != 0 && text.p[0] == '[';
	if (!*is_bracketed) {
		*host = bytes_cut(&rest, ':');
		*port = rest;
		return true;
	}
	rest = bytes_skip(rest, 1);
	*host = bytes_cut(&rest, ']');
	if (rest.p == NULL)
		return false;
	*port = (struct bytes){NULL, 0};
	if (rest.n == 0)
		return true;
	if (rest.p[0] != ':')
		return false;
	*port = bytes_skip(rest, 1);
	return true;
}

const char *
config_value_addr(struct bytes text, uint16_t port, struct config_addr *addr)
{
	static const char shape[] =
	    "is no address with a port; write 127.0.0.1:25, \"[::1]:25\" or "
	    "\"*:25\"";
	struct bytes host, port_text;
	bool is_bracketed;

	*addr = (struct config_addr){.port = port};
	if (port == 0 && bytes_starts(text, BYTES_LIT("smtps://"))) {
		addr->is_tls = true;
		text = bytes_skip(text, strlen("smtps://"));
	} else if (port == 0 && bytes_starts(text, BYTES_LIT("lmtp://"))) {
		addr->is_lmtp = true;
		text = bytes_skip(text, strlen("lmtp://"));
	}
	if (port == 0 && is_digits(text)) {
		(void)config_value_ip(BYTES_LIT("127.0.0.1"), addr->ip);
		return port_read(text, &addr->port) ? NULL :
		    "is no port; write one of 1 to 65535";
	}
	if (port != 0 && config_value_ip(text, addr->ip))
		return NULL;
	if (!host_cut(text, &host, &port_text, &is_bracketed))
		return shape;
	if (!is_bracketed && bytes_index(port_text, ':') != port_text.n)
		return "has an IPv6 address without brackets; write "
		    "\"[::1]:25\"";
	if (!is_bracketed && bytes_eq(host, BYTES_LIT("*")))
		addr->is_any = true;
	else if (!config_value_ip(host, addr->ip) ||
	    (is_bracketed && bytes_index(host, ':') == host.n))
		return shape;
	if (port_text.p == NULL)
		return port == 0 ? "has no port; write one behind a colon" :
		    NULL;
	return port_read(port_text, &addr->port) ? NULL :
	    "has a bad port; write one of 1 to 65535";
}

/* Whether all bits behind the prefix are 0. */
static bool
is_block(const struct config_net *net)
{
	for (unsigned bit = net->prefix; bit < 128; bit++)
		if ((net->ip[bit / 8] >> (7 - bit % 8) & 1) != 0)
			return false;
	return true;
}

const char *
config_value_net(struct bytes text, struct config_net *net)
{
	struct bytes rest = text;
	struct bytes ip = bytes_cut(&rest, '/');
	bool is_v4;
	uint64_t prefix;

	if (!config_value_ip(ip, net->ip))
		return "is no address or block; write 192.0.2.1, 10.0.8.0/24 "
		    "or \"2001:db8::/32\"";
	is_v4 = bytes_index(ip, ':') == ip.n;
	net->prefix = 128;
	if (rest.p == NULL)
		return NULL;
	if (!bytes_number(rest, is_v4 ? 32 : 128, &prefix))
		return "has a bad prefix length; write 0 to 32 behind an IPv4 "
		    "address, 0 to 128 behind an IPv6 one";
	net->prefix = (unsigned)prefix + (is_v4 ? 96 : 0);
	if (!is_block(net))
		return "has bits set behind its prefix; write the first "
		    "address of the block";
	return NULL;
}

static const char *
next_hop_host(struct bytes host, bool is_bracketed, struct config_next_hop *hop)
{
	static const uint8_t none[16];
	bool is_v6;

	hop->is_ip = config_value_ip(host, hop->addr.ip);
	if (!hop->is_ip)
		return is_bracketed ? "has brackets around what is no IPv6 "
		    "address; write smtp://[::1]:25" : config_value_name(host);
	is_v6 = bytes_index(host, ':') != host.n;
	if (is_v6 != is_bracketed)
		return is_v6 ? "has an IPv6 address without brackets; write "
		    "smtp://[::1]:25" : "has brackets around an IPv4 address; "
		    "leave them out";
	if (memcmp(hop->addr.ip, none, 16) == 0 ||
	    (config_value_is_v4(hop->addr.ip) &&
	    memcmp(hop->addr.ip + 12, none, 4) == 0))
		return "is no address to connect to; write that of the server";
	return NULL;
}

/* HOST[:PORT] behind the scheme. */
static const char *
next_hop_server(struct bytes text, struct arena *a, struct config_next_hop *hop)
{
	struct bytes host, port;
	bool is_bracketed;
	const char *why;

	if (!host_cut(text, &host, &port, &is_bracketed))
		return "is no next hop; write smtp://HOST:PORT or mx";
	if (!is_bracketed && bytes_index(port, ':') != port.n)
		return "has an IPv6 address without brackets; write "
		    "smtp://[::1]:25";
	if (port.p != NULL && !port_read(port, &hop->port))
		return "has a bad port; write one of 1 to 65535, and nothing "
		    "behind it";
	why = next_hop_host(host, is_bracketed, hop);
	if (why != NULL)
		return why;
	hop->host = arena_copy(a, host);
	if (hop->host.p == NULL)
		return out_of_memory;
	hop->host_str = (const char *)hop->host.p;
	hop->addr.port = hop->port;
	return NULL;
}

/* Source RFC 8314 3.3 (465); 24 is what LMTP servers are asked at. */
static const struct scheme {
	const char *text;
	enum config_scheme scheme;
	enum config_tls_policy tls;	/* unless said */
	uint16_t port;			/* unless said; mx: none to say */
} schemes[] = {
	{"smtp://",  SCHEME_SMTP,  TLS_MAY,    25},
	{"smtps://", SCHEME_SMTPS, TLS_VERIFY, 465},
	{"lmtp://",  SCHEME_LMTP,  TLS_MAY,    24},
	{"mx",       SCHEME_MX,    TLS_MAY,    0},
};

static const char *const policies[] = {
	[TLS_NONE] = "none",
	[TLS_MAY] = "may",
	[TLS_ENCRYPT] = "encrypt",
	[TLS_VERIFY] = "verify",
};

static const struct scheme *
scheme_find(struct bytes text)
{
	const struct scheme *s = schemes;

	for (; s < schemes + sizeof(schemes) / sizeof(schemes[0]); s++)
		if (s->port != 0 ? bytes_starts(text, bytes_of(s->text)) :
		    bytes_eq(text, bytes_of(s->text)))
			return s;
	return NULL;
}

/* The word behind a next hop; empty: what its scheme says. */
static const char *
next_hop_policy(struct bytes word, struct config_next_hop *hop)
{
	size_t k = 0;

	if (word.n == 0)
		return NULL;
	while (k <= TLS_VERIFY && !bytes_eq(word, bytes_of(policies[k])))
		k++;
	if (k > TLS_VERIFY)
		return "has a bad word for TLS; write none, may, encrypt or "
		    "verify, or leave it out";
	hop->tls = (enum config_tls_policy)k;
	if (hop->scheme == SCHEME_SMTPS && hop->tls < TLS_ENCRYPT)
		return "is TLS from its first octet; write encrypt or verify";
	return NULL;
}

const char *
config_value_next_hop(struct bytes text, struct arena *a,
    struct config_next_hop *hop)
{
	struct bytes policy = text;
	struct bytes way = bytes_cut(&policy, ' ');
	const struct scheme *s = scheme_find(way);
	const char *why = NULL;

	if (s == NULL)
		return "is no next hop; write smtp://HOST:PORT or mx";
	*hop = (struct config_next_hop){.scheme = s->scheme, .tls = s->tls,
	    .port = s->port};
	if (s->port != 0)
		why = next_hop_server(bytes_skip(way, strlen(s->text)), a,
		    hop);
	return why != NULL ? why : next_hop_policy(bytes_trim(policy), hop);
}

void
config_value_put_next_hop(struct buf *b, const struct config_next_hop *hop)
{
	bool is_v6 = hop->is_ip && bytes_index(hop->host, ':') != hop->host.n;
	const struct scheme *s = schemes;

	while (s->scheme != hop->scheme)
		s++;
	buf_add_str(b, s->text);
	if (s->port != 0) {
		buf_add_str(b, is_v6 ? "[" : "");
		buf_add(b, hop->host);
		buf_add_str(b, is_v6 ? "]:" : ":");
		buf_add_number(b, hop->port);
	}
	if (hop->tls == s->tls)
		return;
	buf_add_octet(b, ' ');
	buf_add_str(b, policies[hop->tls]);
}

/* A number and the unit behind it, of which there is one in the table. */
struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit sizes[] = {
	{"G", 1ULL << 30}, {"M", 1ULL << 20}, {"K", 1ULL << 10}, {"", 1},
	{NULL, 0},
};

static const struct unit times[] = {
	{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
	{NULL, 0},
};

static bool
unit_read(struct bytes text, const struct unit *units, uint64_t *value)
{
	size_t n = 0;

	while (n < text.n && ascii_is_digit(text.p[n]))
		n++;
	for (const struct unit *u = units; u->name != NULL; u++)
		if (bytes_eq(bytes_skip(text, n), bytes_of(u->name))) {
			if (!bytes_number(bytes_first(text, n),
			    UINT64_MAX / u->factor, value))
				return false;
			*value *= u->factor;
			return true;
		}
	return false;
}

static void
unit_put(struct buf *b, const struct unit *units, uint64_t value)
{
	const struct unit *u = units;

	while (value % u->factor != 0)
		u++;
	/* Nothing is 0 of the smallest unit, not 0 of the largest. */
	if (value == 0)
		while (u[1].name != NULL)
			u++;
	buf_add_number(b, value / u->factor);
	buf_add_str(b, u->name);
}

const char *
config_value_size(struct bytes text, uint64_t *octets)
{
	return unit_read(text, sizes, octets) ? NULL :
	    "is no size; write a number of octets, or one with K, M or G "
	    "behind it, such as 50M";
}

const char *
config_value_time(struct bytes text, uint64_t *ms)
{
	return unit_read(text, times, ms) ? NULL :
	    "is no time; write a number with s, m, h or d behind it, such as "
	    "4m";
}

void
config_value_put_size(struct buf *b, uint64_t octets)
{
	unit_put(b, sizes, octets);
}

void
config_value_put_time(struct buf *b, uint64_t ms)
{
	unit_put(b, times, ms);
}

static void
put_ip(struct buf *b, const uint8_t ip[16])
{
	char text[INET6_ADDRSTRLEN];
	bool is_v4 = config_value_is_v4(ip);

	if (inet_ntop(is_v4 ? AF_INET : AF_INET6,
	    ip + (is_v4 ? sizeof(mapped) : 0), text, sizeof(text)) != NULL)
		buf_add_str(b, text);
}

void
config_value_put_addr(struct buf *b, const struct config_addr *addr)
{
	bool is_v6 = !addr->is_any && !config_value_is_v4(addr->ip);

	buf_add_str(b, addr->is_tls ? "smtps://" :
	    addr->is_lmtp ? "lmtp://" : "");
	if (is_v6)
		buf_add_octet(b, '[');
	if (addr->is_any)
		buf_add_octet(b, '*');
	else
		put_ip(b, addr->ip);
	if (is_v6)
		buf_add_octet(b, ']');
	buf_add_octet(b, ':');
	buf_add_number(b, addr->port);
}

void
config_value_put_net(struct buf *b, const struct config_net *net)
{
	/* A wider block has no mapped address: its bits behind are 0. */
	bool is_v4 = config_value_is_v4(net->ip) && net->prefix >= 96;

	put_ip(b, net->ip);
	buf_add_octet(b, '/');
	buf_add_number(b, net->prefix - (is_v4 ? 96 : 0));
}
