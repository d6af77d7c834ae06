/*
 * Single values of the configuration: text in, a thing out. Functions that
 * return text return NULL when the value is good, or else a static text that
 * goes on from "`VALUE` ": what is wrong and what would be right.
 */
#ifndef CONFIG_VALUE_H
#define CONFIG_VALUE_H

#include "config/config.h"

/* A DNS name of letters, digits and hyphens, without a dot at its end. */
const char *config_value_name(struct bytes text);

/* config_value_name(), copied in lower case. */
const char *config_value_domain(struct bytes text, struct arena *a,
    struct bytes *domain);

/*
 * A DKIM selector: labels as in a DNS name, and underscores.
 * Source draft-ietf-dkim-dkim2-spec-09, selectors are DNS names; "_" is seen
 */
const char *config_value_selector(struct bytes text);

/* LOCAL@DOMAIN, the local part without quotes; views of text. */
const char *config_value_address(struct bytes text, struct bytes *local,
    struct bytes *domain);

/* 192.0.2.1 or 2001:db8::1, without brackets, to its mapped form. */
bool config_value_ip(struct bytes text, uint8_t ip[16]);

/*
 * A.B.C.D:PORT, [V6]:PORT or *:PORT.
 *
 * port     where the text has none; 0: it is an address to listen on, which
 *          needs one; a PORT alone is then one of 127.0.0.1, and in front
 *          smtps:// is TLS from the first octet (RFC 8314 3.3), lmtp://
 *          LMTP (RFC 2033)
 */
const char *config_value_addr(struct bytes text, uint16_t port,
    struct config_addr *addr);

/* An address, or an address block without host bits. */
const char *config_value_net(struct bytes text, struct config_net *net);

/*
 * WAY or "WAY POLICY": smtp://HOST[:PORT], smtps://, lmtp:// or mx, and none,
 * may, encrypt or verify: how much TLS. Unless said that is `may`, for smtps
 * `verify`.
 *
 * hop      where it is good; mx has no port
 */
const char *config_value_next_hop(struct bytes text, struct arena *a,
    struct config_next_hop *hop);

/* 123, 64K, 50M or 2G, in powers of 1024. */
const char *config_value_size(struct bytes text, uint64_t *octets);

/* 500ms, 30s, 4m, 2h or 7d. */
const char *config_value_time(struct bytes text, uint64_t *ms);

/* The shortest text that reads as the value again. */
void config_value_put_size(struct buf *b, uint64_t octets);
void config_value_put_time(struct buf *b, uint64_t ms);
void config_value_put_addr(struct buf *b, const struct config_addr *addr);
void config_value_put_next_hop(struct buf *b,
    const struct config_next_hop *hop);
void config_value_put_net(struct buf *b, const struct config_net *net);

/* Whether an address in mapped form is an IPv4 one. */
bool config_value_is_v4(const uint8_t ip[16]);

#endif
