/* Writes DNS answers, right ones and wrong ones. */
#ifndef TESTS_DAEMON_DNSANSWER_H
#define TESTS_DAEMON_DNSANSWER_H

#include "base/buf.h"

enum { DNS_A = 1, DNS_CNAME = 5, DNS_MX = 15, DNS_TXT = 16, DNS_AAAA = 28 };
enum { DNS_TC = 0x0200 };

static inline void
dns_put16(struct buf *b, unsigned v)
{
	buf_add_octet(b, (uint8_t)(v >> 8));
	buf_add_octet(b, (uint8_t)v);
}

static inline void
dns_put_name(struct buf *b, const char *name)
{
	struct bytes rest = bytes_of(name);

	while (rest.n != 0) {
		struct bytes label = bytes_cut(&rest, '.');

		buf_add_octet(b, (uint8_t)label.n);
		buf_add(b, label);
	}
	buf_add_octet(b, 0);
}

/* Header and question of a type; flags without QR, which is set. */
static inline void
dns_begin_of(struct buf *b, unsigned type, unsigned id, unsigned flags,
    const char *question, unsigned n_answers)
{
	dns_put16(b, id);
	dns_put16(b, 0x8180 | flags);
	dns_put16(b, 1);
	dns_put16(b, n_answers);
	dns_put16(b, 0);
	dns_put16(b, 0);
	dns_put_name(b, question);
	dns_put16(b, type);
	dns_put16(b, 1);
}

static inline void
dns_begin(struct buf *b, unsigned id, unsigned flags, const char *question,
    unsigned n_answers)
{
	dns_begin_of(b, DNS_TXT, id, flags, question, n_answers);
}

static inline void
dns_put_rr(struct buf *b, const char *owner, unsigned type, uint32_t ttl_s,
    struct bytes rdata)
{
	dns_put_name(b, owner);
	dns_put16(b, type);
	dns_put16(b, 1);
	dns_put16(b, ttl_s >> 16);
	dns_put16(b, ttl_s & 0xffff);
	dns_put16(b, (unsigned)rdata.n);
	buf_add(b, rdata);
}

static inline void
dns_put_cname(struct buf *b, const char *owner, uint32_t ttl_s,
    const char *target)
{
	uint8_t room[300];
	struct buf d = BUF_ON(room);

	dns_put_name(&d, target);
	dns_put_rr(b, owner, DNS_CNAME, ttl_s, buf_bytes(&d));
}

static inline void
dns_put_mx(struct buf *b, const char *owner, uint32_t ttl_s,
    unsigned preference, const char *host)
{
	uint8_t room[300];
	struct buf d = BUF_ON(room);

	dns_put16(&d, preference);
	dns_put_name(&d, host);
	dns_put_rr(b, owner, DNS_MX, ttl_s, buf_bytes(&d));
}

/* A record of one string (at most 255 octets), or of two: "left|right". */
static inline void
dns_put_txt(struct buf *b, const char *owner, uint32_t ttl_s,
    const char *text)
{
	uint8_t room[600];
	struct buf d = BUF_ON(room);
	struct bytes rest = bytes_of(text);

	while (rest.p != NULL) {
		struct bytes s = bytes_cut(&rest, '|');

		buf_add_octet(&d, (uint8_t)s.n);
		buf_add(&d, s);
	}
	dns_put_rr(b, owner, DNS_TXT, ttl_s, buf_bytes(&d));
}

#endif
