#include "daemon/hub.h"

#include "daemon/nexthop.h"
#include "daemon/offers.h"
#include "daemon/outbound.h"
#include "daemon/pool.h"

/* Public keys that are kept, of a few KiB each. */
#define KEYS_KEPT 256

static void
on_txt(void *arg, uint64_t tag, const struct resolve_txt *txt)
{
	struct hub *h = arg;

	if (h->calls.txt != NULL)
		h->calls.txt(h, tag, txt);
}

static void
on_records(void *arg, uint64_t tag, const struct dnsanswer_records *records)
{
	nexthop_records(arg, tag, records);
}

static void
on_addrs(void *arg, uint64_t tag, const struct resolve_addrs *addrs)
{
	nexthop_addrs(arg, tag, addrs);
}

static void
way_found(struct hub *h, uint64_t tag, const struct nexthop_answer *way)
{
	struct outbound *o = slots_find(&h->slots, tag);

	if (o != NULL)
		outbound_way(o, way);
}

static void
on_signature(void *arg, uint64_t tag, struct bytes signature)
{
	struct hub *h = arg;

	if (h->calls.signature != NULL)
		h->calls.signature(h, tag, signature);
}

static bool
on_memory(void *arg, uint64_t tag, const struct memory_reply *reply)
{
	struct hub *h = arg;

	return h->calls.memory != NULL && h->calls.memory(h, tag, reply);
}

static bool
on_arrival(void *arg, uint64_t tag, const struct arrival_reply *reply)
{
	struct hub *h = arg;

	return h->calls.arrival != NULL && h->calls.arrival(h, tag, reply);
}

static void
on_queue(void *arg, uint64_t tag, enum queue_answer a)
{
	struct hub *h = arg;

	if (h->calls.queue != NULL)
		h->calls.queue(h, tag, a);
}

/* Returns false without memory. */
static bool
make_keyring(struct hub *h)
{
	h->arena = arena_new(KEYS_KEPT * 1024);
	return h->arena != NULL &&
	    dkim2_keyring_new(&h->keyring, h->arena, KEYS_KEPT) == 0;
}

bool
hub_init(struct hub *h, const struct worker_env *env,
    const struct hub_calls *calls)
{
	*h = (struct hub){
	    .env = env,
	    .loop = env->loop,
	    .config = env->config,
	    .tls = env->tls,
	    .logins = env->logins,
	    .secrets = secrets_all(env->secrets),
	    .inventory = env->inventory,
	    .calls = *calls,
	    .way_found = way_found,
	};
	slots_init(&h->slots);
	h->resolve = resolve_new(env->loop, env->config,
	    &(struct resolve_from){.keys = env->keysfile},
	    &(struct resolve_calls){on_txt, on_records, on_addrs}, h);
	h->memory = memory_new(env->loop, env->keeper_fd,
	    &(struct memory_calls){on_memory, on_arrival}, h);
	h->pool = pool_new();
	h->offers = offers_new(env->config);
	if (env->signers.n != 0)
		h->signer = signer_client_new(env->loop, &env->signers,
		    on_signature, h);
	if (env->queue_fd >= 0)
		h->queue = queue_link_new(env->loop, env->queue_fd, on_queue,
		    h);
	return make_keyring(h) && h->offers != NULL && h->resolve != NULL &&
	    h->pool != NULL && h->memory != NULL &&
	    (env->signers.n == 0 || h->signer != NULL) &&
	    (env->queue_fd < 0 || h->queue != NULL);
}

void
hub_fini(struct hub *h)
{
	nexthop_drop(h);
	pool_free(&h->pool);
	offers_free(&h->offers);
	resolve_free(&h->resolve);
	signer_client_free(&h->signer);
	dkim2_keyring_fini(h->keyring);
	arena_free(&h->arena);
	memory_free(&h->memory);
	queue_link_free(&h->queue);
	slots_fini(&h->slots);
}
