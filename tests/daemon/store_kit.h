/* A store in a folder of its own. */
#ifndef TESTS_DAEMON_STORE_KIT_H
#define TESTS_DAEMON_STORE_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/store.h"

#define DAY 86400
#define NOW (20000LL * DAY)	/* some day */

struct kit {
	char folder[64];
	char path[96];
	struct store_limits limits;
	uint8_t secret[STORE_SECRET_SIZE];
	struct store *store;
};

static inline void
kit_open(struct kit *k, int64_t now_s)
{
	k->store = store_new(k->folder, &k->limits, k->secret);
	assert_non_null(k->store);
	(void)store_tick(k->store, now_s);
}

static inline int
kit_start(void **state)
{
	struct kit *k = calloc(1, sizeof(*k));

	assert_non_null(k);
	*state = k;
	snprintf(k->folder, sizeof(k->folder), "/tmp/hopseal-store-XXXXXX");
	assert_non_null(mkdtemp(k->folder));
	snprintf(k->path, sizeof(k->path), "%s/store.db", k->folder);
	k->limits = (struct store_limits){7 * DAY, 900, 1 << 24};
	memset(k->secret, 0x5a, sizeof(k->secret));
	kit_open(k, NOW);
	return 0;
}

static inline int
kit_stop(void **state)
{
	struct kit *k = *state;
	char command[128];

	store_free(&k->store);
	snprintf(command, sizeof(command), "rm -rf %s", k->folder);
	assert_int_equal(system(command), 0);
	free(k);
	return 0;
}

/* Entry n; its value is written into room. */
static inline struct store_entry
kit_entry(unsigned n, char room[32])
{
	struct store_entry e = {.pair = 1000 + n / 2};

	memset(e.key, 0, sizeof(e.key));
	e.key[0] = (uint8_t)(n * 151);	/* in no order */
	memcpy(e.key + 1, &n, sizeof(n));
	snprintf(room, 32, "value %u", n);
	e.value = bytes_of(room);
	return e;
}

/* A claim of entry n: its fate, or -E_*. */
static inline int
kit_claim(struct kit *k, unsigned n, int64_t now_s)
{
	char room[32];
	struct store_entry e = kit_entry(n, room);
	enum store_fate fate;
	struct bytes value;
	int r = store_claim(k->store, &e, now_s, &fate, &value);

	if (r == 0 && fate != STORE_NEW)
		assert_true(bytes_eq(value, e.value));
	return r == 0 ? (int)fate : r;
}

static inline int
kit_deliver(struct kit *k, unsigned n, int64_t now_s)
{
	char room[32];
	struct store_entry e = kit_entry(n, room);

	return store_deliver(k->store, &e, now_s);
}

static inline void
kit_commit(struct kit *k, int64_t now_s)
{
	assert_int_equal(store_commit(k->store, now_s), 0);
}

#endif
