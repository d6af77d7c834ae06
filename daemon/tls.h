/*
 * TLS: the certificates we show, whom we believe, and what one handshake is
 * to do. Made once by the master, before privileges go; the workers inherit
 * it. The handshakes themselves are conn.c's.
 */
#ifndef DAEMON_TLS_H
#define DAEMON_TLS_H

#include "config/config.h"

struct tls;

/*
 * Reads every certificate, key and CA file that the configuration names.
 *
 * gid      the service's group, which may read keys; (unsigned)-1: none
 * complain one call for each mistake
 * Returns  NULL after at least one complaint
 * Lifetime until tls_free(); the configuration outlives it
 */
struct tls *tls_new(const struct config *c, unsigned gid,
    config_complain *complain, void *arg);

/* When a certificate ends, in seconds of 1970; 0 where it does not read. */
int64_t tls_ends(const struct config_tls *of);

/* Frees *t, wiping the keys. *t becomes NULL; it may be NULL. */
void tls_free(struct tls **t);

/*
 * Makes the keys of session tickets for now out of those before; the first
 * call makes them from nothing. To be called before each fork, so that all
 * processes have the same.
 *
 * now_ms   of the monotonic clock; one before an earlier call changes nothing
 */
void tls_tickets_turn(int64_t now_ms);

/* Whether a listener has a certificate, so that STARTTLS can be offered. */
bool tls_is_offered(const struct config_listener *l);

/*
 * When a certificate of a listener, the k-th, ends: seconds of 1970; 0 where
 * there is none, or it does not say.
 */
int64_t tls_expiry(const struct tls *t, const struct config_listener *l,
    size_t k);

/* What conn_secure() is to do. */
struct tls_way {
	struct tls *tls;	/* the worker's: hub->tls */
	const struct config_listener *listener;	/* whose certificate; whose
						   tls-ca and tls-timeout */
	bool is_server;
	/* As a client: */
	const char *name;	/* the host's name or address: SNI, and what
				   its certificate must name; copied */
	uint16_t port;
	bool must_verify;	/* policy `verify`: CONN_BROKEN where the
				   certificate is not good for name */
};

/* What came of a handshake, for the log and Received. Static storage, but
   for what conn_tls_facts() says. */
struct tls_facts {
	const char *version;	/* "TLSv1.3" */
	const char *cipher;	/* "TLS_AES_256_GCM_SHA384" */
	int bits;		/* of the cipher's key */
	bool is_verified;	/* the certificate is good for the name */
	bool is_resumed;
	const char *unverified;	/* why not, for people; NULL: it is, or we
				   are the server */
	const char *name;	/* client: way->name; server: the SNI or "";
				   the conn's */
};

#endif
