/*
 * Rows of arrival records as they stand on a server that several machines
 * share (shared_arrivals.h), behind their seals. Pure.
 */
#ifndef DAEMON_SHARED_ROWS_H
#define DAEMON_SHARED_ROWS_H

#include "base/buf.h"
#include "daemon/arrival_value.h"
#include "daemon/store.h"

#define SHARED_TIME_SIZE 20U	/* digits: scripts read them */
#define SHARED_ROW_FIXED (SHARED_TIME_SIZE + 2 * STORE_KEY_SIZE)
#define SHARED_ROW_MAX (SHARED_ROW_FIXED + STORE_ARRIVAL_VALUE_MAX)
#define SHARED_DIGEST 32U

/* The octets of a message, which several writes of it share. */
struct shared_copy {
	uint8_t name[STORE_KEY_SIZE];	/* of the file and on the server */
	uint64_t size;			/* octets; not 0 */
	bool is_whole;			/* else: on its way to the server */
	int64_t time_s;			/* on its way: since then */
	uint8_t digest[SHARED_DIGEST];	/* whole: BLAKE2b of it */
};

#define SHARED_COPY_MAX (1 + STORE_KEY_SIZE + 8 + SHARED_DIGEST)

/*
 * What writes of the same content have in common: a digest of chain, message,
 * and of the header and body of the record.
 */
void shared_content(const uint8_t chain[STORE_KEY_SIZE],
    const uint8_t message[STORE_KEY_SIZE], const struct arrival *a,
    uint8_t content[STORE_KEY_SIZE]);

/*
 * Writes a row: its time, content, message and value, for scripts at places
 * that do not move. What changes of it stands beside it.
 *
 * out      has room for SHARED_ROW_MAX octets
 */
void shared_row_write(const struct store_arrival *row,
    const uint8_t content[STORE_KEY_SIZE], struct buf *out);

/*
 * Reads one: time, message and value (a view) of row are set, and nothing else
 * of it.
 *
 * Returns  false where it is none
 */
bool shared_row_parse(struct bytes b, struct store_arrival *row,
    uint8_t content[STORE_KEY_SIZE]);

/* Writes what is known of a copy. out has room for SHARED_COPY_MAX octets. */
void shared_copy_write(const struct shared_copy *c, struct buf *out);

/* Reads it; false where it is none. */
bool shared_copy_parse(struct bytes b, struct shared_copy *c);

#endif
