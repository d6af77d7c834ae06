/*
 * What is remembered of deliveries and arrivals, in a file. Written in turns: what
 * happened since the last store_commit() is kept as a whole or not at all,
 * survives the death of every process, and is not synced. A file that is
 * damaged, or none of ours, is set aside and begun anew. One process uses a
 * store at a time; nothing here blocks for longer than a disk does.
 */
#ifndef DAEMON_STORE_H
#define DAEMON_STORE_H

#include "base/bytes.h"
#include "smtp/secret.h"

#define STORE_KEY_SIZE 16U
#define STORE_SECRET_SIZE 32U
#define STORE_VALUE_MAX 1024U
#define STORE_ARRIVAL_VALUE_MAX 18432U

struct store_entry {
	uint8_t key[STORE_KEY_SIZE];
	uint64_t pair;		/* to be found by, beside the key */
	bool is_short;		/* kept for short_s, not age_s */
	struct bytes value;	/* at most STORE_VALUE_MAX octets */
};

struct store_limits {
	int64_t age_s;		/* from the last attempt */
	int64_t short_s;
	uint64_t size;		/* octets of the file, but for arrivals */
	int64_t arrival_age_s;
	uint64_t arrival_size;	/* octets of arrivals and their copies */
	uint64_t max_returns;	/* ways back */
};

/* A way back is kept for longer than its address is good, with a day ahead of
 * time and one of clocks that differ. */
#define STORE_RETURN_AGE_S ((SMTP_RETURN_DAYS + 2) * 86400LL)
#define STORE_RETURNS_MAX 1000000U	/* some 200 octets each */

enum store_fate {
	STORE_NEW,		/* was not there, and is now */
	STORE_TRIED,		/* without a clear end */
	STORE_DELIVERED,
};

struct store;

/* Octets of the copies that its records name; 0 while it is not open. */
uint64_t store_copies(const struct store *s);

/*
 * Takes the secret of a folder; makes one there, mode 0600, where there is
 * none, or none that reads as one.
 *
 * secret   in: what to make it of; out: what it is
 * Returns  0, or -E_SYSTEM: it is not in the folder, errno says why
 */
int store_secret(const char *folder, uint8_t secret[STORE_SECRET_SIZE]);

/*
 * A store in a folder, not open yet: store_tick() opens it, and again when it
 * had to be closed. The file is store.db, with SQLite's own beside it.
 *
 * secret   what rows are sealed with, so that no damage reads as a delivery
 * Returns  NULL without memory
 */
struct store *store_new(const char *folder, const struct store_limits *limits,
    const uint8_t secret[STORE_SECRET_SIZE]);
void store_free(struct store **s);

/*
 * Opens the store where it is not, and drops some of what is too old.
 *
 * now_s    time of day; it may jump
 * Returns  true where there is more to drop
 */
bool store_tick(struct store *s, int64_t now_s);

/*
 * Begins a try: what is there, or e as a try. An entry that is there lives
 * on from now, with its own value.
 *
 * value    of what is there, for all but STORE_NEW; until the next call
 * Returns  0, or -E_SYSTEM: it can not be known, nor kept
 */
int store_claim(struct store *s, const struct store_entry *e, int64_t now_s,
    enum store_fate *fate, struct bytes *value);

/* Keeps e as delivered, whatever was there. 0 or -E_SYSTEM. */
int store_deliver(struct store *s, const struct store_entry *e,
    int64_t now_s);

/* Removes an entry if there is one. 0 or -E_SYSTEM. */
int store_remove(struct store *s, const uint8_t key[STORE_KEY_SIZE]);

/* Whether there is an entry of a pair: 1, 0 or -E_SYSTEM. */
int store_known(struct store *s, uint64_t pair, int64_t now_s);

/* ---- arrivals ------------------------------------------------------------ */

/* One write of an arrival record. */
struct store_arrival {
	int64_t id;		/* its place */
	uint8_t name[STORE_KEY_SIZE];	/* of this write */
	uint8_t chain[STORE_KEY_SIZE];	/* what it is found by */
	uint8_t message[STORE_KEY_SIZE];
	int64_t time_s;		/* when it was kept */
	uint32_t n_uses;	/* the same once more */
	uint32_t n_found;
	uint64_t copy_size;	/* octets of the file; 0: there is none */
	uint8_t copy[STORE_KEY_SIZE];
	struct bytes value;	/* at most STORE_ARRIVAL_VALUE_MAX octets */
};

enum store_arrival_by { STORE_BY_NAME, STORE_BY_CHAIN, STORE_BY_MESSAGE };

/* Returns false where no more is wanted. The store must not be used. */
typedef bool store_arrival_call(void *arg, const struct store_arrival *row);

/*
 * Goes through the rows of a key, the youngest first, at most `max`; those
 * that are too old are found by their name alone.
 *
 * Returns  0 or -E_SYSTEM
 */
int store_arrival_find(struct store *s, enum store_arrival_by by,
    const uint8_t key[STORE_KEY_SIZE], int64_t now_s, int max,
    store_arrival_call *call, void *arg);

/*
 * Keeps a row.
 *
 * before   what stands in its place now; NULL: it is new, and gets an id
 * Returns  0 or -E_SYSTEM
 */
int store_arrival_put(struct store *s, const struct store_arrival *before,
    const struct store_arrival *row);

/* Removes a row, not its copy. 0 or -E_SYSTEM. */
int store_arrival_remove(struct store *s, const struct store_arrival *row);

/* Whether a row has that copy: 1, 0 or -E_SYSTEM. Outside of a turn. */
int store_arrival_has_copy(struct store *s,
    const uint8_t copy[STORE_KEY_SIZE]);

/* The file of a copy is to go once this turn is kept. */
void store_arrival_drop_copy(struct store *s,
    const uint8_t copy[STORE_KEY_SIZE]);

/*
 * What was dropped by turns that were kept, since the last call.
 *
 * names    set to them; until the next turn
 */
size_t store_arrival_dropped(struct store *s,
    const uint8_t (**names)[STORE_KEY_SIZE]);

/* ---- ways back ----------------------------------------------------------- */

/*
 * Keeps where a return address leads, from now on for STORE_RETURN_AGE_S. What
 * is kept already stays as it is: an id is that of one path and day.
 *
 * path     at most STORE_VALUE_MAX octets
 * Returns  0 or -E_SYSTEM
 */
int store_return_keep(struct store *s, const uint8_t id[STORE_KEY_SIZE],
    struct bytes path, int64_t now_s);

/*
 * Where a return address leads.
 *
 * path     set where it is known; until the next call
 * Returns  1, 0 or -E_SYSTEM
 */
int store_return_find(struct store *s, const uint8_t id[STORE_KEY_SIZE],
    int64_t now_s, struct bytes *path);

/* ---- turns --------------------------------------------------------------- */

/*
 * Ends a turn, and drops the oldest entries past the size.
 *
 * Returns  0, or -E_SYSTEM: nothing of the turn is kept (logged, at most
 *          once a minute)
 */
int store_commit(struct store *s, int64_t now_s);

#endif
