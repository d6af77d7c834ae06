#include "daemon/decide.h"

#include <stdio.h>

#include "daemon/policy.h"
#include "daemon/relay_value.h"
#include "dkim2/from_rewrite.h"

static void
refuse(struct decision *d, int code, const char *enhanced, const char *text)
{
	d->kind = DECIDE_REFUSE;
	d->code = code;
	d->enhanced = enhanced;
	snprintf(d->text, sizeof(d->text), "%s", text);
}

/* "STATE: the draft's text", as interface.md has it. */
static void
refuse_verdict(struct decision *d, const struct dkim2_verdict *v)
{
	static const char *const name[] = {
		[DKIM2_NONE] = "NONE", [DKIM2_PASS] = "PASS",
		[DKIM2_FAIL] = "FAIL", [DKIM2_PERMERROR] = "PERMERROR",
		[DKIM2_TEMPERROR] = "TEMPERROR",
	};
	char octets[512];
	struct buf text = BUF_ON(octets);
	bool is_temporary = v->state == DKIM2_TEMPERROR;

	dkim2_verdict_text(v, &text);
	refuse(d, is_temporary ? 451 : 550, is_temporary ? "4.7.5" : "5.7.1",
	    "");
	snprintf(d->text, sizeof(d->text), "%s: %.*s", name[v->state],
	    BYTES_FMT(buf_bytes(&text)));
}

void
decide_unsignable(struct decision *d, const struct config_listener *l,
    const char *rule)
{
	d->kind = DECIDE_PASS;
	d->rule = rule;
	if (l->unsignable == UNSIGNABLE_PASS)
		return;
	refuse(d, 550, "5.7.1", "");
	snprintf(d->text, sizeof(d->text), "Cannot be signed: %s", rule);
}

void
decide_loop(struct decision *d, const char *text)
{
	refuse(d, 554, "5.4.6", text);
}

bool
decide_is_sender(const struct config_listener *l, const struct keydir *keys,
    struct bytes domain)
{
	if (l->has_senders) {
		for (size_t k = 0; k < l->n_senders; k++)
			if (dkim2_domain_covers(l->senders[k], domain))
				return true;
		return false;
	}
	/* Neither senders nor keys: nothing to enforce, nothing to sign. */
	return keys->n == 0 || keydir_cover(keys, &domain, 1).n != 0;
}

struct bytes
decide_identity(const struct config_listener *l, const struct keydir *keys,
    struct bytes rcpt_to_in, struct bytes mail_from_out)
{
	struct bytes name[2] = {dkim2_path_domain(rcpt_to_in),
	    dkim2_path_domain(mail_from_out)};

	if (l->role != ROLE_FORWARD)
		return (struct bytes){NULL, 0};
	return keydir_cover(keys, name, 2);
}

/* The domain of one path, or of From, alone. */
static struct bytes
cover_one(const struct keydir *keys, struct bytes domain)
{
	return keydir_cover(keys, &domain, 1);
}

struct bytes
decide_before(const struct config_listener *l, const struct keydir *keys,
    struct bytes rcpt_to_in, struct bytes mail_from_out)
{
	if (l->role != ROLE_FORWARD || decide_identity(l, keys, rcpt_to_in,
	    mail_from_out).n != 0 ||
	    cover_one(keys, dkim2_path_domain(mail_from_out)).n == 0)
		return (struct bytes){NULL, 0};
	return cover_one(keys, dkim2_path_domain(rcpt_to_in));
}

/*
 * Signs by way of an imaginary hop: as before, whom the message was sent to
 * or is from, then as the domain of MAIL FROM. Returns false where we do not
 * hold both keys.
 */
static bool
go_by(struct decision *d, const struct decide_facts *f, struct bytes before)
{
	struct bytes domain = cover_one(f->keys,
	    dkim2_path_domain(f->mail_from_out));

	if (before.n == 0 || domain.n == 0)
		return false;
	d->before = before;
	d->domain = domain;
	return true;
}

bool
decide_may_return(const struct config_listener *l)
{
	return l->pair != NULL || l->extend == EXTEND_TRUSTING;
}

bool
decide_may_sign(const struct config_listener *l, const struct keydir *keys)
{
	return keys->n != 0 && (config_role_originates(l->role) ||
	    l->role == ROLE_FORWARD);
}

bool
decide_may_queue(const struct config_listener *l, const struct keydir *keys,
    bool is_known, struct bytes mail_from)
{
	struct bytes domain = dkim2_path_domain(mail_from);

	/* whose chain it is its content will say */
	if (l->delivery == DELIVERY_QUEUE && l->role == ROLE_FORWARD)
		return domain.n != 0 && keys->n != 0;
	return l->delivery == DELIVERY_QUEUE &&
	    config_role_originates(l->role) && is_known && domain.n != 0 &&
	    (l->has_senders || keys->n != 0) &&
	    decide_is_sender(l, keys, domain);
}

bool
decide_is_internal(const struct config_listener *l,
    const struct config_next_hop *hop)
{
	for (size_t k = 0; k < l->n_internal; k++)
		if (bytes_case_eq(l->internal[k], hop->host))
			return true;
	return false;
}

bool
decide_would_refuse(enum config_verify verify,
    const struct config_policy *policy, enum dkim2_state state)
{
	return verify == VERIFY_OBSERVE && policy == NULL &&
	    state != DKIM2_NONE && state != DKIM2_PASS;
}

/* What the verdict alone decides, but for a rule that says otherwise. */
static bool
by_verdict(struct decision *d, const struct decide_facts *f)
{
	const struct dkim2_verdict *v = &f->result->full;

	if (f->policy != NULL && f->policy->action == ACTION_REFUSE)
		refuse(d, 550, "5.7.1", policy_text(f->policy));
	if (f->policy != NULL)
		return f->policy->action == ACTION_REFUSE;
	if (v->state == DKIM2_NONE) {
		if (f->listener->unsigned_mail != UNSIGNED_REFUSE)
			return false;
		refuse(d, 550, "5.7.1", "This message has no DKIM2 signature "
		    "and is not accepted without one");
		return true;
	}
	if (f->verify != VERIFY_ENFORCE || v->state == DKIM2_PASS)
		return false;
	refuse_verdict(d, v);
	return true;
}

static bool
is_report(const struct dkim2_message *m)
{
	const struct dkim2_field *type;
	struct bytes v;

	if (dkim2_message_find(m, BYTES_LIT("content-type"), &type) == 0)
		return false;
	v = type->value;
	while (v.n != 0 && (v.p[0] == ' ' || v.p[0] == '\t' ||
	    v.p[0] == '\r' || v.p[0] == '\n'))
		v = bytes_skip(v, 1);
	return bytes_case_starts(v, BYTES_LIT("multipart/report"));
}

bool
decide_has_chain(const struct dkim2_message *m)
{
	const struct dkim2_field *first;

	return dkim2_message_find(m, BYTES_LIT("dkim2-signature"),
	    &first) != 0 ||
	    dkim2_message_find(m, BYTES_LIT("message-instance"), &first) != 0;
}

/* Mail of a domain that is not ours to send for. A list manager hands on what
 * others wrote, and nobody can say any more how that came. */
static void
foreign(struct decision *d, const struct decide_facts *f, const char *text)
{
	if (f->listener->role == ROLE_LIST_OUT)
		decide_unsignable(d, f->listener, "it is of others, and there "
		    "is no record of its arrival");
	else if (f->extension != NULL && f->extension->is_unknown)
		refuse(d, 451, "4.3.0", "It can not be told now how the "
		    "message came here");
	else
		refuse(d, 550, "5.7.1", text);
}

/* MAIL FROM, where it was not for MAIL to refuse it. */
static bool
is_own_path(const struct decide_facts *f)
{
	struct bytes domain = dkim2_path_domain(f->mail_from_in);

	return !decide_may_return(f->listener) || domain.n == 0 ||
	    decide_is_sender(f->listener, f->keys, domain);
}

/* New mail of ours: i=1, by the domain that covers From and MAIL FROM. */
static void
originate(struct decision *d, const struct decide_facts *f)
{
	struct bytes name[2] = {{NULL, 0}, dkim2_path_domain(f->mail_from_out)};
	enum dkim2_from from = dkim2_message_from(f->message, f->arena,
	    &name[0]);

	if (from == DKIM2_FROM_NONE || from == DKIM2_FROM_MANY) {
		refuse(d, 550, "5.6.0", from == DKIM2_FROM_NONE
		    ? "The message has no From field"
		    : "The message has more than one From field");
	} else if (from == DKIM2_FROM_UNCLEAR) {
		decide_unsignable(d, f->listener,
		    "From does not hold exactly one mailbox");
	} else if (!decide_is_sender(f->listener, f->keys, name[0])) {
		foreign(d, f,
		    "The domain of From is not one that this client may use");
	} else if (!is_own_path(f)) {
		foreign(d, f,
		    "This client may not send from that domain");
	} else if (decide_has_chain(f->message)) {
		decide_unsignable(d, f->listener,
		    "a chain without an arrival record");
	} else if (cover_one(f->keys, name[0]).n == 0) {
		decide_unsignable(d, f->listener,
		    "no key for the domain of From");
	} else {
		d->kind = DECIDE_SIGN;
		d->domain = keydir_cover(f->keys, name, 2);
		if (d->domain.n == 0 &&
		    !go_by(d, f, cover_one(f->keys, name[0])))
			decide_unsignable(d, f->listener,
			    "no key covers both From and MAIL FROM");
	}
}

/* A chain that came to us: i=n+1, by the domain it was sent to. */
static void
extend(struct decision *d, const struct decide_facts *f)
{
	const struct dkim2_field *list;

	d->kind = DECIDE_PASS;
	if (!decide_has_chain(f->message))
		return;
	if (f->result == NULL) {
		decide_unsignable(d, f->listener,
		    "the chain was not verified: verify is off");
	} else if (f->result->full.state == DKIM2_TEMPERROR) {
		refuse_verdict(d, &f->result->full);
	} else if (f->result->full.state != DKIM2_PASS) {
		decide_unsignable(d, f->listener,
		    "the chain is not Fully Verified");
	} else {
		d->kind = DECIDE_SIGN;
		d->domain = f->identity;
		if (dkim2_message_find(f->message, BYTES_LIT("list-id"),
		        &list) != 0)
			d->flags |= DKIM2_FLAG_EXPLODED;
		if (d->domain.n == 0 && !go_by(d, f, f->before))
			decide_unsignable(d, f->listener,
			    "no key covers both the recipient's domain and "
			    "the new MAIL FROM");
	}
}

/* ---- mail of others ---- */

/* As whom the next signature, or the imaginary hop before it, is made. */
static struct bytes
own_of(const struct decide_facts *f)
{
	return f->identity.n != 0 ? f->identity : f->before;
}

/* Whether the author's domain, or the operator, wants another From. */
static bool
is_from_unwanted(const struct decide_facts *f, bool is_adopting)
{
	if (f->listener->from_rewrite != FROM_REWRITE_DMARC)
		return f->listener->from_rewrite == FROM_REWRITE_ALWAYS;
	if (f->dmarc == NULL || !f->dmarc->has_policy ||
	    f->dmarc->policy == DMARC_POLICY_NONE)
		return false;
	/* his DKIM1 signature goes on, and is all that is asked for */
	return is_adopting || !f->is_dkim1_aligned;
}

struct bytes
decide_from(const struct decide_facts *f, bool is_adopting)
{
	struct bytes domain;

	if (f->from_address.n == 0 || !is_from_unwanted(f, is_adopting) ||
	    dkim2_message_from(f->message, f->arena, &domain) !=
	        DKIM2_FROM_ONE ||
	    (own_of(f).n != 0 && dkim2_domain_covers(own_of(f), domain)))
		return (struct bytes){NULL, 0};
	return f->from_address;
}

/* Whether a DKIM1 signature spoke for From when the message came. */
static bool
is_vouched(const struct decide_facts *f)
{
	return f->extension != NULL && f->extension->is_legacy
	    ? f->extension->is_from_signed : f->is_dkim1_aligned;
}

static bool
may_adopt(const struct decide_facts *f)
{
	return f->listener->adopt == ADOPT_ALWAYS ||
	    (f->listener->adopt == ADOPT_DKIM1_ALIGNED && is_vouched(f));
}

/* A list manager's own work: From is the list already. */
static bool
is_from_list(const struct decide_facts *f)
{
	return f->extension != NULL && f->extension->is_legacy &&
	    from_rewrite_is(f->message, f->from_address);
}

/*
 * Why mail can not be taken into DKIM2 as ours; NULL: it can. A bounce that we
 * signed would be believed where mail to our domain bounces (draft 16.4); a
 * MAIL FROM or From of ours that nobody vouches for may be anybody's.
 */
static const char *
rule_against_adoption(const struct decide_facts *f, struct bytes from)
{
	struct bytes domain;

	if (bytes_eq(f->mail_from_in, BYTES_LIT("<>")))
		return "mail from <> is not adopted";
	if (dkim2_message_from(f->message, f->arena, &domain) !=
	    DKIM2_FROM_ONE)
		return "From does not hold exactly one mailbox";
	if (f->identity.n == 0)
		return "no key covers both the recipient's domain and the new "
		    "MAIL FROM";
	if (f->listener->role == ROLE_FORWARD &&
	    bytes_eq(f->mail_from_in, f->mail_from_out))
		return "MAIL FROM is ours, and anybody may have said it";
	if (from.n != 0)
		return NULL;
	if (!dkim2_domain_covers(f->identity, domain))
		return "adopting it needs another From, and from-rewrite "
		    "leaves it";
	return is_vouched(f) || is_from_list(f) ? NULL
	    : "From is ours, and no DKIM1 signature shows it";
}

/* Mail that never was in DKIM2: i=1 by the domain it was sent to. */
static void
adopt(struct decision *d, const struct decide_facts *f)
{
	struct bytes from = decide_from(f, true);
	const char *rule = rule_against_adoption(f, from);

	if (rule != NULL) {
		d->from = decide_from(f, false);
		decide_unsignable(d, f->listener, rule);
		return;
	}
	d->kind = DECIDE_SIGN;
	d->domain = f->identity;
	d->from = from;
}

/* Where mail is forwarded. A chain that is not extended stays as it is. */
static void
forward(struct decision *d, const struct decide_facts *f)
{
	if (decide_has_chain(f->message)) {
		extend(d, f);
		if (d->kind == DECIDE_SIGN)
			d->from = decide_from(f, false);
	} else if (may_adopt(f)) {
		adopt(d, f);
	} else {
		d->from = decide_from(f, false);
	}
}

/* ---- what comes back ---- */

/*
 * As whom what came back is extended: a domain it came to that has keys and
 * covers the reverse-path it leaves with, if that is not <>. Empty where there
 * is none.
 */
static struct bytes
identity_of_return(const struct decide_facts *f, struct bytes mail_from)
{
	struct bytes list = f->extension->rcpts, path, best = {NULL, 0};

	while (relay_value_next_rcpt(&list, &path)) {
		struct bytes name[2] = {dkim2_path_domain(path),
		    dkim2_path_domain(mail_from)};
		struct bytes domain = keydir_cover(f->keys, name, 2);

		if (name[0].n != 0 && domain.n > best.n)
			best = domain;
	}
	return best;
}

/* The same where MAIL FROM is moved: under the recipient's own domain. */
static struct bytes
identity_of_moved(const struct decide_facts *f, struct bytes *under)
{
	struct bytes list = f->extension->rcpts, path, best = {NULL, 0};

	while (f->listener->mail_from != MAIL_FROM_KEEP &&
	    relay_value_next_rcpt(&list, &path)) {
		struct bytes name = dkim2_path_domain(path);
		struct bytes domain = keydir_cover(f->keys, &name, 1);

		if (name.n == 0 || domain.n <= best.n)
			continue;
		best = domain;
		*under = name;
	}
	return best;
}

/* A chain that came back from the server behind us. */
static void
extend_return(struct decision *d, const struct decide_facts *f)
{
	const struct extension *e = f->extension;
	const struct dkim2_field *list;

	if (!e->is_good) {
		decide_unsignable(d, f->listener, e->rule);
		return;
	}
	d->kind = DECIDE_SIGN;
	d->is_return = true;
	d->domain = identity_of_return(f, f->mail_from_out);
	if (d->domain.n == 0)
		d->domain = identity_of_moved(f, &d->under);
	if (f->listener->role == ROLE_LIST_OUT || e->is_used ||
	    f->n_rcpts > 1 || dkim2_message_find(e->message,
	        BYTES_LIT("list-id"), &list) != 0)
		d->flags |= DKIM2_FLAG_EXPLODED;
	if (d->domain.n == 0 && !go_by(d, f, identity_of_return(f,
	    BYTES_LIT("<>"))))
		decide_unsignable(d, f->listener, "no key covers both a "
		    "recipient that it came for and MAIL FROM");
}

/* The list's, for an author who does not know of DKIM2. */
static void
adopt_return(struct decision *d, const struct decide_facts *f)
{
	struct decide_facts own = *f;

	own.from_address = f->extension->from_address;
	own.identity = identity_of_return(f, f->mail_from_out);
	if (may_adopt(&own)) {
		adopt(d, &own);
		return;
	}
	d->from = decide_from(&own, false);
	decide_unsignable(d, f->listener, f->extension->rule);
}

/*
 * Mail of the server behind us: what came in before is extended, or not
 * signed at all; the rest is new.
 */
static void
send_out(struct decision *d, const struct decide_facts *f)
{
	bool is_bounce = bytes_eq(f->mail_from_in, BYTES_LIT("<>")) &&
	    is_report(f->message);
	struct bytes domain;
	enum dkim2_from from = dkim2_message_from(f->message, f->arena,
	    &domain);

	if (is_bounce || from == DKIM2_FROM_NONE || from == DKIM2_FROM_MANY ||
	    (f->extension->rule == NULL && !f->extension->is_good))
		originate(d, f);
	else if (f->extension->is_legacy && f->listener->role == ROLE_LIST_OUT)
		adopt_return(d, f);
	else
		extend_return(d, f);
}

/*
 * What may pass at all passes, unsigned. Another From is for mail without a
 * chain: none was verified that could be extended.
 */
static void
bypass(struct decision *d)
{
	if (d->kind != DECIDE_REFUSE || d->rule != NULL)
		*d = (struct decision){.kind = DECIDE_PASS, .rule = "bypass",
		    .from = d->from};
}

void
decide(struct decision *d, const struct decide_facts *f)
{
	*d = (struct decision){.kind = DECIDE_PASS};
	if (f->result != NULL && by_verdict(d, f))
		return;
	if (decide_may_return(f->listener))
		send_out(d, f);
	else if (config_role_originates(f->listener->role))
		originate(d, f);
	else if (f->listener->role == ROLE_FORWARD)
		forward(d, f);
	/* what can not be signed here perhaps can there */
	if (f->is_internal && (d->kind == DECIDE_SIGN || d->rule != NULL))
		*d = (struct decision){.kind = DECIDE_PASS,
		    .rule = "the next hop is ours, and signs"};
	if (f->is_bypassed)
		bypass(d);
}
