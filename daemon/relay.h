/*
 * The life of one message: asked for, verified, decided, signed, delivered.
 * The client waits; its answer is the next hop's (product.md, through).
 */
#ifndef DAEMON_RELAY_H
#define DAEMON_RELAY_H

#include "daemon/arrival.h"
#include "daemon/inbound.h"
#include "daemon/memory.h"
#include "daemon/queue_link.h"
#include "smtp/server.h"

struct relay;

/*
 * Begins a transaction, at MAIL.
 *
 * o        the session's connection to a next hop, idle, or NULL; taken
 * Returns  NULL without memory; o is then still the caller's
 */
struct relay *relay_new(struct hub *h, const struct config_listener *l,
    struct inbound *s, struct outbound *o);

/*
 * What the client asks. Each is answered with inbound_answer(), at once or
 * later; a refused MAIL ends the relay.
 */
void relay_mail(struct relay *r, const struct smtp_server_mail *mail);
void relay_rcpt(struct relay *r, const struct smtp_server_rcpt *rcpt);
void relay_data(struct relay *r);
void relay_content(struct relay *r, struct bytes octets);
void relay_end(struct relay *r, bool has_8bit, bool has_bare_lf);

/*
 * The client gave the transaction up, or is gone. What went out with its
 * final dot is still awaited and logged; all else is dropped. r is gone.
 */
void relay_abandon(struct relay *r);

/*
 * After inbound_release(): the client went on, so that it has our answer, or
 * it left. r is gone, and those that relay_watch_too() put behind it.
 */
void relay_went_on(struct relay *r);
void relay_left(struct relay *r);

/*
 * The same is to be told to the relays of earlier transactions, whose answers
 * the client of a pipeline need not have seen either. r is watched and has
 * none so far.
 */
void relay_watch_too(struct relay *r, struct relay *earlier);

/* Answers for tags of the hub: the k-th wanted key, or the sender's. */
void relay_key(struct relay *r, size_t k, const struct resolve_txt *txt);

/* An answer of the queue process. */
void relay_queue_answer(struct relay *r, enum queue_answer answer);

/*
 * An answer of the memory; part is that of the tag.
 *
 * Returns  false where nobody waits for it
 */
bool relay_memory_reply(struct relay *r, unsigned part,
    const struct memory_reply *reply);

/* The tag of what is written down while nobody waits for it. */
#define RELAY_ARRIVAL_LATER UINT64_MAX

/* An answer about its arrival. As relay_memory_reply(). */
bool relay_arrival_reply(struct relay *r, const struct arrival_reply *reply);

#endif
