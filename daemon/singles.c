#include "daemon/singles.h"

#include <stdlib.h>
#include <string.h>

#define SENDER_BUCKETS 1024U

struct sender {
	struct sender *before, *behind;	/* oldest first */
	struct sender *chained;
	uint64_t name;
	int64_t until_ms;
	uint64_t *pairs;
	size_t n, cap;
};

struct singles {
	struct sender *buckets[SENDER_BUCKETS];
	struct sender *first, *last;
	size_t n;
};

struct singles *
singles_new(void)
{
	return calloc(1, sizeof(struct singles));
}

static struct sender **
find_sender(struct singles *s, uint64_t name)
{
	struct sender **at = &s->buckets[name % SENDER_BUCKETS];

	while (*at != NULL && (*at)->name != name)
		at = &(*at)->chained;
	return at;
}

static void
unlist(struct singles *s, struct sender *k)
{
	if (k->before != NULL)
		k->before->behind = k->behind;
	else
		s->first = k->behind;
	if (k->behind != NULL)
		k->behind->before = k->before;
	else
		s->last = k->before;
}

static void
list(struct singles *s, struct sender *k)
{
	k->before = s->last;
	k->behind = NULL;
	if (s->last != NULL)
		s->last->behind = k;
	else
		s->first = k;
	s->last = k;
}

static void
drop(struct singles *s, struct sender *k)
{
	*find_sender(s, k->name) = k->chained;
	unlist(s, k);
	s->n--;
	free(k->pairs);
	free(k);
}

void
singles_free(struct singles **sp)
{
	struct singles *s = *sp;

	if (s == NULL)
		return;
	while (s->first != NULL)
		drop(s, s->first);
	free(s);
	*sp = NULL;
}

static struct sender *
add_sender(struct singles *s, uint64_t name)
{
	struct sender *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return NULL;
	if (s->n == SINGLES_SENDERS_MAX)
		drop(s, s->first);
	k->name = name;
	k->chained = s->buckets[name % SENDER_BUCKETS];
	s->buckets[name % SENDER_BUCKETS] = k;
	list(s, k);
	s->n++;
	return k;
}

static size_t
index_of(const struct sender *k, uint64_t pair)
{
	size_t at = 0;

	while (at < k->n && k->pairs[at] != pair)
		at++;
	return at;
}

static void
add_pair(struct sender *k, uint64_t pair)
{
	if (index_of(k, pair) < k->n || k->n == SINGLES_PAIRS_MAX)
		return;
	if (k->n == k->cap) {
		size_t cap = k->cap == 0 ? 8 : k->cap * 2;
		uint64_t *p = realloc(k->pairs, cap * sizeof(*p));

		if (p == NULL)
			return;
		k->pairs = p;
		k->cap = cap;
	}
	k->pairs[k->n++] = pair;
}

void
singles_add(struct singles *s, uint64_t sender, const uint64_t *pairs,
    size_t n, int64_t now_ms)
{
	struct sender *k = *find_sender(s, sender);

	if (n == 0)
		return;
	if (k == NULL)
		k = add_sender(s, sender);
	if (k == NULL)
		return;
	for (size_t p = 0; p < n; p++)
		add_pair(k, pairs[p]);
	k->until_ms = now_ms + SINGLES_KEPT_MS;
	unlist(s, k);
	list(s, k);
}

void
singles_remove(struct singles *s, uint64_t sender, uint64_t pair)
{
	struct sender *k = *find_sender(s, sender);
	size_t at;

	if (k == NULL)
		return;
	at = index_of(k, pair);
	if (at < k->n)
		k->pairs[at] = k->pairs[--k->n];
	if (k->n == 0)
		drop(s, k);
}

bool
singles_has(struct singles *s, uint64_t sender, int64_t now_ms)
{
	while (s->first != NULL && s->first->until_ms <= now_ms)
		drop(s, s->first);
	return *find_sender(s, sender) != NULL;
}
