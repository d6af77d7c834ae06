/* Between conn.c and conn_tls.c alone. */
#ifndef DAEMON_CONN_STATE_H
#define DAEMON_CONN_STATE_H

#include <openssl/ssl.h>

#include "daemon/conn.h"
#include "daemon/tls_state.h"

/* What reading or a handshake came to. */
enum conn_got {
	CONN_GOT_ALL,	/* there is no more for now, or no more room */
	CONN_GOT_END,	/* the peer has said that this is all */
	CONN_GOT_BROKEN,	/* ->error or ->fault is set */
};

struct conn_tls {
	struct conn *conn;
	SSL *ssl;
	struct tls_way way;	/* name is ours */
	struct tls_link link;
	size_t plain;		/* octets of out that go first */
	struct buf wire;	/* sealed; has storage while it has octets */
	size_t sealed;		/* octets of out that the wire stands for */
	size_t sealed_behind;	/* or of what goes behind it */
	size_t budget;		/* octets that may still be read this turn */
	bool is_secured;	/* the handshake came through */
	bool is_dry;		/* all that came was read */
	bool is_stuck;		/* reading waits until the wire is sent */
	bool is_fin;		/* the system says there is no more */
	bool is_failed;		/* no call of OpenSSL may follow */
	char fault[320];
};

/* 0, or -E_NOMEM. */
int conn_tls_new(struct conn *c, const struct tls_way *w);
void conn_tls_free(struct conn *c);

/* A new turn: so much may be read again. */
void conn_tls_turn(struct conn_tls *t);

/* Goes on with the handshake; is_secured at its end. */
enum conn_got conn_tls_handshake(struct conn *c);

/* Reads into ->in as far as there is room. */
enum conn_got conn_tls_read(struct conn *c);

/* Seals and sends what stands in out. False: broken. */
bool conn_tls_write(struct conn *c);

/* Says that this is all, where that is true. */
void conn_tls_close(struct conn *c);


#endif
