/*
 * The resolver: all of c-ares, or the keys-file in its place. Answers come
 * later, never before the call returns, and name a tag: a slot number and
 * a generation, never a pointer.
 */
#ifndef DAEMON_RESOLVE_H
#define DAEMON_RESOLVE_H

#include "config/config.h"
#include "config/keysfile.h"
#include "daemon/loop.h"
#include "dkim2/dkim2.h"

struct resolve;

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

typedef void resolve_txt_answer(void *arg, uint64_t tag,
    const struct resolve_txt *txt);
typedef void resolve_addrs_answer(void *arg, uint64_t tag,
    const struct resolve_addrs *addrs);

/*
 * keys     the keys-file, or NULL to ask the DNS
 * Returns  NULL without memory or where c-ares fails (logged)
 */
struct resolve *resolve_new(struct loop *l, const struct config *c,
    const struct keysfile *keys, resolve_txt_answer *txt,
    resolve_addrs_answer *addrs, void *arg);
void resolve_free(struct resolve **r);

/*
 * Asks for the TXT records of a name. All tries end within 20 s. What came
 * within its TTL before is answered from the cache; questions for a name
 * that is being asked already wait for the same answer. SERVFAIL, REFUSED, a
 * time-out, a broken answer: DKIM2_KEY_TEMPFAIL. NXDOMAIN and an answer
 * without TXT: DKIM2_KEY_ABSENT.
 */
void resolve_ask_txt(struct resolve *r, struct bytes name, uint64_t tag);

/* Asks for the addresses of a host; the port is put into each. */
void resolve_ask_addrs(struct resolve *r, const char *host, uint16_t port,
    uint64_t tag);

#endif
