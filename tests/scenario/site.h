/*
 * One worker of hopseald inside the world: its configuration, keys and DNS
 * answers, a signer that answers within the process.
 */
#ifndef SCENARIO_SITE_H
#define SCENARIO_SITE_H

#include "tests/scenario/world.h"

enum site_signer { SIGNER_WORKS, SIGNER_FAILS, SIGNER_IS_SILENT, SIGNER_IS_GONE,
    SIGNER_WORKS_ONCE, SIGNER_LIES,
    SIGNER_LIES_ONCE };

/*
 * Begins a world and a worker in it.
 *
 * listeners the part of the configuration below `listeners:`, YAML
 * top       further directives at top level, YAML; may be empty
 * dns       members of the keys-file, JSON, beside those of our keys
 * why       filled in where that can not be
 * Returns   whether it runs
 */
bool site_begin(struct bytes listeners, struct bytes top, struct bytes dns,
    struct buf *why);

/*
 * Resets what is open, drains the worker and frees it.
 *
 * Returns  what was left behind, in words; NULL: nothing
 */
const char *site_end(void);

/* The descriptor of the n-th listening address. */
int site_listener(size_t n);

/* The worker says 421 and takes no more. */
void site_drain(void);

/* As at a reload: it takes no more, and sessions may go on. */
void site_leave(void);

/*
 * Carries out an order (daemon/orders_command.h).
 *
 * why      what is wrong with it
 * Returns  whether it was
 */
bool site_order(struct bytes request, struct buf *why);

/* Whether so many files are in the folder of copies. */
bool site_has_copies(struct bytes number);

void site_signer(enum site_signer how);

/* The key of two.example signs no more, and another does. */
void site_retire(void);

/*
 * Signs a message as the first hop, at the world's time, with the key of
 * one.example; one with X-Feedback asks for feedback.
 *
 * domain   d=
 * rcpt_to  paths with a space between, at most 8
 * out      gets it; 64 KiB more than the message are always enough
 */
void site_sign(struct bytes message, struct bytes domain,
    const char *mail_from, const char *rcpt_to, struct buf *out);

/*
 * Signs by DKIM1 alone, as one.example, or two.example.
 *
 * out      gets it; 4 KiB more than the message are always enough
 */
void site_sign_dkim1(struct bytes message, struct bytes domain,
    struct buf *out);

/* The state of a message that arrived with this envelope, in words. */
void site_verify(struct bytes message, const char *mail_from,
    const char *rcpt_to, struct buf *out);

#endif
