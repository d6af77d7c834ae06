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
	int64_t now_ms;		/* monotonic; set before each handshake step */
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

/* Why a certificate is not good for the name; NULL: it is. Static. */
const char *tls_unverified(const SSL *ssl);

#endif
