/* Copies that come from the server, in pieces. */
#include "daemon/shared_copies_state.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/err.h"

void
shared_fetch_end(struct shared_copies *c, struct copy_job *j,
    enum shared_fetched how)
{
	uint8_t name[STORE_KEY_SIZE];

	memcpy(name, j->copy.name, sizeof(name));
	if (j->fd >= 0 && !copies_end(c->copies, name, j->fd,
	    how == SHARED_HERE)) {
		if (how == SHARED_HERE) {
			shared_copies_log(c, "one that came from the server "
			    "can not be kept here: %s", strerror(errno));
			how = SHARED_GONE;
		}
	}
	j->fd = -1;
	shared_copies_end(c, j);
	c->fetched(c->arg, name, how);
}

static bool
write_all(int fd, struct bytes b)
{
	while (b.n != 0) {
		ssize_t n = write(fd, b.p, b.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		b = bytes_skip(b, (size_t)n);
	}
	return true;
}

static size_t
next_piece(const struct copy_job *j)
{
	uint64_t rest = j->copy.size - j->at;

	return rest < SHARED_PIECE ? (size_t)rest : SHARED_PIECE;
}

/* All of it is here; what is not what was sent is none. */
static void
finish(struct shared_copies *c, struct copy_job *j)
{
	uint8_t digest[SHARED_DIGEST];

	crypto_generichash_final(&j->hash, digest, sizeof(digest));
	if (sodium_memcmp(digest, j->copy.digest, sizeof(digest)) == 0) {
		shared_fetch_end(c, j, SHARED_HERE);
		return;
	}
	shared_copies_log(c, "one on the server is damaged: its record is "
	    "used without");
	j->step = COPY_FORGET;
}

static void
take_piece(struct shared_copies *c, struct copy_job *j, struct bytes piece)
{
	if (piece.n != next_piece(j)) {
		j->step = COPY_FORGET;	/* it is gone, or cut off */
		return;
	}
	if (!write_all(j->fd, piece)) {
		shared_copies_log(c, "one that comes from the server can not "
		    "be kept here: %s", strerror(errno));
		shared_fetch_end(c, j, SHARED_GONE);
		return;
	}
	crypto_generichash_update(&j->hash, piece.p, piece.n);
	j->at += piece.n;
	if (j->at == j->copy.size)
		finish(c, j);
}

static void
on_piece(void *arg, uint64_t tag, int err, const struct redis_value *v)
{
	struct shared_copies *c = arg;
	struct copy_job *j = c->asked;

	(void)tag;
	c->is_asked = false;
	if (c->is_dying)
		return;
	if (j != NULL && err == 0 && v->kind == REDIS_STRING)
		take_piece(c, j, v->text);
	else if (j != NULL && v != NULL)
		shared_fetch_end(c, j, SHARED_FAILED);
	shared_copies_go(c);
}

bool
shared_fetch_step(struct shared_copies *c, struct copy_job *j)
{
	char key[SHARED_KEY_TEXT], from[24], to[24];
	struct bytes args[] = {BYTES_LIT("GETRANGE"),
	    shared_copy_key(&j->copy, key), {NULL, 0}, {NULL, 0}};

	if (j->step == COPY_FORGET)
		return shared_copies_forget(c, j);
	if (j->fd < 0 &&
	    copies_size(c->copies, j->copy.name) == j->copy.size) {
		shared_fetch_end(c, j, SHARED_HERE);
		return true;
	}
	if (j->fd < 0)
		j->fd = copies_begin(c->copies, j->copy.name);
	if (j->fd < 0) {
		shared_copies_log(c, "none can be kept here: %s",
		    strerror(errno));
		shared_fetch_end(c, j, SHARED_GONE);
		return true;
	}
	snprintf(from, sizeof(from), "%llu", (unsigned long long)j->at);
	snprintf(to, sizeof(to), "%llu",
	    (unsigned long long)(j->at + next_piece(j) - 1));
	args[2] = bytes_of(from);
	args[3] = bytes_of(to);
	return shared_copies_ask(c, j, -1, 0, args, 4, on_piece);
}
