/*
 * What goes between the signer, its master and its workers: messages of one
 * fixed size each way over SOCK_SEQPACKET pairs, between processes of one
 * program, so in the machine's own byte order.
 */
#ifndef DAEMON_SIGNER_WIRE_H
#define DAEMON_SIGNER_WIRE_H

#include "dkim2/dkim2.h"

#define SIGNER_RECORD_MAX 1024U	/* octets of a key record */

/* Worker to signer. */
struct signer_request {
	uint64_t tag;
	uint32_t key;
	uint32_t zero;
	uint8_t digest[32];
};

/* Signer to worker. */
struct signer_reply {
	uint64_t tag;
	int32_t status;		/* 0 or -E_* */
	uint32_t n;
	uint8_t signature[DKIM2_SIGNATURE_MAX];
};

/* Signer to master, at its start: whether it has its keys, and how many. */
struct signer_hello {
	uint32_t status;	/* 0, or what to exit with (sysexits.h) */
	uint32_t n_keys;
	uint32_t n_retired;
	uint8_t digest[32];	/* SHA-256 of all entries */
};

/* The first signer to its master, once for each key; then once for each
 * retired one, whose number is of no use. */
struct signer_entry {
	uint32_t number;
	uint32_t algorithm;
	uint32_t n_domain;
	uint32_t n_selector;
	uint32_t n_record;
	uint8_t domain[256];
	uint8_t selector[256];
	uint8_t record[SIGNER_RECORD_MAX];
};

/* Master to signer: one octet, and the signer's end of a worker's pair. */

#endif
