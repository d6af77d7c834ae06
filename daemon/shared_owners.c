#include "daemon/shared_state.h"

#include <stdlib.h>

#define BUCKETS (16U * 1024)	/* a power of 2 */

struct owned {
	struct owned *chained;
	uint8_t key[MEMORY_KEY_SIZE];
	unsigned peer;
	int64_t since_ms;
};

struct owners {
	struct owned *buckets[BUCKETS];
	size_t n;
	size_t at;			/* where owners_take() goes on */
};

struct owners *
owners_new(void)
{
	return calloc(1, sizeof(struct owners));
}

static void
remove_at(struct owners *o, struct owned **at)
{
	struct owned *w = *at;

	*at = w->chained;
	free(w);
	o->n--;
}

void
owners_free(struct owners **op)
{
	struct owners *o = *op;

	if (o == NULL)
		return;
	for (size_t b = 0; b < BUCKETS; b++)
		while (o->buckets[b] != NULL)
			remove_at(o, &o->buckets[b]);
	free(o);
	*op = NULL;
}

static struct owned **
find(struct owners *o, const uint8_t *key)
{
	struct owned **at;
	uint32_t hash;

	memcpy(&hash, key, sizeof(hash));
	at = &o->buckets[hash & (BUCKETS - 1)];
	while (*at != NULL && memcmp((*at)->key, key, MEMORY_KEY_SIZE) != 0)
		at = &(*at)->chained;
	return at;
}

unsigned
owners_find(struct owners *o, const uint8_t *key, int64_t now_ms)
{
	struct owned **at = find(o, key);

	if (*at != NULL && now_ms - (*at)->since_ms > CLAIMS_OWNED_MS)
		remove_at(o, at);
	return *at == NULL ? 0 : (*at)->peer;
}

void
owners_add(struct owners *o, unsigned peer, const uint8_t *key,
    int64_t now_ms)
{
	struct owned **at = find(o, key);
	struct owned *w = *at;

	if (w == NULL && o->n < CLAIMS_OWNED_MAX) {
		w = calloc(1, sizeof(*w));
		if (w != NULL) {
			memcpy(w->key, key, sizeof(w->key));
			*at = w;
			o->n++;
		}
	}
	if (w == NULL)
		return;
	w->peer = peer;
	w->since_ms = now_ms;
}

void
owners_remove(struct owners *o, unsigned peer, const uint8_t *key)
{
	struct owned **at = find(o, key);

	if (*at != NULL && (*at)->peer == peer)
		remove_at(o, at);
}

bool
owners_take(struct owners *o, unsigned peer, uint8_t *key)
{
	for (size_t k = 0; k < BUCKETS; k++) {
		struct owned **at = &o->buckets[o->at & (BUCKETS - 1)];

		for (; *at != NULL; at = &(*at)->chained)
			if ((*at)->peer == peer) {
				memcpy(key, (*at)->key, MEMORY_KEY_SIZE);
				remove_at(o, at);
				return true;
			}
		o->at++;
	}
	return false;
}
