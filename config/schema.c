#include "config/schema.h"

#include <assert.h>

#include "base/ascii.h"

#define SIZE_OF(type, field) sizeof(((type *)NULL)->field)

/* From the first of some fields to the last, which stand side by side. */
#define SPAN(type, first, last) offsetof(type, first), \
	offsetof(type, last) + SIZE_OF(type, last) - offsetof(type, first)

#define TOP_TO(first, last) SCOPE_TOP, SPAN(struct config, first, last)
#define AT_TO(first, last) \
	SCOPE_LISTENER, SPAN(struct config_listener, first, last)
#define TOP(field) TOP_TO(field, field)
#define AT(field) AT_TO(field, field)
#define TOP_LIST(field) TOP_TO(field, n_##field)
#define AT_LIST(field) AT_TO(field, n_##field)
#define TOP_NOWHERE SCOPE_TOP, 0, 0
#define NOWHERE SCOPE_LISTENER, 0, 0

/* A list is a pointer with its count right behind it. */
#define IS_LIST(type, p, n) \
	_Static_assert(offsetof(type, n) == offsetof(type, p) + sizeof(void *), "")
IS_LIST(struct config, resolver, n_resolver);
IS_LIST(struct config, metrics, n_metrics);
IS_LIST(struct config_listener, listen, n_listen);
IS_LIST(struct config_listener, tls, n_tls);
IS_LIST(struct config_listener, domains, n_domains);
IS_LIST(struct config_listener, clients, n_clients);
IS_LIST(struct config_listener, senders, n_senders);
IS_LIST(struct config_listener, xclient, n_xclient);
IS_LIST(struct config_listener, policy, n_policy);
IS_LIST(struct config_listener, internal, n_internal);
IS_LIST(struct config_listener, proxy, n_proxy);

#define KIB 1024ULL
#define MIB (1024 * KIB)

/* Of times, min and max are milliseconds. */
#define SEC 1000ULL
#define MIN (60 * SEC)

const struct config_row config_rows[] = {
	/* name               kind         where                     min       max         default
	   one sentence */
	{"hostname",          K_NAME,      TOP(hostname),            0,        0,          NULL,
	    "our name in the banner, EHLO and Received"},
	{"authserv-id",       K_ID,        TOP(authserv_id),         0,        0,          NULL,
	    "our name in Authentication-Results; hostname unless given"},
	{"state",             K_PATH,      TOP(state), 0, 0, "/var/lib/hopseal",
	    "folder of spool and store"},
	{"user",              K_USER,      TOP(user), 0, 0, "hopseal",
	    "who to run as when started as root"},
	{"log",               K_WORD,      TOP(log),                 0,        0,          "text",
	    "form of log lines: words, or a JSON object each"},
	{"workers",           K_UINT32,    TOP(workers),             0,        256,        "0",
	    "worker processes; 0 is one a core"},
	{"worker-watchdog",   K_SECONDS,   TOP(watchdog_s),          5 * SEC,  60 * MIN,   "1m",
	    "a worker or signer that does nothing for so long is ended and replaced"},
	{"sandbox",           K_WORD,      TOP(is_sandboxed),        0,        0,          "on",
	    "whether processes give up files and system calls they do not need"},
	{"keys",              K_PATH,      TOP(keys),                0,        0,          NULL,
	    "folder of private keys, DOMAIN/SELECTOR.pem"},
	{"keys-file",         K_PATH,      TOP(keys_file),           0,        0,          NULL,
	    "JSON file of DNS answers, for demos and tests"},
	{"secrets",           K_PATH,      TOP(secrets),             0,        0,          NULL,
	    "folder of secrets for return addresses, a file each"},
	{"resolver",          K_RESOLVERS, TOP_LIST(resolver),       0,        8,          NULL,
	    "DNS resolvers; the system's unless given"},
	{"resolver-timeout",  K_MILLIS,    TOP(resolver_timeout_ms), 100,      20 * SEC,   "5s",
	    "one try of a DNS question; all tries end within 20s"},
	{"metrics",           K_ADDRS,     TOP_LIST(metrics),        0,        4,          NULL,
	    "where /metrics, /healthz and /readyz are told over HTTP"},
	{"memory",            K_KEPT,      TOP(memory), 1 * MIB, 65536 * MIB, "{age: 7d, size: 256M}",
	    "how long deliveries are remembered, and in how large a file"},
	{"copies",            K_KEPT,      TOP(copies), 1 * MIB, 65536 * MIB, "{age: 7d, size: 1G}",
	    "how long what came is kept to be compared, and how much of it"},
	{"store",             K_STORE,     TOP(store),               0,        0,          NULL,
	    "Redis server where several machines keep both; else in state"},
	{"store-password",    K_PATH,      TOP(store_password),      0,        0,          NULL,
	    "file with NAME:PASSWORD, or PASSWORD alone, for it"},
	{"queue-retry",       K_SECONDS,   TOP(queue_retry_s),       1 * SEC,  24 * 60 * MIN, "5m",
	    "until a queued message is tried again, doubling each time"},
	{"queue-retry-max",   K_SECONDS,   TOP(queue_retry_max_s),   1 * SEC,  24 * 60 * MIN, "1h",
	    "the longest time between two tries"},
	{"queue-expire",      K_SECONDS,   TOP(queue_expire_s),      60 * SEC, 13 * 24 * 60 * MIN, "5d",
	    "how long a queued message is tried"},
	{"queue-connections", K_UINT32,    TOP(queue_connections),   1,        10000,      "200",
	    "connections of the queue to next hops, in all"},
	{"queue-min-free",    K_SIZE,      TOP(queue_min_free),      0,        1024 * 1024 * MIB, "64M",
	    "octets of the disk that the queue leaves free"},
	{"dsn-return",        K_WORD,      TOP(dsn_return),          0,        0,          "headers",
	    "what a DSN returns, unless RET says it: headers or full"},
	{"dsn-return-max",    K_SIZE,      TOP(dsn_return_max),      0,        16 * MIB,   "1M",
	    "octets of a body that a DSN returns, or headers alone"},
	{"listeners",         K_LISTENERS, TOP_NOWHERE,              1,        64,         NULL,
	    "what listens, by name"},

	{"role",              K_WORD,      AT(role),                 0,        0,          NULL,
	    "named preset for the listener"},
	{"listen",            K_ADDRS,     AT_LIST(listen),          1,        64,         NULL,
	    "addresses with ports, a port on loopback; smtps://, lmtp://"},
	{"domains",           K_DOMAINS,   AT_LIST(domains),         0,        65536,      NULL,
	    "recipient domains that anybody may send to"},
	{"clients",           K_NETS,      AT_LIST(clients),         0,        4096,       NULL,
	    "networks that may send to anybody"},
	{"senders",           K_DOMAINS,   AT_TO(senders, has_senders), 0,        65536,      NULL,
	    "domains to sign for; every one with a key unless given"},
	{"next-hop",          K_NEXT_HOP,  AT(next_hop),             0,        0,          NULL,
	    "where mail goes: smtp://HOST:PORT or mx"},
	{"routes",            K_ROUTES,    AT(routes),               0,        0,          NULL,
	    "file:PATH or a map of recipient's DOMAIN: NEXT-HOP"},
	{"internal",          K_HOSTS,     AT_LIST(internal),        0,        256,        NULL,
	    "next hops of ours, which sign in our place"},
	{"mx-port",           K_UINT32,    AT(mx_port),              1,        65535,      "25",
	    "port of the servers that MX records name"},
	{"tls",               K_TLS,       AT_LIST(tls),             0,        64,         "none",
	    "{cert: FILE, key: FILE} of STARTTLS, or a list by name"},
	{"tls-required",      K_WORD,      AT(is_tls_required),      0,        0,          "no",
	    "whether clients must begin TLS before MAIL"},
	{"tls-ca",            K_PATH,      AT(tls_ca),               0,        0,          NULL,
	    "PEM file of those whom we believe; the system's unless given"},
	{"tls-timeout",       K_SECONDS,   AT(tls_timeout_s),        1 * SEC,  10 * MIN,   "30s",
	    "for a TLS handshake"},
	{"xclient",           K_NETS,      AT_LIST(xclient),         0,        4096,       NULL,
	    "networks that may say by XCLIENT for whom they speak"},
	{"proxy",             K_NETS,      AT_LIST(proxy),           0,        4096,       NULL,
	    "networks that begin with a PROXY header, version 1 or 2"},
	{"verify",            K_WORD,      AT(verify), 0, 0, "observe",
	    "what a verdict does: reject, annotate or nothing"},
	{"unsigned",          K_WORD,      AT(unsigned_mail),        0,        0,          "accept",
	    "mail without DKIM2"},
	{"policy",            K_POLICY,    AT_LIST(policy),          0,        256,        NULL,
	    "what becomes of mail by how it stands to DKIM2"},
	{"unsignable",        K_WORD,      AT(unsignable),           0,        0,          "pass",
	    "mail that we may not sign"},
	{"flags",             K_FLAGS,     AT(flags),                0,        2,          NULL,
	    "what our signatures ask for: feedback, feedhere"},
	{"on-failure",        K_WORD,      AT(on_failure),           0,        0,          "defer",
	    "mail to be signed when signer, store or proof is broken"},
	{"pair",              K_PEER,      AT(pair_name),            0,        0,          NULL,
	    "the inbound listener whose mail comes back here"},
	{"recipes",           K_WORD,      AT(recipes),              0,        0,          "all",
	    "changes of mail that came back that may be described"},
	{"extend",            K_WORD,      AT(extend),               0,        0,          "recorded",
	    "which chains of clients are extended"},
	{"from-rewrite",      K_WORD,      AT(from_rewrite),         0,        0,          "never",
	    "whose From becomes the address that the mail came to"},
	{"adopt",             K_WORD,      AT(adopt),                0,        0,          "never",
	    "mail to be signed as ours that never was in DKIM2"},
	{"mail-from",         K_MAIL_FROM, AT_TO(mail_from, mail_from_address), 0, 0, "keep",
	    "MAIL FROM of forwarded mail"},
	{"aliases",           K_ALIASES,   AT_TO(has_aliases, aliases), 0,        0,          NULL,
	    "file:PATH or a map of ADDRESS: TARGET, or a list of them"},
	{"recipient-delimiter", K_MARKS,   AT(recipient_delimiter),  1,        8,          "+",
	    "what begins a subaddress, which a full line may name"},

	{"replay",            K_WORD,      AT(replay),               0,        0,          "once",
	    "the same message to the same recipient a second time"},
	{"split-first-hop",   K_WORD,      AT(is_split_first_hop),   0,        0,          "no",
	    "new mail in copies for one site says so, by two signatures"},
	{"mixed",             K_WORD,      AT(mixed),                0,        0,          "defer",
	    "when the answers of recipients differ"},
	{"max-recipients",    K_UINT32,    AT(max_recipients),       1,        10000,      "1000",
	    "recipients of a transaction"},
	{"max-copies",        K_UINT32,    AT(max_copies),           1,        1000,       "20",
	    "copies that one message is sent in"},

	{"max-message",       K_SIZE,      AT(max_message),          64 * KIB, 1024 * MIB, "50M",
	    "octets of a message"},
	{"max-header",        K_SIZE,      AT(max_header),           4 * KIB,  16 * MIB,   "1M",
	    "octets of a header block"},
	{"max-fields",        K_UINT32,    AT(max_fields),           10,       10000,      "1000",
	    "header fields of a message"},
	{"max-line",          K_SIZE,      AT(max_line),             998,      64 * KIB,   "64K",
	    "octets of a text line"},
	{"max-received",      K_UINT32,    AT(max_received),         1,        1000,       "50",
	    "Received fields before mail is taken to loop"},
	{"max-connections",   K_UINT32,    AT(max_connections),      1,        100000,     "1000",
	    "clients at a time, for each address and worker"},
	{"max-per-network",   K_UINT32,    AT(max_per_network),      1,        100000,     "50",
	    "of them of one network, /24 or /64, not listed here"},
	{"max-errors",        K_UINT32,    AT(max_errors),           1,        1000,       "20",
	    "errors in a session before 421"},
	{"max-commands",      K_UINT32,    AT(max_commands),         10,       1000000,    "10000",
	    "commands in a session before 421"},
	{"idle-timeout",      K_SECONDS,   AT(idle_timeout_s),       1 * SEC,  60 * MIN,   "5m",
	    "for a client's next command, and to read our reply"},
	{"proxy-timeout",     K_SECONDS,   AT(proxy_timeout_s),      1 * SEC,  10 * MIN,   "30s",
	    "for the PROXY header of a new connection"},
	{"content-timeout",   K_SECONDS,   AT(content_timeout_s),    1 * SEC,  60 * MIN,   "3m",
	    "for as much content as min-rate has in that time"},
	{"min-rate",          K_UINT32,    AT(min_rate),             1,        1048576,    "100",
	    "octets of content a second, the least of a client"},
	{"through-wait",      K_SECONDS,   AT(through_wait_s),       1 * SEC,  30 * MIN,   "4m",
	    "from a client's final dot to our answer"},
	{"connect-timeout",   K_SECONDS,   AT(connect_timeout_s),    1 * SEC,  10 * MIN,   "30s",
	    "to connect to the next hop"},
	{"reply-timeout",     K_SECONDS,   AT(reply_timeout_s),      1 * SEC,  60 * MIN,   "5m",
	    "for a reply of the next hop"},
	{"data-timeout",      K_SECONDS,   AT(data_timeout_s),       1 * SEC,  60 * MIN,   "2m",
	    "for the next hop's 354"},
	{"send-timeout",      K_SECONDS,   AT(send_timeout_s),       1 * SEC,  60 * MIN,   "3m",
	    "for the next hop to take a block of content"},
	{"end-timeout",       K_SECONDS,   AT(end_timeout_s),        1 * SEC,  60 * MIN,   "10m",
	    "for the next hop's reply to the final dot"},
	{"pass-client",       K_WORD,      AT(pass_client),          0,        0,          "none",
	    "how the next hop is told who our client is"},
	{"auth",              K_WORD,      AT(auth),                 0,        0,          "off",
	    "whether clients may log in, to the next hop"},
	{"auth-file",         K_PATH,      AT(auth_file),            0,        0,          NULL,
	    "file with NAME:PASSWORD for the next hop"},
	{"max-per-destination", K_UINT32,  AT(max_per_destination),  1,        10000,      "100",
	    "connections to one next hop, or domain by mx; each worker"},
	{"max-idle",          K_UINT32,    AT(max_idle),             0,        10000,      "4",
	    "connections to one that are kept idle; each worker; more for 1s"},
	{"idle-reuse",        K_SECONDS,   AT(idle_reuse_s),         1 * SEC,  10 * MIN,   "15s",
	    "how long a connection is kept idle"},
	{"max-reuse",         K_UINT32,    AT(max_reuse),            1,        100000,     "100",
	    "transactions on one connection"},

	/* What is built is what their default says; "off" becomes "once". */
	{"delivery",          K_WORD,      AT(delivery),             0,        0,          "through",
	    "while the client waits, or from a queue"},
	{"dkim1",             K_WORD,      AT(is_dkim1),             0,        0,          "no",
	    "a DKIM-Signature beside"},
	{"repair",            K_WORD,      AT(is_repairing),         0,        0,          "no",
	    "mending what devices get wrong"},

	{"legacy-bounce-in",  K_WORD,      AT(legacy_bounce_in),     0,        0,          "token",
	    "bounces without DKIM2 to addresses that we made"},
	{"legacy-bounce-out", K_WORD,      AT(legacy_bounce_out),    0,        0,          "aligned",
	    "bounces of the server behind us"},
	{"normalize",         K_UNBUILT,   NOWHERE,                  0,        0,          NULL,
	    "networks whose bare CR and LF are mended"},
};

const size_t config_n_rows = sizeof(config_rows) / sizeof(config_rows[0]);
_Static_assert(sizeof(config_rows) / sizeof(config_rows[0]) <= CONFIG_ROWS_MAX,
    "arrays by row number are too short");

static const struct config_word words[] = {
	/* directive    word         value              built */
	{"log",         "text",      LOG_TEXT,          true},
	{"log",         "json",      LOG_JSON,          true},
	{"role",        "inbound",   ROLE_INBOUND,      true},
	{"role",        "egress",    ROLE_EGRESS,       true},
	{"role",        "forward",   ROLE_FORWARD,      true},
	{"role",        "list-in",   ROLE_LIST_IN,      true},
	{"role",        "list-out",  ROLE_LIST_OUT,     true},
	{"role",        "appliance", ROLE_APPLIANCE,    true},
	{"verify",      "observe",   VERIFY_OBSERVE,    true},
	{"verify",      "enforce",   VERIFY_ENFORCE,    true},
	{"verify",      "off",       VERIFY_OFF,        true},
	{"unsigned",    "accept",    UNSIGNED_ACCEPT,   true},
	{"unsigned",    "refuse",    UNSIGNED_REFUSE,   true},
	{"unsignable",  "pass",      UNSIGNABLE_PASS,   true},
	{"unsignable",  "refuse",    UNSIGNABLE_REFUSE, true},
	{"on-failure",  "defer",     ON_FAILURE_DEFER,  true},
	{"on-failure",  "unsigned",  ON_FAILURE_UNSIGNED, true},
	{"recipes",     "all",       RECIPES_ALL,       true},
	{"recipes",     "headers",   RECIPES_HEADERS,   true},
	{"recipes",     "none",      RECIPES_NONE,      true},
	{"extend",      "recorded",  EXTEND_RECORDED,   true},
	{"extend",      "trusting",  EXTEND_TRUSTING,   true},
	{"legacy-bounce-in", "token", LEGACY_BOUNCE_IN_TOKEN, true},
	{"legacy-bounce-in", "refuse", LEGACY_BOUNCE_IN_REFUSE, true},
	{"from-rewrite", "never",    FROM_REWRITE_NEVER, true},
	{"from-rewrite", "dmarc",    FROM_REWRITE_DMARC, true},
	{"from-rewrite", "always",   FROM_REWRITE_ALWAYS, true},
	{"adopt",       "never",     ADOPT_NEVER,       true},
	{"adopt",       "dkim1-aligned", ADOPT_DKIM1_ALIGNED, true},
	{"adopt",       "always",    ADOPT_ALWAYS,      true},
	{"flags",       "feedback",  1,                 true},
	{"flags",       "feedhere",  2,                 true},
	{"auth",        "off",       AUTH_OFF,          true},
	{"auth",        "pass",      AUTH_PASS,         true},
	{"sandbox",     "on",        1,                 true},
	{"sandbox",     "off",       0,                 true},
	{"tls-required", "no",       0,                 true},
	{"tls-required", "yes",      1,                 true},
	{"delivery",    "through",   DELIVERY_THROUGH,  true},
	{"delivery",    "queue",     DELIVERY_QUEUE,    true},
	{"dkim1",       "no",        0,                 true},
	{"dkim1",       "yes",       1,                 true},
	{"pass-client", "none",      PASS_NONE,         true},
	{"pass-client", "xclient",   PASS_XCLIENT,      true},
	{"pass-client", "proxy-v1",  PASS_PROXY_V1,     true},
	{"pass-client", "proxy-v2",  PASS_PROXY_V2,     true},
	{"repair",      "no",        0,                 true},
	{"repair",      "yes",       1,                 true},
	{"replay",      "once",      REPLAY_ONCE,       true},
	{"replay",      "refuse",    REPLAY_REFUSE,     true},
	{"replay",      "off",       REPLAY_OFF,        true},
	{"legacy-bounce-out", "aligned", BOUNCE_OUT_ALIGNED, true},
	{"legacy-bounce-out", "discard", BOUNCE_OUT_DISCARD, true},
	{"legacy-bounce-out", "pass", BOUNCE_OUT_PASS,  true},
	{"legacy-bounce-out", "hold", BOUNCE_OUT_HOLD,  true},
	{"dsn-return",  "headers",   DSN_RETURN_HEADERS, true},
	{"dsn-return",  "full",      DSN_RETURN_FULL,   true},
	{"split-first-hop", "no",    0,                 true},
	{"split-first-hop", "yes",   1,                 true},
	{"mixed",       "defer",     MIXED_DEFER,       true},
	{"mixed",       "one-rcpt",  MIXED_ONE_RCPT,    true},
};

static const size_t n_words = sizeof(words) / sizeof(words[0]);

const struct config_row *
config_row_find(struct bytes name)
{
	for (size_t k = 0; k < config_n_rows; k++)
		if (bytes_eq(name, bytes_of(config_rows[k].name)))
			return &config_rows[k];
	return NULL;
}

size_t
config_row_no(const struct config_row *row)
{
	return (size_t)(row - config_rows);
}

size_t
config_row_of(const char *name)
{
	const struct config_row *row = config_row_find(bytes_of(name));

	assert(row != NULL);
	return config_row_no(row);
}

#define NEAR_MAX 32U

/*
 * How many octets must be put in, left out, changed or swapped with their
 * neighbour to make b out of a, without case; both at most NEAR_MAX long.
 */
static unsigned
slips(struct bytes a, struct bytes b)
{
	unsigned d[NEAR_MAX + 1][NEAR_MAX + 1];

	for (unsigned i = 0; i <= a.n; i++)
		d[i][0] = i;
	for (unsigned j = 0; j <= b.n; j++)
		d[0][j] = j;
	for (size_t i = 1; i <= a.n; i++)
		for (size_t j = 1; j <= b.n; j++) {
			uint8_t x = ascii_lower(a.p[i - 1]);
			uint8_t y = ascii_lower(b.p[j - 1]);
			unsigned least = d[i - 1][j - 1] + (x != y);

			if (d[i - 1][j] + 1 < least)
				least = d[i - 1][j] + 1;
			if (d[i][j - 1] + 1 < least)
				least = d[i][j - 1] + 1;
			if (i > 1 && j > 1 && x != y &&
			    x == ascii_lower(b.p[j - 2]) &&
			    ascii_lower(a.p[i - 2]) == y &&
			    d[i - 2][j - 2] + 1 < least)
				least = d[i - 2][j - 2] + 1;
			d[i][j] = least;
		}
	return d[a.n][b.n];
}

/* Keeps what is nearer than the best so far, if it is near at all. */
static void
nearer(struct bytes name, const char *candidate, unsigned *best,
    const char **found)
{
	struct bytes c = bytes_of(candidate);
	unsigned n;

	if (name.n > NEAR_MAX || c.n > NEAR_MAX)
		return;
	n = slips(name, c);
	if (n < *best && n * 3 <= c.n) {
		*best = n;
		*found = candidate;
	}
}

const char *
config_row_near(struct bytes name)
{
	const char *found = NULL;
	unsigned best = 3;

	for (size_t k = 0; k < config_n_rows; k++)
		nearer(name, config_rows[k].name, &best, &found);
	return found;
}

const struct config_word *
config_word_find(const struct config_row *row, struct bytes word)
{
	for (size_t k = 0; k < n_words; k++)
		if (strcmp(words[k].directive, row->name) == 0 &&
		    bytes_eq(word, bytes_of(words[k].word)))
			return &words[k];
	return NULL;
}

const char *
config_word_name(const struct config_row *row, unsigned value)
{
	for (size_t k = 0; k < n_words; k++)
		if (strcmp(words[k].directive, row->name) == 0 &&
		    words[k].value == value && words[k].is_built)
			return words[k].word;
	return NULL;
}

const char *
config_word_near(const struct config_row *row, struct bytes word)
{
	const char *found = NULL;
	unsigned best = 3;

	for (size_t k = 0; k < n_words; k++)
		if (strcmp(words[k].directive, row->name) == 0)
			nearer(word, words[k].word, &best, &found);
	return found;
}

void
config_word_list(const struct config_row *row, struct buf *out)
{
	const char *last = NULL;
	size_t n = out->n;

	for (size_t k = 0; k < n_words; k++) {
		if (strcmp(words[k].directive, row->name) != 0 ||
		    !words[k].is_built)
			continue;
		if (last != NULL) {
			buf_add_str(out, out->n == n ? "" : ", ");
			buf_add_str(out, last);
		}
		last = words[k].word;
	}
	if (out->n != n)
		buf_add_str(out, " or ");
	buf_add_str(out, last);
}
