#include "daemon/arrival_keep.h"

#include <assert.h>
#include <stdlib.h>

#include "base/err.h"
#include "daemon/arrival_rows.h"

_Static_assert(ARRIVAL_VALUE_MAX <= STORE_ARRIVAL_VALUE_MAX, "");
_Static_assert(MEMORY_KEY_SIZE == STORE_KEY_SIZE, "");
_Static_assert(sizeof(((struct arrival *)NULL)->copy) == STORE_KEY_SIZE, "");

/* A row that outlives the call it was told by. */
struct row {
	struct store_arrival row;
	bool is_there;
	uint8_t value[STORE_ARRIVAL_VALUE_MAX];
};

struct arrival_keep {
	struct store *store;
	struct copies *copies;
	struct row found, other;
	struct arrival_rows rows;
	uint8_t out[ARRIVAL_VALUE_MAX];
};

struct arrival_keep *
arrival_keep_new(struct store *s, struct copies *c)
{
	struct arrival_keep *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return NULL;
	k->store = s;
	k->copies = c;
	return k;
}

void
arrival_keep_free(struct arrival_keep **k)
{
	free(*k);
	*k = NULL;
}

/* ---- rows ---------------------------------------------------------------- */

static void
keep_row(struct row *r, const struct store_arrival *row)
{
	r->row = *row;
	r->is_there = true;
	if (row->value.n != 0)
		memcpy(r->value, row->value.p, row->value.n);
	r->row.value.p = r->value;
}

static bool
take_first(void *arg, const struct store_arrival *row)
{
	keep_row(arg, row);
	return false;
}

static bool
is_same_content(const struct arrival *a, const struct arrival *b)
{
	return memcmp(a->header, b->header, sizeof(a->header)) == 0 &&
	    memcmp(a->body, b->body, sizeof(a->body)) == 0;
}

/* A row of the same message and content as another, with a copy or not. */
struct search {
	const struct store_arrival *of;
	const struct arrival *record;
	bool has_copy;
	struct row *out;
};

static bool
look_for_sibling(void *arg, const struct store_arrival *row)
{
	struct search *w = arg;
	struct arrival a;

	if (row->id == w->of->id || memcmp(row->message, w->of->message,
	    sizeof(row->message)) != 0 ||
	    (row->copy_size != 0) != w->has_copy ||
	    !arrival_row_parse(row, &a) || !is_same_content(&a, w->record))
		return true;
	keep_row(w->out, row);
	return false;
}

/* 1, 0 or -E_SYSTEM. */
static int
find_sibling(struct arrival_keep *k, const struct store_arrival *of,
    const struct arrival *record, bool has_copy, int64_t now_s)
{
	struct search w = {of, record, has_copy, &k->other};

	k->other.is_there = false;
	if (store_arrival_find(k->store, STORE_BY_CHAIN, of->chain, now_s,
	    ARRIVAL_ROWS_MAX, look_for_sibling, &w) != 0)
		return -E_SYSTEM;
	return k->other.is_there;
}

static int
find_name(struct arrival_keep *k, const uint8_t *name, int64_t now_s)
{
	k->found.is_there = false;
	if (store_arrival_find(k->store, STORE_BY_NAME, name, now_s, 1,
	    take_first, &k->found) != 0)
		return -E_SYSTEM;
	return k->found.is_there;
}

/* ---- writing ------------------------------------------------------------- */

/* One copy of a content is enough. What a row does not take is removed. */
static int
take_copy(struct arrival_keep *k, struct store_arrival *row,
    const struct arrival *a, int64_t now_s)
{
	int found;

	if (!a->has_copy)
		return 0;
	found = find_sibling(k, row, a, true, now_s);
	if (found < 0)
		return found;
	if (found == 1) {
		store_arrival_drop_copy(k->store, a->copy);
		return 0;
	}
	row->copy_size = copies_size(k->copies, a->copy);
	if (row->copy_size != 0)
		memcpy(row->copy, a->copy, sizeof(row->copy));
	return 0;
}

static enum arrival_status
write_record(struct arrival_keep *k, const struct memory_request *q,
    struct bytes value, int64_t now_s)
{
	struct store_arrival row = {.time_s = now_s, .n_uses = 1};
	struct memory_write head;
	struct arrival a;
	int found;

	memcpy(&head, value.p, sizeof(head));
	row.value = bytes_skip(value, sizeof(head));
	if (!arrival_value_parse(row.value, &a))
		return ARRIVAL_OUT;
	memcpy(row.name, head.name, sizeof(row.name));
	memcpy(row.chain, q->key, sizeof(row.chain));
	memcpy(row.message, head.message, sizeof(row.message));
	found = find_name(k, head.name, now_s);
	if (found == 1) {
		struct store_arrival more = k->found.row;

		more.n_uses += more.n_uses != UINT32_MAX;
		return store_arrival_put(k->store, &k->found.row, &more) ==
		    0 ? ARRIVAL_KEPT : ARRIVAL_OUT;
	}
	if (found < 0 || take_copy(k, &row, &a, now_s) != 0 ||
	    store_arrival_put(k->store, NULL, &row) != 0)
		return ARRIVAL_OUT;
	return ARRIVAL_KEPT;
}

/* ---- taking back --------------------------------------------------------- */

/* What a row has that the next of the same content must not lose. */
static int
bequeath(struct arrival_keep *k, const struct store_arrival *row,
    const struct arrival *a, int64_t now_s)
{
	struct store_arrival heir;
	int found;

	if (row->copy_size == 0 && row->n_found == 0)
		return 0;
	found = find_sibling(k, row, a, false, now_s);
	if (found == 0 && row->copy_size == 0)
		found = find_sibling(k, row, a, true, now_s);
	if (found < 0)
		return found;
	if (found == 0) {
		if (row->copy_size != 0)
			store_arrival_drop_copy(k->store, row->copy);
		return 0;
	}
	heir = k->other.row;
	if (heir.n_found < row->n_found)
		heir.n_found = row->n_found;
	if (row->copy_size != 0) {
		heir.copy_size = row->copy_size;
		memcpy(heir.copy, row->copy, sizeof(heir.copy));
	}
	return store_arrival_put(k->store, &k->other.row, &heir);
}

static void
remove_record(struct arrival_keep *k, const struct memory_request *q,
    int64_t now_s)
{
	struct store_arrival *row = &k->found.row;
	struct arrival a;

	if (find_name(k, q->key, now_s) != 1)
		return;
	if (row->n_uses > 1) {
		struct store_arrival less = *row;

		less.n_uses--;
		(void)store_arrival_put(k->store, row, &less);
		return;
	}
	if (arrival_row_parse(row, &a) && bequeath(k, row, &a, now_s) != 0)
		return;
	(void)store_arrival_remove(k->store, row);
}

/* ---- finding ------------------------------------------------------------- */

/* The first is kept: it says what the others have to fit. */
static bool
join(void *arg, const struct store_arrival *row)
{
	struct arrival_keep *k = arg;

	if (arrival_rows_is_wanted(&k->rows, row)) {
		if (k->rows.join.n == 0) {
			keep_row(&k->found, row);
			row = &k->found.row;
		}
		arrival_rows_take(&k->rows, row);
	}
	return true;
}

static enum arrival_status
find_record(struct arrival_keep *k, enum store_arrival_by by,
    const uint8_t *key, int64_t now_s, struct bytes *out)
{
	struct store_arrival once_more;
	struct buf b = BUF_ON(k->out);

	arrival_rows_begin(&k->rows, now_s);
	if (store_arrival_find(k->store, by, key, now_s, ARRIVAL_ROWS_MAX,
	    join, k) != 0)
		return ARRIVAL_OUT;
	if (k->rows.join.n == 0)
		return ARRIVAL_NONE;
	arrival_value_write(&k->rows.join.record, &b);
	assert(!b.full);
	*out = buf_bytes(&b);
	once_more = k->found.row;
	once_more.n_found = k->rows.join.record.n_found;
	once_more.n_found += once_more.n_found != UINT32_MAX;
	return store_arrival_put(k->store, &k->found.row, &once_more) == 0 ?
	    ARRIVAL_FOUND : ARRIVAL_OUT;
}

/* ---- messages ------------------------------------------------------------ */

bool
arrival_keep_take(struct arrival_keep *k, const struct memory_request *q,
    struct bytes value, struct claims_now now, struct memory_response *a,
    struct bytes *out)
{
	*out = (struct bytes){NULL, 0};
	*a = (struct memory_response){.tag = q->tag, .is_arrival = true};
	switch ((enum memory_op)q->op) {
	case MEMORY_OP_WRITE:
		a->status = (uint8_t)write_record(k, q, value, now.time_s);
		break;
	case MEMORY_OP_FIND_CHAIN:
		a->status = (uint8_t)find_record(k, STORE_BY_CHAIN, q->key,
		    now.time_s, out);
		break;
	case MEMORY_OP_FIND_MESSAGE:
		a->status = (uint8_t)find_record(k, STORE_BY_MESSAGE, q->key,
		    now.time_s, out);
		break;
	case MEMORY_OP_REMOVE:
		remove_record(k, q, now.time_s);
		return false;
	default:
		return false;
	}
	if (a->status == ARRIVAL_OUT)
		*out = (struct bytes){NULL, 0};
	a->n_value = (uint16_t)out->n;
	return true;
}

void
arrival_keep_fail(struct memory_response *a)
{
	a->status = ARRIVAL_OUT;
	a->n_value = 0;
}
