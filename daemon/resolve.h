/*
 * The resolver: all of c-ares, or the keys-file in its place. Answers come
 * later, never before the call returns, and name a tag: a slot number and
 * a generation, never a pointer.
 */
#ifndef DAEMON_RESOLVE_H
#define DAEMON_RESOLVE_H

#include "config/config.h"
#include "config/keysfile.h"
#include "daemon/dnsanswer.h"
#include "daemon/loop.h"
#include "dkim2/dkim2.h"

struct resolve;

enum resolve_type {
	RESOLVE_TXT,
	RESOLVE_MX,	/* records as mxanswer_parse() makes them */
	RESOLVE_A,
	RESOLVE_AAAA,
	RESOLVE__N
};

struct resolve_txt {
	enum dkim2_key found;
	const struct bytes *records;	/* strings of a record joined */
	size_t n;
	uint32_t ttl_s;			/* how long the answer may be kept */
};

struct resolve_addrs {
	bool is_temporary;		/* with n == 0: may work later */
	const struct config_addr *addrs;	/* in the order to be tried */
	size_t n;
};

/* Who is told, and what; the views are good until the call returns. */
struct resolve_calls {
	void (*txt)(void *arg, uint64_t tag, const struct resolve_txt *txt);
	void (*records)(void *arg, uint64_t tag,
	    const struct dnsanswer_records *records);
	void (*addrs)(void *arg, uint64_t tag,
	    const struct resolve_addrs *addrs);
};

/* Where the system names its resolvers. */
struct resolve_system {
	const char *path;	/* NULL: /etc/resolv.conf */
	uint16_t port;		/* theirs */
};

struct resolve_from {
	const struct keysfile *keys;	/* TXT records; NULL: ask the DNS */
	struct resolve_system system;	/* tests have their own */
};

/*
 * A resolver that asks the configuration's servers, or the system's, whose
 * file is read anew when it was changed.
 *
 * Returns  NULL without memory or where c-ares fails (logged)
 */
struct resolve *resolve_new(struct loop *l, const struct config *c,
    const struct resolve_from *from, const struct resolve_calls *calls,
    void *arg);
void resolve_free(struct resolve **r);

/*
 * Asks for the records of a name. All tries end within 20 s. What came within
 * its TTL before is answered from the cache; a question that is being asked
 * already waits for the same answer. SERVFAIL, REFUSED, a time-out, a broken
 * answer: DNSANSWER_TEMPFAIL. NXDOMAIN, an answer without such a record, a
 * name that can not exist: DNSANSWER_ABSENT. Without memory nothing is
 * answered (logged): who asks has a time limit of their own.
 */
void resolve_ask(struct resolve *r, enum resolve_type type,
    struct bytes name, uint64_t tag);

/* The same for RESOLVE_TXT, answered by calls.txt. */
void resolve_ask_txt(struct resolve *r, struct bytes name, uint64_t tag);

/*
 * Asks for the addresses of a host as the system would, its hosts file first;
 * the port is put into each. Nothing is cached.
 */
void resolve_ask_addrs(struct resolve *r, const char *host, uint16_t port,
    uint64_t tag);

#endif
