/*
 * One socket: octets come in and wait until they are used, octets go out
 * from the owner's buffer, in plain or, from conn_secure() on, under TLS.
 * Nothing is freed inside a callback.
 */
#ifndef DAEMON_CONN_H
#define DAEMON_CONN_H

#include "base/buf.h"
#include "config/config.h"
#include "daemon/loop.h"
#include "daemon/tls.h"

enum conn_event {
	CONN_CONNECTED,	/* conn_connect() came through */
	CONN_SECURED,	/* conn_secure() came through; ->in is empty */
	CONN_IN,	/* more octets stand in ->in */
	CONN_OUT,	/* the out buffer is empty again, and what was to go
			   behind it is gone too */
	CONN_EOF,	/* the peer sends no more (it may still read) */
	CONN_BROKEN,	/* reset, cut off, or not to be trusted; conn_fault()
			   says why */
	CONN_TIMEOUT,	/* what conn_deadline() set is over */
};

typedef void conn_call(void *arg, enum conn_event what);

#define CONN_IN_MAX 16384
#define CONN_IN_PLENTY 65536	/* where that much comes, and is used, at once */

struct conn_tls;

struct conn {
	struct loop *loop;
	struct loop_watch *watch;
	struct loop_timer *timer;
	struct loop_deferred deferred;
	struct loop_deferred again;
	struct buf *out;	/* the owner's; drained as the peer takes it */
	struct bytes behind;	/* likewise, and goes when ->out is empty */
	struct buf in;		/* read, and not used yet; no storage while
				   it is empty */
	conn_call *call;
	void *arg;
	struct conn_tls *tls;	/* NULL: plain */
	const char *fault;	/* where it is not errno's */
	int fd;
	int error;		/* errno's value at CONN_BROKEN */
	bool is_out_due;	/* octets had to wait: CONN_OUT follows */
	bool is_connecting;
	bool is_eof;
	bool is_broken;
	bool is_plenty;		/* more came at once than ->in had room for,
				   and all was used */
	bool is_inside;		/* a callback is under way */
	bool is_again;		/* ->again is asked for */
	bool is_dying;
};

/*
 * Takes over a connected or connecting non-blocking socket.
 *
 * out      the owner's buffer of octets to send; outlives the conn
 * Returns  NULL without memory; fd is then still the caller's
 */
struct conn *conn_new(struct loop *l, int fd, struct buf *out,
    conn_call *call, void *arg);

/* Begins to connect. NULL with errno set where that fails at once. */
struct conn *conn_connect(struct loop *l, const struct config_addr *to,
    struct buf *out, conn_call *call, void *arg);

/*
 * Begins a TLS handshake, once in the life of a conn. What stands in the out
 * buffer is sent in plain before it (the 220 to STARTTLS); what is put there
 * later goes under TLS. CONN_SECURED or CONN_BROKEN follows, or CONN_TIMEOUT
 * after the listener's tls-timeout, never before this returns; no CONN_IN
 * and no CONN_OUT come before. The owner sets its deadline anew at
 * CONN_SECURED, and forgets all it was told before (RFC 3207 4.2).
 *
 * Octets that stand unread in ->in came in plain and are never read under
 * TLS: CONN_BROKEN (rows T1 and T2).
 *
 * w        is read before this returns, but for ->tls and ->listener
 * Source   RFC 3207 4; RFC 8446; RFC 8314 3 (implicit TLS)
 */
void conn_secure(struct conn *c, const struct tls_way *w);

/* False, and f as it was, where no handshake has come through. */
bool conn_tls_facts(const struct conn *c, struct tls_facts *f);

/* Why CONN_BROKEN came, for people; the conn's. */
const char *conn_fault(const struct conn *c);

/*
 * Sends what stands in out, now as far as it goes and later the rest; to be
 * called after octets were put there. CONN_OUT follows only when some had to
 * wait. Octets stay in out until the system has taken them.
 */
void conn_flush(struct conn *c);

/*
 * The same, and behind those in out octets that are not copied: until
 * CONN_OUT, conn_kill(), or conn_is_sent() says so, they must live and nothing
 * may be put into out.
 */
void conn_send(struct conn *c, struct bytes octets);

/* Whether nothing waits to be sent. */
bool conn_is_sent(const struct conn *c);

/* To be called after octets were taken from ->in: reading goes on. */
void conn_used(struct conn *c);

/* CONN_TIMEOUT after ms; 0: never. A later call replaces an earlier one. */
void conn_deadline(struct conn *c, int64_t ms);

/*
 * Closes at once, sending nothing more but, under TLS with an empty out
 * buffer, the close_notify; no callback follows. Safe from any callback. *c
 * becomes NULL; it may be NULL.
 */
void conn_kill(struct conn **c);

#endif
