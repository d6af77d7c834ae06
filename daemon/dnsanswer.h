/*
 * Walks a raw DNS answer for the records of one name and type. c-ares checks
 * id and question, but its own parsers know neither TTLs nor bounds of ours.
 * No I/O.
 */
#ifndef DAEMON_DNSANSWER_H
#define DAEMON_DNSANSWER_H

#include "base/arena.h"
#include "base/buf.h"

#define DNSANSWER_NAME_MAX 255	/* octets on the wire */
#define DNSANSWER_RRS_MAX 128	/* records of an answer section */
#define DNSANSWER_CHAIN_MAX 8	/* CNAMEs followed */

enum dnsanswer_type {
	DNSTYPE_A = 1,
	DNSTYPE_CNAME = 5,
	DNSTYPE_MX = 15,
	DNSTYPE_TXT = 16,
	DNSTYPE_AAAA = 28,
};

enum dnsanswer_found {
	DNSANSWER_THERE,
	DNSANSWER_ABSENT,	/* no such record, or no such name */
	DNSANSWER_TEMPFAIL,	/* may work later */
};

/* What was found; how a record is written is its parser's. */
struct dnsanswer_records {
	enum dnsanswer_found found;
	const struct bytes *records;	/* only with DNSANSWER_THERE */
	size_t n;
	uint32_t ttl_s;		/* how long it may be kept, from now on */
};

/* One record of the answer section. */
struct dnsanswer_rr {
	size_t owner;		/* offset of its name */
	unsigned type;
	unsigned class;
	uint32_t ttl_s;
	size_t data;		/* offset */
	struct bytes rdata;
};

/* A cursor over an answer. */
struct dnsanswer {
	struct bytes m;		/* the whole message: names point into it */
	size_t at;
	struct dnsanswer_rr rrs[DNSANSWER_RRS_MAX];
	size_t n;
	uint8_t owner[DNSANSWER_NAME_MAX];	/* where the CNAMEs lead */
	size_t n_owner;
	uint32_t ttl_s;		/* the least along the way */
};

/*
 * A name as it stands on the wire, in lower case.
 *
 * name     "sel._domainkey.example.org", with or without a dot at the end
 * out      at least DNSANSWER_NAME_MAX octets of room
 * Returns  false where no such name can be asked for
 */
bool dnsanswer_name(struct bytes name, struct buf *out);

/*
 * Reads an answer to a question for a name, and follows the CNAMEs in it.
 *
 * Returns  DNSANSWER_THERE: its records can be walked, there may be none;
 *          DNSANSWER_ABSENT for no such name; DNSANSWER_TEMPFAIL for another
 *          RCODE, an answer that is cut, does not parse or answers another
 *          question, a loop or a too long chain of CNAMEs
 * Lifetime of w: as long as the answer
 * Source   RFC 1035 4.1; RFC 2181 8
 */
enum dnsanswer_found dnsanswer_read(struct dnsanswer *w, struct bytes answer,
    struct bytes name, enum dnsanswer_type type);

/* The next record of that name and a type from *k on, or NULL. */
const struct dnsanswer_rr *dnsanswer_next(struct dnsanswer *w,
    enum dnsanswer_type type, size_t *k);

/*
 * Reads the name at *at, which is moved behind it, as dnsanswer_name() writes
 * it.
 */
bool dnsanswer_read_name(struct bytes m, size_t *at, struct buf *out);

#endif
