#include "daemon/keywatch.h"

#include <stdio.h>
#include <stdlib.h>

#include "daemon/log.h"
#include "daemon/metrics.h"
#include "daemon/resolve.h"
#include "dkim2/keyrec.h"

#define AT_ONCE 16U		/* questions */
#define LOOK_MS (60 * 1000)	/* what is not answered by then never is */
#define ROOM (256U << 10)	/* octets, for two records */
#define NAME_MAX_ 640U

enum { KEY_UNKNOWN, KEY_RIGHT, KEY_WRONG };

struct keywatch {
	struct loop *loop;
	const struct signer_inventory *keys;
	struct resolve *resolve;
	struct loop_timer *timer;
	uint32_t look;			/* which one: answers name it */
	size_t asked, answered;		/* of this look */
	uint8_t fates[];
};

/* Whether one is the other, or has it at its end: a key of RSA may stand in
 * its envelope (SubjectPublicKeyInfo) or without it. */
static bool
is_same_key(struct bytes a, struct bytes b)
{
	struct bytes s = a.n < b.n ? a : b, l = a.n < b.n ? b : a;

	return s.n > 16 && memcmp(l.p + l.n - s.n, s.p, s.n) == 0;
}

const char *
keywatch_compare(struct bytes ours, const struct bytes *records, size_t n,
    struct arena *a)
{
	struct keyrec own, its;
	bool good = false;

	if (n == 0)
		return "is not in the DNS";
	if (n > 1)
		return "in the DNS is one of several, and verifiers take none";
	if (keyrec_parse(&own, ours, a, &good) != 0 || !good)
		return "can not be compared";
	if (keyrec_parse(&its, records[0], a, &good) != 0 || !good)
		return "in the DNS is no key record";
	if (its.is_revoked)
		return "in the DNS is revoked (p= is empty)";
	if (its.p.p == NULL)
		return "in the DNS is no key record";
	if (its.algorithm != own.algorithm || !is_same_key(own.p, its.p))
		return "in the DNS is that of another key";
	return NULL;
}

static void
judge(struct keywatch *w, size_t at, const struct resolve_txt *txt)
{
	const struct signer_key *key = &w->keys->keys[at];
	struct arena *a = arena_new(ROOM);
	const char *why;

	if (a == NULL)
		return;
	why = keywatch_compare(key->record, txt->records,
	    txt->found == DKIM2_KEY_TXT ? txt->n : 0, a);
	arena_free(&a);
	if (why == NULL && w->fates[at] == KEY_WRONG)
		log_line(LOG_NOTICE_, "the record of key %.*s of %.*s is in "
		    "the DNS now", BYTES_FMT(key->selector),
		    BYTES_FMT(key->domain));
	if (why != NULL)
		log_line(LOG_ERROR_, "ALARM: the record of key %.*s of %.*s "
		    "%s: what it signs can not be verified; hopseal check "
		    "--dns says more", BYTES_FMT(key->selector),
		    BYTES_FMT(key->domain), why);
	w->fates[at] = why == NULL ? KEY_RIGHT : KEY_WRONG;
}

static void
ask_some(struct keywatch *w)
{
	while (w->asked < w->keys->n && w->asked - w->answered < AT_ONCE) {
		const struct signer_key *key = &w->keys->keys[w->asked];
		char octets[NAME_MAX_];
		struct buf name = BUF_ON(octets);

		buf_add(&name, key->selector);
		buf_add_str(&name, "._domainkey.");
		buf_add(&name, key->domain);
		resolve_ask_txt(w->resolve, buf_bytes(&name),
		    (uint64_t)w->look << 32 | w->asked++);
	}
	if (w->answered == w->keys->n)
		loop_timer_start(w->timer, KEYWATCH_AGAIN_MS);
}

static void
on_txt(void *arg, uint64_t tag, const struct resolve_txt *txt)
{
	struct keywatch *w = arg;
	size_t at = (uint32_t)tag;

	if (tag >> 32 != w->look || at >= w->asked)
		return;
	w->answered++;
	if (txt->found != DKIM2_KEY_TEMPFAIL)
		judge(w, at, txt);
	ask_some(w);
}

static void
look(void *arg)
{
	struct keywatch *w = arg;

	w->look++;
	w->asked = w->answered = 0;
	loop_timer_start(w->timer, LOOK_MS);
	ask_some(w);
}

static void
no_records(void *arg, uint64_t tag, const struct dnsanswer_records *records)
{
	(void)arg;
	(void)tag;
	(void)records;
}

static void
no_addrs(void *arg, uint64_t tag, const struct resolve_addrs *addrs)
{
	(void)arg;
	(void)tag;
	(void)addrs;
}

struct keywatch *
keywatch_new(struct loop *l, const struct worker_env *env)
{
	static const struct resolve_calls calls = {on_txt, no_records,
	    no_addrs};
	const struct resolve_from from = {.keys = env->keysfile};
	struct keywatch *w = calloc(1, sizeof(*w) + env->inventory->n);

	if (w == NULL)
		return NULL;
	w->loop = l;
	w->keys = env->inventory;
	w->resolve = resolve_new(l, env->config, &from, &calls, w);
	w->timer = loop_timer_new(l, look, w);
	if (w->resolve == NULL || w->timer == NULL)
		keywatch_free(&w);
	else if (w->keys->n != 0)
		loop_timer_start(w->timer, env->keysfile != NULL
		    ? KEYWATCH_FILE_MS : KEYWATCH_SOON_MS);
	return w;
}

void
keywatch_free(struct keywatch **wp)
{
	struct keywatch *w = *wp;

	*wp = NULL;
	if (w == NULL)
		return;
	loop_timer_free(&w->timer);
	resolve_free(&w->resolve);
	free(w);
}

void
keywatch_tell(const struct keywatch *w, struct buf *out)
{
	for (size_t k = 0; k < w->keys->n; k++) {
		const struct signer_key *key = &w->keys->keys[k];
		char domain[300], selector[300];

		if (w->fates[k] == KEY_UNKNOWN)
			continue;
		snprintf(domain, sizeof(domain), "%.*s",
		    BYTES_FMT(key->domain));
		snprintf(selector, sizeof(selector), "%.*s",
		    BYTES_FMT(key->selector));
		metrics_write_line(out, METRIC_KEY_PUBLISHED, domain,
		    selector, w->fates[k] == KEY_RIGHT);
	}
}
