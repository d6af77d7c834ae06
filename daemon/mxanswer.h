/*
 * The MX records of a domain and the addresses of a host, in raw DNS answers,
 * and the order in which servers are tried. No I/O.
 */
#ifndef DAEMON_MXANSWER_H
#define DAEMON_MXANSWER_H

#include "daemon/dnsanswer.h"

/*
 * Finds the MX records of a domain, or the addresses of a host. An MX record
 * is the preference in two octets, then the host's name: in lower case,
 * without a dot at its end, empty for the root; it may hold any octets, and
 * is for the resolver to look up or refuse. An address is 16 octets, IPv4 in
 * its mapped form.
 *
 * type     DNSTYPE_MX, DNSTYPE_A or DNSTYPE_AAAA
 * t        as dnsanswer_read() has it; DNSANSWER_TEMPFAIL also for a record
 *          that does not parse
 * Returns  0 or -E_NOMEM
 * Lifetime records are the arena's
 * Source   RFC 1035 3.3.9, 3.4.1; RFC 3596 2.2; RFC 7505
 */
int mxanswer_parse(struct dnsanswer_records *t, struct bytes answer,
    struct bytes name, enum dnsanswer_type type, struct arena *a);

struct mxanswer_host {
	unsigned preference;
	struct bytes name;	/* a view of a record; empty: the root */
};

/* Reads a record of mxanswer_parse(). */
struct mxanswer_host mxanswer_host(struct bytes record);

/* Whether the domain says that it takes no mail. Source RFC 7505 3. */
bool mxanswer_is_null(const struct dnsanswer_records *t);

/*
 * Puts hosts in the order to be tried: by preference, those with the same one
 * in an order that the random number gives, each as likely as any other.
 *
 * Source   RFC 5321 5.1
 */
void mxanswer_order(struct mxanswer_host *hosts, size_t n, uint32_t random);

#endif
