#include "daemon/extend.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "daemon/relay_value.h"

/* What comparing may take beside the two messages. */
#define DIFF_ROOM (96U << 20)

/* The message that came in. */
struct old {
	struct bytes octets;	/* mapped */
	struct dkim2_message message;
	struct bytes body;
};

/* ---- the copy ------------------------------------------------------------ */

static void
close_old(struct old *o)
{
	if (o->octets.p != NULL)
		munmap((void *)o->octets.p, o->octets.n);
}

/* Maps a file that nobody writes to any more. p == NULL: it can not be. */
static struct bytes
map_file(int fd)
{
	struct bytes b = {NULL, 0};
	struct stat st;
	void *p;

	if (fstat(fd, &st) != 0 || st.st_size <= 0)
		return b;
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p != MAP_FAILED)
		b = (struct bytes){p, (size_t)st.st_size};
	return b;
}

/*
 * Opens the copy of a record.
 *
 * is_there set to whether there is one that can be read
 * Returns  0 or -E_NOMEM
 */
static int
open_old(struct old *o, const struct extend_facts *f,
    const struct arrival *record, struct arena *a, bool *is_there)
{
	struct bytes header;
	size_t end, body_at;
	int fd, r;

	*o = (struct old){.octets = {NULL, 0}};
	*is_there = false;
	if (!record->has_copy || f->copies_fd < 0)
		return 0;
	fd = arrival_copy_open(f->copies_fd, record->copy);
	if (fd < 0)
		return 0;
	o->octets = map_file(fd);
	close(fd);
	if (o->octets.p == NULL)
		return 0;
	end = dkim2_header_end(o->octets, &body_at);
	header = bytes_first(o->octets, end);
	if (end != SIZE_MAX)
		o->body = bytes_skip(o->octets, body_at);
	r = dkim2_message_parse(&o->message, header, f->listener->max_fields,
	    a);
	*is_there = r == 0;
	return r == -E_NOMEM ? r : 0;
}

/* ---- the difference ------------------------------------------------------ */

static bool
is_same(const uint8_t *a, const uint8_t *b)
{
	return memcmp(a, b, 32) == 0;
}

/* The digests of a message with another header; its body is as it was. */
static int
make_digests(const struct extend_facts *f, const struct dkim2_message *m,
    struct arena *a, struct dkim2_digests *d)
{
	const struct dkim2_verify_options opts = {
	    .hashes = f->digests->have,
	    .scope = DKIM2_DIGESTS,
	    .known = f->digests,
	};
	struct dkim2_verify *v = NULL;
	int r = dkim2_verify_new(&v, a, &opts);

	if (r == 0)
		r = dkim2_verify_header(v, m);
	if (r == 0)
		r = dkim2_verify_end(v, f->body);
	if (r == 0)
		*d = *dkim2_verify_digests(v);
	dkim2_verify_fini(v);
	return r;
}

/* Keeps a header that was made in passing, as long as e lives. */
static int
keep_message(struct extension *e, const struct extend_facts *f,
    const struct dkim2_message *m, struct arena *a)
{
	struct dkim2_message *message = arena_alloc(f->arena,
	    sizeof(*message));
	struct dkim2_digests *digests = arena_alloc(f->arena,
	    sizeof(*digests));
	struct bytes header = arena_copy(f->arena, m->header);
	int r;

	if (message == NULL || digests == NULL || header.p == NULL)
		return -E_NOMEM;
	r = dkim2_message_parse(message, header, m->n_fields, f->arena);
	if (r == 0)
		r = make_digests(f, message, a, digests);
	e->message = message;
	e->digests = digests;
	return r;
}

/*
 * What the server in between did to fields that the chain needs is undone,
 * where what came shows what they were.
 *
 * Returns  0 (look at e->rule and ->restored), -E_NOMEM or -E_CRYPTO
 */
static int
restore(struct extension *e, const struct extend_facts *f,
    const struct old *old, struct arena *a)
{
	struct dkim2_message m;
	int r = dkim2_restore(&e->restored, &m, a, &old->message, old->body,
	    f->message, f->body);

	if (r == 0 && e->restored != 0)
		r = keep_message(e, f, &m, a);
	if (r == 0 && !decide_has_chain(e->message))
		e->rule = "its DKIM2 fields were taken out, and what is left "
		    "does not prove that it is that message";
	return r;
}

static bool
is_as_it_came(const struct extension *e, const struct arrival *record)
{
	return is_same(record->header, e->digests->header[DKIM2_SHA256]) &&
	    is_same(record->body, e->digests->body[DKIM2_SHA256]);
}

/* The recipe that leads from the message as it leaves to what came. */
static int
describe(struct extension *e, const struct extend_facts *f,
    const struct old *old, bool is_same_body, struct arena *a)
{
	enum dkim2_diff what;
	struct bytes recipe;
	int r = dkim2_diff(&what, &recipe, a, &old->message,
	    is_same_body ? f->body : old->body, e->message, f->body);

	if (r != 0)
		return r;
	if (what != DKIM2_DIFF_RECIPE) {
		e->rule = what == DKIM2_DIFF_LONG
		    ? "the recipe of what was changed is too long"
		    : "no recipe describes what was changed";
		return 0;
	}
	e->recipe = arena_copy(f->arena, recipe);
	e->is_good = e->recipe.p != NULL;
	return e->is_good ? 0 : -E_NOMEM;
}

/* What is to be signed of a message that is not what came, with its copy. */
static int
compare_with(struct extension *e, const struct extend_facts *f,
    const struct arrival *record, const struct old *old, struct arena *a)
{
	int r = restore(e, f, old, a);

	if (r != 0 || e->rule != NULL)
		return r;
	e->is_good = is_as_it_came(e, record);
	return e->is_good ? 0 : describe(e, f, old, is_same(record->body,
	    f->digests->body[DKIM2_SHA256]), a);
}

/* Something that is hashed is not as it came, or the chain is gone. */
static int
compare(struct extension *e, const struct extend_facts *f,
    const struct arrival *record, struct arena *a)
{
	bool is_there;
	struct old old;
	int r;

	if (f->listener->recipes == RECIPES_NONE) {
		e->rule = "it was changed, and recipes is none";
		return 0;
	}
	if (f->listener->recipes == RECIPES_HEADERS &&
	    !is_same(record->body, f->digests->body[DKIM2_SHA256])) {
		e->rule = "its body was changed, and recipes is headers";
		return 0;
	}
	r = open_old(&old, f, record, a, &is_there);
	if (r == 0 && !is_there)
		e->rule = "it was changed, and there is no copy of what came";
	else if (r == 0)
		r = compare_with(e, f, record, &old, a);
	close_old(&old);
	return r;
}

/* ---- the record ---------------------------------------------------------- */

/* Why a chain may not be extended, whatever became of it; NULL: it may. */
static const char *
rule_of(const struct arrival *record, const struct extend_facts *f)
{
	if (record->full == DKIM2_NONE)
		return "it came without DKIM2";
	if (f->now_s - record->time_s > ARRIVAL_AGE_S)
		return "its arrival is too long ago";
	if (record->full != DKIM2_PASS)
		return "the chain was not Fully Verified when it came";
	return NULL;
}

int
extend_by_record(struct extension *e, const struct extend_facts *f,
    const struct arrival *record)
{
	struct arena *room;
	int r;

	*e = (struct extension){
	    .is_found = true,
	    .rule = rule_of(record, f),
	    .is_used = record->n_found != 0,
	    .message = f->message,
	    .digests = f->digests,
	};
	if (e->rule != NULL)
		return 0;
	e->rcpts = arena_copy(f->arena, record->rcpts);
	if (e->rcpts.p == NULL)
		return -E_NOMEM;
	if (decide_has_chain(f->message) && is_as_it_came(e, record)) {
		e->is_good = true;
		return 0;
	}
	room = arena_new(DIFF_ROOM);
	r = room == NULL ? -E_NOMEM : compare(e, f, record, room);
	arena_free(&room);
	return r;
}

int
extend_by_trust(struct extension *e, const struct extend_facts *f,
    const struct dkim2_result *result)
{
	const struct dkim2_signature_result *top;
	struct buf list;
	size_t n = 0;

	*e = (struct extension){.message = f->message, .digests = f->digests};
	if (result == NULL || result->full.state != DKIM2_PASS) {
		e->rule = "the chain is not good, and there is no record of "
		    "its arrival";
		return 0;
	}
	top = &result->signatures[result->n_signatures - 1];
	for (size_t k = 0; k < top->n_rt; k++)
		n += top->rt[k].n + 2;
	if (arena_buf(f->arena, n, &list) != 0)
		return -E_NOMEM;
	for (size_t k = 0; k < top->n_rt; k++)
		relay_value_add_rcpt(&list, top->rt[k]);
	e->rcpts = buf_bytes(&list);
	e->is_good = true;
	return 0;
}
