/* Copies that go to the server, in pieces. */
#include "daemon/shared_copies_state.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"

static bool send_first(struct shared_copies *c, struct copy_job *j);

/* The server does not have what it had: all over again, a few times. */
static void
begin_again(struct copy_job *j, struct shared_copies *c)
{
	c->n_piece = 0;
	if (++j->n_tries < SHARED_TRIES_MAX) {
		shared_copies_begin(j, COPY_RESERVE);
		return;
	}
	shared_copies_log(c, "the server does not take one: its record is "
	    "kept without");
	j->step = COPY_FORGET;
}

/* Whose answer it is; NULL where nothing is to be done with it. A connection
 * that was lost is waited for, and the same is said again. */
static struct copy_job *
take(struct shared_copies *c, int err, const struct redis_value *v)
{
	struct copy_job *j = c->asked;

	c->is_asked = false;
	if (c->is_dying || j == NULL)
		return NULL;
	if (err == 0)
		return j;
	if (v != NULL)
		begin_again(j, c);
	return NULL;
}

/* ---- room ---------------------------------------------------------------- */

/* Older ones had to go for it; how many. */
static size_t
drop_others(struct shared_copies *c, const struct redis_value *items, size_t n)
{
	size_t n_dropped = 0;

	for (size_t k = 0; k < n; k++) {
		struct bytes b = items[k].text;
		struct shared_copy other = {.size = 0};

		if (items[k].kind != REDIS_STRING || b.n <= STORE_KEY_SIZE ||
		    !bytes_number(bytes_skip(b, STORE_KEY_SIZE), INT64_MAX,
		    &other.size))
			continue;
		memcpy(other.name, b.p, STORE_KEY_SIZE);
		shared_copies_drop(c, &other);
		n_dropped++;
	}
	return n_dropped;
}

static void
on_reserved(void *arg, uint64_t tag, int err, const struct redis_value *v)
{
	struct shared_copies *c = arg;
	struct copy_job *j = take(c, err, v);
	size_t n_dropped = 0;

	(void)tag;
	if (j != NULL && v->kind == REDIS_ARRAY && v->n_items != 0 &&
	    v->items[0].kind == REDIS_INTEGER) {
		if (v->items[0].integer == 1)
			j->step = COPY_SEND;
		n_dropped = drop_others(c, v->items + 1, v->n_items - 1);
	}
	/* there may be more that can go */
	if (j != NULL && j->step == COPY_RESERVE &&
	    (n_dropped == 0 || ++j->n_rooms == COPY_ROOMS_MAX))
		begin_again(j, c);
	if (!c->is_dying)
		shared_copies_go(c);
}

static bool
reserve(struct shared_copies *c, struct copy_job *j)
{
	int64_t now = loop_time_s(c->loop);
	char numbers[6][24], member[COPY_MEMBER_MAX];
	struct bytes args[] = {BYTES_LIT(SHARED_PREFIX "al"),
	    BYTES_LIT(SHARED_PREFIX "an"), {NULL, 0}, {NULL, 0}, {NULL, 0},
	    shared_copy_member(&j->copy, member), {NULL, 0}, {NULL, 0},
	    {NULL, 0}};

	snprintf(numbers[0], 24, "%lld", (long long)now);
	snprintf(numbers[1], 24, "%lld",
	    (long long)(now - c->limits.arrival_age_s));
	snprintf(numbers[2], 24, "%llu",
	    (unsigned long long)c->limits.arrival_size);
	snprintf(numbers[3], 24, "%llu", (unsigned long long)j->copy.size);
	snprintf(numbers[4], 24, "%lld", (long long)c->limits.arrival_age_s);
	snprintf(numbers[5], 24, "%d", COPY_DROPS_A_TIME);
	for (size_t k = 0; k < 3; k++) {
		args[2 + k] = bytes_of(numbers[k]);
		args[6 + k] = bytes_of(numbers[3 + k]);
	}
	return shared_copies_ask(c, j, COPY_SCRIPT_RESERVE, 2, args, 9,
	    on_reserved);
}

/* ---- pieces -------------------------------------------------------------- */

static bool
open_file(struct shared_copies *c, struct copy_job *j)
{
	struct stat st;

	if (j->fd < 0)
		j->fd = copies_open_file(c->copies, j->copy.name);
	return j->fd >= 0 && fstat(j->fd, &st) == 0 &&
	    (uint64_t)st.st_size == j->copy.size;
}

/* The next piece, if it is not there from an earlier try. */
static bool
read_piece(struct shared_copies *c, struct copy_job *j)
{
	uint64_t rest = j->copy.size - j->at;
	size_t want = rest < SHARED_PIECE ? (size_t)rest : SHARED_PIECE;
	size_t n = c->n_piece;

	while (n < want) {
		ssize_t r = pread(j->fd, c->piece + n, want - n,
		    (off_t)(j->at + n));

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return false;
		n += (size_t)r;
	}
	c->n_piece = n;
	return true;
}

static void
on_sent(void *arg, uint64_t tag, int err, const struct redis_value *v)
{
	struct shared_copies *c = arg;
	struct copy_job *j = take(c, err, v);

	(void)tag;
	if (j != NULL && v->kind == REDIS_INTEGER && v->integer ==
	    (int64_t)(j->at + c->n_piece)) {
		crypto_generichash_update(&j->hash, c->piece, c->n_piece);
		j->at += c->n_piece;
		c->n_piece = 0;
		if (j->at == j->copy.size)
			j->step = COPY_WHOLE;
	} else if (j != NULL) {
		begin_again(j, c);
	}
	if (!c->is_dying)
		shared_copies_go(c);
}

static bool
send_piece(struct shared_copies *c, struct copy_job *j)
{
	char key[SHARED_KEY_TEXT], at[24], age[24];
	struct bytes args[4];

	if (!open_file(c, j) || !read_piece(c, j)) {
		shared_copies_log(c, "the file of one is gone or can not be "
		    "read: its record is kept without");
		j->step = COPY_FORGET;
		return send_first(c, j);
	}
	snprintf(at, sizeof(at), "%llu", (unsigned long long)j->at);
	snprintf(age, sizeof(age), "%lld",
	    (long long)c->limits.arrival_age_s);
	args[0] = shared_copy_key(&j->copy, key);
	args[1] = bytes_of(at);
	args[2] = (struct bytes){c->piece, c->n_piece};
	args[3] = bytes_of(age);
	return shared_copies_ask(c, j, COPY_SCRIPT_PIECE, 1, args, 4, on_sent);
}

/* ---- its end ------------------------------------------------------------- */

static void
on_whole(void *arg, uint64_t tag, int err, const struct redis_value *v)
{
	struct shared_copies *c = arg;
	struct copy_job *j = take(c, err, v);

	(void)tag;
	if (j != NULL && v->kind == REDIS_INTEGER && v->integer >= 0) {
		const struct shared_copy copy = j->copy;

		shared_copies_end(c, j);
		if (v->integer == 0)
			shared_copies_drop(c, &copy);
	} else if (j != NULL) {
		begin_again(j, c);
	}
	if (!c->is_dying)
		shared_copies_go(c);
}

static bool
say_whole(struct shared_copies *c, struct copy_job *j)
{
	crypto_generichash_state hash = j->hash;
	struct shared_copy whole = j->copy;
	char keys[2][SHARED_KEY_TEXT], size[24];
	uint8_t sealed[SHARED_COPY_SEALED];
	struct bytes args[5];

	whole.is_whole = true;
	crypto_generichash_final(&hash, whole.digest, sizeof(whole.digest));
	snprintf(size, sizeof(size), "%llu", (unsigned long long)whole.size);
	args[0] = shared_arrival_key('c', j->chain, keys[0]);
	args[1] = shared_copy_key(&whole, keys[1]);
	args[2] = (struct bytes){j->content, sizeof(j->content)};
	args[3] = shared_copy_seal(c->shared, j->chain, j->content, &whole,
	    sealed);
	args[4] = bytes_of(size);
	return shared_copies_ask(c, j, COPY_SCRIPT_WHOLE, 2, args, 5,
	    on_whole);
}

static bool
send_first(struct shared_copies *c, struct copy_job *j)
{
	switch (j->step) {
	case COPY_RESERVE:
		return reserve(c, j);
	case COPY_SEND:
		return send_piece(c, j);
	case COPY_WHOLE:
		return say_whole(c, j);
	default:
		return shared_copies_forget(c, j);
	}
}

bool
shared_send_step(struct shared_copies *c, struct copy_job *j)
{
	return send_first(c, j);
}
