#include "daemon/relay_state.h"

#include "base/err.h"

/* Tags say of which recipient, and which question. */
#define LOOK(number) ((number) << 1)
#define CLAIM(number) ((number) << 1 | 1U)

bool
relay_remembers(const struct relay *r)
{
	/* a failure is reported once, whatever else may come twice */
	return r->listener->replay != REPLAY_OFF || r->dsn != NULL;
}

static struct memory_key
key_of(const struct relay *r, const struct relay_rcpt *rcpt)
{
	return (struct memory_key){
	    .scope = bytes_of(r->listener->name),
	    .reverse_path = r->mail.from.raw,
	    .rcpt_to = rcpt->out.rcpt_to,
	    .content = r->digest,
	};
}

void
relay_memory_look(struct relay *r, struct relay_rcpt *rcpt)
{
	struct memory_key key = key_of(r, rcpt);

	r->is_looking = memory_look(r->hub->memory, &key,
	    r->tag | LOOK(rcpt->number)) == 0;
	r->is_forgetful = r->is_forgetful || !r->is_looking;
}

/* What has the content in common with its retry, whatever else is stamped. */
static int
make_digest(struct relay *r)
{
	const struct dkim2_digests *d = dkim2_verify_digests(r->verify);
	struct buf b;

	if (arena_buf(r->arena, 64, &b) != 0)
		return -E_NOMEM;
	buf_add(&b, (struct bytes){d->header[DKIM2_SHA256], 32});
	buf_add(&b, (struct bytes){d->body[DKIM2_SHA256], 32});
	r->digest = buf_bytes(&b);
	return 0;
}

/* Returns whether an answer comes. */
static bool
claim_as(struct relay *r, const struct relay_rcpt *rcpt,
    const struct memory_key *key, unsigned number)
{
	uint8_t octets[MEMORY_VALUE_MAX];
	struct buf value = BUF_ON(octets);
	bool is_asked;

	relay_value_write(&rcpt->value, &value);
	is_asked = memory_claim(r->hub->memory, key, buf_bytes(&value),
	    r->is_short, r->tag | CLAIM(number)) == 0;
	r->n_claims += is_asked;
	return is_asked;
}

static void
claim(struct relay *r, struct relay_rcpt *rcpt)
{
	struct memory_key key = key_of(r, rcpt);

	rcpt->is_claiming = claim_as(r, rcpt, &key, rcpt->number);
}

/*
 * A DSN of ours: the memory is asked for each failure that it tells of, so
 * that none is told twice by reports which name others beside.
 */
static struct memory_key
key_of_failure(const struct relay *r, const struct relay_rcpt *rcpt,
    const struct relay_failure *f)
{
	struct memory_key key = key_of(r, rcpt);

	key.content = f->digest;
	return key;
}

static void
claim_failures(struct relay *r, const struct relay_rcpt *rcpt)
{
	for (unsigned k = 0; k < r->dsn->n_failures; k++) {
		struct relay_failure *f = &r->dsn->failures[k];
		struct memory_key key = key_of_failure(r, rcpt, f);

		f->is_claiming = claim_as(r, rcpt, &key, k);
	}
}

/* Whether the memory is to be asked of a recipient at all. */
static bool
is_asked(const struct relay_rcpt *rcpt)
{
	return rcpt->is_known || (rcpt->state == RCPT_ACCEPTED &&
	    rcpt->onward->decision.kind != DECIDE_REFUSE);
}

void
relay_memory_claim(struct relay *r)
{
	static const struct relay_answer full = {452, "4.3.1",
	    {(const uint8_t *)"Out of memory", 13}};

	if (make_digest(r) != 0) {
		relay_refuse(r, &full);
		return;
	}
	r->state = RELAY_CLAIMING;
	for (struct relay_rcpt *k = r->rcpts; k != NULL; k = k->next)
		if (relay_remembers(r) && k->twin == NULL && is_asked(k)) {
			if (r->dsn != NULL)
				claim_failures(r, k);
			else
				claim(r, k);
		}
	if (r->n_claims == 0)
		relay_deliver(r);
}

/* An earlier try had no clear end: this one is octet for octet the same. */
static void
repeat(struct relay *r, struct relay_rcpt *rcpt, struct bytes value)
{
	struct relay_value v;

	if (!relay_value_parse(arena_copy(r->arena, value), &v))
		return;
	if (v.received.n == 0)
		v.received = rcpt->value.received;
	rcpt->value = v;
}

/* The draft's refusal of a replay (section 15), where it is asked for. */
static bool
is_replay(const struct relay *r, const struct relay_value *before)
{
	return r->listener->replay == REPLAY_REFUSE && !r->is_exploded &&
	    memcmp(before->client, inbound_client(r->session)->addr.ip,
	        sizeof(before->client)) != 0;
}

static void
delivered_before(struct relay *r, struct relay_rcpt *rcpt, struct bytes value)
{
	struct relay_value v = {.id = BYTES_LIT("?")};
	struct relay_answer a = relay_answer_say(250, "2.0.0",
	    "Ok, delivered before");

	if (!relay_value_parse(value, &v))
		;	/* a delivery all the same */
	else if (loopcheck_passed(&r->message, r->hub->config->hostname, v.id))
		a = relay_answer_say(554, "5.4.6",
		    loopcheck_text(LOOPCHECK_PASSED));
	else if (is_replay(r, &v))
		a = relay_answer_say(550, "5.7.1",
		    "Duplicate message with no exploded flag");
	rcpt->onward = NULL;
	relay_settle(r, rcpt, &a);
}

static const struct relay_answer busy = {451, "4.4.5",
    {(const uint8_t *)"Another session is delivering this message", 42}};

/* The one whom the DSN is for; the others are settled. */
static struct relay_rcpt *
told_by_dsn(const struct relay *r)
{
	struct relay_rcpt *rcpt = r->rcpts;

	while (rcpt != NULL && (rcpt->twin != NULL ||
	    rcpt->state == RCPT_SETTLED))
		rcpt = rcpt->next;
	return rcpt;
}

/* Each failure is another's, or ours to tell, or was told before. */
static void
end_failures(struct relay *r, struct relay_rcpt *rcpt, struct bytes value)
{
	bool is_busy = false;

	for (size_t k = 0; k < r->dsn->n_failures; k++)
		is_busy = is_busy || r->dsn->failures[k].is_busy;
	if (is_busy)
		relay_settle(r, rcpt, &busy);
	else if (!relay_dsn_narrow(r))
		delivered_before(r, rcpt, value);
	relay_deliver(r);
}

static bool
reply_failure(struct relay *r, unsigned part, const struct memory_reply *reply)
{
	struct relay_rcpt *rcpt = told_by_dsn(r);
	struct relay_failure *f;

	if ((part & 1U) == 0 || part >> 1 >= r->dsn->n_failures ||
	    rcpt == NULL)
		return false;
	f = &r->dsn->failures[part >> 1];
	if (!f->is_claiming)
		return false;
	f->is_claiming = false;
	if (reply->status == MEMORY_AGAIN)
		repeat(r, rcpt, reply->value);
	f->is_known = reply->status == MEMORY_DELIVERED;
	f->is_busy = reply->status == MEMORY_BUSY;
	f->is_claimed = !f->is_known && !f->is_busy;
	rcpt->is_claimed = rcpt->is_claimed || f->is_claimed;
	if (--r->n_claims == 0)
		end_failures(r, rcpt, reply->value);
	return true;
}

bool
relay_memory_reply(struct relay *r, unsigned part,
    const struct memory_reply *reply)
{
	struct relay_rcpt *rcpt = r->rcpts;

	if (part == RELAY_RETURN_PART) {
		if (r->is_returning)
			relay_rcpt_returned(r, reply);
		return true;
	}
	if (r->asking != NULL && part == LOOK(r->asking->number)) {
		relay_rcpt_looked(r, reply);
		return true;
	}
	if (r->dsn != NULL)
		return reply_failure(r, part, reply);
	while (rcpt != NULL && CLAIM(rcpt->number) != part)
		rcpt = rcpt->next;
	if (rcpt == NULL || !rcpt->is_claiming)
		return false;
	rcpt->is_claiming = false;
	if (reply->status == MEMORY_AGAIN)
		repeat(r, rcpt, reply->value);
	rcpt->is_claimed = reply->status != MEMORY_DELIVERED &&
	    reply->status != MEMORY_BUSY;
	if (reply->status == MEMORY_DELIVERED)
		delivered_before(r, rcpt, reply->value);
	else if (reply->status == MEMORY_BUSY)
		relay_settle(r, rcpt, &busy);
	if (--r->n_claims == 0)
		relay_deliver(r);
	return true;
}

/* What is claimed is delivered, or may be, or is anybody's again. */
static void
let_go(const struct relay *r, const struct relay_rcpt *rcpt,
    const struct memory_key *key)
{
	if (rcpt->answer.code / 100 == 2)
		memory_delivered(r->hub->memory, key);
	else if (rcpt->is_unsure)
		memory_unsure(r->hub->memory, key);
	else
		memory_release(r->hub->memory, key);
}

void
relay_memory_settle(struct relay *r, struct relay_rcpt *rcpt)
{
	struct memory_key key = key_of(r, rcpt);

	if (!rcpt->is_claimed)
		return;
	rcpt->is_claimed = false;
	if (r->dsn == NULL) {
		let_go(r, rcpt, &key);
		return;
	}
	for (size_t k = 0; k < r->dsn->n_failures; k++) {
		struct relay_failure *f = &r->dsn->failures[k];

		if (!f->is_claimed)
			continue;
		f->is_claimed = false;
		key = key_of_failure(r, rcpt, f);
		let_go(r, rcpt, &key);
	}
}

void
relay_memory_mixed(struct relay *r)
{
	struct bytes *paths = arena_array(r->arena, r->n_rcpts,
	    sizeof(*paths));
	size_t n = 0;

	if (paths == NULL || !relay_remembers(r))
		return;
	for (struct relay_rcpt *k = r->rcpts; k != NULL; k = k->next)
		if (k->twin == NULL)
			paths[n++] = k->out.rcpt_to;
	memory_mixed(r->hub->memory, bytes_of(r->listener->name),
	    r->mail.from.raw, paths, n);
}

void
relay_memory_answered(struct relay *r, const struct relay_rcpt *rcpt)
{
	if (r->is_single && relay_remembers(r) &&
	    rcpt->answer.code / 100 != 4)
		memory_answered(r->hub->memory, bytes_of(r->listener->name),
		    r->mail.from.raw, rcpt->out.rcpt_to);
}

void
relay_memory_forget(struct relay *r)
{
	for (struct relay_rcpt *k = r->rcpts; k != NULL; k = k->next) {
		struct memory_key key = key_of(r, k);

		/* who has it not may be another session's, or in doubt */
		if (k->twin == NULL && k->answer.code / 100 == 2)
			memory_forget(r->hub->memory, &key);
	}
}
