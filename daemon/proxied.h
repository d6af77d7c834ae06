/*
 * A connection that begins with a PROXY header: it is read from the socket
 * to its last octet and not one further, so that what comes behind it, a TLS
 * handshake too, is left to the session.
 */
#ifndef DAEMON_PROXIED_H
#define DAEMON_PROXIED_H

#include "daemon/loop.h"
#include "smtp/proxyproto.h"

struct proxied;

/*
 * Called once, never before proxied_new() returned; p is gone behind it.
 *
 * fd       the socket, the callee's; -1: no header came, it was closed
 * said     what the header says; NULL where there is none
 */
typedef void proxied_call(void *arg, int fd,
    const struct smtp_proxyproto *said);

/*
 * Waits for the header on an accepted non-blocking socket.
 *
 * Returns  NULL without memory; fd is then closed
 */
struct proxied *proxied_new(struct loop *l, int fd, int64_t timeout_ms,
    proxied_call *call, void *arg);

/* Closes the socket; no call follows. *p becomes NULL; it may be NULL. */
void proxied_kill(struct proxied **p);

#endif
