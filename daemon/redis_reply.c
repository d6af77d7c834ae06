#include "daemon/redis_reply.h"

#include <hiredis/read.h>
#include <stdlib.h>

#include "base/err.h"

/* One reply as it is put together: flat, as no array is in another. What
 * hiredis takes for its objects are its places. */
struct redis_reader {
	redisReader *parser;
	const char *why;		/* refused; NULL: not by us */
	size_t n_items, n_octets;
	struct redis_value items[1 + REDIS_ITEMS_MAX];	/* itself, and those */
	uint8_t octets[REDIS_REPLY_MAX];
};

/* ---- what hiredis calls -------------------------------------------------- */

static struct redis_value *
add(const redisReadTask *task, enum redis_kind kind)
{
	struct redis_reader *r = task->privdata;
	struct redis_value *v;

	if (task->parent == NULL)
		r->n_items = r->n_octets = 0;
	if (r->n_items == sizeof(r->items) / sizeof(r->items[0])) {
		r->why = "an array of too many elements";
		return NULL;
	}
	v = &r->items[r->n_items++];
	*v = (struct redis_value){.kind = kind};
	return v;
}

static enum redis_kind
kind_of(const redisReadTask *task)
{
	return task->type == REDIS_REPLY_ERROR ? REDIS_ERROR :
	    task->type == REDIS_REPLY_STATUS ? REDIS_STATUS : REDIS_STRING;
}

static void *
create_string(const redisReadTask *task, char *octets, size_t n)
{
	struct redis_reader *r = task->privdata;
	struct redis_value *v = add(task, kind_of(task));

	if (v == NULL)
		return NULL;
	if (n > sizeof(r->octets) - r->n_octets) {
		r->why = "a reply that is too large";
		return NULL;
	}
	v->text = (struct bytes){r->octets + r->n_octets, n};
	if (n != 0)
		memcpy(r->octets + r->n_octets, octets, n);
	r->n_octets += n;
	return v;
}

static void *
create_array(const redisReadTask *task, int n)
{
	struct redis_reader *r = task->privdata;
	struct redis_value *v;

	if (task->parent != NULL)
		r->why = "an array within an array";
	else if (n < 0 || (unsigned)n > REDIS_ITEMS_MAX)
		r->why = "an array of too many elements";
	if (r->why != NULL)
		return NULL;
	v = add(task, REDIS_ARRAY);
	if (v != NULL) {
		v->items = v + 1;
		v->n_items = (size_t)n;
	}
	return v;
}

static void *
create_integer(const redisReadTask *task, long long number)
{
	struct redis_value *v = add(task, REDIS_INTEGER);

	if (v != NULL)
		v->integer = number;
	return v;
}

static void *
create_nil(const redisReadTask *task)
{
	return add(task, REDIS_NIL);
}

static void
free_object(void *object)
{
	(void)object;
}

/* It wants a place that it could write to, and does not. */
static redisReplyObjectFunctions *
functions(void)
{
	static const redisReplyObjectFunctions f = {create_string,
	    create_array, create_integer, create_nil, free_object};

	return (redisReplyObjectFunctions *)(uintptr_t)&f;
}

/* ---- the reader ---------------------------------------------------------- */

struct redis_reader *
redis_reader_new(void)
{
	struct redis_reader *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->parser = redisReaderCreateWithFunctions(functions());
	if (r->parser == NULL) {
		free(r);
		return NULL;
	}
	r->parser->privdata = r;
	return r;
}

void
redis_reader_free(struct redis_reader **rp)
{
	struct redis_reader *r = *rp;

	if (r == NULL)
		return;
	*rp = NULL;
	redisReaderFree(r->parser);
	free(r);
}

int
redis_reader_feed(struct redis_reader *r, struct bytes octets)
{
	if (octets.n == 0)
		return 0;
	if (octets.n > REDIS_REPLY_MAX ||
	    r->parser->len - r->parser->pos > REDIS_REPLY_MAX - octets.n)
		return -E_LIMIT;
	return redisReaderFeed(r->parser, (const char *)octets.p, octets.n) ==
	    REDIS_OK ? 0 : -E_NOMEM;
}

int
redis_reader_next(struct redis_reader *r, struct redis_value *v,
    const char **why)
{
	void *object = NULL;

	if (redisReaderGetReply(r->parser, &object) != REDIS_OK) {
		*why = r->why != NULL ? r->why : "what is no reply of Redis";
		return r->why != NULL ? -E_LIMIT : -E_SYNTAX;
	}
	if (object == NULL)
		return 0;
	*v = r->items[0];
	return 1;
}
