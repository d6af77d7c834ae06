#include "daemon/orders_command.h"

#include "config/value.h"

const char *const orders_verify_word[] = {
	[VERIFY_OBSERVE] = "observe",
	[VERIFY_ENFORCE] = "enforce",
	[VERIFY_OFF] = "off",
};

/* One order, for one listener or for all of them. */
struct order {
	struct bytes listener;
	enum orders_kind kind;
	unsigned what;
	int64_t until_ms;	/* 0: it is taken back */
};

/* ---- words --------------------------------------------------------------- */

static bool
refuse(struct buf *why, const char *before, struct bytes word,
    const char *behind)
{
	buf_add_str(why, before);
	buf_add_escaped(why, word, 64);
	buf_add_str(why, behind);
	return false;
}

/*
 * When an order ends.
 *
 * at       of the word that says for how long
 * unsaid_s where there is none; 0: it does not end by itself
 */
static bool
read_end(const struct orders_scene *s, const struct control_request *r,
    size_t at, uint64_t unsaid_s, uint64_t max_s, int64_t *until_ms,
    struct buf *why)
{
	uint64_t n = unsaid_s;

	if (r->n_args > at + 1)
		return refuse(why, "`", r->args[at + 1], "` is too much");
	if (r->n_args > at && (!bytes_number(r->args[at], max_s, &n) ||
	    n == 0)) {
		refuse(why, "`", r->args[at], "` is no number of seconds from "
		    "1 to ");
		buf_add_number(why, max_s);
		return false;
	}
	*until_ms = n == 0 ? ORDERS_FOREVER : s->now_ms + (int64_t)n * 1000;
	return true;
}

/* ---- listeners ----------------------------------------------------------- */

/* Why mail of a listener can not be left unverified; NULL: it can. */
static const char *
needs_verdict(const struct config_listener *l)
{
	if (l->is_paired)
		return "nothing that came in unverified could be extended "
		    "when it comes back; `bypass` lets all pass";
	if (l->n_policy != 0)
		return "its `policy` goes by verdicts; `bypass` lets all pass";
	if (l->role != ROLE_FORWARD)
		return NULL;
	if (l->delivery == DELIVERY_QUEUE)
		return "its queue takes only chains that are verified; "
		    "`bypass` lets all pass through";
	if (l->adopt != ADOPT_NEVER || l->from_rewrite != FROM_REWRITE_NEVER)
		return "`adopt` and `from-rewrite` go by verdicts; `bypass` "
		    "lets all pass";
	return NULL;
}

/* Why a listener can not have the order; NULL: it can. */
static const char *
misfit(const struct config_listener *l, const struct order *o)
{
	if (o->kind != ORDERS_VERIFY || o->until_ms == 0 ||
	    o->what == (unsigned)l->verify)
		return NULL;
	if (l->role == ROLE_LIST_OUT)
		return "its pair has verified what comes back";
	if (l->pair != NULL)
		return "its pair has verified what comes back, and the "
		    "envelope is another by now";
	return o->what == VERIFY_OFF ? needs_verdict(l) : NULL;
}

const char *
orders_take_back(const struct orders_scene *s,
    const struct config_listener *l, unsigned *what)
{
	struct order o = {.kind = ORDERS_VERIFY};
	const char *bar;

	o.until_ms = orders_until(s->orders, bytes_of(l->name), o.kind,
	    s->now_ms, &o.what);
	bar = o.until_ms == 0 ? NULL : misfit(l, &o);
	if (bar != NULL)
		(void)orders_set(s->orders, bytes_of(l->name), o.kind, 0, 0);
	*what = o.what;
	return bar;
}

static bool
is_for(const struct order *o, const struct config_listener *l)
{
	return bytes_eq(o->listener, BYTES_LIT("*")) ||
	    bytes_eq(o->listener, bytes_of(l->name));
}

static bool
refuse_listener(const struct config *c, struct bytes name, struct buf *why)
{
	refuse(why, "there is no listener `", name, "`; there ");
	buf_add_str(why, c->n_listeners == 1 ? "is " : "are ");
	for (size_t k = 0; k < c->n_listeners && k < 16; k++)
		buf_printf(why, "%s%s", k == 0 ? "" : ", ",
		    c->listeners[k].name);
	if (c->n_listeners > 16)
		buf_add_str(why, " ...");
	return false;
}

/* Whether all whom it is for can have it. */
static bool
look(const struct orders_scene *s, const struct order *o, struct buf *why)
{
	const struct config *c = s->config;
	bool is_any = false;

	for (size_t k = 0; k < c->n_listeners; k++) {
		const char *bar;

		if (!is_for(o, &c->listeners[k]))
			continue;
		is_any = true;
		bar = misfit(&c->listeners[k], o);
		if (bar == NULL)
			continue;
		buf_printf(why, "listener %s can not have verify: %s: %s",
		    c->listeners[k].name, orders_verify_word[o->what], bar);
		return false;
	}
	return is_any || refuse_listener(c, o->listener, why);
}

static bool
give(const struct orders_scene *s, const struct order *o, struct buf *why)
{
	const struct config *c = s->config;

	if (!look(s, o, why))
		return false;
	for (size_t k = 0; k < c->n_listeners; k++)
		if (is_for(o, &c->listeners[k]) && orders_set(s->orders,
		    bytes_of(c->listeners[k].name), o->kind, o->what,
		    o->until_ms) != 0) {
			buf_add_str(why, "too many listeners had orders since "
			    "hopseald was started: restart it");
			return false;
		}
	return true;
}

/* ---- verbs --------------------------------------------------------------- */

static bool
bypass(const struct orders_scene *s, const struct control_request *r,
    struct buf *why)
{
	struct order o = {.listener = r->args[0], .kind = ORDERS_BYPASS};

	if (r->n_args == 2 && control_word_is(r->args[1], "off"))
		return give(s, &o, why);
	if (r->n_args < 2 || !control_word_is(r->args[1], "on")) {
		buf_add_str(why, "it is bypass LISTENER on [SECONDS], or "
		    "bypass LISTENER off");
		return false;
	}
	return read_end(s, r, 2, ORDERS_BYPASS_S, ORDERS_MAX_S, &o.until_ms,
	    why) && give(s, &o, why);
}

static bool
stop(const struct orders_scene *s, const struct control_request *r,
    struct buf *why)
{
	struct order o = {.listener = r->args[0], .kind = ORDERS_PAUSE};

	if (control_word_is(r->verb, "drain"))
		o.kind = ORDERS_DRAIN;
	return read_end(s, r, 1, 0, ORDERS_MAX_S, &o.until_ms, why) &&
	    give(s, &o, why);
}

static bool
resume(const struct orders_scene *s, const struct control_request *r,
    struct buf *why)
{
	struct order o = {.listener = r->args[0], .kind = ORDERS_PAUSE};

	if (r->n_args > 1)
		return refuse(why, "`", r->args[1], "` is too much");
	if (!give(s, &o, why))
		return false;
	o.kind = ORDERS_DRAIN;
	return give(s, &o, why);
}

static bool
set(const struct orders_scene *s, const struct control_request *r,
    struct buf *why)
{
	struct order o = {.listener = r->args[0], .kind = ORDERS_VERIFY};
	unsigned k = 0;

	if (r->n_args < 3 || !control_word_is(r->args[1], "verify")) {
		buf_add_str(why, "what can be set is verify=observe, enforce "
		    "or off, and verify= as the configuration has it");
		return false;
	}
	if (r->n_args == 3 && control_word_is(r->args[2], "config"))
		return give(s, &o, why);
	while (k <= VERIFY_OFF &&
	    !control_word_is(r->args[2], orders_verify_word[k]))
		k++;
	if (k > VERIFY_OFF)
		return refuse(why, "verify: `", r->args[2], "` is none of "
		    "observe, enforce and off");
	o.what = k;
	return read_end(s, r, 3, 0, ORDERS_MAX_S, &o.until_ms, why) &&
	    give(s, &o, why);
}

static bool
stop_watching(const struct orders_scene *s)
{
	struct config_net net;

	for (size_t k = 0; k < ORDERS_NETS; k++)
		if (orders_net(s->orders, k, s->now_ms, &net) != 0)
			(void)orders_watch(s->orders, &net, 0, s->now_ms);
	return true;
}

static bool
debug(const struct orders_scene *s, const struct control_request *r,
    struct buf *why)
{
	struct config_net net;
	int64_t until_ms = 0;
	const char *bad;

	if (r->n_args == 1 && control_word_is(r->args[0], "off"))
		return stop_watching(s);
	bad = config_value_net(r->args[0], &net);
	if (bad != NULL) {
		refuse(why, "`", r->args[0], "` ");
		buf_add_str(why, bad);
		return false;
	}
	if (r->n_args != 2 || !control_word_is(r->args[1], "off")) {
		if (!read_end(s, r, 1, ORDERS_WATCH_S, ORDERS_WATCH_MAX_S,
		    &until_ms, why))
			return false;
	}
	if (orders_watch(s->orders, &net, until_ms, s->now_ms) == 0)
		return true;
	buf_add_str(why, "too many networks are watched: debug off");
	return false;
}

bool
orders_command(const struct orders_scene *s, const struct control_request *r,
    struct buf *why)
{
	static const struct {
		const char *verb;
		bool (*fn)(const struct orders_scene *s,
		    const struct control_request *r, struct buf *why);
	} verbs[] = {{"bypass", bypass}, {"pause", stop}, {"drain", stop},
	    {"resume", resume}, {"set", set}, {"debug", debug}};

	for (size_t k = 0; k < sizeof(verbs) / sizeof(verbs[0]); k++)
		if (control_word_is(r->verb, verbs[k].verb) && r->n_args != 0)
			return verbs[k].fn(s, r, why);
	return refuse(why, "`", r->verb, "` is no order, or lacks its "
	    "listener");
}

/* ---- what there is ------------------------------------------------------- */

void
orders_put_rest(struct buf *out, int64_t until_ms, int64_t now_ms)
{
	uint64_t s = (uint64_t)(until_ms - now_ms + 999) / 1000;

	if (s >= 24 * 3600)
		buf_printf(out, "%ud %uh", (unsigned)(s / (24 * 3600)),
		    (unsigned)(s / 3600 % 24));
	else if (s >= 3600)
		buf_printf(out, "%uh %um", (unsigned)(s / 3600),
		    (unsigned)(s / 60 % 60));
	else if (s >= 60)
		buf_printf(out, "%um %us", (unsigned)(s / 60),
		    (unsigned)(s % 60));
	else
		buf_printf(out, "%us", (unsigned)s);
}

static void
put_end(struct buf *out, int64_t until_ms, int64_t now_ms)
{
	if (until_ms != ORDERS_FOREVER) {
		buf_add_str(out, ", ");
		orders_put_rest(out, until_ms, now_ms);
		buf_add_str(out, " left");
	}
	buf_add_octet(out, '\n');
}

static void
list_listener(const struct orders *o, struct bytes name, int64_t now_ms,
    struct buf *out)
{
	static const char *const text[] = {
		[ORDERS_BYPASS] = "BYPASS: unsigned and not judged",
		[ORDERS_PAUSE] = "paused: 451 for new mail",
		[ORDERS_DRAIN] = "drained: 421 for new connections",
		[ORDERS_VERIFY] = "verify: ",
	};

	for (unsigned k = 0; k < ORDERS__KINDS; k++) {
		unsigned what;
		int64_t until_ms = orders_until(o, name, (enum orders_kind)k,
		    now_ms, &what);

		if (until_ms == 0)
			continue;
		buf_printf(out, "listener %.*s: %s%s, by order",
		    BYTES_FMT(name), text[k], k == ORDERS_VERIFY
		    ? orders_verify_word[what] : "");
		put_end(out, until_ms, now_ms);
	}
}

void
orders_list(const struct orders *o, int64_t now_ms, struct buf *out)
{
	struct bytes name;

	for (size_t k = 0; (name = orders_name(o, k)).n != 0; k++)
		list_listener(o, name, now_ms, out);
	for (size_t k = 0; k < ORDERS_NETS; k++) {
		struct config_net net;
		int64_t until_ms = orders_net(o, k, now_ms, &net);

		if (until_ms == 0)
			continue;
		buf_add_str(out, "clients of ");
		config_value_put_net(out, &net);
		buf_add_str(out, ": sessions are logged in full, by order");
		put_end(out, until_ms, now_ms);
	}
}
