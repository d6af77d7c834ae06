/* A client and next hops that go through one transaction by themselves. */
#ifndef SCENARIO_PEERS_H
#define SCENARIO_PEERS_H

#include "tests/scenario/site.h"

#define PEERS_RCPTS 4

/* What the client says. */
struct peers_mail {
	const char *header;	/* a PROXY header that comes first, or NULL */
	bool is_lmtp;
	bool is_chunked;	/* by BDAT, in two chunks; not with a dot in it */
	const char *reverse_path;
	const char *rcpts[PEERS_RCPTS];	/* without <>, NULL behind them */
	struct bytes content;	/* with its dot */
};

#define PEERS_REPLY 200

/* What came of it. */
struct peers_fate {
	bool is_taken;		/* 250, and for each recipient by LMTP */
	char reply[PEERS_REPLY];	/* the last that was no 2xx or 3xx */
};

/* Forgets who has it. The next hop listens at 10.0.0.2:25. */
void peers_begin(bool is_lmtp);

/* One session with one transaction, from 10.0.0.9; time passes as it must. */
struct peers_fate peers_transaction(const struct peers_mail *mail);

/* Whether the next hop said 250 to a message for an address that begins with
 * that letter. */
bool peers_has(char letter);

#endif
