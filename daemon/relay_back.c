/*
 * DSNs that come back to an address that we minted (product.md, Fail well;
 * draft 16.4): believed only where both they and what they return verify,
 * and then told, by a DSN of ours, to the hop before us alone.
 */
#include "daemon/relay_state.h"

#include "base/err.h"
#include "daemon/log.h"
#include "daemon/metrics.h"
#include "dkim2/chain.h"
#include "dsn/route.h"
#include "dsn/undo.h"

/* ---- answers ------------------------------------------------------------- */

static void
refuse(struct relay *r, int code, const char *enhanced, const char *text)
{
	struct relay_answer a = relay_answer_say(code, enhanced, text);

	relay_refuse(r, &a);
}

/* "STATE: text", as a verdict is told. */
static void
refuse_result(struct relay *r, const struct dsn_result *result)
{
	bool is_temporary = result->state == DKIM2_TEMPERROR;
	char octets[500];
	struct buf text = BUF_ON(octets);
	struct bytes kept;

	buf_printf(&text, "%s: ", result->state == DKIM2_TEMPERROR
	    ? "TEMPERROR" : result->state == DKIM2_PERMERROR ? "PERMERROR"
	    : "FAIL");
	dsn_result_text(result, &text);
	buf_add_octet(&text, '\0');
	kept = arena_copy(r->arena, buf_bytes(&text));
	refuse(r, is_temporary ? 451 : 550, is_temporary ? "4.7.5" : "5.7.1",
	    kept.p == NULL || text.full ? "The report does not verify"
	    : (const char *)kept.p);
}

static void
go_on(struct relay *r)
{
	relay_decide(r, relay_result(r));
}

/* ---- whom it is about ---------------------------------------------------- */

static bool
is_ours(void *arg, struct bytes domain)
{
	const struct keydir *keys = arg;

	for (size_t k = 0; k < keys->n; k++)
		if (bytes_case_eq(keys->entries[k].domain, domain))
			return true;
	return false;
}

/* The first failure of which the report tells; NULL: it tells of none. */
static const struct dsn_recipient *
first_failed(const struct dsn_report *report)
{
	for (size_t k = 0; k < report->n_recipients; k++)
		if (report->recipients[k].action == DSN_FAILED)
			return &report->recipients[k];
	return NULL;
}

/* The failure of an address; NULL: the report tells of none. */
static const struct dsn_recipient *
failure_of(const struct dsn_report *report, struct bytes address)
{
	for (size_t k = 0; k < report->n_recipients; k++) {
		const struct dsn_recipient *f = &report->recipients[k];

		if (f->action == DSN_FAILED &&
		    (dsn_route_address_eq(f->final, address, true) ||
		    dsn_route_address_eq(f->original, address, true)))
			return f;
	}
	return NULL;
}

/* The line of our aliases for local@domain; NULL: there is none. */
static const struct config_alias *
find_alias(const struct relay *r, struct bytes address)
{
	size_t at = address.n;

	while (at != 0 && address.p[at - 1] != '@')
		at--;
	return !r->listener->has_aliases || at < 2 ? NULL :
	    config_alias_find(&r->listener->aliases,
	    bytes_first(address, at - 1), bytes_skip(address, at));
}

/*
 * An address of the hop before, and behind it all those that it goes on to by
 * our aliases.
 *
 * address  local@domain
 * Returns  0 or -E_NOMEM
 */
static int
list_ways(struct relay *r, struct bytes address, const struct bytes **ways,
    size_t *n)
{
	const struct config_alias *row = find_alias(r, address);
	const struct bytes *ends = NULL;
	struct bytes *list;
	size_t n_ends = 0;

	if (row != NULL) {
		int error = config_alias_expand(&r->listener->aliases, row,
		    r->arena, &ends, &n_ends);

		if (error == -E_NOMEM)
			return error;
		if (error != 0)
			n_ends = 0;
	}
	list = arena_array(r->arena, n_ends + 1, sizeof(*list));
	if (list == NULL)
		return -E_NOMEM;
	list[0] = address;
	for (size_t k = 0; k < n_ends; k++)
		list[k + 1] = ends[k];
	*ways = list;
	*n = n_ends + 1;
	return 0;
}

/*
 * The failure that an address of the hop before has come to.
 *
 * found    NULL: it leads to none
 * Returns  0 or -E_NOMEM
 */
static int
find_failure(struct relay *r, const struct dsn_report *report,
    struct bytes address, const struct dsn_recipient **found)
{
	const struct bytes *ways;
	size_t n;
	int error = list_ways(r, address, &ways, &n);

	*found = NULL;
	for (size_t k = 0; error == 0 && k < n && *found == NULL; k++)
		*found = failure_of(report, ways[k]);
	return error;
}

static struct bytes
without_brackets(struct bytes path)
{
	return bytes_first(bytes_skip(path, 1), path.n - 2);
}

/* Whether our signature says that the copy was for an address. */
static bool
was_for(const struct dsn_undone *u, struct bytes address)
{
	for (size_t k = 0; k < u->n_sent; k++)
		if (dsn_route_address_eq(without_brackets(u->sent[k]),
		    address, false))
			return true;
	return false;
}

/*
 * Whether the copy went to who is behind a path of the hop before, in the
 * domain that our signature was made for. 0 or -E_NOMEM.
 */
static int
had_copy(struct relay *r, const struct dsn_undone *u, struct bytes path,
    bool *had)
{
	const struct bytes *ways;
	size_t n;
	int error;

	*had = false;
	if (!dkim2_domain_covers(u->domain, dkim2_path_domain(path)))
		return 0;
	error = list_ways(r, without_brackets(path), &ways, &n);
	for (size_t k = 0; error == 0 && k < n && !*had; k++)
		*had = was_for(u, ways[k]);
	return error;
}

/*
 * The paths of the hop before that the returned copy was for: our own
 * signature says it, and not whoever reports. All of them where nobody leads
 * there: a server between us sent it on, or our aliases are others by now.
 */
static int
list_copy(struct relay *r, const struct dsn_undone *u,
    const struct bytes **paths, size_t *n)
{
	struct bytes *list = arena_array(r->arena, u->n_rcpts + 1,
	    sizeof(*list));
	size_t n_had = 0;
	int error = list == NULL ? -E_NOMEM : 0;
	bool had;

	for (size_t k = 0; k < u->n_rcpts && error == 0; k++) {
		error = had_copy(r, u, u->rcpts[k], &had);
		if (had)
			list[n_had++] = u->rcpts[k];
	}
	*paths = n_had == 0 ? u->rcpts : list;
	*n = n_had == 0 ? u->n_rcpts : n_had;
	return error;
}

/*
 * Those whom the DSN names: addresses that the hop before used, never those
 * that we sent on to (B5), and of those whom the copy was for. Of several the
 * ones that lead to who failed; all of them where the report names others.
 */
static int
list_failed(struct relay *r, const struct dsn_report *report,
    const struct dsn_undone *u, struct dsn_made *made)
{
	const struct dsn_recipient *why = first_failed(report);
	const struct bytes *paths, *told;
	struct dsn_failed *list;
	size_t n_paths, n, n_led = 0;
	int error = list_copy(r, u, &paths, &n_paths);

	if (error == 0)
		error = dsn_route_told(&told, &n, paths, n_paths, u->domain,
		    r->arena);
	if (error != 0)
		return error;
	list = arena_array(r->arena, n, sizeof(*list));
	if (list == NULL)
		return -E_NOMEM;
	for (size_t k = 0; k < n && error == 0; k++) {
		const struct dsn_recipient *its = NULL;

		error = find_failure(r, report, told[k], &its);
		if (its != NULL)
			list[n_led++] = (struct dsn_failed){.final = told[k],
			    .status = its->status};
	}
	for (size_t k = 0; k < n && n_led == 0; k++)
		list[k] = (struct dsn_failed){.final = told[k],
		    .status = why->status};
	made->rcpts = list;
	made->n_rcpts = n_led == 0 ? n : n_led;
	return error;
}

/* ---- back one hop -------------------------------------------------------- */

static bool
has_key(void *arg, struct bytes domain)
{
	const struct relay *r = arg;
	const struct signer_key *first;

	return signer_inventory_find(r->hub->inventory, domain, &first) != 0;
}

/* Whether what came to us is nothing that a failure is told of. */
static int
is_barred(struct relay *r, const struct dsn_undone *u, enum dsn_bar *bar)
{
	struct dkim2_message m;
	const struct dsn_route_facts facts = {
	    .mail_from = u->mail_from,
	    .has_nd = u->has_nd,
	    .is_vouched = true,
	    .message = &m,
	};
	int error = dkim2_message_parse(&m, u->header, SIZE_MAX, r->arena);

	if (error == 0)
		*bar = dsn_route_forbids(&facts);
	return error;
}

/* Rebuilds the DSN, for who sent us the message. */
static void
tell(struct relay *r, const struct dsn_report *report,
    const struct dsn_undone *u)
{
	struct dsn_made made = {
	    .to = r->rcpts->out.rcpt_to,
	    .hostname = bytes_of(r->hub->config->hostname),
	    .returned_header = u->header,
	};
	const struct config *c = r->hub->config;
	int error = dsn_route_domain(&made.domain, u->rcpts, u->n_rcpts,
	    has_key, r, r->arena);

	if (c->dsn_return == DSN_RETURN_FULL && u->has_body &&
	    u->body.n <= c->dsn_return_max) {
		made.returned_body = u->body;
		made.has_returned_body = true;
	}
	if (error == 0 && made.domain.n == 0) {
		refuse(r, 550, "5.7.1", "There is no key any more of a domain "
		    "that the message was sent to");
		return;
	}
	if (error == 0)
		error = list_failed(r, report, u, &made);
	if (error == 0)
		error = relay_dsn_put(r, r->rcpts, &made, u->signature);
	if (error != 0)
		relay_dsn_fail(r, error);
	else
		go_on(r);
}

/*
 * The message was ours from the first signature on: who sent it to us knows
 * nothing of DKIM2, and gets what he would have got without.
 */
static void
tell_legacy(struct relay *r)
{
	if (relay_return_way(r)->legacy_bounce_in == LEGACY_BOUNCE_IN_REFUSE) {
		refuse(r, 550, "5.7.1", "Bounces of mail without DKIM2 are "
		    "not taken");
		return;
	}
	metrics_count(METRIC_DSNS, DSN_PASSED, 0);
	r->unsigned_rule = "a bounce of mail that came without DKIM2";
	go_on(r);
}

static void
judge_undone(struct relay *r, const struct dsn_report *report,
    const struct dsn_undone *u)
{
	enum dsn_bar bar = DSN_BAR_NONE;
	int error;

	if (u->mail_from.p == NULL && !u->has_nd) {
		tell_legacy(r);
		return;
	}
	error = is_barred(r, u, &bar);
	if (error != 0)
		relay_dsn_fail(r, error);
	else if (bar != DSN_BAR_NONE)
		relay_discard(r, dsn_bar_text(bar));
	else if (!chain_path_eq(u->mail_from, r->rcpts->out.rcpt_to))
		refuse(r, 550, "5.7.1", "This address does not lead to who "
		    "sent the message that the report returns");
	else
		tell(r, report, u);
}

/* The report can be believed. */
static void
believe(struct relay *r, const struct dsn_report *report)
{
	const struct dsn_ours ours = {
	    .is_ours = is_ours,
	    .arg = (void *)(uintptr_t)&r->hub->inventory->domains,
	    .hostname = bytes_of(r->hub->config->hostname),
	};
	enum dsn_undo_verdict verdict;
	struct dsn_undone u;
	int error;

	if (first_failed(report) == NULL) {
		relay_discard(r, "it tells of no failure");
		return;
	}
	error = dsn_undo(&u, &report->returned, report->returned_body,
	    report->has_returned_body, &ours, r->arena, &verdict);
	if (error != 0)
		relay_dsn_fail(r, error);
	else if (verdict == DSN_UNDO_NOT_OURS)
		refuse(r, 550, "5.7.1", "The message that the report returns "
		    "was not sent from here");
	else if (verdict != DSN_UNDONE)
		refuse(r, 550, "5.6.0", "The message that the report returns "
		    "can not be had as it came here");
	else
		judge_undone(r, report, &u);
}

/* ---- keys ---------------------------------------------------------------- */

static void
judge(struct relay *r)
{
	const struct dsn_result *result;
	char octets[500];
	struct buf text = BUF_ON(octets);

	if (dsn_check_step(r->check) != DKIM2_DONE)
		return;
	result = dsn_check_result(r->check);
	dsn_result_text(result, &text);
	log_line(LOG_NOTICE_, "%s: returned=%s%s%.*s", r->id,
	    dkim2_state_name(result->state), text.n == 0 ? "" : " reason=",
	    BYTES_FMT(buf_bytes(&text)));
	if (result->report != NULL)
		relay_log_about(r, &result->report->returned);
	if (result->state == DKIM2_PASS)
		believe(r, result->report);
	else
		refuse_result(r, result);
	if (result->state != DKIM2_PASS)
		metrics_count(METRIC_DSNS, DSN_REFUSED, 0);
}

static const struct bytes *
record_of(const struct signer_key *keys, size_t n, struct bytes name)
{
	for (size_t k = 0; k < n; k++)
		if (signer_key_is(&keys[k], name))
			return &keys[k].record;
	return NULL;
}

/* The public half of a key of ours: what we signed is known to us, whatever
 * the DNS has by now; a retired key signed what may still come back (B7). */
static const struct bytes *
own_record(const struct relay *r, struct bytes name)
{
	const struct signer_inventory *inv = r->hub->inventory;
	const struct bytes *record = record_of(inv->keys, inv->n, name);

	return record != NULL ? record :
	    record_of(inv->retired, inv->n_retired, name);
}

void
relay_back_key(struct relay *r, size_t k, const struct resolve_txt *txt)
{
	const struct bytes *names;
	int error;

	if (r->state != RELAY_CHECKING ||
	    k >= dsn_check_wants(r->check, &names))
		return;
	error = dsn_check_answer(r->check, k, txt->found, txt->records,
	    txt->n);
	if (error != 0)
		relay_dsn_fail(r, error);
	else
		judge(r);
}

/* Answers what we know ourselves, and asks the DNS for the rest. */
static void
ask_keys(struct relay *r)
{
	const struct bytes *names, *own;
	size_t n = dsn_check_wants(r->check, &names);
	bool is_asked = false;
	int error = 0;

	for (size_t k = 0; k < n && error == 0; k++) {
		own = own_record(r, names[k]);
		if (own != NULL) {
			error = dsn_check_answer(r->check, k, DKIM2_KEY_TXT,
			    own, 1);
			continue;
		}
		is_asked = true;
		resolve_ask_txt(r->hub->resolve, names[k],
		    r->tag | (RELAY_BACK_PART + k));
	}
	if (error != 0)
		relay_dsn_fail(r, error);
	else if (!is_asked)
		judge(r);
}

bool
relay_back(struct relay *r)
{
	struct dkim2_limits limits, returned;
	const struct dsn_check_options opts = {
	    .now_s = loop_time_s(r->hub->loop),
	    .envelope = &r->arrived,
	    .limits = &limits,
	    .returned_limits = &returned,
	};
	int error;

	if (!r->rcpts->out.is_return || !decide_has_chain(&r->message))
		return false;
	relay_limits(r, &limits);
	returned = limits;
	returned.max_age_s = INT64_MAX;	/* the address says how old it may be */
	error = dsn_check_new(&r->check, r->arena, &r->message,
	    content_body(&r->content), &opts);
	if (error != 0) {
		relay_dsn_fail(r, error);
		return true;
	}
	r->state = RELAY_CHECKING;
	ask_keys(r);
	return true;
}
