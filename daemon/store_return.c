#include "daemon/store_state.h"

#include "base/err.h"

/* What a row and its place in the index take beside the path: measured, and
 * half as much again. */
#define ROW_OCTETS 144U

static const char *const texts[RETURN_STATEMENT__N] = {
	[W_FIND] = "SELECT id, key, time, seal, path FROM way WHERE key = ?1",
	[W_INSERT] = "INSERT INTO way (id, key, time, seal, path) VALUES "
	    "(?1, ?2, ?3, ?4, ?5)",
	[W_REMOVE] = "DELETE FROM way WHERE id = ?1",
	[W_OLDEST] = "SELECT id, key, time, seal, path FROM way ORDER BY id "
	    "LIMIT 1",
};

struct row {
	sqlite3_int64 id, time;
	uint8_t key[STORE_KEY_SIZE];
	struct bytes path;	/* in store.value */
};

/* ---- rows ---------------------------------------------------------------- */

/* Octets of a row as they are kept, whatever the place it has. */
static sqlite3_int64
seal(const struct store *s, const struct row *r)
{
	uint8_t room[4 + STORE_KEY_SIZE + 8 + STORE_VALUE_MAX] = "way";
	size_t at = 4;
	sqlite3_int64 out;

	memcpy(room + at, r->key, STORE_KEY_SIZE);
	at += STORE_KEY_SIZE;
	memcpy(room + at, &r->time, 8);
	at += 8;
	if (r->path.n != 0)
		memcpy(room + at, r->path.p, r->path.n);
	at += r->path.n;
	crypto_shorthash((uint8_t *)&out, room, at, s->seal_key);
	return out;
}

/* The row where a statement stands; false where it is not what was kept. */
static bool
take_row(struct store *s, sqlite3_stmt *q, struct row *r)
{
	const void *key = sqlite3_column_blob(q, 1);
	int n_key = sqlite3_column_bytes(q, 1);
	const void *p = sqlite3_column_blob(q, 4);
	int n = sqlite3_column_bytes(q, 4);

	if (key == NULL || n_key != STORE_KEY_SIZE || p == NULL || n <= 0 ||
	    n > (int)sizeof(s->value))
		return false;
	*r = (struct row){.id = sqlite3_column_int64(q, 0),
	    .time = sqlite3_column_int64(q, 2)};
	memcpy(r->key, key, sizeof(r->key));
	memcpy(s->value, p, (size_t)n);
	r->path = (struct bytes){s->value, (size_t)n};
	return sqlite3_column_int64(q, 3) == seal(s, r);
}

/* Runs one that has a row at most: 1, 0 or -E_SYSTEM. */
static int
find_one(struct store *s, sqlite3_stmt *q, struct row *r)
{
	bool is_whole = true;
	int code = sqlite3_step(q);

	if (code == SQLITE_ROW)
		is_whole = take_row(s, q, r);
	sqlite3_reset(q);
	if (!is_whole)
		return store_damaged(s);
	return code == SQLITE_ROW ? 1 : code == SQLITE_DONE ? 0 :
	    store_failed(s, code);
}

static int
find(struct store *s, const uint8_t *key, struct row *r)
{
	sqlite3_stmt *q = s->returns.statements[W_FIND];

	sqlite3_bind_blob(q, 1, key, STORE_KEY_SIZE, SQLITE_STATIC);
	return find_one(s, q, r);
}

static int
insert(struct store *s, const struct row *r)
{
	sqlite3_stmt *q = s->returns.statements[W_INSERT];

	sqlite3_bind_int64(q, 1, r->id);
	sqlite3_bind_blob(q, 2, r->key, STORE_KEY_SIZE, SQLITE_STATIC);
	sqlite3_bind_int64(q, 3, r->time);
	sqlite3_bind_int64(q, 4, seal(s, r));
	sqlite3_bind_blob(q, 5, r->path.p, (int)r->path.n, SQLITE_STATIC);
	if (store_finish(s, q) != 0)
		return -E_SYSTEM;
	s->returns.n++;
	s->returns.octets += r->path.n;
	return 0;
}

static int
remove_row(struct store *s, const struct row *r)
{
	sqlite3_stmt *q = s->returns.statements[W_REMOVE];

	sqlite3_bind_int64(q, 1, r->id);
	if (store_finish(s, q) != 0)
		return -E_SYSTEM;
	s->returns.n--;
	s->returns.octets -= r->path.n;
	return 0;
}

/* Of the age, or of a clock that was wrong. */
static bool
is_old(const struct row *r, int64_t now_s)
{
	return r->time <= now_s - STORE_RETURN_AGE_S ||
	    r->time > now_s + STORE_AHEAD_S;
}

/* ---- the file ------------------------------------------------------------ */

int
store_return_count_schema(struct store *s, sqlite3_int64 *n)
{
	return store_number(s, "SELECT count(*) FROM sqlite_schema WHERE sql "
	    "IN ('" STORE_RETURN_TABLE "', '" STORE_RETURN_BY_KEY "')", n);
}

int
store_return_open(struct store *s)
{
	struct store_returns *w = &s->returns;
	sqlite3_int64 n = 0, octets = 0;

	for (size_t k = 0; k < RETURN_STATEMENT__N; k++) {
		int code = sqlite3_prepare_v3(s->db, texts[k], -1,
		    SQLITE_PREPARE_PERSISTENT, &w->statements[k], NULL);

		if (code != SQLITE_OK)
			return store_failed(s, code);
	}
	if (store_number(s, "SELECT coalesce(max(id), 0) FROM way",
	    &w->last_id) != 0 ||
	    store_number(s, "SELECT count(*) FROM way", &n) != 0 ||
	    store_number(s, "SELECT coalesce(sum(length(path)), 0) FROM way",
	    &octets) != 0)
		return -E_SYSTEM;
	if (w->last_id < 0 || w->last_id > INT64_MAX / 2 || octets < 0)
		return store_damaged(s);
	w->n = (uint64_t)n;
	w->octets = (uint64_t)octets;
	store_return_kept(s);
	return 0;
}

void
store_return_close(struct store *s)
{
	struct store_returns *w = &s->returns;

	for (size_t k = 0; k < RETURN_STATEMENT__N; k++)
		sqlite3_finalize(w->statements[k]);
	*w = (struct store_returns){.n = 0};
}

uint64_t
store_return_rows(const struct store *s)
{
	return s->returns.n * ROW_OCTETS + s->returns.octets;
}

void
store_return_kept(struct store *s)
{
	s->returns.n_kept = s->returns.n;
	s->returns.octets_kept = s->returns.octets;
}

void
store_return_undo(struct store *s)
{
	s->returns.n = s->returns.n_kept;
	s->returns.octets = s->returns.octets_kept;
}

/* ---- what the keeper asks ------------------------------------------------ */

int
store_return_keep(struct store *s, const uint8_t id[STORE_KEY_SIZE],
    struct bytes path, int64_t now_s)
{
	struct row r, old;
	int found;

	if (store_begin(s) != 0)
		return -E_SYSTEM;
	found = find(s, id, &old);
	if (found < 0)
		return found;
	if (found == 1 && !is_old(&old, now_s))
		return 0;
	if (found == 1 && remove_row(s, &old) != 0)
		return -E_SYSTEM;
	r = (struct row){.id = ++s->returns.last_id, .time = now_s,
	    .path = bytes_first(path, STORE_VALUE_MAX)};
	memcpy(r.key, id, sizeof(r.key));
	return insert(s, &r);
}

int
store_return_find(struct store *s, const uint8_t id[STORE_KEY_SIZE],
    int64_t now_s, struct bytes *path)
{
	struct row r;
	int found;

	if (store_begin(s) != 0)
		return -E_SYSTEM;
	found = find(s, id, &r);
	if (found != 1 || is_old(&r, now_s))
		return found < 0 ? found : 0;
	*path = r.path;
	return 1;
}

/* ---- age and number ------------------------------------------------------ */

int
store_return_keep_size(struct store *s)
{
	struct row r;
	int left = STORE_DROP_A_TIME * STORE_DROPS_A_TURN;

	for (; left != 0 && s->returns.n > s->limits.max_returns; left--) {
		int found = find_one(s, s->returns.statements[W_OLDEST], &r);

		if (found == 0)
			return store_damaged(s);	/* nothing is counted */
		if (found < 0 || remove_row(s, &r) != 0)
			return -E_SYSTEM;
	}
	return 0;
}

int
store_return_drop_old(struct store *s, int64_t now_s)
{
	struct row r;
	int n = 0;

	for (; n < STORE_DROP_A_TIME; n++) {
		int found = find_one(s, s->returns.statements[W_OLDEST], &r);

		if (found < 0)
			return found;
		if (found == 0 || !is_old(&r, now_s))
			break;
		if (remove_row(s, &r) != 0)
			return -E_SYSTEM;
	}
	return n;
}
