#include "daemon/control_status.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "config/schema.h"
#include "daemon/addr.h"
#include "daemon/queue.h"
#include "daemon/status.h"

#define KEYS_MAX 1000U		/* of a state that are listed */

/* ---- mail ---------------------------------------------------------------- */

static const struct {
	const char *name;
	enum metric metric;
	unsigned word;
} counted[CONTROL_COUNTED] = {
	{"sessions", METRIC_SESSIONS, 0},
	{"accepted", METRIC_MESSAGES, OUTCOME_ACCEPTED},
	{"refused", METRIC_MESSAGES, OUTCOME_REFUSED},
	{"deferred", METRIC_MESSAGES, OUTCOME_DEFERRED},
	{"delivered", METRIC_RECIPIENTS, FATE_DELIVERED},
};

static void
count(struct control_sample *s, const struct loop *l)
{
	s->at_ms = loop_now_ms(l);
	for (unsigned role = 0; role < CONTROL_ROLES; role++)
		for (size_t k = 0; k < CONTROL_COUNTED; k++)
			s->n[role][k] = metrics_get(counted[k].metric, role,
			    counted[k].word);
}

struct control_past *
control_past_make(void)
{
	void *p = mmap(NULL, sizeof(struct control_past), PROT_READ |
	    PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* The one taken k samples ago, from 1 on; NULL: it is none of the last minute,
 * and a little. */
static const struct control_sample *
sample_before(const struct control_samples *s, uint32_t k)
{
	uint32_t n = __atomic_load_n(&s->past->n, __ATOMIC_ACQUIRE);
	const struct control_sample *it = s->past->ring +
	    (n - k) % CONTROL_SAMPLES;
	int64_t age_ms = loop_now_ms(s->loop) - it->at_ms;

	return k > n || age_ms < 0 || age_ms > (int64_t)CONTROL_SAMPLES *
	    CONTROL_SAMPLE_MS ? NULL : it;
}

const struct control_sample *
control_samples_oldest(const struct control_samples *s)
{
	const struct control_sample *it = NULL, *next;

	for (uint32_t k = 1; k <= CONTROL_SAMPLES; k++) {
		next = sample_before(s, k);
		if (next == NULL)
			break;
		it = next;
	}
	return it;
}

/* In the place of the oldest one. */
static void
on_sample(void *arg)
{
	struct control_samples *s = arg;
	const struct control_sample *last = sample_before(s, 1);
	int64_t age_ms = last == NULL ? CONTROL_SAMPLE_MS :
	    loop_now_ms(s->loop) - last->at_ms;

	if (age_ms < CONTROL_SAMPLE_MS) {	/* of the process before */
		loop_timer_start(s->timer, CONTROL_SAMPLE_MS - age_ms);
		return;
	}
	count(s->past->ring + s->past->n % CONTROL_SAMPLES, s->loop);
	__atomic_store_n(&s->past->n, s->past->n + 1, __ATOMIC_RELEASE);
	loop_timer_start(s->timer, CONTROL_SAMPLE_MS);
}

struct control_samples *
control_samples_new(struct loop *l, struct control_past *past)
{
	struct control_samples *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->loop = l;
	s->past = past != NULL ? past : &s->own;
	s->timer = loop_timer_new(l, on_sample, s);
	if (s->timer == NULL)
		control_samples_free(&s);
	else
		on_sample(s);
	return s;
}

void
control_samples_free(struct control_samples **s)
{
	if (*s != NULL)
		loop_timer_free(&(*s)->timer);
	free(*s);
	*s = NULL;
}

static bool
has_role(const struct config *c, unsigned role)
{
	for (size_t k = 0; k < c->n_listeners; k++)
		if (c->listeners[k].role == role)
			return true;
	return false;
}

static void
write_mail(const struct control *c, struct buf *out)
{
	const struct control_sample *then =
	    control_samples_oldest(c->samples);
	struct control_sample now;

	count(&now, c->loop);
	if (then == NULL)
		then = &now;
	for (unsigned role = 0; role < CONTROL_ROLES; role++) {
		if (!has_role(c->env->config, role))
			continue;
		buf_add_str(out, "mail");
		status_pair(out, "role", bytes_of(config_role_name(role)));
		status_number(out, "open", (int64_t)metrics_get(
		    METRIC_SESSIONS_OPEN, role, 0));
		for (size_t k = 0; k < CONTROL_COUNTED; k++)
			status_number(out, counted[k].name,
			    (int64_t)now.n[role][k]);
		status_number(out, "window",
		    (now.at_ms - then->at_ms + 500) / 1000);
		for (size_t k = 0; k < CONTROL_COUNTED; k++) {
			buf_printf(out, " lately-%s:%llu", counted[k].name,
			    (unsigned long long)(now.n[role][k] -
			    then->n[role][k]));
		}
		buf_add_octet(out, '\n');
	}
}

/* ---- listeners ----------------------------------------------------------- */

static const char *
word_of(const char *directive, unsigned value)
{
	const char *word = config_word_name(config_row_find(
	    bytes_of(directive)), value);

	return word == NULL ? "" : word;
}

static void
write_addresses(const struct config_listener *l, struct buf *out)
{
	char text[1024];
	struct buf b = BUF_ON(text);

	for (size_t k = 0; k < l->n_listen && b.n + 80 < b.cap; k++) {
		if (k != 0)
			buf_add_octet(&b, ',');
		if (l->listen[k].is_lmtp)
			buf_add_str(&b, "lmtp://");
		else if (l->listen[k].is_tls)
			buf_add_str(&b, "smtps://");
		addr_add(l->listen + k, &b);
	}
	status_pair(out, "listen", buf_bytes(&b));
}

static void
write_next_hop(const struct config_listener *l, struct buf *out)
{
	static const char *const schemes[] = {[SCHEME_SMTP] = "smtp",
	    [SCHEME_SMTPS] = "smtps", [SCHEME_LMTP] = "lmtp",
	    [SCHEME_MX] = "mx"};
	const struct config_next_hop *h = &l->next_hop;
	char text[512];
	struct buf b = BUF_ON(text);

	if (l->routes.n != 0)
		buf_add_str(&b, "routes");
	else if (h->scheme == SCHEME_MX)
		buf_add_str(&b, "mx");
	else
		buf_printf(&b, "%s://%.*s:%u", schemes[h->scheme],
		    BYTES_FMT(h->host), h->port);
	status_pair(out, "next-hop", buf_bytes(&b));
}

static void
write_listener(const struct config_listener *l, struct buf *out)
{
	buf_add_str(out, "listener");
	status_pair(out, "name", bytes_of(l->name));
	status_pair(out, "role", bytes_of(config_role_name(l->role)));
	status_pair(out, "delivery", bytes_of(word_of("delivery",
	    l->delivery)));
	status_pair(out, "verify", bytes_of(word_of("verify", l->verify)));
	write_addresses(l, out);
	write_next_hop(l, out);
	buf_add_octet(out, '\n');
}

/* ---- the rest ------------------------------------------------------------ */

static void
write_queue(const struct control *c, struct buf *out)
{
	const struct metric_label *states =
	    metrics_rows[METRIC_QUEUE_MESSAGES].labels[0];

	if (!queue_is_needed(c->env->config))
		return;
	buf_add_str(out, "queue");
	for (unsigned k = 0; k < states->n; k++)
		status_number(out, states->words[k],
		    (int64_t)metrics_get(METRIC_QUEUE_MESSAGES, k, 0));
	status_number(out, "octets",
	    (int64_t)metrics_get(METRIC_QUEUE_OCTETS, 0, 0));
	status_number(out, "oldest",
	    (int64_t)metrics_get(METRIC_QUEUE_OLDEST, 0, 0));
	buf_add_octet(out, '\n');
}

static void
write_key(const struct signer_key *k, const char *state, struct buf *out)
{
	buf_add_str(out, "key");
	status_pair(out, "domain", k->domain);
	status_pair(out, "selector", k->selector);
	status_pair(out, "algorithm", bytes_of(dkim2_algorithm_name(
	    k->algorithm)));
	status_pair(out, "state", bytes_of(state));
	buf_add_octet(out, '\n');
}

static void
say(const struct control_call *c, struct buf *out)
{
	control_peer_text(c->peer, buf_bytes(out));
	out->n = 0;
	out->full = false;
}

/* How many, and the first of them. */
static void
say_keys(const struct control_call *c, struct buf *out)
{
	const struct signer_inventory *keys = c->control->env->inventory;

	buf_add_str(out, "keys");
	status_number(out, "active", (int64_t)keys->n);
	status_number(out, "retired", (int64_t)keys->n_retired);
	buf_add_octet(out, '\n');
	for (size_t k = 0; k < keys->n && k < KEYS_MAX; k++) {
		write_key(keys->keys + k, "active", out);
		say(c, out);
	}
	for (size_t k = 0; k < keys->n_retired && k < KEYS_MAX; k++) {
		write_key(keys->retired + k, "retired", out);
		say(c, out);
	}
	say(c, out);
}

static void
say_certificates(const struct control_call *call, struct buf *out)
{
	const struct control *c = call->control;
	const struct config *config = c->env->config;
	const int64_t *ends = c->certificates;

	for (size_t l = 0; l < config->n_listeners; l++)
		for (size_t k = 0; k < config->listeners[l].n_tls; k++) {
			buf_add_str(out, "certificate");
			status_pair(out, "listener",
			    bytes_of(config->listeners[l].name));
			status_pair(out, "file",
			    bytes_of(config->listeners[l].tls[k].cert));
			if (ends != NULL)
				status_number(out, "ends", *ends++);
			buf_add_octet(out, '\n');
			say(call, out);
		}
}

void
control_status(const struct control_call *call)
{
	const struct control *c = call->control;
	const struct config *config = c->env->config;
	static char room[16384];	/* of one line, or those of mail */
	struct buf out = BUF_ON(room);

	for (size_t k = 0; k < config->n_listeners; k++) {
		write_listener(config->listeners + k, &out);
		say(call, &out);
	}
	control_orders_status(call);
	write_mail(c, &out);
	write_queue(c, &out);
	if (config->store != NULL) {
		buf_add_str(&out, "store");
		status_pair(&out, "at", bytes_of(config->store));
		status_pair(&out, "state",
		    metrics_get(METRIC_STORE_OUT, 0, 0) != 0 ?
		    BYTES_LIT("out") : BYTES_LIT("answers"));
		buf_add_octet(&out, '\n');
	}
	buf_add_str(&out, "copies");
	status_number(&out, "octets",
	    (int64_t)metrics_get(METRIC_COPIES_OCTETS, 0, 0));
	status_number(&out, "limit", (int64_t)config->copies.size);
	buf_add_octet(&out, '\n');
	say(call, &out);
	say_keys(call, &out);
	say_certificates(call, &out);
	control_ask_master(call, CONTROL_OP_STATUS);
}
