/*
 * Where a key is in its life. It stands in a file beside the key,
 * SELECTOR.state: "STATE SECONDS", since when in seconds of 1970. A key
 * without that file is active. Whether its record is published only the DNS
 * can say, so that is written nowhere.
 */
#ifndef CONFIG_KEYSTATE_H
#define CONFIG_KEYSTATE_H

#include "base/buf.h"

enum keystate {
	KEYSTATE_ACTIVE,	/* signs */
	KEYSTATE_MADE,		/* waits until its record is in the DNS */
	KEYSTATE_RETIRED,	/* signs no more; what it signed is under way */
	KEYSTATE__N
};

#define KEYSTATE_FILE_MAX 64U	/* octets of such a file */

/* A signature older than this proves nothing, so until then the record of a
 * retired key has to stay. Source draft-ietf-dkim-dkim2-spec-09 10.4 (t=) */
#define KEYSTATE_KEEP_S (14LL * 86400)

/* "active", "made", "retired"; static storage. */
const char *keystate_name(enum keystate s);

/*
 * Reads the octets of a state file: a state, one space, digits, and a line
 * end or none.
 *
 * Returns  false where it is anything else; nothing is set then
 */
bool keystate_parse(struct bytes octets, enum keystate *s, int64_t *since_s);

/* Adds what keystate_parse() reads; since_s is not negative. */
void keystate_put(struct buf *out, enum keystate s, int64_t since_s);

/*
 * How long the record of a key that was retired at since_s has to stay.
 *
 * Returns  seconds, 0 where it may go; at most KEYSTATE_KEEP_S, also where
 *          the clock was set back
 */
int64_t keystate_keep(int64_t since_s, int64_t now_s);

#endif
