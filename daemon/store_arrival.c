#include "daemon/store_state.h"

#include "base/err.h"

/* What a row and its places in the indexes take beside its value: measured,
 * and half as much again. A long value has pages of its own. */
#define ROW_OCTETS 320U
#define LONG_VALUE 1000U	/* as store_arrival_open() counts them */
#define LONG_OCTETS 4096U

static const char *const texts[ARRIVAL_STATEMENT__N] = {
#define COLUMNS "id, name, chain, message, time, uses, found, size, copy, " \
	"seal, value"
	[A_BY_NAME] = "SELECT " COLUMNS " FROM arrival WHERE name = ?1 "
	    "ORDER BY id DESC LIMIT ?2",
	[A_BY_CHAIN] = "SELECT " COLUMNS " FROM arrival WHERE chain = ?1 "
	    "ORDER BY id DESC LIMIT ?2",
	[A_BY_MESSAGE] = "SELECT " COLUMNS " FROM arrival WHERE message = ?1 "
	    "ORDER BY id DESC LIMIT ?2",
	[A_INSERT] = "INSERT INTO arrival (" COLUMNS ") VALUES "
	    "(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
	[A_REPLACE] = "REPLACE INTO arrival (" COLUMNS ") VALUES "
	    "(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
	[A_REMOVE] = "DELETE FROM arrival WHERE id = ?1",
	[A_OLDEST] = "SELECT " COLUMNS " FROM arrival ORDER BY id LIMIT 1",
	[A_OLDEST_COPY] = "SELECT " COLUMNS " FROM arrival WHERE id > ?1 "
	    "AND size > 0 ORDER BY id LIMIT 1",
	[A_HAS_COPY] = "SELECT 1 FROM arrival WHERE copy = ?1 AND size > 0",
};

/* ---- rows ---------------------------------------------------------------- */

static uint64_t
octets_of(const struct store_arrival *r)
{
	return ROW_OCTETS + r->value.n +
	    (r->value.n > LONG_VALUE ? LONG_OCTETS : 0);
}

static uint8_t *
put_octets(uint8_t *at, const void *p, size_t n)
{
	if (n != 0)
		memcpy(at, p, n);
	return at + n;
}

/* Octets of a row as they are kept, whatever the place it has. */
static sqlite3_int64
seal(struct store *s, const struct store_arrival *r)
{
	uint64_t numbers[] = {(uint64_t)r->time_s, r->n_uses, r->n_found,
	    r->copy_size};
	uint8_t *at = s->arrivals.room;
	sqlite3_int64 out;

	_Static_assert(sizeof(s->arrivals.room) >= STORE_ARRIVAL_VALUE_MAX +
	    4 * STORE_KEY_SIZE + sizeof(numbers), "");
	at = put_octets(at, r->name, sizeof(r->name));
	at = put_octets(at, r->chain, sizeof(r->chain));
	at = put_octets(at, r->message, sizeof(r->message));
	at = put_octets(at, r->copy, sizeof(r->copy));
	at = put_octets(at, numbers, sizeof(numbers));
	at = put_octets(at, r->value.p, r->value.n);
	crypto_shorthash((uint8_t *)&out, s->arrivals.room,
	    (size_t)(at - s->arrivals.room), s->seal_key);
	return out;
}

static bool
take_key(sqlite3_stmt *q, int column, uint8_t out[STORE_KEY_SIZE])
{
	const void *p = sqlite3_column_blob(q, column);

	if (p == NULL || sqlite3_column_bytes(q, column) != STORE_KEY_SIZE)
		return false;
	memcpy(out, p, STORE_KEY_SIZE);
	return true;
}

/* The row where a statement stands; false where it is not what was kept. */
static bool
take_row(struct store *s, sqlite3_stmt *q, struct store_arrival *r)
{
	sqlite3_int64 uses = sqlite3_column_int64(q, 5);
	sqlite3_int64 found = sqlite3_column_int64(q, 6);
	sqlite3_int64 size = sqlite3_column_int64(q, 7);
	const void *p = sqlite3_column_blob(q, 10);
	int n = sqlite3_column_bytes(q, 10);

	*r = (struct store_arrival){.id = sqlite3_column_int64(q, 0),
	    .time_s = sqlite3_column_int64(q, 4)};
	if (!take_key(q, 1, r->name) || !take_key(q, 2, r->chain) ||
	    !take_key(q, 3, r->message) || !take_key(q, 8, r->copy) ||
	    uses < 0 || uses > UINT32_MAX || found < 0 || found > UINT32_MAX ||
	    size < 0 || n < 0 || n > (int)sizeof(s->arrivals.value))
		return false;
	r->n_uses = (uint32_t)uses;
	r->n_found = (uint32_t)found;
	r->copy_size = (uint64_t)size;
	if (n > 0)
		memcpy(s->arrivals.value, p, (size_t)n);
	r->value = (struct bytes){s->arrivals.value, (size_t)n};
	return sqlite3_column_int64(q, 9) == seal(s, r);
}

static int
write_row(struct store *s, enum arrival_statement how,
    const struct store_arrival *r)
{
	sqlite3_stmt *q = s->arrivals.statements[how];

	sqlite3_bind_int64(q, 1, r->id);
	sqlite3_bind_blob(q, 2, r->name, STORE_KEY_SIZE, SQLITE_STATIC);
	sqlite3_bind_blob(q, 3, r->chain, STORE_KEY_SIZE, SQLITE_STATIC);
	sqlite3_bind_blob(q, 4, r->message, STORE_KEY_SIZE, SQLITE_STATIC);
	sqlite3_bind_int64(q, 5, r->time_s);
	sqlite3_bind_int64(q, 6, r->n_uses);
	sqlite3_bind_int64(q, 7, r->n_found);
	sqlite3_bind_int64(q, 8, (sqlite3_int64)r->copy_size);
	sqlite3_bind_blob(q, 9, r->copy, STORE_KEY_SIZE, SQLITE_STATIC);
	sqlite3_bind_int64(q, 10, seal(s, r));
	sqlite3_bind_blob(q, 11, r->value.n == 0 ? "" : (const void *)
	    r->value.p, (int)r->value.n, SQLITE_STATIC);
	return store_finish(s, q);
}

static void
count(struct store *s, const struct store_arrival *r, bool is_there)
{
	struct store_arrivals *a = &s->arrivals;

	if (is_there) {
		a->rows += octets_of(r);
		a->copies += r->copy_size;
	} else {
		a->rows -= octets_of(r);
		a->copies -= r->copy_size;
	}
}

/* Of the age, or of a clock that was wrong. */
static bool
is_old(const struct store *s, int64_t time_s, int64_t now_s)
{
	return time_s <= now_s - s->limits.arrival_age_s ||
	    time_s > now_s + STORE_AHEAD_S;
}

/* ---- the file ------------------------------------------------------------ */

int
store_arrival_count_schema(struct store *s, sqlite3_int64 *n)
{
	return store_number(s, "SELECT count(*) FROM sqlite_schema WHERE sql "
	    "IN ('" STORE_ARRIVAL_TABLE "', '" STORE_ARRIVAL_BY_NAME "', '"
	    STORE_ARRIVAL_BY_CHAIN "', '" STORE_ARRIVAL_BY_MESSAGE "', '"
	    STORE_ARRIVAL_BY_COPY "')", n);
}

int
store_arrival_open(struct store *s)
{
	struct store_arrivals *a = &s->arrivals;
	sqlite3_int64 n = 0, n_long = 0, values = 0, copies = 0;

	for (size_t k = 0; k < ARRIVAL_STATEMENT__N; k++) {
		int code = sqlite3_prepare_v3(s->db, texts[k], -1,
		    SQLITE_PREPARE_PERSISTENT, &a->statements[k], NULL);

		if (code != SQLITE_OK)
			return store_failed(s, code);
	}
	if (store_number(s, "SELECT coalesce(max(id), 0) FROM arrival",
	    &a->last_id) != 0 ||
	    store_number(s, "SELECT count(*) FROM arrival", &n) != 0 ||
	    store_number(s, "SELECT count(*) FROM arrival WHERE "
	    "length(value) > 1000", &n_long) != 0 ||
	    store_number(s, "SELECT coalesce(sum(length(value)), 0) FROM "
	    "arrival", &values) != 0 ||
	    store_number(s, "SELECT coalesce(sum(size), 0) FROM arrival",
	    &copies) != 0)
		return -E_SYSTEM;
	if (a->last_id < 0 || a->last_id > INT64_MAX / 2 || values < 0 ||
	    copies < 0)
		return store_damaged(s);
	a->rows = (uint64_t)n * ROW_OCTETS + (uint64_t)n_long * LONG_OCTETS +
	    (uint64_t)values;
	a->copies = (uint64_t)copies;
	store_arrival_keep(s);
	return 0;
}

void
store_arrival_close(struct store *s)
{
	struct store_arrivals *a = &s->arrivals;

	for (size_t k = 0; k < ARRIVAL_STATEMENT__N; k++) {
		sqlite3_finalize(a->statements[k]);
		a->statements[k] = NULL;
	}
	a->rows = a->copies = a->rows_kept = a->copies_kept = 0;
	a->copies_from = 0;
	a->n_dropped = a->n_dropped_kept = 0;
}

uint64_t
store_arrival_rows(const struct store *s)
{
	return s->arrivals.rows;
}

uint64_t
store_copies(const struct store *s)
{
	return s->arrivals.copies;
}

void
store_arrival_keep(struct store *s)
{
	struct store_arrivals *a = &s->arrivals;

	a->rows_kept = a->rows;
	a->copies_kept = a->copies;
	a->n_dropped_kept = a->n_dropped;
}

void
store_arrival_undo(struct store *s)
{
	struct store_arrivals *a = &s->arrivals;

	a->rows = a->rows_kept;
	a->copies = a->copies_kept;
	a->n_dropped = a->n_dropped_kept;
	a->copies_from = 0;
}

/* ---- what the keeper asks ------------------------------------------------ */

int
store_arrival_find(struct store *s, enum store_arrival_by by,
    const uint8_t key[STORE_KEY_SIZE], int64_t now_s, int max,
    store_arrival_call *call, void *arg)
{
	static const enum arrival_statement which[] = {
		[STORE_BY_NAME] = A_BY_NAME, [STORE_BY_CHAIN] = A_BY_CHAIN,
		[STORE_BY_MESSAGE] = A_BY_MESSAGE,
	};
	sqlite3_stmt *q;
	bool is_whole = true, is_wanted = true;
	int code = SQLITE_DONE;

	if (store_begin(s) != 0)
		return -E_SYSTEM;
	q = s->arrivals.statements[which[by]];
	sqlite3_bind_blob(q, 1, key, STORE_KEY_SIZE, SQLITE_STATIC);
	sqlite3_bind_int(q, 2, max);
	while (is_whole && is_wanted &&
	    (code = sqlite3_step(q)) == SQLITE_ROW) {
		struct store_arrival r;

		is_whole = take_row(s, q, &r);
		if (is_whole && (by == STORE_BY_NAME ||
		    !is_old(s, r.time_s, now_s)))
			is_wanted = call(arg, &r);
	}
	sqlite3_reset(q);
	if (!is_whole)
		return store_damaged(s);
	return code == SQLITE_ROW || code == SQLITE_DONE ? 0 :
	    store_failed(s, code);
}

int
store_arrival_put(struct store *s, const struct store_arrival *before,
    const struct store_arrival *row)
{
	struct store_arrival r = *row;

	r.value = bytes_first(r.value, STORE_ARRIVAL_VALUE_MAX);
	if (store_begin(s) != 0)
		return -E_SYSTEM;
	if (before == NULL)
		r.id = ++s->arrivals.last_id;
	if (write_row(s, before == NULL ? A_INSERT : A_REPLACE, &r) != 0)
		return -E_SYSTEM;
	if (before != NULL)
		count(s, before, false);
	count(s, &r, true);
	if (r.copy_size != 0 && r.id <= s->arrivals.copies_from)
		s->arrivals.copies_from = r.id - 1;
	return 0;
}

int
store_arrival_remove(struct store *s, const struct store_arrival *row)
{
	sqlite3_stmt *q;

	if (store_begin(s) != 0)
		return -E_SYSTEM;
	q = s->arrivals.statements[A_REMOVE];
	sqlite3_bind_int64(q, 1, row->id);
	if (store_finish(s, q) != 0)
		return -E_SYSTEM;
	count(s, row, false);
	return 0;
}

int
store_arrival_has_copy(struct store *s, const uint8_t copy[STORE_KEY_SIZE])
{
	sqlite3_stmt *q;
	int code;

	if (s->db == NULL || s->is_failed)
		return -E_SYSTEM;
	q = s->arrivals.statements[A_HAS_COPY];
	sqlite3_bind_blob(q, 1, copy, STORE_KEY_SIZE, SQLITE_STATIC);
	code = sqlite3_step(q);
	sqlite3_reset(q);
	return code == SQLITE_ROW ? 1 : code == SQLITE_DONE ? 0 : -E_SYSTEM;
}

void
store_arrival_drop_copy(struct store *s, const uint8_t copy[STORE_KEY_SIZE])
{
	struct store_arrivals *a = &s->arrivals;

	if (a->n_dropped < STORE_DROPPED_MAX)
		memcpy(a->dropped[a->n_dropped++], copy, STORE_KEY_SIZE);
}

size_t
store_arrival_dropped(struct store *s,
    const uint8_t (**names)[STORE_KEY_SIZE])
{
	size_t n = s->arrivals.n_dropped_kept;

	*names = (const uint8_t (*)[STORE_KEY_SIZE])s->arrivals.dropped;
	s->arrivals.n_dropped = s->arrivals.n_dropped_kept = 0;
	return n;
}

/* ---- age and size -------------------------------------------------------- */

/* The oldest row, or the oldest with a copy: 1, 0 or -E_SYSTEM. */
static int
find_oldest(struct store *s, enum arrival_statement which,
    struct store_arrival *r)
{
	sqlite3_stmt *q = s->arrivals.statements[which];
	bool is_whole = true;
	int code;

	if (which == A_OLDEST_COPY)
		sqlite3_bind_int64(q, 1, s->arrivals.copies_from);
	code = sqlite3_step(q);
	if (code == SQLITE_ROW)
		is_whole = take_row(s, q, r);
	sqlite3_reset(q);
	if (!is_whole)
		return store_damaged(s);
	return code == SQLITE_ROW ? 1 : code == SQLITE_DONE ? 0 :
	    store_failed(s, code);
}

static int
drop_row(struct store *s, const struct store_arrival *r)
{
	if (r->copy_size != 0)
		store_arrival_drop_copy(s, r->copy);
	return store_arrival_remove(s, r);
}

/* The record goes on without. */
static int
drop_copy_of(struct store *s, const struct store_arrival *r)
{
	struct store_arrival now = *r;

	store_arrival_drop_copy(s, r->copy);
	now.copy_size = 0;
	memset(now.copy, 0, sizeof(now.copy));
	s->arrivals.copies_from = r->id;
	return store_arrival_put(s, r, &now);
}

int
store_arrival_keep_size(struct store *s)
{
	struct store_arrivals *a = &s->arrivals;
	struct store_arrival r;
	int left = STORE_DROP_A_TIME * STORE_DROPS_A_TURN;

	for (; left != 0 && a->rows + a->copies > s->limits.arrival_size;
	    left--) {
		int found = find_oldest(s, A_OLDEST_COPY, &r);

		if (found == 1)
			found = drop_copy_of(s, &r);
		else if (found == 0 &&
		    (found = find_oldest(s, A_OLDEST, &r)) == 1)
			found = drop_row(s, &r);
		else if (found == 0)
			return store_damaged(s);	/* nothing is counted */
		if (found < 0)
			return found;
	}
	return 0;
}

int
store_arrival_drop_old(struct store *s, int64_t now_s)
{
	struct store_arrival r;
	int n = 0;

	for (; n < STORE_DROP_A_TIME; n++) {
		int found = find_oldest(s, A_OLDEST, &r);

		if (found < 0)
			return found;
		if (found == 0 || !is_old(s, r.time_s, now_s))
			break;
		if (drop_row(s, &r) != 0)
			return -E_SYSTEM;
	}
	return n;
}
