#include "daemon/metrics.h"
#include "dkim2/dkim2.h"

#define LABEL(var, label, ...) \
static const char *const var##_words[] = {__VA_ARGS__}; \
static const struct metric_label var = {label, var##_words, \
    sizeof(var##_words) / sizeof(var##_words[0])}

LABEL(role, "role",
    [ROLE_INBOUND] = "inbound", [ROLE_EGRESS] = "egress",
    [ROLE_FORWARD] = "forward", [ROLE_LIST_IN] = "list-in",
    [ROLE_LIST_OUT] = "list-out", [ROLE_APPLIANCE] = "appliance");
LABEL(process, "process",
    [METRIC_PROCESS_WORKER] = "worker", [METRIC_PROCESS_SIGNER] = "signer",
    [METRIC_PROCESS_KEEPER] = "keeper", [METRIC_PROCESS_QUEUE] = "queue",
    [METRIC_PROCESS_CONTROL] = "control");
LABEL(queued, "state",
    [QUEUED_WAITING] = "waiting", [QUEUED_DEFERRED] = "deferred",
    [QUEUED_HELD] = "held");
LABEL(order, "order",
    [ORDER_BYPASS] = "bypass", [ORDER_PAUSE] = "pause",
    [ORDER_DRAIN] = "drain", [ORDER_SET] = "set", [ORDER_DEBUG] = "debug");
LABEL(turned, "reason",
    [TURNED_FULL] = "full", [TURNED_NETWORK] = "network",
    [TURNED_PROXY] = "proxy", [TURNED_MEMORY] = "memory",
    [TURNED_ORDER] = "drained");
LABEL(outcome, "outcome",
    [OUTCOME_ACCEPTED] = "accepted", [OUTCOME_REFUSED] = "refused",
    [OUTCOME_DEFERRED] = "deferred", [OUTCOME_ABANDONED] = "abandoned");
LABEL(fate, "fate",
    [FATE_DELIVERED] = "delivered", [FATE_QUEUED] = "queued",
    [FATE_DUPLICATE] = "duplicate", [FATE_DISCARDED] = "discarded",
    [FATE_REFUSED] = "refused", [FATE_DEFERRED] = "deferred");
LABEL(bound, "le", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "30",
    "60", "120", "240");
LABEL(verdict, "verdict",
    [DKIM2_NONE] = "none", [DKIM2_PASS] = "pass", [DKIM2_FAIL] = "fail",
    [DKIM2_PERMERROR] = "permerror", [DKIM2_TEMPERROR] = "temperror");
LABEL(algorithm, "algorithm",
    [DKIM2_RSA_SHA256] = "rsa-sha256",
    [DKIM2_ED25519_SHA256] = "ed25519-sha256");
LABEL(rule, "rule",
    [UNSIGNED_BY_NO_KEY] = "no-key", [UNSIGNED_BY_FROM] = "from",
    [UNSIGNED_BY_NO_ARRIVAL] = "no-arrival",
    [UNSIGNED_BY_VERDICT] = "verdict", [UNSIGNED_BY_CHANGE] = "change",
    [UNSIGNED_BY_ADOPTION] = "adoption",
    [UNSIGNED_BY_INTERNAL] = "internal", [UNSIGNED_BY_FAILURE] = "failure",
    [UNSIGNED_BY_BOUNCE] = "bounce", [UNSIGNED_BY_BYPASS] = "bypass",
    [UNSIGNED_BY_OTHER] = "other");
LABEL(dsn, "what",
    [DSN_MADE] = "made", [DSN_RETURNED] = "returned",
    [DSN_PASSED] = "passed", [DSN_SWALLOWED] = "swallowed",
    [DSN_REFUSED] = "refused", [DSN_HELD] = "held");
LABEL(reply, "class",
    [REPLY_2XX] = "2xx", [REPLY_3XX] = "3xx", [REPLY_4XX] = "4xx",
    [REPLY_5XX] = "5xx", [REPLY_NONE] = "none");
LABEL(connect, "result",
    [CONNECT_OK] = "ok", [CONNECT_REUSED] = "reused",
    [CONNECT_FAILED] = "failed");
LABEL(side, "side",
    [SIDE_CLIENT] = "client", [SIDE_NEXT_HOP] = "next-hop");
LABEL(success, "result",
    [SUCCESS_OK] = "ok", [SUCCESS_FAILED] = "failed");
LABEL(try, "result",
    [TRY_DELIVERED] = "delivered", [TRY_DEFERRED] = "deferred",
    [TRY_FAILED] = "failed", [TRY_EXPIRED] = "expired");
LABEL(dns, "answer",
    [DNS_OK] = "ok", [DNS_ABSENT] = "absent", [DNS_TIMEOUT] = "timeout",
    [DNS_FAILED] = "failed");
LABEL(behind, "what",
    [BEHIND_KEEPER] = "keeper", [BEHIND_SIGNER] = "signer",
    [BEHIND_QUEUE] = "queue", [BEHIND_DISK] = "disk");
LABEL(http, "result",
    [SCRAPE_OK] = "ok", [SCRAPE_REFUSED] = "refused");

static const struct metric_label listener = {"listener", NULL, 0},
    name = {"name", NULL, 0}, domain = {"domain", NULL, 0},
    selector = {"selector", NULL, 0}, version = {"version", NULL, 0},
    draft = {"draft", NULL, 0};

const struct metric_row metrics_rows[METRIC__N] = {
	[METRIC_PROCESSES] = {"hopseal_processes", METRIC_GAUGE,
	    {&process}, "Processes that run now, by what they do"},
	[METRIC_SESSIONS_OPEN] = {"hopseal_sessions_open", METRIC_GAUGE,
	    {&role}, "Sessions with clients that are open now"},
	[METRIC_QUEUE_MESSAGES] = {"hopseal_queue_messages", METRIC_GAUGE,
	    {&queued}, "Messages in the queue: tried now or in line to be, "
	    "waiting for the time of another try, or held until they are "
	    "released"},
	[METRIC_QUEUE_OCTETS] = {"hopseal_queue_octets", METRIC_GAUGE,
	    {NULL}, "Octets of the messages in the queue"},
	[METRIC_QUEUE_OLDEST] = {"hopseal_queue_oldest_age_seconds",
	    METRIC_AGE, {NULL}, "Age of the oldest message in the queue "
	    "that is not held; 0 where there is none"},
	[METRIC_COPIES_OCTETS] = {"hopseal_copies_octets", METRIC_GAUGE,
	    {NULL}, "Octets of the messages that are kept to be compared "
	    "with what comes back"},
	[METRIC_ORDERS] = {"hopseal_orders_active", METRIC_GAUGE, {&order},
	    "Orders of the operator that are in force, each ends by itself"},
	[METRIC_STORE_OUT] = {"hopseal_store_out", METRIC_GAUGE, {NULL},
	    "1 while the store that several machines share does not answer; "
	    "mail goes on, a retry may arrive twice"},

	[METRIC_SESSIONS] = {"hopseal_sessions_total", METRIC_COUNTER,
	    {&role}, "Sessions that clients began"},
	[METRIC_SESSIONS_REFUSED] = {"hopseal_sessions_refused_total",
	    METRIC_COUNTER, {&turned}, "Connections that were turned away "
	    "before a greeting: the bound of all sessions, or of one network, "
	    "was reached, the PROXY header was wrong, or memory had run out"},
	[METRIC_MESSAGES] = {"hopseal_messages_total", METRIC_COUNTER,
	    {&role, &outcome}, "Messages whose content came, by what the "
	    "client was told at its end"},
	[METRIC_RECIPIENTS] = {"hopseal_recipients_total", METRIC_COUNTER,
	    {&role, &fate}, "Recipients of those messages, by what became of "
	    "each"},
	[METRIC_DELAY] = {"hopseal_message_seconds", METRIC_HISTOGRAM,
	    {&bound}, "From the end of the content to our answer"},
	[METRIC_VERDICTS] = {"hopseal_verdicts_total", METRIC_COUNTER,
	    {&role, &verdict}, "What verification said of messages"},
	[METRIC_WOULD_REFUSE] = {"hopseal_would_refuse_total",
	    METRIC_COUNTER, {&verdict}, "Messages that went on under `verify: "
	    "observe` and that `enforce` would have refused or deferred"},
	[METRIC_SIGNATURES] = {"hopseal_signatures_total", METRIC_COUNTER,
	    {&algorithm}, "DKIM2 signatures that the signer made"},
	[METRIC_UNSIGNED] = {"hopseal_unsigned_total", METRIC_COUNTER,
	    {&rule}, "Copies that could have been signed and were not, by "
	    "the rule that the log names"},
	[METRIC_DKIM1_SIGNATURES] = {"hopseal_dkim1_signatures_total",
	    METRIC_COUNTER, {NULL}, "DKIM1 signatures that were made beside"},
	[METRIC_PROOFS_FAILED] = {"hopseal_proofs_failed_total",
	    METRIC_COUNTER, {NULL}, "Finished messages that our own verifier "
	    "did not pass, so that they did not leave: each is a bug"},
	[METRIC_DSNS] = {"hopseal_dsns_total", METRIC_COUNTER, {&dsn},
	    "Reports of failure: made by the queue, returned one hop along "
	    "the chain, passed on by their token, swallowed, refused, or held "
	    "for the postmaster"},

	[METRIC_REPLIES] = {"hopseal_next_hop_replies_total",
	    METRIC_COUNTER, {&reply}, "Answers of next hops, by class; none: "
	    "the connection was lost or silent"},
	[METRIC_CONNECTS] = {"hopseal_next_hop_connections_total",
	    METRIC_COUNTER, {&connect}, "Connections to next hops"},
	[METRIC_TLS] = {"hopseal_tls_handshakes_total", METRIC_COUNTER,
	    {&side, &success}, "TLS handshakes with clients and next hops"},
	[METRIC_QUEUE_TRIES] = {"hopseal_queue_results_total",
	    METRIC_COUNTER, {&try}, "Recipients of messages in the queue, by "
	    "how a try to deliver ended"},

	[METRIC_DNS] = {"hopseal_dns_answers_total", METRIC_COUNTER, {&dns},
	    "Answers of the resolver, without those kept from before"},
	[METRIC_OUTAGES] = {"hopseal_outages_total", METRIC_COUNTER,
	    {&behind}, "Questions that found no answer in time, by who was "
	    "asked; mail goes on as the manual says"},
	[METRIC_RELOADS] = {"hopseal_reloads_total", METRIC_COUNTER,
	    {&success}, "Configurations that were read again; failed: the "
	    "old one goes on"},
	[METRIC_RESTARTS] = {"hopseal_restarts_total", METRIC_COUNTER,
	    {&process}, "Processes that ended unasked and were started again"},
	[METRIC_HUNG] = {"hopseal_hung_total", METRIC_COUNTER, {&process},
	    "Processes that gave no sign of life and were killed for it; "
	    "workers are watched"},
	[METRIC_LOST_LINES] = {"hopseal_log_lines_lost_total",
	    METRIC_COUNTER, {NULL}, "Lines that the log did not take"},
	[METRIC_SCRAPES] = {"hopseal_http_requests_total", METRIC_COUNTER,
	    {&http}, "Requests to this address"},

	[METRIC_CERTIFICATE] = {"hopseal_certificate_expiry_timestamp_seconds",
	    METRIC_TOLD, {&listener, &name}, "When a certificate that "
	    "clients are shown ends, by listener and its place there"},
	[METRIC_KEY_PUBLISHED] = {"hopseal_key_published", METRIC_TOLD,
	    {&domain, &selector}, "Whether the DNS has the public half of an "
	    "active key: 1, or 0 where it is missing or another one"},
	[METRIC_START] = {"hopseal_start_timestamp_seconds", METRIC_TOLD,
	    {NULL}, "When the daemon started"},
	[METRIC_BUILD] = {"hopseal_build_info", METRIC_TOLD,
	    {&version, &draft}, "Always 1; which version it is, of which "
	    "draft"},
};
