/*
 * Bounces of the server behind us, at the listener that it sends through
 * (product.md, Fail well; attacks.md B9): it may well have taken forged mail,
 * and bounces it to whoever was named. Only the record of how the message
 * came says who sent it; whoever was not shown to have is told nothing.
 */
#include "daemon/relay_state.h"

#include "base/ascii.h"
#include "base/err.h"
#include "daemon/log.h"
#include "daemon/metrics.h"
#include "dkim2/chain.h"
#include "dkim2/mime.h"
#include "dsn/parse.h"
#include "dsn/route.h"
#include "dsn/undo.h"

struct relay_bounce {
	bool is_report;			/* what it returns can be read */
	struct dsn_report report;
	uint8_t chain[ARRIVAL_DIGEST];	/* of what it returns */
};

static void
refuse(struct relay *r, int code, const char *enhanced, const char *text)
{
	struct relay_answer a = relay_answer_say(code, enhanced, text);

	relay_refuse(r, &a);
}

/* ---- what it is ----------------------------------------------------------- */

/* Whether one of the fields has a word in its value, in any case. */
static bool
has_word(const struct dkim2_message *m, const char *name, const char *word)
{
	struct bytes w = bytes_of(word);

	for (size_t k = 0; k < m->n_fields; k++) {
		struct bytes v = m->fields[k].value;

		if (!bytes_case_eq(m->fields[k].name, bytes_of(name)))
			continue;
		for (; v.n >= w.n; v = bytes_skip(v, 1))
			if (bytes_case_starts(v, w))
				return true;
	}
	return false;
}

/* A report on something else: that it was read, or is taken for spam. */
static bool
is_other_report(const struct dkim2_message *m)
{
	const struct dkim2_field *f;
	struct mime_type t;

	return dkim2_message_find(m, BYTES_LIT("content-type"), &f) == 1 &&
	    mime_type_parse(&t, f->value) && (bytes_case_eq(t.report_type,
	    BYTES_LIT("disposition-notification")) ||
	    bytes_case_eq(t.report_type, BYTES_LIT("feedback-report")));
}

/*
 * Whether mail from <> is a bounce, or may be taken for one. There are servers
 * that know nothing of multipart/report.
 */
static bool
is_bounce(const struct dkim2_message *m)
{
	const struct dkim2_field *f;

	if (has_word(m, "Content-Type", "multipart/report"))
		return !is_other_report(m);
	return has_word(m, "From", "mailer-daemon") ||
	    has_word(m, "From", "postmaster") ||
	    has_word(m, "Content-Type", "delivery-status") ||
	    dkim2_message_find(m, BYTES_LIT("x-failed-recipients"), &f) != 0;
}

static int
read_report(struct relay *r, struct relay_bounce *b)
{
	enum dsn_parsed verdict;
	int error = dsn_report_parse(&b->report, &r->message,
	    content_body(&r->content), r->arena, &verdict);

	b->is_report = error == 0 && verdict == DSN_PARSED;
	return error;
}

/* What the record of the message that it returns is found by. */
static bool
key_of(const struct relay *r, struct relay_bounce *b, struct arrival_key *key)
{
	const struct dkim2_message *m = &b->report.returned;
	const struct dkim2_field *id;

	if (r->listener->pair == NULL || !b->is_report)
		return false;
	*key = (struct arrival_key){.scope =
	    bytes_of(r->listener->pair->name)};
	if (arrival_chain(m, b->chain))
		key->chain = (struct bytes){b->chain, ARRIVAL_DIGEST};
	else if (decide_has_chain(m))
		return false;
	if (dkim2_message_find(m, BYTES_LIT("message-id"), &id) == 1)
		key->message_id = bytes_trim(id->value);
	return key->chain.n != 0 || key->message_id.n != 0;
}

/* ---- what becomes of it ---------------------------------------------------- */

static void
go_on(struct relay *r)
{
	relay_decide(r, relay_result(r));
}

/* It leaves as it is. We do not sign what another server says of mail that we
 * know nothing of: it would be believed (draft 16.4). */
static void
pass(struct relay *r)
{
	metrics_count(METRIC_DSNS, DSN_PASSED, 0);
	r->unsigned_rule = "a bounce of the server behind us";
	go_on(r);
}

/* Nobody is told, or the postmaster decides. */
static void
swallow(struct relay *r, const char *why)
{
	if (r->listener->legacy_bounce_out != BOUNCE_OUT_HOLD) {
		relay_discard(r, why);
		return;
	}
	r->is_queued = true;
	r->held_why = why;
	pass(r);
}

/* Whether an address is one that mail of ours is sent from. */
static bool
is_own(const struct relay *r, const struct relay_rcpt *rcpt)
{
	const struct keydir *keys = &r->hub->inventory->domains;

	return rcpt->to.domain.n != 0 &&
	    (r->listener->has_senders || keys->n != 0) &&
	    decide_is_sender(r->listener, keys, rcpt->to.domain);
}

/*
 * Nothing shows who sent what it is about. No record at all: it did not come
 * in by our pair, and what is told to our own domains is about mail of our own
 * clients.
 */
static void
without_record(struct relay *r, const char *why)
{
	bool any = false, all = true;

	if (r->listener->legacy_bounce_out == BOUNCE_OUT_PASS) {
		pass(r);
		return;
	}
	for (struct relay_rcpt *k = r->rcpts; k != NULL; k = k->next)
		all = all && is_own(r, k);
	if (!all && r->listener->legacy_bounce_out == BOUNCE_OUT_HOLD) {
		swallow(r, why);
		return;
	}
	for (struct relay_rcpt *k = r->rcpts; k != NULL; k = k->next) {
		if (is_own(r, k))
			any = true;
		else
			relay_discard_rcpt(r, k, why);
	}
	if (!any) {
		relay_conclude(r);
		return;
	}
	r->bounce = NULL;	/* it is new mail like any other */
	if (!relay_arrival_find(r))
		go_on(r);
}

/* ---- who is told ----------------------------------------------------------- */

/* The recipient who is the sender of what the record is about; NULL: none. */
static struct relay_rcpt *
find_sender(const struct relay *r, const struct arrival *record)
{
	for (struct relay_rcpt *k = r->rcpts; k != NULL; k = k->next)
		if (k->twin == NULL && k->state != RCPT_SETTLED &&
		    chain_path_eq(k->to.raw, record->mail_from))
			return k;
	return NULL;
}

/*
 * Whether what is returned has the header that came in with the record.
 *
 * m        what is returned
 */
static int
compare(const struct relay *r, const struct dkim2_message *m,
    const struct arrival *record, bool *is_same)
{
	struct dkim2_digests d;
	int error = relay_digests(r, m, &d);

	*is_same = error == 0 && memcmp(d.header[DKIM2_SHA256],
	    record->header, sizeof(record->header)) == 0;
	return error;
}

/* Mail without DKIM2: DKIM1 showed who sent it, or nothing did. */
static void
tell_legacy(struct relay *r, const struct arrival *record)
{
	struct relay_rcpt *rcpt = find_sender(r, record);
	enum config_bounce_out how = r->listener->legacy_bounce_out;
	bool is_same;
	int error = compare(r, &r->bounce->report.returned, record, &is_same);

	if (error != 0) {
		relay_dsn_fail(r, error);
	} else if (how == BOUNCE_OUT_PASS) {
		pass(r);
	} else if (how == BOUNCE_OUT_DISCARD) {
		relay_discard(r, "legacy-bounce-out: discard");
	} else if (!record->is_dkim1_aligned) {
		swallow(r, "no signature shows who sent the message");
	} else if (rcpt == NULL) {
		swallow(r, "not to who sent the message");
	} else if (!is_same) {
		swallow(r, "what it returns is not what came in");
	} else {
		for (struct relay_rcpt *k = r->rcpts; k != NULL; k = k->next)
			if (k != rcpt)
				relay_discard_rcpt(r, k,
				    "not to who sent the message");
		pass(r);
	}
}

/* ---- a verified chain -------------------------------------------------------- */

/* local@domain of a path. */
static struct bytes
address_of(struct bytes path)
{
	return path.n < 2 ? path : bytes_first(bytes_skip(path, 1),
	    path.n - 2);
}

static bool
is_same_address(struct bytes a, struct bytes b)
{
	size_t at = b.n;

	while (at != 0 && b.p[at - 1] != '@')
		at--;
	return a.n == b.n && bytes_eq(bytes_first(a, at), bytes_first(b, at))
	    && bytes_case_eq(bytes_skip(a, at), bytes_skip(b, at));
}

/* Who of those that the message was sent to is the one who failed. */
static bool
is_about(const struct dsn_recipient *f, struct bytes address)
{
	return f->action == DSN_FAILED &&
	    (is_same_address(f->final, address) ||
	    is_same_address(f->original, address));
}

/*
 * Those who failed, by the addresses that the message was sent to: the server
 * behind us may have sent on to others, whom nobody before us knows (B5).
 *
 * Returns  -E_SYNTAX where that can not be told, or -E_NOMEM
 */
static int
list_failed(struct relay *r, const struct signature *top,
    struct dsn_made *made)
{
	const struct dsn_report *report = &r->bounce->report;
	struct dsn_failed *list = arena_array(r->arena, top->n_rt,
	    sizeof(*list));
	const struct dsn_recipient *any = NULL;
	size_t n = 0;

	if (list == NULL)
		return -E_NOMEM;
	for (size_t j = 0; j < report->n_recipients; j++)
		if (report->recipients[j].action == DSN_FAILED)
			any = &report->recipients[j];
	for (size_t k = 0; k < top->n_rt; k++) {
		struct bytes address = address_of(top->rt[k]);
		const struct dsn_recipient *f = NULL;

		for (size_t j = 0; f == NULL && j < report->n_recipients; j++)
			if (is_about(&report->recipients[j], address))
				f = &report->recipients[j];
		if (f == NULL && top->n_rt == 1)
			f = any;
		if (f != NULL)
			list[n++] = (struct dsn_failed){.final = address,
			    .status = f->status};
	}
	made->rcpts = list;
	made->n_rcpts = n;
	return any != NULL && n == 0 ? -E_SYNTAX : 0;
}

static bool
has_key(void *arg, struct bytes domain)
{
	const struct relay *r = arg;
	const struct signer_key *first;

	return signer_inventory_find(r->hub->inventory, domain, &first) != 0;
}

/* The chain of what is returned. NULL: it has none that reads. */
static int
read_chain(struct relay *r, const struct signature **top)
{
	const struct dkim2_message *m = &r->bounce->report.returned;
	struct chain *c = arena_alloc(r->arena, sizeof(*c));
	struct reason_list faults;
	struct dkim2_limits limits;
	int error = c == NULL ? -E_NOMEM : 0;

	*top = NULL;
	dkim2_limits_default(&limits);
	if (error == 0)
		error = reason_list_init(&faults, chain_faults_max(m, &limits),
		    r->arena);
	if (error == 0)
		error = chain_read(c, m, &limits, r->arena, &faults);
	if (error == 0 && c->is_numbered && c->n_signatures != 0)
		*top = &c->signatures[c->n_signatures - 1];
	return error;
}

/* Why nobody is told of it; NULL: rcpt is. */
static const char *
bar(struct relay *r, const struct arrival *record,
    const struct signature *top, const struct relay_rcpt *rcpt)
{
	const struct dsn_route_facts facts = {
	    .mail_from = top == NULL ? (struct bytes){NULL, 0} : top->mf,
	    .has_nd = top != NULL && top->nd.p != NULL,
	    /* with the envelope that it came with: a replay is in and out */
	    .is_vouched = top != NULL && record->full == DKIM2_PASS,
	    .message = &r->bounce->report.returned,
	};
	enum dsn_bar b = dsn_route_forbids(&facts);

	if (b != DSN_BAR_NONE)
		return dsn_bar_text(b);
	return rcpt == NULL || !chain_path_eq(top->mf, record->mail_from)
	    ? "not to who sent the message" : NULL;
}

/* What is returned, without what stands above the message that came in. */
static int
cut_returned(struct relay *r, const struct arrival *record,
    struct dsn_made *made, bool *is_same)
{
	struct dkim2_message m;
	int error = dsn_undo_trace(&made->returned_header,
	    &r->bounce->report.returned,
	    bytes_of(r->hub->config->hostname), r->arena);

	if (error == 0)
		error = dkim2_message_parse(&m, made->returned_header,
		    SIZE_MAX, r->arena);
	return error != 0 ? error : compare(r, &m, record, is_same);
}

/* Writes down what the DSN is to say. As list_failed(). */
static int
describe(struct relay *r, const struct signature *top,
    const struct arrival *record, struct dsn_made *made, bool *is_same)
{
	int error;

	made->hostname = bytes_of(r->hub->config->hostname);
	made->to = top->mf;
	made->arrived_s = record->time_s;
	if (r->bounce->report.envelope_id.p != NULL)
		made->envid = r->bounce->report.envelope_id;
	error = dsn_route_domain(&made->domain, top->rt, top->n_rt, has_key,
	    r, r->arena);
	if (error == 0)
		error = cut_returned(r, record, made, is_same);
	return error != 0 ? error : list_failed(r, top, made);
}

/* Who sent it is told, by a DSN of ours: of the server's nothing remains. */
static void
tell(struct relay *r, const struct arrival *record, struct relay_rcpt *rcpt,
    const struct signature *top)
{
	struct dsn_made made = {.has_returned_body = false};
	bool is_same = false;
	int error = describe(r, top, record, &made, &is_same);

	if (error == -E_SYNTAX) {
		refuse(r, 550, "5.6.0", "It can not be told for which of its "
		    "recipients the message failed");
	} else if (error != 0) {
		relay_dsn_fail(r, error);
	} else if (made.n_rcpts == 0) {
		relay_discard(r, "it tells of no failure");
	} else if (!is_same) {
		refuse(r, 550, "5.6.0", "The message that it returns is not "
		    "as it came in, and can not be sent back");
	} else if (made.domain.n == 0) {
		refuse(r, 550, "5.7.1", "There is no key of a domain that the "
		    "message was sent to");
	} else {
		error = relay_dsn_put(r, rcpt, &made, (struct bytes){
		    r->bounce->chain, ARRIVAL_DIGEST});
		if (error != 0)
			relay_dsn_fail(r, error);
		else
			go_on(r);
	}
}

static void
tell_chain(struct relay *r, const struct arrival *record)
{
	struct relay_rcpt *rcpt = find_sender(r, record);
	const struct signature *top;
	const char *why;
	int error = read_chain(r, &top);

	if (error != 0) {
		relay_dsn_fail(r, error);
		return;
	}
	why = bar(r, record, top, rcpt);
	if (why != NULL)
		relay_discard(r, why);
	else
		tell(r, record, rcpt, top);
}

/* ---- both -------------------------------------------------------------------- */

/* Whatever on-failure says: it may be a stranger who would be told. */
static void
lack_answer(struct relay *r)
{
	log_line(LOG_WARNING_, "%s: the arrival of what it returns can not be "
	    "asked for", r->id);
	refuse(r, 451, "4.3.0", "It can not be told now how the message that "
	    "it returns came here");
}

void
relay_bounce_found(struct relay *r, const struct arrival_reply *reply)
{
	relay_log_about(r, &r->bounce->report.returned);
	if (reply->status == ARRIVAL_NONE)
		without_record(r, "no record of the message that it returns");
	else if (reply->status != ARRIVAL_FOUND)
		lack_answer(r);
	else if (decide_has_chain(&r->bounce->report.returned))
		tell_chain(r, &reply->record);
	else
		tell_legacy(r, &reply->record);
}

bool
relay_bounce(struct relay *r)
{
	struct arrival_key key;
	int error;

	if (!config_role_originates(r->listener->role) ||
	    !r->mail.from.is_null || !is_bounce(&r->message))
		return false;
	r->bounce = arena_alloc(r->arena, sizeof(*r->bounce));
	error = r->bounce == NULL ? -E_NOMEM : read_report(r, r->bounce);
	if (error != 0) {
		relay_dsn_fail(r, error);
		return true;
	}
	if (!key_of(r, r->bounce, &key)) {
		without_record(r, r->bounce->is_report
		    ? "nothing shows who sent the message that it returns"
		    : "it returns no message that can be read");
		return true;
	}
	r->state = RELAY_FINDING;
	if (arrival_find(r->hub->memory, &key, r->tag) != 0)
		lack_answer(r);
	return true;
}
