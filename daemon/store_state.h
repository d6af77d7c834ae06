/* What the parts of the store share; who uses a store includes store.h. */
#ifndef DAEMON_STORE_STATE_H
#define DAEMON_STORE_STATE_H

#include <sodium.h>
#include <sqlite3.h>

#include "daemon/store.h"

#define FOLDER_MAX 4096
#define STORE_AHEAD_S 3600	/* past it a row is from a wrong clock */
#define STORE_DROP_A_TIME 512	/* rows */
#define STORE_DROPS_A_TURN 8
#define STORE_DROPPED_MAX 1024	/* copies; more of a turn are swept later */

enum statement {
	BEGIN, COMMIT, FIND, INSERT, REPLACE, TOUCH, REMOVE, KNOWN,
	OLDEST, DROP, PAGES, FREE_PAGES, STATEMENT__N
};

enum arrival_statement {
	A_BY_NAME, A_BY_CHAIN, A_BY_MESSAGE, A_INSERT, A_REPLACE, A_REMOVE,
	A_OLDEST, A_OLDEST_COPY, A_HAS_COPY, ARRIVAL_STATEMENT__N
};

enum return_statement {
	W_FIND, W_INSERT, W_REMOVE, W_OLDEST, RETURN_STATEMENT__N
};

/* Of the table of ways back. */
struct store_returns {
	sqlite3_stmt *statements[RETURN_STATEMENT__N];
	sqlite3_int64 last_id;
	uint64_t n, octets;		/* of paths */
	uint64_t n_kept, octets_kept;	/* before this turn */
};

/* Of the table of arrivals. */
struct store_arrivals {
	sqlite3_stmt *statements[ARRIVAL_STATEMENT__N];
	sqlite3_int64 last_id;
	uint64_t rows, copies;		/* octets; of files for copies */
	uint64_t rows_kept, copies_kept;	/* before this turn */
	sqlite3_int64 copies_from;	/* no older row has a copy */
	size_t n_dropped, n_dropped_kept;
	uint8_t dropped[STORE_DROPPED_MAX][STORE_KEY_SIZE];
	uint8_t room[STORE_ARRIVAL_VALUE_MAX + 256];	/* of a seal */
	uint8_t value[STORE_ARRIVAL_VALUE_MAX];
};

struct store {
	char path[FOLDER_MAX];
	struct store_limits limits;
	uint8_t seal_key[crypto_shorthash_KEYBYTES];
	sqlite3 *db;			/* NULL: not open */
	sqlite3_stmt *statements[STATEMENT__N];
	sqlite3_int64 last_id;
	bool is_turn;			/* within BEGIN and COMMIT */
	bool is_failed;			/* this turn can not be kept */
	bool is_damaged;
	int64_t logged_s;		/* of a monotonic clock; 0: never */
	uint8_t value[STORE_VALUE_MAX];
	struct store_arrivals arrivals;
	struct store_returns returns;
};

/* Notes why a call failed. Always -E_SYSTEM. */
int store_failed(struct store *s, int code);

/* The file is damaged, or none of ours. Always -E_SYSTEM. */
int store_damaged(struct store *s);

int store_run(struct store *s, const char *sql);

/* The number that a pragma or a count answers. */
int store_number(struct store *s, const char *sql, sqlite3_int64 *n);

/* Runs one without a result, and makes it ready for the next time. */
int store_finish(struct store *s, sqlite3_stmt *q);

/* Everything stands within a turn. */
int store_begin(struct store *s);

/* ---- arrivals (store_arrival.c) ------------------------------------------ */

#define STORE_ARRIVAL_TABLE "CREATE TABLE arrival (id INTEGER PRIMARY KEY, " \
	"name BLOB NOT NULL, chain BLOB NOT NULL, message BLOB NOT NULL, " \
	"time INTEGER NOT NULL, uses INTEGER NOT NULL, found INTEGER NOT " \
	"NULL, size INTEGER NOT NULL, copy BLOB NOT NULL, seal INTEGER NOT " \
	"NULL, value BLOB NOT NULL)"
#define STORE_ARRIVAL_BY_NAME \
	"CREATE UNIQUE INDEX arrival_by_name ON arrival (name)"
#define STORE_ARRIVAL_BY_CHAIN \
	"CREATE INDEX arrival_by_chain ON arrival (chain)"
#define STORE_ARRIVAL_BY_MESSAGE \
	"CREATE INDEX arrival_by_message ON arrival (message)"
#define STORE_ARRIVAL_BY_COPY \
	"CREATE INDEX arrival_by_copy ON arrival (copy) WHERE size > 0"
#define STORE_ARRIVAL_SCHEMA STORE_ARRIVAL_TABLE "; " STORE_ARRIVAL_BY_NAME \
	"; " STORE_ARRIVAL_BY_CHAIN "; " STORE_ARRIVAL_BY_MESSAGE "; " \
	STORE_ARRIVAL_BY_COPY
#define STORE_ARRIVAL_OBJECTS 5

/* How many of these objects are in the file. */
int store_arrival_count_schema(struct store *s, sqlite3_int64 *n);

int store_arrival_open(struct store *s);
void store_arrival_close(struct store *s);

/* What the rows take of the file, as far as one can say. */
uint64_t store_arrival_rows(const struct store *s);

/* Drops the oldest copies past the size, then the oldest rows. */
int store_arrival_keep_size(struct store *s);

/* Drops some of what is too old. How many; -E_SYSTEM. */
int store_arrival_drop_old(struct store *s, int64_t now_s);

/* The turn is kept, or is not. */
void store_arrival_keep(struct store *s);
void store_arrival_undo(struct store *s);

/* ---- ways back (store_return.c) ------------------------------------------ */

#define STORE_RETURN_TABLE "CREATE TABLE way (id INTEGER PRIMARY KEY, " \
	"key BLOB NOT NULL, time INTEGER NOT NULL, seal INTEGER NOT NULL, " \
	"path BLOB NOT NULL)"
#define STORE_RETURN_BY_KEY "CREATE UNIQUE INDEX way_by_key ON way (key)"
#define STORE_RETURN_SCHEMA STORE_RETURN_TABLE "; " STORE_RETURN_BY_KEY
#define STORE_RETURN_OBJECTS 2

int store_return_count_schema(struct store *s, sqlite3_int64 *n);
int store_return_open(struct store *s);
void store_return_close(struct store *s);

/* What the rows take of the file, as far as one can say. */
uint64_t store_return_rows(const struct store *s);

/* Drops the oldest past the number that is kept. */
int store_return_keep_size(struct store *s);

/* Drops some of what is too old. How many; -E_SYSTEM. */
int store_return_drop_old(struct store *s, int64_t now_s);

/* The turn is kept, or is not. */
void store_return_kept(struct store *s);
void store_return_undo(struct store *s);

#endif
