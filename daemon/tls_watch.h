/*
 * Notices that certificates, keys or CA files were replaced; and, of workers
 * that can not open what was put in its place, where names are looked up.
 */
#ifndef DAEMON_TLS_WATCH_H
#define DAEMON_TLS_WATCH_H

#include "config/config.h"

/* How often the files are looked at. */
#define TLS_WATCH_MS 2000

/* Of all files of a configuration: which they are, how large and old. */
struct tls_stamp {
	uint8_t octets[32];
};

struct tls_watch {
	struct tls_stamp tried;	/* what was loaded last, or could not be */
	struct tls_stamp seen;	/* at the last look */
	int64_t next_ms;	/* of the next look; INT64_MAX: none */
	const char *hosts, *resolvers;	/* NULL: those in /etc */
};

/* The files are about to be read: call before that. */
void tls_watch_begin(struct tls_watch *w, const struct config *c,
    int64_t now_ms);

/*
 * Looks, where it is time to.
 *
 * Returns  whether the files are other ones than those that were read, and
 *          the same as at the look before: whoever replaces two files has
 *          done with both
 */
bool tls_watch_look(struct tls_watch *w, const struct config *c,
    int64_t now_ms);

#endif
