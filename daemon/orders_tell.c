#include "daemon/orders_tell.h"

#include <time.h>

#include "config/value.h"
#include "daemon/log.h"
#include "daemon/metrics.h"
#include "daemon/orders_command.h"

struct moment {
	int64_t now_ms;
	int64_t now_s;
};

/* ", until 2026-11-27T01:00:00Z (59m 59s)", or nothing. */
static void
put_until(struct buf *out, const struct moment *m, int64_t until_ms)
{
	time_t at = (time_t)(m->now_s + (until_ms - m->now_ms) / 1000);
	char text[40];
	struct tm tm;

	if (until_ms == ORDERS_FOREVER) {
		buf_add_str(out, ", until it is taken back or a restart");
		return;
	}
	gmtime_r(&at, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	buf_printf(out, ", until %s (", text);
	orders_put_rest(out, until_ms, m->now_ms);
	buf_add_octet(out, ')');
}

/* ---- listeners ----------------------------------------------------------- */

static const struct {
	enum log_level level;
	const char *begins;
	const char *ends;
} texts[] = {
	[ORDERS_BYPASS] = {LOG_ERROR_, "ALARM: bypass: mail of listener %.*s "
	    "leaves unsigned and is not judged", "ALARM: bypass: over: mail "
	    "of listener %.*s is signed and judged again"},
	[ORDERS_PAUSE] = {LOG_WARNING_, "paused by order: listener %.*s "
	    "answers MAIL with 451", "paused no more: listener %.*s takes "
	    "mail again"},
	[ORDERS_DRAIN] = {LOG_WARNING_, "drained by order: listener %.*s "
	    "answers new connections with 421", "drained no more: listener "
	    "%.*s takes connections again"},
	[ORDERS_VERIFY] = {LOG_WARNING_, "set by order: listener %.*s has "
	    "verify: ", "set no more: listener %.*s has verify: as the "
	    "configuration says"},
};

static void
tell_begin(struct bytes name, enum orders_kind k, unsigned what,
    int64_t until_ms, const struct moment *m)
{
	char text[400];
	struct buf b = BUF_ON(text);

	buf_printf(&b, texts[k].begins, BYTES_FMT(name));
	if (k == ORDERS_VERIFY)
		buf_add_str(&b, orders_verify_word[what]);
	put_until(&b, m, until_ms);
	log_line(texts[k].level, "%.*s", BYTES_FMT(buf_bytes(&b)));
}

static void
tell_end(struct bytes name, enum orders_kind k)
{
	char text[400];
	struct buf b = BUF_ON(text);

	buf_printf(&b, texts[k].ends, BYTES_FMT(name));
	log_line(texts[k].level, "%.*s", BYTES_FMT(buf_bytes(&b)));
}

/* One order of one listener. Returns until when it is in force. */
static int64_t
look(struct orders_told *t, const struct orders *o, size_t at,
    enum orders_kind k, const struct moment *m, bool is_due)
{
	struct bytes name = orders_name(o, at);
	unsigned what = 0;
	int64_t until_ms = orders_until(o, name, k, m->now_ms, &what);
	bool is_new = until_ms != t->until_ms[at][k] ||
	    (k == ORDERS_VERIFY && what != t->what[at]);

	if (until_ms == 0 && is_new)
		tell_end(name, k);
	else if (until_ms != 0 && (is_new || (is_due && k == ORDERS_BYPASS)))
		tell_begin(name, k, what, until_ms, m);
	t->until_ms[at][k] = until_ms;
	if (k == ORDERS_VERIFY)
		t->what[at] = until_ms == 0 ? 0 : what;
	return until_ms;
}

/* ---- clients ------------------------------------------------------------- */

static void
tell_watch(const struct config_net *net, int64_t until_ms,
    const struct moment *m)
{
	char text[300];
	struct buf b = BUF_ON(text);

	buf_add_str(&b, until_ms == 0 ? "debug no more: clients of " :
	    "debug by order: the dialogue is logged of clients of ");
	config_value_put_net(&b, net);
	if (until_ms != 0)
		put_until(&b, m, until_ms);
	log_line(LOG_WARNING_, "%.*s", BYTES_FMT(buf_bytes(&b)));
}

static int64_t
look_at_net(struct orders_told *t, const struct orders *o, size_t at,
    const struct moment *m)
{
	struct config_net net;
	int64_t until_ms = orders_net(o, at, m->now_ms, &net);
	bool is_other = until_ms != 0 && t->watched_ms[at] != 0 &&
	    memcmp(&net, &t->nets[at], sizeof(net)) != 0;

	if (is_other || (until_ms == 0 && t->watched_ms[at] != 0))
		tell_watch(&t->nets[at], 0, m);
	if (until_ms != 0 && (is_other || until_ms != t->watched_ms[at]))
		tell_watch(&net, until_ms, m);
	t->watched_ms[at] = until_ms;
	t->nets[at] = net;
	return until_ms;
}

/* ---- all ----------------------------------------------------------------- */

static void
earlier(int64_t *next_ms, int64_t until_ms)
{
	if (until_ms != 0 && until_ms != ORDERS_FOREVER && until_ms < *next_ms)
		*next_ms = until_ms;
}

int64_t
orders_tell(struct orders_told *t, const struct orders *o, int64_t now_ms,
    int64_t now_s)
{
	static const unsigned gauge[] = {[ORDERS_BYPASS] = ORDER_BYPASS,
	    [ORDERS_PAUSE] = ORDER_PAUSE, [ORDERS_DRAIN] = ORDER_DRAIN,
	    [ORDERS_VERIFY] = ORDER_SET};
	const struct moment m = {now_ms, now_s};
	unsigned n[ORDERS__KINDS] = {0}, n_nets = 0;
	bool is_due = t->alarm_ms <= now_ms;
	int64_t next_ms = INT64_MAX, until_ms;

	if (is_due)
		t->alarm_ms = now_ms + ORDERS_ALARM_MS;
	for (size_t at = 0; orders_name(o, at).n != 0; at++)
		for (unsigned k = 0; k < ORDERS__KINDS; k++) {
			until_ms = look(t, o, at, (enum orders_kind)k, &m,
			    is_due);
			n[k] += until_ms != 0;
			earlier(&next_ms, until_ms);
		}
	for (size_t at = 0; at < ORDERS_NETS; at++) {
		until_ms = look_at_net(t, o, at, &m);
		n_nets += until_ms != 0;
		earlier(&next_ms, until_ms);
	}
	for (unsigned k = 0; k < ORDERS__KINDS; k++)
		metrics_set(METRIC_ORDERS, gauge[k], n[k]);
	metrics_set(METRIC_ORDERS, ORDER_DEBUG, n_nets);
	if (n[ORDERS_BYPASS] != 0)
		earlier(&next_ms, t->alarm_ms);
	return next_ms;
}
