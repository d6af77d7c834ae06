/* Between tls*.c and conn_tls.c alone. */
#ifndef DAEMON_TLS_STATE_H
#define DAEMON_TLS_STATE_H

#include <openssl/ssl.h>

#include "base/buf.h"
#include "daemon/tls.h"

/*
 * What an SSL has as its app data, so that OpenSSL's calls find their way.
 * Lives as long as the SSL.
 */
struct tls_link {
	const struct tls_way *way;
	int64_t now_ms;		/* monotonic; set before each call */
};

/*
 * Makes the SSL of a handshake: role, name, trust, session. Its BIO is the
 * caller's to set.
 *
 * link     lives as long as the SSL
 * Returns  NULL without memory
 */
SSL *tls_ssl_new(const struct tls_way *w, struct tls_link *link);

/*
 * Writes why OpenSSL gave up, for people, and empties its queue of errors.
 *
 * is_secured  whether the handshake had come through
 * is_fin      whether the peer has hung up without a close_notify
 */
void tls_fault_write(const SSL *ssl, const struct tls_way *w, bool is_secured,
    bool is_fin, struct buf *out);

/* ---- tickets that we give, tls_ticket.c ---- */

/* How long a ticket is good at least. */
#define TLS_TICKET_S (6 * 3600)

/* For SSL_CTX_set_tlsext_ticket_key_evp_cb(). */
int tls_ticket_call(SSL *ssl, unsigned char name[16], unsigned char *iv,
    EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int is_new);

/* ---- sessions with next hops, tls_session.c ---- */

#define TLS_SESSIONS 128	/* that a worker keeps */

struct tls_sessions;

/* NULL without memory. */
struct tls_sessions *tls_sessions_new(void);
void tls_sessions_free(struct tls_sessions **s);

/* The session with a destination, or NULL; it stays the cache's. */
SSL_SESSION *tls_session_find(struct tls_sessions *s, const struct tls_way *w,
    int64_t now_ms);

/* Keeps a session, and takes it over; the oldest goes where there is no room.
   An hour behind the last full handshake none is used any more. */
void tls_session_put(struct tls_sessions *s, const struct tls_way *w,
    int64_t now_ms, bool is_resumed, SSL_SESSION *session);

void tls_session_drop(struct tls_sessions *s, const struct tls_way *w);

/* Drops the session of a handshake that failed: it may be why. */
void tls_forget(const struct tls_way *w);

/* Why a certificate is not good for the name; NULL: it is. Static. */
const char *tls_unverified(const SSL *ssl);

#endif
