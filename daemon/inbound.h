/*
 * One client: its socket, the server's side of SMTP, and one transaction at
 * a time, which relay.c carries out.
 */
#ifndef DAEMON_INBOUND_H
#define DAEMON_INBOUND_H

#include "daemon/addr.h"
#include "daemon/crowd.h"
#include "daemon/hub.h"
#include "daemon/outbound.h"
#include "daemon/verdicts.h"

struct inbound;
struct relay;

/* Who is talking to us. */
struct inbound_client {
	struct config_addr addr;
	struct config_addr local;	/* where it came to */
	char ip[ADDR_TEXT_MAX];	/* "192.0.2.1", "2001:db8::1" */
	struct bytes helo;	/* empty before EHLO; octets as they came */
	struct bytes login;	/* whom it, or the proxy, authenticated as */
	bool is_esmtp;
	bool is_authenticated;	/* by the next hop's 235 */
	bool is_lmtp;
	const char *tls;	/* "TLSv1.3"; NULL: in plain */
	const char *cipher;	/* its name, under TLS */
};

/* Called once when the session is over and its memory is about to go. */
typedef void inbound_gone(void *arg, struct inbound *s);

/* Both ends of a connection, as they are, or as a PROXY header says. */
struct inbound_ends {
	struct config_addr client;
	struct config_addr local;
};

/*
 * Takes over an accepted socket, and begins TLS or greets.
 *
 * socket   what accepted it: whose it is, and what is spoken there
 * gone     told at the end, never before this returns
 * Returns  NULL without memory; fd is then still the caller's
 */
struct inbound *inbound_new(struct hub *h, const struct worker_socket *socket,
    int fd, const struct inbound_ends *ends, inbound_gone *gone, void *arg);

/* It may go on, but 421 ends it where it is silent between transactions. */
void inbound_leave(struct inbound *s);

/* Says 421 now between transactions, else after the one under way. */
void inbound_stop(struct inbound *s);

/* Ends the session at once, without a word. */
void inbound_kill(struct inbound *s);

/* Threads the sessions of a listener; the listener's to use. */
struct inbound_link {
	struct inbound *before, *behind;
	struct crowd_member crowd;
};
struct inbound_link *inbound_link(struct inbound *s);

/* ---- for relay.c ---- */

const struct inbound_client *inbound_client(const struct inbound *s);

/*
 * Answers what the client asked last; reading goes on. In LMTP an answer to
 * the end of the content is every recipient's.
 */
void inbound_answer(struct inbound *s, int code, const char *enhanced,
    struct bytes text);

/*
 * LMTP: answers the end of the content, each accepted recipient in the order
 * of acceptance, in place of inbound_answer(). Everything is copied; without
 * memory it is 451 for all.
 */
void inbound_answer_each(struct inbound *s, const struct verdict *v,
    size_t n);

/*
 * The transaction is over, as far as the session is concerned: call before
 * the last inbound_answer().
 *
 * o        an idle connection for its next transaction, or NULL; taken
 * watching a relay that is to be told whether the client sends more than was
 *          there when it was answered: relay_went_on() or, at the end of the
 *          session, relay_left(). NULL: none
 */
void inbound_release(struct inbound *s, struct outbound *o,
    struct relay *watching);

#endif
