/*
 * Hand-over (product.md): how a message came is written down before it goes
 * to a server behind us, and asked for when it comes back from there. That
 * record alone says that a chain may be extended; nothing in the message does.
 */
#include "daemon/relay_state.h"

#include "base/err.h"
#include "daemon/extend.h"
#include "daemon/log.h"

/* ---- both ---------------------------------------------------------------- */

/*
 * What a record is found by.
 *
 * chain    room for its digest
 * Returns  false where the message has nothing that could be found
 */
static bool
key_of(const struct relay *r, const struct config_listener *in,
    uint8_t chain[ARRIVAL_DIGEST], struct arrival_key *key)
{
	const struct dkim2_field *id;

	*key = (struct arrival_key){.scope = bytes_of(in->name)};
	if (arrival_chain(&r->message, chain))
		key->chain = (struct bytes){chain, ARRIVAL_DIGEST};
	if (dkim2_message_find(&r->message, BYTES_LIT("message-id"), &id) == 1)
		key->message_id = bytes_trim(id->value);
	return key->chain.n != 0 || key->message_id.n != 0;
}

static void
refuse(struct relay *r, const char *text)
{
	struct relay_answer a = relay_answer_say(451, "4.3.0", text);

	relay_refuse(r, &a);
}

static void
refuse_error(struct relay *r, int error)
{
	struct relay_answer full = relay_answer_say(452, "4.3.1",
	    "Out of memory");

	if (error == -E_NOMEM)
		relay_refuse(r, &full);
	else
		refuse(r, "The message could not be checked");
}

/* ---- it comes ------------------------------------------------------------ */

/* Whom the record names: those who get it, as they were said to us. */
static int
list_rcpts(struct relay *r, struct bytes *list)
{
	struct buf b;
	size_t n = 0;

	for (const struct relay_rcpt *k = r->rcpts; k != NULL; k = k->next)
		n += k->to.raw.n + 2;
	if (arena_buf(r->arena, n < ARRIVAL_RCPTS_MAX ? n : ARRIVAL_RCPTS_MAX,
	    &b) != 0)
		return -E_NOMEM;
	for (struct relay_rcpt *k = r->rcpts; k != NULL; k = k->next) {
		if (k->state != RCPT_ACCEPTED || k->twin != NULL ||
		    k->to.raw.n + 2 > buf_room(&b))
			continue;
		relay_value_add_rcpt(&b, k->to.raw);
		k->is_recorded = true;
	}
	*list = buf_bytes(&b);
	return 0;
}

/* What nobody verified is worth a record that says so: it came in here. */
static void
fill(const struct relay *r, struct arrival *a)
{
	const struct dkim2_result *result = relay_result(r);
	enum dkim2_state none = decide_has_chain(&r->message)
	    ? DKIM2_TEMPERROR : DKIM2_NONE;
	const struct dkim2_digests *d = dkim2_verify_digests(r->verify);

	a->time_s = loop_time_s(r->hub->loop);
	a->full = result == NULL ? none : result->full.state;
	a->provisional = result == NULL ? none : result->provisional.state;
	a->is_dkim1_aligned = sender_is_aligned(r->sender,
	    r->mail.from.domain);
	a->is_from_signed = relay_from_is_signed(r);
	a->mail_from = r->mail.from.raw;
	memcpy(a->client, inbound_client(r->session)->addr.ip,
	    sizeof(a->client));
	memcpy(a->header, d->header[DKIM2_SHA256], sizeof(a->header));
	memcpy(a->body, d->body[DKIM2_SHA256], sizeof(a->body));
}

/*
 * The octets are kept where the chain may be extended and somebody may have
 * to say what was changed. Without them the record is worth less, no more.
 */
static void
write_copy(struct relay *r, struct arrival *a)
{
	if (!r->listener->is_copied || a->full != DKIM2_PASS ||
	    r->hub->env->copies_fd < 0)
		return;
	a->has_copy = arrival_copy_write(r->hub->env->copies_fd,
	    content_block(&r->content), content_body(&r->content),
	    a->copy) == 0;
	if (!a->has_copy)
		log_line(LOG_ERROR_, "%s: keeping a copy failed: %m", r->id);
}

/* Whether nothing goes on without the keeper. */
static bool
must_wait(const struct relay *r)
{
	return r->listener->on_failure == ON_FAILURE_DEFER && !r->is_bypassed;
}

/*
 * No record of it, though there should be one. Its copy goes, or the folder
 * would fill while there is no keeper; where the record is written all the
 * same, it is one without.
 */
static void
lack_record(struct relay *r)
{
	if (r->recorded->has_copy)
		arrival_copy_remove(r->hub->env->copies_fd, r->recorded->copy);
	r->recorded = NULL;
	log_line(LOG_WARNING_, "%s: its arrival can not be recorded%s", r->id,
	    must_wait(r) ? "" : ": it will not be signed when it leaves");
	if (must_wait(r))
		refuse(r, "The arrival of the message can not be recorded now");
	else
		relay_send(r);
}

bool
relay_arrival_write(struct relay *r)
{
	uint8_t chain[ARRIVAL_DIGEST];
	struct arrival_key key;
	struct arrival *a;

	if (!r->listener->is_paired || r->copies == NULL ||
	    relay_is_return(r) || !key_of(r, r->listener, chain, &key))
		return false;
	a = arena_alloc(r->arena, sizeof(*a));
	if (a == NULL || list_rcpts(r, &a->rcpts) != 0) {
		refuse_error(r, -E_NOMEM);
		return true;
	}
	fill(r, a);
	write_copy(r, a);
	r->recorded = a;
	r->state = RELAY_RECORDING;
	if (arrival_write(r->hub->memory, &key, a, r->tag) != 0)
		lack_record(r);
	return true;
}

/* Whether it is sure that the server behind us did not take it. */
static bool
is_refused(const struct relay_rcpt *k)
{
	return k->is_recorded && k->answer.code / 100 != 2 && !k->is_unsure;
}

/* Who is in the record and was not refused. */
static int
list_rest(struct relay *r, struct bytes *list)
{
	struct buf b;

	if (arena_buf(r->arena, r->recorded->rcpts.n, &b) != 0)
		return -E_NOMEM;
	for (struct relay_rcpt *k = r->rcpts; k != NULL; k = k->next)
		if (k->is_recorded && !is_refused(k))
			relay_value_add_rcpt(&b, k->to.raw);
	*list = buf_bytes(&b);
	return 0;
}

/* The record without those who were refused; with a copy of its own, since
 * that of the old one goes with it. */
static void
write_rest(struct relay *r, const struct arrival_key *key)
{
	struct arrival a = *r->recorded;

	if (list_rest(r, &a.rcpts) != 0 || a.rcpts.n == 0)
		return;
	if (a.has_copy)
		write_copy(r, &a);
	(void)arrival_write(r->hub->memory, key, &a, RELAY_ARRIVAL_LATER);
}

void
relay_arrival_end(struct relay *r)
{
	uint8_t chain[ARRIVAL_DIGEST];
	struct arrival_key key;
	bool any = false;

	if (r->recorded == NULL)
		return;
	for (struct relay_rcpt *k = r->rcpts; k != NULL; k = k->next)
		any = any || is_refused(k);
	if (any && key_of(r, r->listener, chain, &key)) {
		write_rest(r, &key);
		arrival_remove(r->hub->memory, &key, r->recorded);
	}
	r->recorded = NULL;
}

/* ---- it comes back ------------------------------------------------------- */

void
relay_arrival_scope(const struct relay *r, struct dkim2_verify_options *opts)
{
	if (!decide_may_return(r->listener))
		return;
	opts->envelope = NULL;	/* that of its arrival is another */
	if (r->listener->extend != EXTEND_TRUSTING)
		opts->scope = DKIM2_NEW_HOPS;	/* none of them is new */
}

static struct extend_facts
facts_of(struct relay *r)
{
	return (struct extend_facts){
	    .listener = r->listener,
	    .message = &r->message,
	    .body = content_body(&r->content),
	    .digests = dkim2_verify_digests(r->verify),
	    .now_s = loop_time_s(r->hub->loop),
	    .copies_fd = r->hub->env->copies_fd,
	    .arena = r->arena,
	};
}

static void
go_on(struct relay *r, int error)
{
	if (error != 0)
		refuse_error(r, error);
	else
		relay_decide(r, relay_result(r));
}

/* Nothing is known of how it came, or nothing could be asked. */
static int
do_without(struct relay *r, const char *rule)
{
	const struct extend_facts f = facts_of(r);

	r->extension = (struct extension){.message = &r->message};
	if (!decide_has_chain(&r->message))
		return 0;
	if (r->listener->extend == EXTEND_TRUSTING)
		return extend_by_trust(&r->extension, &f, relay_result(r));
	r->extension.rule = rule;
	return 0;
}

/* Nobody can say now how it came. Past a bypass goes what is ours, or has a
 * chain; of others' mail the record alone says that it is not a stranger's. */
static void
lack_answer(struct relay *r)
{
	int error;

	log_line(LOG_WARNING_, "%s: its arrival can not be asked for", r->id);
	if (must_wait(r)) {
		refuse(r, "It can not be told now how the message came here");
		return;
	}
	error = do_without(r, "its arrival could not be asked for");
	r->extension.is_unknown = r->is_bypassed;
	go_on(r, error);
}

/* By order, what a list manager sends leaves as it is in any case. */
static bool
passes_unasked(const struct relay *r)
{
	return r->is_bypassed && r->listener->role == ROLE_LIST_OUT;
}

bool
relay_arrival_find(struct relay *r)
{
	uint8_t chain[ARRIVAL_DIGEST];
	struct arrival_key key;
	int error;

	if (!decide_may_return(r->listener))
		return false;
	if (r->listener->pair != NULL && !passes_unasked(r) &&
	    key_of(r, r->listener->pair, chain, &key)) {
		r->state = RELAY_FINDING;
		if (arrival_find(r->hub->memory, &key, r->tag) != 0)
			lack_answer(r);
		return true;
	}
	error = do_without(r, "a chain without an arrival record");
	if (error != 0)
		refuse_error(r, error);
	return error != 0;
}

/*
 * A list manager may wrap what it sends on, with a name of its own: then the
 * chain stands in a part. Not at egress, where somebody may well send on in
 * his own name what he got.
 *
 * Returns  whether the record of that is asked for
 */
static bool
find_within(struct relay *r)
{
	uint8_t chain[ARRIVAL_DIGEST];
	struct arrival_key key = {.scope = bytes_of(r->listener->pair->name)};
	struct dkim2_message inner;
	struct bytes body;
	bool is_there;

	if (r->is_within || r->listener->role != ROLE_LIST_OUT ||
	    decide_has_chain(&r->message) ||
	    dkim2_wrapped(&is_there, &inner, &body, r->arena, &r->message,
	        content_body(&r->content)) != 0 ||
	    !is_there || !arrival_chain(&inner, chain))
		return false;
	key.chain = (struct bytes){chain, ARRIVAL_DIGEST};
	r->is_within = true;
	return arrival_find(r->hub->memory, &key, r->tag) == 0;
}

/* What was undone of what the server in between did. */
static const char *
restored(unsigned what)
{
	if ((what & DKIM2_RESTORED_WRAPPED) != 0)
		return " restored=wrapped";
	if ((what & DKIM2_RESTORED_CHAIN) != 0)
		return " restored=chain";
	return (what & DKIM2_RESTORED_FROM) != 0 ? " restored=from" : "";
}

static void
found(struct relay *r, const struct arrival *record)
{
	const struct extend_facts f = facts_of(r);
	const struct extension *e = &r->extension;
	int error;

	if (r->is_bypassed) {
		r->extension = (struct extension){.is_found = true,
		    .rule = "bypass", .message = &r->message};
		go_on(r, 0);
		return;
	}
	error = relay_from_extend(r, &f, record);
	if (error == 0)
		log_line(LOG_NOTICE_, "%s: arrival=found verdict=%s %s%s",
		    r->id, dkim2_state_name(record->full), !e->is_good
		    ? "not extended" : e->recipe.n == 0 ? "unchanged"
		    : "changed", restored(e->restored));
	go_on(r, error);
}

bool
relay_arrival_reply(struct relay *r, const struct arrival_reply *reply)
{
	if (r->state == RELAY_RECORDING) {
		if (reply->status == ARRIVAL_KEPT)
			relay_send(r);
		else
			lack_record(r);
		return true;
	}
	if (r->state != RELAY_FINDING)
		return false;
	if (r->bounce != NULL) {
		relay_bounce_found(r, reply);
		return true;
	}
	if (reply->status == ARRIVAL_FOUND)
		found(r, &reply->record);
	else if (reply->status == ARRIVAL_NONE && find_within(r))
		return true;
	else if (reply->status == ARRIVAL_NONE)
		go_on(r, do_without(r, "a chain without an arrival record"));
	else
		lack_answer(r);
	return true;
}
