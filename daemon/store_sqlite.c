#include "daemon/store_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "daemon/log.h"

#define PAGE 4096
#define BUSY_MS 50		/* for a keeper that is just leaving */
#define TOUCH_S 60		/* entries move to the young end this often */
#define LOG_S 60

/*
 * Oldest first by id: a row that is tried again gets a new one. The seal is
 * a keyed digest of all but the id.
 */
#define TABLE "CREATE TABLE entry (id INTEGER PRIMARY KEY, key BLOB NOT " \
	"NULL, pair INTEGER NOT NULL, kind INTEGER NOT NULL, last INTEGER " \
	"NOT NULL, seal INTEGER NOT NULL, value BLOB NOT NULL)"
#define BY_KEY "CREATE UNIQUE INDEX by_key ON entry (key)"
#define BY_PAIR "CREATE INDEX by_pair ON entry (pair)"

#define KIND_DELIVERED 1
#define KIND_SHORT 2

static const char *const texts[STATEMENT__N] = {
	[BEGIN] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
	[FIND] = "SELECT id, pair, kind, last, seal, value FROM entry "
	    "WHERE key = ?1",
	[INSERT] = "INSERT INTO entry (id, key, pair, kind, last, seal, value)"
	    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
	[REPLACE] = "UPDATE entry SET pair = ?3, kind = ?4, last = ?5, "
	    "seal = ?6, value = ?7 WHERE id = ?1",
	[TOUCH] = "UPDATE entry SET id = ?1, last = ?2, seal = ?3 "
	    "WHERE id = ?4",
	[REMOVE] = "DELETE FROM entry WHERE key = ?1",
	[KNOWN] = "SELECT kind, last FROM entry WHERE pair = ?1 "
	    "ORDER BY id DESC LIMIT 16",
	[OLDEST] = "SELECT id, last FROM entry ORDER BY id LIMIT ?1",
	[DROP] = "DELETE FROM entry WHERE id <= ?1",
	[PAGES] = "PRAGMA page_count",
	[FREE_PAGES] = "PRAGMA freelist_count",
};

struct row {
	sqlite3_int64 id, pair, kind, last;
	struct bytes value;	/* in store.value */
};

/* ---- failures ------------------------------------------------------------ */

static void
log_failure(struct store *s, const char *what)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	if (s->logged_s != 0 && t.tv_sec - s->logged_s < LOG_S)
		return;
	s->logged_s = t.tv_sec == 0 ? 1 : t.tv_sec;
	log_line(LOG_ERROR_, "%s: %s", s->path, what);
}

int
store_failed(struct store *s, int code)
{
	code &= 0xff;
	s->is_failed = true;
	/* SQLITE_ERROR: a schema that is not ours, once it has been checked */
	s->is_damaged |= code == SQLITE_CORRUPT || code == SQLITE_NOTADB ||
	    code == SQLITE_ERROR || code == SQLITE_MISMATCH ||
	    code == SQLITE_CONSTRAINT;
	if (!s->is_damaged)
		log_failure(s, sqlite3_errstr(code));
	return -E_SYSTEM;
}

int
store_damaged(struct store *s)
{
	s->is_failed = s->is_damaged = true;
	return -E_SYSTEM;
}

static void
close_db(struct store *s)
{
	for (size_t k = 0; k < STATEMENT__N; k++) {
		sqlite3_finalize(s->statements[k]);
		s->statements[k] = NULL;
	}
	store_arrival_close(s);
	store_return_close(s);
	sqlite3_close(s->db);
	s->db = NULL;
	s->is_turn = s->is_failed = s->is_damaged = false;
}

/*
 * Keeps the file for whoever wants to look at it; one, the latest.
 *
 * Returns  0, or -E_SYSTEM: it can not be moved away
 */
static int
set_aside(struct store *s)
{
	char from[FOLDER_MAX + 16], to[FOLDER_MAX + 16];

	close_db(s);
	snprintf(to, sizeof(to), "%s.damaged", s->path);
	if (rename(s->path, to) != 0) {
		log_failure(s, "is damaged or none of ours, and can not be "
		    "moved away");
		return -E_SYSTEM;
	}
	log_line(LOG_ERROR_, "%s is damaged or none of ours: it is %s now, "
	    "and begun anew; a retry may arrive twice", s->path, to);
	snprintf(from, sizeof(from), "%s-wal", s->path);
	snprintf(to, sizeof(to), "%s.damaged-wal", s->path);
	if (rename(from, to) != 0)
		unlink(to);	/* that of an earlier one */
	snprintf(from, sizeof(from), "%s-shm", s->path);
	unlink(from);
	return 0;
}

/* ---- opening ------------------------------------------------------------- */

int
store_run(struct store *s, const char *sql)
{
	int code = sqlite3_exec(s->db, sql, NULL, NULL, NULL);

	return code == SQLITE_OK ? 0 : store_failed(s, code);
}

int
store_number(struct store *s, const char *sql, sqlite3_int64 *n)
{
	sqlite3_stmt *q = NULL;
	int code = sqlite3_prepare_v2(s->db, sql, -1, &q, NULL);

	if (code == SQLITE_OK)
		code = sqlite3_step(q);
	if (code == SQLITE_ROW)
		*n = sqlite3_column_int64(q, 0);
	sqlite3_finalize(q);
	return code == SQLITE_ROW ? 0 : store_failed(s, code);
}

/*
 * A file that is not of this program is none. One of a time when nobody asked
 * for arrivals, or for ways back, is filled up.
 */
static int
check_schema(struct store *s)
{
	sqlite3_int64 n = 0, n_arrival = 0, n_return = 0, all = 0;

	if (store_number(s, "SELECT count(*) FROM sqlite_schema", &all) != 0)
		return -E_SYSTEM;
	if (all == 0)
		return store_run(s, "BEGIN IMMEDIATE; " TABLE "; " BY_KEY "; "
		    BY_PAIR "; " STORE_ARRIVAL_SCHEMA "; " STORE_RETURN_SCHEMA
		    "; COMMIT");
	if (store_number(s, "SELECT count(*) FROM sqlite_schema WHERE sql IN "
	    "('" TABLE "', '" BY_KEY "', '" BY_PAIR "')", &n) != 0 ||
	    store_arrival_count_schema(s, &n_arrival) != 0 ||
	    store_return_count_schema(s, &n_return) != 0)
		return -E_SYSTEM;
	if (n != 3 || all != n + n_arrival + n_return)
		return store_damaged(s);
	if ((n_arrival != 0 && n_arrival != STORE_ARRIVAL_OBJECTS) ||
	    (n_return != 0 && n_return != STORE_RETURN_OBJECTS))
		return store_damaged(s);
	if (n_arrival == 0 && store_run(s, "BEGIN IMMEDIATE; "
	    STORE_ARRIVAL_SCHEMA "; COMMIT") != 0)
		return -E_SYSTEM;
	return n_return != 0 ? 0 : store_run(s, "BEGIN IMMEDIATE; "
	    STORE_RETURN_SCHEMA "; COMMIT");
}

static int
open_db(struct store *s)
{
	int code = sqlite3_open_v2(s->path, &s->db, SQLITE_OPEN_READWRITE |
	    SQLITE_OPEN_CREATE | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_NOMUTEX |
	    SQLITE_OPEN_EXRESCODE, NULL);
	sqlite3_int64 pages = 0;

	if (s->db == NULL)
		return store_failed(s, SQLITE_NOMEM);
	if (code != SQLITE_OK)
		return store_failed(s, code);
	sqlite3_busy_timeout(s->db, BUSY_MS);
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	/* OFF: a crash of the machine may cost the file, never a wait for a
	 * disk; what matters of it was not synced in any case */
	if (store_run(s, "PRAGMA synchronous = OFF; PRAGMA trusted_schema = OFF; "
	    "PRAGMA cell_size_check = ON; PRAGMA page_size = 4096; "
	    "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 1000; "
	    "PRAGMA journal_size_limit = 8388608; "
	    "PRAGMA cache_size = -16384; PRAGMA temp_store = MEMORY") != 0 ||
	    check_schema(s) != 0 ||
	    store_number(s, "PRAGMA page_size", &pages) != 0 ||
	    store_number(s, "SELECT coalesce(max(id), 0) FROM entry",
	    &s->last_id) != 0)
		return -E_SYSTEM;
	if (pages != PAGE || s->last_id < 0 || s->last_id > INT64_MAX / 2)
		return store_damaged(s);
	/* of a format that only later versions write */
	if (sqlite3_db_readonly(s->db, "main") == 1 &&
	    access(s->path, W_OK) == 0)
		return store_damaged(s);
	for (size_t k = 0; k < STATEMENT__N; k++) {
		code = sqlite3_prepare_v3(s->db, texts[k], -1,
		    SQLITE_PREPARE_PERSISTENT, &s->statements[k], NULL);
		if (code != SQLITE_OK)
			return store_failed(s, code);
	}
	return store_arrival_open(s) != 0 ? -E_SYSTEM : store_return_open(s);
}

/* Twice, as the first file may be one to be set aside. */
static int
open_store(struct store *s)
{
	for (int k = 0; k < 2; k++) {
		bool is_damaged;

		if (open_db(s) == 0)
			return 0;
		is_damaged = s->is_damaged;
		close_db(s);
		if (!is_damaged || set_aside(s) != 0)
			break;
	}
	return -E_SYSTEM;
}

struct store *
store_new(const char *folder, const struct store_limits *limits,
    const uint8_t secret[STORE_SECRET_SIZE])
{
	static const uint8_t purpose[] = "seal";
	struct store *s = calloc(1, sizeof(*s));
	int n;

	if (s == NULL)
		return NULL;
	n = snprintf(s->path, sizeof(s->path), "%s/store.db", folder);
	if (n < 0 || (size_t)n >= sizeof(s->path)) {
		free(s);
		return NULL;
	}
	s->limits = *limits;
	crypto_generichash(s->seal_key, sizeof(s->seal_key), purpose,
	    sizeof(purpose), secret, STORE_SECRET_SIZE);
	return s;
}

void
store_free(struct store **sp)
{
	struct store *s = *sp;

	if (s == NULL)
		return;
	close_db(s);
	free(s);
	*sp = NULL;
}

/* ---- statements ---------------------------------------------------------- */

int
store_finish(struct store *s, sqlite3_stmt *q)
{
	int code = sqlite3_step(q);

	sqlite3_reset(q);
	return code == SQLITE_DONE || code == SQLITE_ROW ? 0 : store_failed(s, code);
}

int
store_begin(struct store *s)
{
	if (s->db == NULL || s->is_failed)
		return -E_SYSTEM;
	if (s->is_turn)
		return 0;
	if (store_finish(s, s->statements[BEGIN]) != 0)
		return -E_SYSTEM;
	s->is_turn = true;
	return 0;
}

/* Octets of a row as they are kept, whatever the place it has. */
static sqlite3_int64
seal(const struct store *s, const uint8_t *key, const struct row *r)
{
	uint8_t room[STORE_KEY_SIZE + 3 * 8 + STORE_VALUE_MAX];
	uint8_t *at = room;
	sqlite3_int64 out;

	memcpy(at, key, STORE_KEY_SIZE);
	at += STORE_KEY_SIZE;
	memcpy(at, &r->pair, 8);
	memcpy(at + 8, &r->kind, 8);
	memcpy(at + 16, &r->last, 8);
	at += 3 * 8;
	if (r->value.n != 0)
		memcpy(at, r->value.p, r->value.n);
	at += r->value.n;
	crypto_shorthash((uint8_t *)&out, room, (size_t)(at - room),
	    s->seal_key);
	return out;
}

/* The row of a key: 1, 0 or -E_SYSTEM. */
static int
find(struct store *s, const uint8_t *key, struct row *r)
{
	sqlite3_stmt *q = s->statements[FIND];
	bool is_sealed = false;
	int code;

	sqlite3_bind_blob(q, 1, key, STORE_KEY_SIZE, SQLITE_STATIC);
	code = sqlite3_step(q);
	if (code == SQLITE_ROW) {
		const void *p = sqlite3_column_blob(q, 5);
		int n = sqlite3_column_bytes(q, 5);

		*r = (struct row){.id = sqlite3_column_int64(q, 0),
		    .pair = sqlite3_column_int64(q, 1),
		    .kind = sqlite3_column_int64(q, 2),
		    .last = sqlite3_column_int64(q, 3)};
		if (n <= (int)sizeof(s->value)) {
			if (n > 0)
				memcpy(s->value, p, (size_t)n);
			r->value = (struct bytes){s->value, (size_t)n};
			is_sealed = sqlite3_column_int64(q, 4) ==
			    seal(s, key, r);
		}
	}
	sqlite3_reset(q);
	if (code == SQLITE_ROW)
		return is_sealed ? 1 : store_damaged(s);
	return code == SQLITE_DONE ? 0 : store_failed(s, code);
}

/* Writes a whole row: INSERT of a new one, REPLACE of what is at its id. */
static int
put(struct store *s, enum statement how, const uint8_t *key,
    const struct row *r)
{
	sqlite3_stmt *q = s->statements[how];

	sqlite3_bind_int64(q, 1, r->id);
	if (how == INSERT)
		sqlite3_bind_blob(q, 2, key, STORE_KEY_SIZE, SQLITE_STATIC);
	sqlite3_bind_int64(q, 3, r->pair);
	sqlite3_bind_int64(q, 4, r->kind);
	sqlite3_bind_int64(q, 5, r->last);
	sqlite3_bind_int64(q, 6, seal(s, key, r));
	sqlite3_bind_blob(q, 7, r->value.n == 0 ? "" : (const void *)
	    r->value.p, (int)r->value.n, SQLITE_STATIC);
	return store_finish(s, q);
}

static int
remove_key(struct store *s, const uint8_t *key)
{
	sqlite3_stmt *q = s->statements[REMOVE];

	sqlite3_bind_blob(q, 1, key, STORE_KEY_SIZE, SQLITE_STATIC);
	return store_finish(s, q);
}

/* Moves a row that is tried again to the young end. */
static int
touch(struct store *s, const uint8_t *key, struct row *r, int64_t now_s)
{
	sqlite3_stmt *q = s->statements[TOUCH];
	sqlite3_int64 before = r->id;

	if (r->last <= now_s && now_s - r->last < TOUCH_S)
		return 0;
	r->id = ++s->last_id;
	r->last = now_s;
	sqlite3_bind_int64(q, 1, r->id);
	sqlite3_bind_int64(q, 2, r->last);
	sqlite3_bind_int64(q, 3, seal(s, key, r));
	sqlite3_bind_int64(q, 4, before);
	return store_finish(s, q);
}

/* Of the age, or of a clock that was wrong. */
static bool
is_old(const struct store *s, sqlite3_int64 kind, sqlite3_int64 last,
    int64_t now_s)
{
	int64_t age = (kind & KIND_SHORT) != 0 ? s->limits.short_s :
	    s->limits.age_s;

	return last <= now_s - age || last > now_s + STORE_AHEAD_S;
}

/* ---- what the keeper asks ------------------------------------------------ */

static struct row
row_of(const struct store_entry *e, sqlite3_int64 kind, int64_t now_s)
{
	struct row r = {.kind = kind | (e->is_short ? KIND_SHORT : 0),
	    .last = now_s, .value = bytes_first(e->value, STORE_VALUE_MAX)};

	memcpy(&r.pair, &e->pair, sizeof(r.pair));
	return r;
}

int
store_claim(struct store *s, const struct store_entry *e, int64_t now_s,
    enum store_fate *fate, struct bytes *value)
{
	struct row r;
	int found;

	*value = (struct bytes){NULL, 0};
	if (store_begin(s) != 0)
		return -E_SYSTEM;
	found = find(s, e->key, &r);
	if (found < 0)
		return found;
	if (found == 1 && is_old(s, r.kind, r.last, now_s)) {
		if (remove_key(s, e->key) != 0)
			return -E_SYSTEM;
		found = 0;
	}
	if (found == 1) {
		*fate = (r.kind & KIND_DELIVERED) != 0 ? STORE_DELIVERED :
		    STORE_TRIED;
		*value = r.value;
		return touch(s, e->key, &r, now_s);
	}
	*fate = STORE_NEW;
	r = row_of(e, 0, now_s);
	r.id = ++s->last_id;
	return put(s, INSERT, e->key, &r);
}

int
store_deliver(struct store *s, const struct store_entry *e, int64_t now_s)
{
	struct row r, old;
	int found;

	if (store_begin(s) != 0)
		return -E_SYSTEM;
	found = find(s, e->key, &old);
	if (found < 0)
		return found;
	r = row_of(e, KIND_DELIVERED, now_s);
	if (found == 0) {
		r.id = ++s->last_id;
		return put(s, INSERT, e->key, &r);
	}
	r.id = old.id;
	if (put(s, REPLACE, e->key, &r) != 0)
		return -E_SYSTEM;
	/* a long delivery: it would be taken for older than it is */
	r.last = old.last;
	return touch(s, e->key, &r, now_s);
}

int
store_remove(struct store *s, const uint8_t key[STORE_KEY_SIZE])
{
	return store_begin(s) != 0 ? -E_SYSTEM : remove_key(s, key);
}

int
store_known(struct store *s, uint64_t pair, int64_t now_s)
{
	sqlite3_stmt *q;
	sqlite3_int64 v;
	bool is_known = false;
	int code;

	if (store_begin(s) != 0)
		return -E_SYSTEM;
	q = s->statements[KNOWN];
	memcpy(&v, &pair, sizeof(v));
	sqlite3_bind_int64(q, 1, v);
	while ((code = sqlite3_step(q)) == SQLITE_ROW && !is_known)
		is_known = !is_old(s, sqlite3_column_int64(q, 0),
		    sqlite3_column_int64(q, 1), now_s);
	sqlite3_reset(q);
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		return store_failed(s, code);
	return is_known;
}

/* ---- turns, age and size ------------------------------------------------- */

static int
drop_to(struct store *s, sqlite3_int64 id)
{
	sqlite3_stmt *q = s->statements[DROP];

	sqlite3_bind_int64(q, 1, id);
	return store_finish(s, q);
}

/*
 * Drops some of the oldest: those that are too old, or all where size is what
 * asks for it. Returns how many were looked at and dropped; -E_SYSTEM.
 */
static int
drop_oldest(struct store *s, bool are_all, int64_t now_s)
{
	sqlite3_stmt *q = s->statements[OLDEST];
	sqlite3_int64 to = -1;
	int n = 0, code;

	sqlite3_bind_int64(q, 1, STORE_DROP_A_TIME);
	while ((code = sqlite3_step(q)) == SQLITE_ROW) {
		if (!are_all && !is_old(s, 0, sqlite3_column_int64(q, 1),
		    now_s))
			break;
		to = sqlite3_column_int64(q, 0);
		n++;
	}
	sqlite3_reset(q);
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		return store_failed(s, code);
	if (n != 0 && drop_to(s, to) != 0)
		return -E_SYSTEM;
	return n;
}

static int
count_pages(struct store *s, enum statement which, uint64_t *n)
{
	sqlite3_stmt *q = s->statements[which];
	int code = sqlite3_step(q);

	if (code == SQLITE_ROW)
		*n = (uint64_t)sqlite3_column_int64(q, 0);
	sqlite3_reset(q);
	return code == SQLITE_ROW ? 0 : store_failed(s, code);
}

/* Free pages within the file are used before it grows. A limit that became
 * much smaller is reached over many turns: none may take long. */
static int
keep_size(struct store *s, int64_t now_s)
{
	for (int k = 0; k < STORE_DROPS_A_TURN; k++) {
		uint64_t all = 0, unused = 0;
		int n;

		if (count_pages(s, PAGES, &all) != 0 ||
		    count_pages(s, FREE_PAGES, &unused) != 0)
			return -E_SYSTEM;
		if (unused >= all)	/* it would seem larger than any size */
			return store_damaged(s);
		if ((all - unused) * PAGE <= s->limits.size +
		    store_arrival_rows(s) + store_return_rows(s))
			return 0;
		n = drop_oldest(s, true, now_s);
		if (n <= 0)
			return n;
	}
	return 0;
}

int
store_commit(struct store *s, int64_t now_s)
{
	bool is_kept = false;

	if (s->db != NULL && s->is_turn && !s->is_failed &&
	    keep_size(s, now_s) == 0 && store_arrival_keep_size(s) == 0 &&
	    store_return_keep_size(s) == 0)
		is_kept = store_finish(s, s->statements[COMMIT]) == 0;
	else if (s->db != NULL && !s->is_turn && !s->is_failed)
		is_kept = true;		/* nothing happened */
	if (is_kept) {
		store_arrival_keep(s);
		store_return_kept(s);
	}
	if (s->db == NULL)
		log_failure(s, "is not open");
	if (!is_kept && s->db != NULL) {
		bool is_damaged = s->is_damaged;

		sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
		store_arrival_undo(s);
		store_return_undo(s);
		if (is_damaged && set_aside(s) == 0)
			open_store(s);
	}
	s->is_turn = s->is_failed = s->is_damaged = false;
	return is_kept ? 0 : -E_SYSTEM;
}

bool
store_tick(struct store *s, int64_t now_s)
{
	int n, n_arrivals, n_returns;

	if (s->db == NULL && open_store(s) != 0)
		return false;
	if (store_begin(s) != 0) {
		store_commit(s, now_s);
		return false;
	}
	n = drop_oldest(s, false, now_s);
	n_arrivals = store_arrival_drop_old(s, now_s);
	n_returns = store_return_drop_old(s, now_s);
	return store_commit(s, now_s) == 0 && (n == STORE_DROP_A_TIME ||
	    n_arrivals == STORE_DROP_A_TIME || n_returns == STORE_DROP_A_TIME);
}
