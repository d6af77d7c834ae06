/*
 * The configuration as the daemon reads it: made once by config_load(),
 * never changed, freed as a whole. Directives: schema.c has a row for each.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include "base/arena.h"
#include "base/bytes.h"

/* An address; IPv4 in its IPv6-mapped form, so that one compare serves. */
struct config_addr {
	uint8_t ip[16];		/* :: to listen on is IPv6 alone */
	uint16_t port;
	bool is_any;		/* "*": every address of this machine */
	bool is_tls;		/* to listen on: TLS from the first octet */
	bool is_lmtp;		/* likewise: LMTP */
};

/* An address block. */
struct config_net {
	uint8_t ip[16];
	unsigned prefix;	/* 0 to 128, of the mapped form */
};

enum config_role {
	ROLE_INBOUND, ROLE_EGRESS, ROLE_FORWARD,
	ROLE_LIST_IN, ROLE_LIST_OUT, ROLE_APPLIANCE,
	ROLE__N
};

enum config_log { LOG_TEXT, LOG_JSON };	/* form of lines */
enum config_verify { VERIFY_OBSERVE, VERIFY_ENFORCE, VERIFY_OFF };
enum config_unsigned { UNSIGNED_ACCEPT, UNSIGNED_REFUSE };
enum config_unsignable { UNSIGNABLE_PASS, UNSIGNABLE_REFUSE };
enum config_on_failure { ON_FAILURE_DEFER, ON_FAILURE_UNSIGNED };

/* How far what a server in between changed may be described. */
enum config_recipes { RECIPES_ALL, RECIPES_HEADERS, RECIPES_NONE };

/* Chains that are in the mail of our own servers: with an arrival record, or
 * also what those are trusted to have verified. */
enum config_extend { EXTEND_RECORDED, EXTEND_TRUSTING };

/* Whether mail of others gets a From of ours, and why. */
enum config_from_rewrite { FROM_REWRITE_NEVER, FROM_REWRITE_DMARC,
    FROM_REWRITE_ALWAYS };

/* Whether mail that never was in DKIM2 is signed as ours. */
enum config_adopt { ADOPT_NEVER, ADOPT_DKIM1_ALIGNED, ADOPT_ALWAYS };

enum config_mail_from { MAIL_FROM_KEEP, MAIL_FROM_FIXED,
    MAIL_FROM_SRS, MAIL_FROM_TOKEN };

enum config_legacy_bounce_in {
	LEGACY_BOUNCE_IN_TOKEN,	/* go where the return address leads */
	LEGACY_BOUNCE_IN_REFUSE,
};
enum config_bounce_out { BOUNCE_OUT_ALIGNED, BOUNCE_OUT_DISCARD,
    BOUNCE_OUT_PASS, BOUNCE_OUT_HOLD };
enum config_dsn_return { DSN_RETURN_HEADERS, DSN_RETURN_FULL };
enum config_replay { REPLAY_ONCE, REPLAY_REFUSE, REPLAY_OFF };
enum config_mixed { MIXED_DEFER, MIXED_ONE_RCPT };
enum config_scheme { SCHEME_SMTP, SCHEME_SMTPS, SCHEME_LMTP, SCHEME_MX };

/* What TLS must give before mail goes out, each one more than the last. */
enum config_tls_policy {
	TLS_NONE,		/* never begun */
	TLS_MAY,		/* where it is offered; any certificate */
	TLS_ENCRYPT,		/* or the mail waits; any certificate */
	TLS_VERIFY,		/* with a certificate for the host's name */
};

/* While the client waits, or from the queue. */
enum config_delivery { DELIVERY_THROUGH, DELIVERY_QUEUE };

/* What becomes of a client's name and password. */
enum config_auth { AUTH_OFF, AUTH_PASS };

/* How the next hop is told who our client is. */
enum config_pass_client { PASS_NONE, PASS_XCLIENT, PASS_PROXY_V1,
    PASS_PROXY_V2 };

/* smtp://host:port, smtps://, lmtp://, or mx: by the recipient's domain. */
struct config_next_hop {
	enum config_scheme scheme;
	enum config_tls_policy tls;
	struct bytes host;	/* a name, or an address without brackets;
				   empty for mx */
	const char *host_str;	/* the same with a NUL */
	uint16_t port;		/* for mx what mx-port says */
	bool is_ip;
	struct config_addr addr;	/* where is_ip */
};

#define CONFIG_ALIAS_DEPTH 10U	/* lines that lead to each other */
#define CONFIG_ALIAS_ENDS 1000U	/* addresses that one line leads to */

/* One line of an alias table. */
struct config_alias {
	struct bytes address;	/* "a@b", "@b", ".b": all below b, or "*";
				   the domain in lower case */
	const struct bytes *targets;	/* "c@d" as written */
	uint32_t n_targets;
	uint32_t n_ends;	/* where its mail ends, at most */
};

struct config_aliases {
	const struct config_alias *rows;	/* sorted by address */
	size_t n;
	const struct bytes *domains;	/* whose addresses are looked up */
	size_t n_domains;
	const char *delimiter;		/* octets that begin a subaddress */
};

/* One line of a table of routes. */
struct config_route {
	struct bytes domain;	/* "a.b", or ".a.b": all below a.b; A-labels
				   in lower case */
	struct config_next_hop hop;
};

struct config_routes {
	const struct config_route *rows;	/* sorted by domain */
	size_t n;
};

/* A certificate with its chain, and its key: PEM files, paths absolute. */
struct config_tls {
	const char *cert;
	const char *key;
};

/* How mail stands to DKIM2; of a chain that is broken no policy knows. */
enum config_condition { CONDITION_NEVER_ENTERED, CONDITION_LEFT,
    CONDITION_NEVER_LEFT };
enum config_action { ACTION_ACCEPT, ACTION_ANNOTATE, ACTION_REFUSE };

/* One rule of a policy. */
struct config_policy {
	enum config_condition condition;
	enum config_action action;
	const struct config_net *clients;	/* none: all */
	size_t n_clients;
	const struct bytes *senders;	/* lower case; none: all */
	size_t n_senders;
};

/* How long and how much is kept, oldest out first. */
struct config_kept {
	uint64_t size;		/* octets */
	uint32_t age_s;
	uint32_t zero;
};

struct config_listener {
	const char *name;
	unsigned line, column;		/* where its name stands */
	enum config_role role;
	const struct config_addr *listen;
	size_t n_listen;
	const struct bytes *domains;	/* lower case A-labels */
	size_t n_domains;
	const struct config_net *clients;
	size_t n_clients;
	const struct bytes *senders;	/* lower case */
	size_t n_senders;
	bool has_senders;		/* said; if not: every key's domain */
	struct config_next_hop next_hop;	/* "*" of the routes, too */
	struct config_routes routes;
	const struct bytes *internal;	/* hosts among these that sign */
	size_t n_internal;
	uint32_t mx_port;
	const struct config_tls *tls;	/* the first where no name fits */
	size_t n_tls;			/* 0: no TLS for clients */
	unsigned is_tls_required;	/* before MAIL */
	const char *tls_ca;		/* absolute; NULL: the system's */
	uint32_t tls_timeout_s;		/* a handshake */
	const struct config_net *xclient;	/* who may say XCLIENT */
	size_t n_xclient;
	const struct config_net *proxy;	/* who begins with a PROXY header */
	size_t n_proxy;
	enum config_verify verify;
	enum config_unsigned unsigned_mail;
	const struct config_policy *policy;	/* the first that fits counts */
	size_t n_policy;
	enum config_unsignable unsignable;
	unsigned is_dkim1;		/* a DKIM-Signature beside */
	unsigned flags;			/* 1 feedback, 2 feedhere, as dkim2.h
					   has them */
	enum config_on_failure on_failure;
	const char *pair_name;		/* NULL: none */
	const struct config_listener *pair;	/* the same */
	const struct config_listener *returns;	/* an egress that has it as its
					   pair, and makes return addresses:
					   what comes to them goes its way */
	bool is_paired;			/* it is the pair of others, */
	bool is_copied;			/* and one of them writes recipes */
	enum config_recipes recipes;
	enum config_extend extend;
	enum config_from_rewrite from_rewrite;
	enum config_legacy_bounce_in legacy_bounce_in;
	enum config_adopt adopt;
	enum config_mail_from mail_from;
	struct bytes mail_from_address;	/* MAIL_FROM_FIXED: "local@domain" */
	bool has_aliases;
	struct config_aliases aliases;
	char recipient_delimiter[16];	/* "": there are no subaddresses */
	enum config_delivery delivery;
	unsigned is_repairing;		/* what devices get wrong */
	enum config_bounce_out legacy_bounce_out;
	enum config_replay replay;
	enum config_mixed mixed;
	unsigned is_split_first_hop;	/* where a site gets several copies */
	uint32_t max_recipients;	/* of a transaction */
	uint32_t max_copies;		/* that one message leaves in */
	uint64_t max_message;		/* octets */
	uint64_t max_header;		/* octets of the header block */
	uint32_t max_fields;
	uint32_t max_line;		/* octets of a text line */
	uint32_t max_received;
	uint32_t max_connections;	/* of a socket in a worker */
	uint32_t max_per_network;	/* of them, from /24 or /64 */
	uint32_t max_errors;		/* a session */
	uint32_t max_commands;		/* a session */
	uint32_t idle_timeout_s;	/* for a client's next command */
	uint32_t proxy_timeout_s;	/* for the PROXY header */
	uint32_t content_timeout_s;	/* for as much content as min_rate says */
	uint32_t min_rate;		/* octets of content a second */
	uint32_t through_wait_s;	/* from the dot to our answer */
	uint32_t connect_timeout_s;	/* of the next hop ... */
	uint32_t reply_timeout_s;	/* banner, EHLO, MAIL, RCPT */
	uint32_t data_timeout_s;	/* the 354 */
	uint32_t send_timeout_s;	/* one block of content */
	uint32_t end_timeout_s;		/* the reply to the final dot */
	enum config_pass_client pass_client;
	bool has_pass_client;		/* said, were it none */
	enum config_auth auth;
	const char *auth_file;		/* absolute or NULL */
	uint32_t max_per_destination;	/* connections of a worker */
	uint32_t max_idle;		/* of those, between transactions */
	uint32_t max_reuse;		/* transactions on one */
	uint32_t idle_reuse_s;		/* how long one is kept idle */
};

/* A file of a table that was looked for. */
struct config_read {
	const struct config_read *next;
	const char *path;		/* absolute */
};

struct config {
	const char *path;		/* the file it came from */
	const char *folder;		/* relative paths begin there */
	const char *hostname;
	const char *authserv_id;
	const char *state;
	const char *user;
	bool has_user;			/* said, not the default */
	unsigned log;			/* enum config_log */
	uint32_t workers;		/* 0: one a core */
	bool is_sandboxed;
	uint32_t watchdog_s;		/* of a worker */
	const char *keys;		/* absolute or NULL */
	const char *keys_file;		/* absolute or NULL */
	const char *secrets;		/* absolute or NULL */
	const struct config_addr *resolver;	/* none: the system's */
	size_t n_resolver;
	uint32_t resolver_timeout_ms;
	const struct config_addr *metrics;	/* where HTTP is spoken */
	size_t n_metrics;
	struct config_kept memory;	/* of deliveries */
	struct config_kept copies;	/* of what came, to be compared */
	const char *store;		/* config_store_read(); NULL: ours */
	const char *store_password;	/* absolute or NULL */
	uint32_t queue_retry_s;		/* after the first failure, doubling */
	uint32_t queue_retry_max_s;	/* up to this */
	uint32_t queue_expire_s;	/* no try after this */
	uint32_t queue_connections;	/* of the queue, at once */
	uint64_t queue_min_free;	/* octets that stay free for others */
	enum config_dsn_return dsn_return;	/* what goes back in a DSN */
	uint64_t dsn_return_max;	/* octets of a body that goes back */
	const struct config_listener *listeners;
	size_t n_listeners;
	const struct config_read *tables;
	struct arena *arena;		/* all of the above lives here */
};

/*
 * Takes mistakes, one call each, in the order of the file.
 *
 * text     "file:line:column: what is wrong and what would be right"
 */
typedef void config_complain(void *arg, const char *text);

/*
 * Reads a configuration file and the tables it names, and checks every rule.
 * Of a directive counts what the listener says, then the top level, then the
 * role, then the default. Where something is not built yet, no other file is
 * looked at: what it is for can not be used anyway. How safe the keys are is
 * asked of keydir_scan().
 *
 * Returns  the configuration, or NULL after at least one complaint
 * Lifetime until config_free()
 */
struct config *config_load(const char *path, config_complain *complain,
    void *arg);

/*
 * The same, for a check of all there is in one run: where mistakes were told,
 * what is good of the configuration comes all the same, so that the files it
 * names can be looked at. It must not be run then.
 *
 * is_good  whether there was no mistake
 * Returns  NULL where no file is to be looked at: it is no configuration, or
 *          one that is not built yet
 */
struct config *config_load_all(const char *path, bool *is_good,
    config_complain *complain, void *arg);

struct keydir;

/*
 * Tells what is no mistake and seldom meant, a warning each with its place:
 * inbound that tells nobody who the client is, an egress for every domain of
 * several or for one without a key, a name without a dot, root.
 *
 * keys     the active ones
 */
void config_warn(const struct config *c, const struct keydir *keys,
    config_complain *complain, void *arg);

/* Frees *c, and leaves NULL. *c may be NULL. */
void config_free(struct config **c);

/* Prints the effective value of every directive as YAML. */
void config_dump(const struct config *c, void (*put)(void *, const char *),
    void *arg);

/* "inbound" ...; static storage. */
const char *config_role_name(enum config_role r);

/* "never-entered" ..., "accept" ...; static storage. */
const char *config_condition_name(enum config_condition c);
const char *config_action_name(enum config_action a);

/* Whether a listener of this role takes new mail from those it is for, and
 * signs it (i=1). */
bool config_role_originates(enum config_role r);

/* Whether mail comes in there from outside, to be looked at and annotated. */
bool config_role_annotates(enum config_role r);

/* Whether one of the blocks holds the address (mapped form). */
bool config_nets_hold(const struct config_net *nets, size_t n,
    const uint8_t ip[16]);

/* Whether domain (any case) is one of the list: itself, no subdomains. */
bool config_domains_hold(const struct bytes *domains, size_t n,
    struct bytes domain);

/*
 * The line for an address: the full address, without case of its domain and
 * with the local part as it is, then that without its subaddress, "@domain",
 * ".parent" from near to far, and "*".
 *
 * Returns  NULL where the table has none of them
 */
const struct config_alias *config_alias_find(const struct config_aliases *t,
    struct bytes local, struct bytes domain);

/*
 * Where the mail of a line ends: its targets, and those of the lines that
 * answer for a target, each address once. A target that its own line answers
 * for is an end.
 *
 * ends     in the arena, "c@d" as written
 * n        how many; at least one
 * Returns  0, -E_NOMEM, or -E_LIMIT where lines lead in a circle or to more
 *          than row->n_ends; no table that was checked does
 */
int config_alias_expand(const struct config_aliases *t,
    const struct config_alias *row, struct arena *a,
    const struct bytes **ends, size_t *n);

/*
 * The line of a domain (A-labels, any case): its own, then ".parent", then
 * ".parent" of that, and so on.
 *
 * Returns  NULL where there is none: the listener's next_hop is it
 */
const struct config_next_hop *config_route_find(const struct config_routes *t,
    struct bytes domain);

#endif
