#include "daemon/outbound_state.h"

#include <errno.h>
#include <stdio.h>

#include "daemon/log.h"
#include "daemon/metrics.h"
#include "daemon/offers.h"

static void open_next(struct outbound *o);

/* ---- one server after the other (RFC 5321 5.1) ---- */

/* No server greets. */
static void
give_up(struct outbound *o)
{
	pool_left(&o->wait.place);
	if (o->is_refused && o->n_accepted != 0) {
		o->is_refused = false;
		snprintf(o->fault, sizeof(o->fault), "%s: accepted the "
		    "recipient, hung up, and refused us then", o->relay);
	}
	o->result.fault = o->fault;
	outbound_finish(o, o->is_refused ? OUTBOUND_REFUSED : OUTBOUND_LOST,
	    false);
}

/* Of several failures the first that may pass is told, or else the last. */
static bool
is_worth_more(const struct outbound *o)
{
	return !o->has_failed ||
	    (o->is_refused && o->result.reply.code / 100 == 5);
}

static void
note_lost(struct outbound *o, const char *why)
{
	if (!is_worth_more(o))
		return;
	o->has_failed = true;
	o->is_refused = false;
	snprintf(o->fault, sizeof(o->fault), "%s: %s", o->relay, why);
}

static void
note_refused(struct outbound *o, const struct smtp_reply *reply)
{
	if (!is_worth_more(o))
		return;
	o->has_failed = true;
	o->is_refused = true;
	outbound_keep_reply(o, reply);
}

static void
try_next(struct outbound *o)
{
	link_close(&o->link);
	o->target++;
	o->is_plain = false;
	if (o->target < o->n_targets)
		log_line(LOG_DEBUG_, "%s: trying the next server", o->relay);
	open_next(o);
}

static void
open_next(struct outbound *o)
{
	for (; o->target < o->n_targets; o->target++) {
		const struct link_way way = {
		    .listener = o->listener,
		    .hop = o->hop,
		    .target = &o->targets[o->target],
		    .who = o->identity == NULL ? NULL : &o->identity->who,
		    .login = o->secret == NULL ? NULL : &o->login,
		    .is_plain = o->is_plain,
		    .is_watched = o->is_watched,
		};

		link_name(way.target, o->relay, sizeof(o->relay));
		o->state = OUTBOUND_OPENING;
		o->link = link_open(o->hub, &way, outbound_on_link, o);
		if (o->link != NULL)
			return;
		note_lost(o, strerrordesc_np(errno));
	}
	give_up(o);
}

static void
on_greeted(struct outbound *o)
{
	struct link *l = o->link;

	metrics_count(METRIC_CONNECTS, o->wait.place != NULL ? CONNECT_OK :
	    CONNECT_REUSED, 0);
	if (o->wait.place != NULL) {	/* or it came from the pool */
		l->place = o->wait.place;
		o->wait.place = NULL;
	}
	o->can = l->client.can;
	o->max_size = l->client.max_size;
	offers_learn(o->hub->offers, o->hop, o->can, o->max_size);
	snprintf(o->tls, sizeof(o->tls), "%s", l->tls);
	snprintf(o->relay, sizeof(o->relay), "%s", l->relay);
	if (o->is_probe) {
		l->n_mails++;	/* it will be idle as one that had one */
		outbound_finish(o, OUTBOUND_ENDED, true);
	} else {
		outbound_talk(o);
	}
}

/* Lost before it was greeted. */
static void
on_not_greeted(struct outbound *o)
{
	if (o->link->is_tls_fault && o->hop->tls == TLS_MAY && !o->is_plain) {
		log_line(LOG_NOTICE_, "%s: TLS failed (%s); connecting again "
		    "without it", o->relay, o->link->fault);
		o->is_plain = true;
		link_close(&o->link);
		open_next(o);
		return;
	}
	metrics_count(METRIC_CONNECTS, CONNECT_FAILED, 0);
	note_lost(o, o->link->fault);
	try_next(o);
}

/* ---- getting a connection ---- */

static void
resolve(struct outbound *o)
{
	bool is_mx = o->hop->scheme == SCHEME_MX;

	o->state = OUTBOUND_RESOLVING;
	o->target = 0;
	o->n_targets = 0;
	o->is_plain = false;
	o->has_failed = false;
	snprintf(o->relay, sizeof(o->relay), "%.*s:%u",
	    BYTES_FMT(is_mx ? o->domain : o->hop->host), o->hop->port);
	if (nexthop_ask(o->hub, o->listener, o->hop, o->domain, o->tag))
		return;
	note_lost(o, "out of memory");
	give_up(o);
}

/* What our look-up says stands in the next hop's place. */
static void
refuse(struct outbound *o, const struct nexthop_refusal *why)
{
	const struct smtp_reply reply = {.code = why->code,
	    .enhanced = bytes_of(why->enhanced), .text = bytes_of(why->text)};

	note_refused(o, &reply);
	give_up(o);
}

void
outbound_way(struct outbound *o, const struct nexthop_answer *way)
{
	if (o->state != OUTBOUND_RESOLVING)
		return;
	if (way->status != NEXTHOP_OK) {
		refuse(o, nexthop_refusal(way->status));
		return;
	}
	o->n_targets = way->n < OUTBOUND_TARGETS ? way->n : OUTBOUND_TARGETS;
	memcpy(o->targets, way->targets,
	    o->n_targets * sizeof(o->targets[0]));
	open_next(o);
}

void
outbound_granted(struct outbound *o)
{
	loop_timer_stop(o->patience);
	if (o->wait.link == NULL && o->wait.place == NULL) {
		outbound_connect(o);	/* it hung up meanwhile */
		return;
	}
	o->link = o->wait.link;
	o->wait.link = NULL;
	if (o->link != NULL)
		o->link->is_watched = o->is_watched;
	if (o->link == NULL)
		resolve(o);
	else if (o->link->is_resetting)
		o->state = OUTBOUND_OPENING;
	else
		on_greeted(o);
}

void
outbound_connect(struct outbound *o)
{
	const struct pool_key key = {o->listener, o->hop, o->domain};

	if (o->link != NULL && !o->link->is_resetting) {
		on_greeted(o);
		return;
	}
	if (o->link != NULL) {
		o->state = OUTBOUND_OPENING;
		return;
	}
	o->state = OUTBOUND_WAITING;
	if (pool_ask(o->hub->pool, &key, &o->wait))
		outbound_granted(o);
	else
		loop_timer_start(o->patience,
		    o->listener->reply_timeout_s * 1000LL);
}

void
outbound_is_impatient(void *arg)
{
	struct outbound *o = arg;

	if (o->state != OUTBOUND_WAITING)
		return;
	pool_cancel(&o->wait);
	o->result.fault = "too many connections to the next hop are under way";
	o->result.is_crowded = true;
	outbound_finish(o, OUTBOUND_LOST, false);
}

/* ---- losing it ---- */

static bool
may_reconnect(struct outbound *o, bool is_reused)
{
	bool is_before_content = o->state == OUTBOUND_ASKING ||
	    o->state == OUTBOUND_DATA;

	return is_before_content && (is_reused || o->n_accepted != 0) &&
	    o->reconnects++ == 0;
}

void
outbound_lost(struct outbound *o, const char *why)
{
	bool is_reused = o->link->n_mails > 1;

	snprintf(o->fault, sizeof(o->fault), "%s: %s", o->relay, why);
	link_close(&o->link);
	if (may_reconnect(o, is_reused)) {
		log_line(LOG_NOTICE_, "%s; connecting again", o->fault);
		outbound_connect(o);
		return;
	}
	o->result.is_ambiguous = o->state == OUTBOUND_DOT;
	o->result.fault = o->fault;
	outbound_finish(o, OUTBOUND_LOST, false);
}

static void
on_lost(struct outbound *o)
{
	switch (o->state) {
	case OUTBOUND_WAITING:
		link_close(&o->wait.link);
		loop_timer_start(o->soon, 0);
		break;
	case OUTBOUND_IDLE:
	case OUTBOUND_BEGUN:
		link_close(&o->link);
		break;
	case OUTBOUND_OPENING:
		if (o->link->place == NULL) {
			on_not_greeted(o);
			break;
		}
		/* one that was used before, at its RSET */
		link_close(&o->link);
		outbound_connect(o);
		break;
	default:
		outbound_lost(o, o->link->fault);
		break;
	}
}

void
outbound_on_link(void *arg, enum link_event what)
{
	struct outbound *o = arg;

	switch (what) {
	case LINK_READY:
		if (o->state == OUTBOUND_OPENING)
			on_greeted(o);
		break;
	case LINK_REFUSED:
		note_refused(o, &o->link->reply);
		try_next(o);
		break;
	case LINK_SAID:
		outbound_on_reply(o, o->link->said);
		break;
	case LINK_OUT:
		if (o->state == OUTBOUND_CONTENT)
			outbound_pump(o);
		break;
	case LINK_LOST:
		on_lost(o);
		break;
	}
}
