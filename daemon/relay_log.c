#include "daemon/relay_state.h"

#include "base/logline.h"
#include "daemon/log.h"
#include "daemon/received.h"
#include "daemon/metrics.h"
#include "daemon/summary.h"

void
relay_escape(struct bytes octets, char *out, size_t n)
{
	struct buf b = {(uint8_t *)out, 0, n - 1, false};

	logline_escape(octets, (n - 8) / 4, &b);
	out[b.n] = '\0';
}

void
relay_log_client(struct relay *r)
{
	const struct inbound_client *c;
	char from[600];

	if (r->is_announced || r->session == NULL)
		return;
	r->is_announced = true;
	c = inbound_client(r->session);
	relay_escape(r->mail.from.raw, from, sizeof(from));
	log_line(LOG_NOTICE_, "%s: client=[%s]:%u, listener=%s, from=%s",
	    r->id, c->ip, c->addr.port, r->listener->name, from);
}

void
relay_log_message(const struct relay *r)
{
	const struct dkim2_field *id = NULL;
	char value[800];

	(void)dkim2_message_find(&r->message, BYTES_LIT("message-id"), &id);
	relay_escape(id == NULL ? BYTES_LIT("<>") : bytes_trim(id->value),
	    value, sizeof(value));
	log_line(LOG_NOTICE_, "%s: message-id=%s", r->id, value);
	if (!r->is_queued)
		relay_log_envelope(r);
}

void
relay_log_envelope(const struct relay *r)
{
	char from[600];

	relay_escape(r->mail.from.raw, from, sizeof(from));
	log_line(LOG_NOTICE_, "%s: from=%s, size=%zu, nrcpt=%u", r->id, from,
	    content_header(&r->content).n + content_body(&r->content).n,
	    r->n_said);
}

void
relay_log_about(const struct relay *r, const struct dkim2_message *returned)
{
	struct bytes id;

	for (size_t k = 0; k < returned->n_fields; k++) {
		const struct dkim2_field *f = &returned->fields[k];

		if (!bytes_case_eq(f->name, BYTES_LIT("received")) ||
		    !received_id(f->value, r->hub->config->hostname, &id))
			continue;
		log_line(LOG_NOTICE_, "%s: about=%.*s", r->id, BYTES_FMT(id));
		return;
	}
}

void
relay_log_reject(const struct relay *r, const char *stage,
    const struct relay_answer *a, struct bytes to)
{
	const struct inbound_client *c = inbound_client(r->session);
	char from[600], rcpt[600], helo[300], text[1200];

	relay_escape(r->mail.from.raw, from, sizeof(from));
	relay_escape(to, rcpt, sizeof(rcpt));
	relay_escape(c->helo, helo, sizeof(helo));
	relay_escape(a->text, text, sizeof(text));
	log_line(LOG_NOTICE_, "%s: reject: %s from [%s]:%u: %d %s %s; from=%s "
	    "to=%s proto=%s helo=<%s> listener=%s", r->id, stage, c->ip,
	    c->addr.port, a->code, a->enhanced, text, from, rcpt,
	    c->is_esmtp ? "ESMTP" : "SMTP", helo, r->listener->name);
}

static void
count_fate(const struct relay *r, const struct relay_rcpt *rcpt)
{
	int class = rcpt->answer.code / 100;
	unsigned fate = class == 5 ? FATE_REFUSED : class == 4 ? FATE_DEFERRED :
	    rcpt->is_discarded ? FATE_DISCARDED : rcpt->onward == NULL
	    ? FATE_DUPLICATE : r->is_queued ? FATE_QUEUED : FATE_DELIVERED;

	metrics_count(METRIC_RECIPIENTS, r->listener->role, fate);
}

void
relay_count(const struct relay *r, int code)
{
	static const unsigned outcomes[] = {OUTCOME_ABANDONED,
	    [2] = OUTCOME_ACCEPTED, [4] = OUTCOME_DEFERRED,
	    [5] = OUTCOME_REFUSED};

	metrics_count(METRIC_MESSAGES, r->listener->role, outcomes[code / 100]);
	if (code != 0 && r->ended_ms != 0)
		metrics_observe(METRIC_DELAY, loop_now_ms(r->hub->loop) -
		    r->ended_ms);
}

void
relay_count_verdict(const struct relay *r, const struct dkim2_result *result)
{
	enum dkim2_state state = result->full.state;
	bool would = decide_would_refuse(r->verify_as, r->policy, state);
	struct bytes d = {NULL, 0};

	if (result->n_signatures != 0)
		d = result->signatures[result->n_signatures - 1].d;
	metrics_count(METRIC_VERDICTS, r->listener->role, state);
	summary_count(d, state, would);
	if (!would)
		return;
	metrics_count(METRIC_WOULD_REFUSE, state, 0);
	log_line(LOG_NOTICE_, "%s: would-refuse=%s verdict=%s listener=%s "
	    "verify=observe", r->id, state == DKIM2_TEMPERROR ? "451" : "550",
	    dkim2_state_name(state), r->listener->name);
}

void
relay_log_fate(struct relay *r, const struct relay_rcpt *rcpt)
{
	static const char *const status[] = {[2] = "sent", [4] = "deferred",
	    [5] = "refused"};
	const struct relay_answer *a = &rcpt->answer;
	const struct onward *o = rcpt->onward;
	const char *relay = "none", *tls = "", *word = status[a->code / 100];
	char to[600], orig[620] = "", reply[1200];
	int64_t ms = loop_now_ms(r->hub->loop) - r->begun_ms;

	relay_log_client(r);
	relay_escape(rcpt->out.rcpt_to, to, sizeof(to));
	relay_escape(a->text, reply, sizeof(reply));
	if (!bytes_eq(rcpt->out.rcpt_to, rcpt->to.raw)) {
		memcpy(orig, "orig_to=", 8);
		relay_escape(rcpt->to.raw, orig + 8, sizeof(orig) - 16);
		strcat(orig, ", ");
	}
	count_fate(r, rcpt);
	if (rcpt->is_discarded)
		word = "discarded";
	if (r->is_queued && o != NULL) {
		relay = "queue";
		word = a->code / 100 == 2 ? "queued" : word;
	}
	if (o != NULL && o->outbound != NULL) {
		relay = outbound_relay(o->outbound);
		tls = outbound_tls(o->outbound);
	}
	log_line(LOG_NOTICE_, "%s: to=%s, %srelay=%s, delay=%lld.%02lld, "
	    "dsn=%s, status=%s (%d %s %s) %s%s%s%s%s", r->id, to, orig, relay,
	    (long long)ms / 1000, (long long)ms % 1000 / 10, a->enhanced,
	    word, a->code, a->enhanced, reply, *tls == '\0' ? "" : "tls=", tls,
	    *tls == '\0' ? "" : " ", o == NULL ? "" : o->signed_as,
	    r->is_bypassed ? " bypass=yes" : "");
}

void
relay_log_policy(const struct relay *r)
{
	log_line(LOG_NOTICE_, "%s: policy=%s rule=%u condition=%s listener=%s",
	    r->id, config_action_name(r->policy->action),
	    (unsigned)(r->policy - r->listener->policy) + 1,
	    config_condition_name(r->policy->condition), r->listener->name);
}

void
relay_log_verdict(const struct relay *r, const struct dkim2_result *v)
{
	char octets[600];
	struct buf text = BUF_ON(octets);
	const struct dkim2_signature_result *top = v->n_signatures == 0
	    ? NULL : &v->signatures[v->n_signatures - 1];
	char d[300] = "-";

	dkim2_verdict_text(&v->full, &text);
	if (top != NULL)
		relay_escape(top->d, d, sizeof(d));
	log_line(LOG_NOTICE_, "%s: verdict=%s i=%u d=%s listener=%s%s%.*s",
	    r->id, dkim2_state_name(v->full.state),
	    top == NULL ? 0 : top->i, d, r->listener->name,
	    text.n == 0 ? "" : " reason=", BYTES_FMT(buf_bytes(&text)));
}

void
relay_log_sender(const struct relay *r)
{
	const struct dkim1_result *dkim1 = sender_dkim1(r->sender);
	const struct dmarc_verdict *dmarc = sender_dmarc(r->sender);
	char octets[8 * 300], d[260];
	struct buf text = BUF_ON(octets);

	if (r->sender == NULL)
		return;
	for (size_t k = 0; dkim1 != NULL && k < dkim1->n_signatures; k++) {
		relay_escape(dkim1->signatures[k].d, d, sizeof(d));
		buf_printf(&text, "%s%s:%s", k == 0 ? "" : ",",
		    dkim1_state_name(dkim1->signatures[k].state), d);
	}
	if (text.n == 0)
		buf_add_str(&text, "-");
	log_line(LOG_NOTICE_, "%s: dkim1=%.*s aligned=%s policy=%s", r->id,
	    BYTES_FMT(buf_bytes(&text)), relay_from_is_signed(r) ? "yes"
	    : "no", dmarc == NULL ? "-" : dmarc->has_policy
	    ? dmarc_policy_name(dmarc->policy)
	    : dmarc_state_name(dmarc->state));
}
