#include "config/load.h"

#include "base/err.h"
#include "config/file.h"
#include "config/keysfile.h"
#include "config/role.h"
#include "config/value.h"

#define KEYS_FILE_ROOM (128U << 20)

/* What is looked at of one listener. */
struct look {
	struct load *l;
	const struct config_listener *listener;
	const struct load_listener *own;
	size_t no;
};

static const struct config_node *
value_of(const struct load_said *said, const char *directive)
{
	return said->value[config_row_of(directive)];
}

static bool
is_bad(const struct load_said *said, const char *directive)
{
	return said->is_bad[config_row_of(directive)];
}

/* Not there, or there and an empty list; not if it is bad already. */
static bool
lacks(const struct load_said *said, const char *directive)
{
	const struct config_node *value = value_of(said, directive);

	if (value == NULL)
		return true;
	return !is_bad(said, directive) && value->kind == NODE_LIST &&
	    value->n == 0;
}

/* There, good, and not empty. */
static bool
has(const struct load_said *said, const char *directive)
{
	return !lacks(said, directive) && !is_bad(said, directive);
}

/* Where a rule about a directive points: to it, or to the listener. */
static struct config_place
place_of(const struct look *k, const char *directive)
{
	size_t no = config_row_of(directive);

	return k->own->said.is_own[no] ? k->own->said.value[no]->at :
	    k->own->name->at;
}

static void
need(const struct look *k, const char *directive, const char *why)
{
	config_fault_add(&k->l->faults, k->own->name->at,
	    "%s: `%s` is needed: %s", k->listener->name, directive, why);
}

/* Every listener says what it is, where it listens and where mail goes. */
static void
check_needs(const struct look *k)
{
	const struct load_said *said = &k->own->said;

	if (lacks(said, "role"))
		need(k, "role", "write inbound, egress, forward, list-in, "
		    "list-out or appliance");
	if (lacks(said, "listen"))
		need(k, "listen", "write \"*:25\", an address with a port, or "
		    "a port on loopback");
	if (lacks(said, "next-hop") && lacks(said, "routes"))
		need(k, "next-hop", "write smtp://HOST:PORT or mx");
}

/* Nobody relays by accident: someone must be named. */
static void
check_relay(const struct look *k)
{
	const struct load_said *said = &k->own->said;
	bool is_nobody = lacks(said, "clients") && lacks(said, "domains");

	if (k->own->has_role && config_role_originates(k->listener->role)) {
		if (lacks(said, "clients"))
			config_fault_add(&k->l->faults, k->own->name->at,
			    "%s: `clients` is needed: role %s signs for them "
			    "alone; write the networks that may send",
			    k->listener->name,
			    config_role_name(k->listener->role));
	} else if (k->own->has_role && k->listener->role == ROLE_FORWARD) {
		if (lacks(said, "domains"))
			need(k, "domains", "role forward forwards mail to "
			    "them; write the domains of the aliases");
	} else if (is_nobody) {
		config_fault_add(&k->l->faults, k->own->name->at,
		    "%s: has neither `clients` nor `domains`, so nobody could "
		    "send; write who may send, or to whom",
		    k->listener->name);
	}
}

/* A block that holds all of IPv4, or all there is. */
static bool
is_everybody(const struct config_net *net)
{
	static const uint8_t v4[16] = {[10] = 0xff, [11] = 0xff};

	return net->prefix <= 96 && config_nets_hold(net, 1, v4);
}

static void
check_nets(const struct look *k, const char *directive,
    const struct config_net *nets, size_t n, const char *why)
{
	const struct config_node *value = value_of(&k->own->said, directive);
	const struct config_node *at;

	if (!has(&k->own->said, directive))
		return;
	at = value->kind == NODE_LIST ? value->first : value;
	for (size_t i = 0; i < n; i++, at = at->next)
		if (is_everybody(&nets[i]))
			config_fault_add(&k->l->faults, at->at,
			    "%s: `%s` is everybody, and %s", directive,
			    config_fault_show(&k->l->faults, at->text), why);
}

static void
check_clients(const struct look *k)
{
	const struct config_listener *l = k->listener;

	check_nets(k, "clients", l->clients, l->n_clients,
	    "this an open relay; write the networks that may send");
	check_nets(k, "xclient", l->xclient, l->n_xclient,
	    "any client could name another; write the proxies");
	check_nets(k, "proxy", l->proxy, l->n_proxy,
	    "any client could name another; write the balancers");
}

/* Without the directive every key's domain may send; with none in it, none. */
static void
check_egress(const struct look *k)
{
	const struct load_said *said = &k->own->said;

	if (!config_role_originates(k->listener->role))
		return;
	if (value_of(said, "senders") != NULL && lacks(said, "senders"))
		config_fault_add(&k->l->faults, place_of(k, "senders"),
		    "senders: is empty, so that no sender is taken; write "
		    "their domains, or remove it");
}

/* Why mail of a listener can not wait in the queue; NULL: it can. */
static const char *
needs_client(const struct config_listener *l)
{
	if (l->auth == AUTH_PASS)
		return "the next hop is not there when a client logs in; "
		    "remove `auth`";
	if (l->pass_client != PASS_NONE)
		return "the client is gone when mail is delivered; remove "
		    "`pass-client`";
	return NULL;
}

/*
 * The queue takes what it can deliver later, or tell somebody here about, and
 * delivers it when the client is gone (attacks.md Q20).
 */
static void
check_queue(const struct look *k)
{
	const struct config_listener *l = k->listener;
	const char *why = NULL;

	if (l->legacy_bounce_out == BOUNCE_OUT_HOLD && needs_client(l) != NULL)
		config_fault_add(&k->l->faults,
		    place_of(k, "legacy-bounce-out"),
		    "legacy-bounce-out: hold: %s", needs_client(l));
	if (l->delivery != DELIVERY_QUEUE ||
	    is_bad(&k->own->said, "delivery"))
		return;
	if (!config_role_originates(l->role) && l->role != ROLE_FORWARD)
		why = "is for role egress, list-out, appliance and forward; "
		    "write through";
	else if (l->role == ROLE_FORWARD && l->verify == VERIFY_OFF)
		why = "takes only chains that are verified; remove `verify`";
	else if (l->role == ROLE_FORWARD && lacks(&k->l->said, "keys"))
		why = "signs what it reports; write the folder of the keys "
		    "at top level";
	else if (needs_client(l) != NULL)
		why = needs_client(l);
	else if (l->role != ROLE_FORWARD && lacks(&k->own->said, "senders") &&
	    lacks(&k->l->said, "keys"))
		why = "takes only mail from domains of ours; write `senders`, "
		    "or the folder of the keys at top level";
	if (why != NULL)
		config_fault_add(&k->l->faults, place_of(k, "delivery"),
		    "delivery: queue: %s", why);
}

static bool
is_own_domain(const struct look *k, struct bytes domain)
{
	return config_domains_hold(k->listener->domains,
	    k->listener->n_domains, domain);
}

static void
check_forward(const struct look *k)
{
	const struct load_said *said = &k->own->said;
	const struct bytes address = k->listener->mail_from_address;

	if (k->listener->role != ROLE_FORWARD)
		return;
	if (lacks(said, "aliases"))
		need(k, "aliases", "without a line no recipient is taken; "
		    "write file:PATH or a map");
	if (lacks(&k->l->said, "keys"))
		need(k, "keys", "role forward signs; write the folder of the "
		    "keys at top level");
	if (lacks(said, "mail-from"))
		need(k, "mail-from", "role forward signs only what leaves "
		    "from a domain of its own; write srs, token, "
		    "LOCAL@DOMAIN, or keep");
	if (has(said, "mail-from") && has(said, "domains") && address.n != 0 &&
	    said->is_own[config_row_of("mail-from")] &&
	    !is_own_domain(k, bytes_skip(address,
	    bytes_index(address, '@') + 1)))
		config_fault_add(&k->l->faults, place_of(k, "mail-from"),
		    "mail-from: `%s` is in none of the listener's `domains`; "
		    "write an address of one of them",
		    config_fault_show(&k->l->faults, address));
}

/* What these go by is found out where mail is verified. */
static void
check_adopt(const struct look *k)
{
	const struct config_listener *l = k->listener;

	if (l->role == ROLE_LIST_OUT && l->recipes == RECIPES_NONE &&
	    l->from_rewrite != FROM_REWRITE_NEVER)
		config_fault_add(&k->l->faults, place_of(k, "from-rewrite"),
		    "from-rewrite: what From was must be described, and "
		    "`recipes` is none; write `recipes: headers`");
	if (l->role != ROLE_FORWARD || l->verify != VERIFY_OFF ||
	    is_bad(&k->own->said, "verify"))
		return;
	if (l->adopt != ADOPT_NEVER)
		config_fault_add(&k->l->faults, place_of(k, "adopt"),
		    "adopt: nothing is known of mail with `verify: off`; "
		    "write `verify: observe`");
	if (l->from_rewrite == FROM_REWRITE_DMARC)
		config_fault_add(&k->l->faults, place_of(k, "from-rewrite"),
		    "from-rewrite: no policy is asked for with `verify: off`; "
		    "write `verify: observe`");
}

/* A list manager's mail is signed as the list, and only what came by us. */
static void
check_list(const struct look *k)
{
	if (k->listener->role != ROLE_LIST_OUT)
		return;
	if (lacks(&k->l->said, "keys"))
		need(k, "keys", "role list-out signs; write the folder of the "
		    "keys at top level");
	if (lacks(&k->own->said, "pair"))
		need(k, "pair", "role list-out extends what came by it; write "
		    "the name of the listener of role list-in");
}

/* At egress only what came in before has another domain to leave under. */
static void
check_return(const struct look *k)
{
	const struct config_listener *l = k->listener;
	const char *why = NULL;

	if (l->role != ROLE_EGRESS || is_bad(&k->own->said, "mail-from") ||
	    l->mail_from == MAIL_FROM_KEEP)
		return;
	if (l->mail_from == MAIL_FROM_FIXED)
		why = "bounces could not be told apart here; write keep, srs "
		    "or token";
	else if (lacks(&k->own->said, "pair"))
		why = "it is for mail that came in before, and nobody could "
		    "say which that is; write `pair`, or keep";
	if (why != NULL)
		config_fault_add(&k->l->faults, place_of(k, "mail-from"),
		    "mail-from: at egress, %s", why);
}

/* Addresses that lead back are keyed. */
static void
check_secrets(const struct look *k)
{
	const struct config_listener *l = k->listener;

	if ((l->mail_from == MAIL_FROM_SRS ||
	    l->mail_from == MAIL_FROM_TOKEN) &&
	    !is_bad(&k->own->said, "mail-from") &&
	    lacks(&k->l->said, "secrets"))
		config_fault_add(&k->l->faults, place_of(k, "mail-from"),
		    "mail-from: such addresses are keyed, and there is no "
		    "`secrets`; write the folder of the secrets at top level");
}

/* A rule asks how the mail stands to DKIM2, which somebody has to find out. */
static void
check_policy(const struct look *k)
{
	if (k->listener->n_policy != 0 && k->listener->verify == VERIFY_OFF &&
	    !is_bad(&k->own->said, "verify"))
		config_fault_add(&k->l->faults, place_of(k, "policy"),
		    "policy: nothing is known of mail with `verify: off`; "
		    "write observe, or remove one");
}

static void
check_bounds(const struct look *k)
{
	if (is_bad(&k->own->said, "max-header") ||
	    is_bad(&k->own->said, "max-message"))
		return;
	if (k->listener->max_header > k->listener->max_message)
		config_fault_add(&k->l->faults, place_of(k, "max-header"),
		    "max-header: more than `max-message`; write less");
}

static const uint8_t unspecified[16];

static bool
is_v4_wild(const struct config_addr *a)
{
	return config_value_is_v4(a->ip) &&
	    memcmp(a->ip + 12, unspecified, 4) == 0;
}

/* Whether what is sent to address b arrives at a listening address a. */
static bool
is_covered(const struct config_addr *a, const struct config_addr *b)
{
	bool is_v4 = config_value_is_v4(b->ip);

	if (a->port != b->port)
		return false;
	if (a->is_any)
		return true;
	if (is_v4_wild(a))
		return is_v4 && !b->is_any;
	if (memcmp(a->ip, unspecified, 16) == 0)
		return !is_v4 && !b->is_any;
	return !b->is_any && memcmp(a->ip, b->ip, 16) == 0;
}

/* Where the i-th address of a listener stands. */
static struct config_place
listen_place(const struct look *k, size_t i)
{
	const struct config_node *at = value_of(&k->own->said, "listen");

	if (!k->own->said.is_own[config_row_of("listen")])
		return k->own->name->at;
	if (at->kind != NODE_LIST)
		return at->at;
	for (at = at->first; i != 0; i--)
		at = at->next;
	return at->at;
}

/* One address of a listener against all addresses before it. */
static void
check_listen_one(const struct look *k, size_t i)
{
	const struct config_addr *mine = &k->listener->listen[i];
	char text[64];
	struct buf out = BUF_ON(text);

	for (size_t no = 0; no <= k->no; no++) {
		const struct config_listener *other = &k->l->listeners[no];
		size_t n = no == k->no ? i : other->n_listen;

		for (size_t j = 0; j < n; j++) {
			const struct config_addr *its = &other->listen[j];

			if (!is_covered(mine, its) && !is_covered(its, mine))
				continue;
			config_value_put_addr(&out, its);
			buf_add_octet(&out, '\0');
			config_fault_add(&k->l->faults, listen_place(k, i),
			    "listen: listener %s has %s already; give each "
			    "its own address or port", other->name, text);
			return;
		}
	}
}

static void
check_listen(const struct look *k)
{
	if (!has(&k->own->said, "listen"))
		return;
	for (size_t i = 0; i < k->listener->n_listen; i++)
		check_listen_one(k, i);
}

/* Addresses that are this machine's wherever it stands. */
static bool
is_loopback(const uint8_t ip[16])
{
	static const uint8_t v6[16] = {[15] = 1};

	return (config_value_is_v4(ip) && ip[12] == 127) ||
	    memcmp(ip, v6, 16) == 0;
}

/* Whether mail to a next hop at ip comes back to us: attacks.md L2. */
static const struct config_listener *
loop_find(const struct load *l, const struct config_addr *hop)
{
	for (size_t no = 0; no < l->n; no++)
		for (size_t i = 0; i < l->listeners[no].n_listen; i++) {
			const struct config_addr *a =
			    &l->listeners[no].listen[i];

			if (is_covered(a, hop) && (is_loopback(hop->ip) ||
			    memcmp(a->ip, hop->ip, 16) == 0))
				return &l->listeners[no];
		}
	return NULL;
}

/* Whether a name leads to us: localhost, or our own to all our addresses. */
static const struct config_listener *
name_loop_find(const struct load *l, const struct config_next_hop *hop)
{
	struct config_addr v4 = {.ip = {[10] = 0xff, [11] = 0xff, [12] = 127,
	    [15] = 1}, .port = hop->port};
	struct config_addr v6 = {.ip = {[15] = 1}, .port = hop->port};
	const char *own = l->config->hostname;
	bool is_own = own != NULL && bytes_case_eq(hop->host, bytes_of(own));
	const struct config_listener *self;

	if (!is_own && !bytes_case_eq(hop->host, BYTES_LIT("localhost")))
		return NULL;
	self = loop_find(l, &v4);
	return self != NULL ? self : loop_find(l, &v6);
}

const struct config_listener *
config_check_loop(const struct load *l, const struct config_next_hop *hop)
{
	if (hop->scheme == SCHEME_MX)
		return NULL;
	return hop->is_ip ? loop_find(l, &hop->addr) : name_loop_find(l, hop);
}

/* A password goes to the one server it is for, and never in the clear. */
static void
check_auth_file(const struct look *k)
{
	const struct config_next_hop *hop = &k->listener->next_hop;

	if (k->listener->auth_file == NULL ||
	    is_bad(&k->own->said, "next-hop"))
		return;
	if (hop->scheme == SCHEME_MX)
		config_fault_add(&k->l->faults, place_of(k, "auth-file"),
		    "auth-file: is for one server, and mx finds many; write "
		    "next-hop: smtps://HOST");
	else if (hop->tls < TLS_ENCRYPT)
		config_fault_add(&k->l->faults, place_of(k, "auth-file"),
		    "auth-file: the password could go in the clear; write "
		    "`encrypt` or `verify` behind the next hop");
}

/* A client logs in at the one server that knows it, all the way under TLS. */
static void
check_auth(const struct look *k)
{
	const struct config_listener *l = k->listener;
	const char *why = NULL;

	if (l->auth != AUTH_PASS || is_bad(&k->own->said, "next-hop"))
		return;
	if (l->auth_file != NULL)
		why = "the next hop can know the client or us; remove "
		    "`auth-file`";
	else if (l->next_hop.scheme == SCHEME_MX || l->routes.n != 0)
		why = "needs one server that knows the clients; write one "
		    "next-hop, and no routes";
	else if (l->next_hop.tls < TLS_ENCRYPT)
		why = "passwords could go in the clear; write `encrypt` or "
		    "`verify` behind the next hop";
	else if (l->n_tls == 0 && !is_bad(&k->own->said, "tls"))
		why = "no client could begin TLS, and none logs in without; "
		    "write `tls: {cert: FILE, key: FILE}`";
	if (why != NULL)
		config_fault_add(&k->l->faults, place_of(k, "auth"),
		    "auth: pass: %s", why);
}

static void
check_loop(const struct look *k)
{
	const struct config_listener *self;

	if (!has(&k->own->said, "next-hop"))
		return;
	self = config_check_loop(k->l, &k->listener->next_hop);
	if (self != NULL)
		config_fault_add(&k->l->faults, place_of(k, "next-hop"),
		    "next-hop: is our own listener %s, and mail would go "
		    "round; write the server behind us", self->name);
}

/* What is promised to clients needs a certificate. */
static void
check_tls(const struct look *k)
{
	if (k->listener->n_tls != 0 || is_bad(&k->own->said, "tls"))
		return;
	if (k->listener->is_tls_required)
		config_fault_add(&k->l->faults, place_of(k, "tls-required"),
		    "tls-required: no client could begin TLS; write `tls: "
		    "{cert: FILE, key: FILE}`");
	for (size_t i = 0; i < k->listener->n_listen; i++)
		if (k->listener->listen[i].is_tls)
			config_fault_add(&k->l->faults, listen_place(k, i),
			    "listen: smtps:// needs a certificate; write "
			    "`tls: {cert: FILE, key: FILE}`");
}

static void
check_retry(struct load *l)
{
	const struct config_node *said = value_of(&l->said, "queue-retry");

	if (said == NULL)
		said = value_of(&l->said, "queue-retry-max");
	if (said != NULL && !is_bad(&l->said, "queue-retry") &&
	    !is_bad(&l->said, "queue-retry-max") &&
	    l->config->queue_retry_s > l->config->queue_retry_max_s)
		config_fault_add(&l->faults, said->at,
		    "queue-retry: more than `queue-retry-max`; write less");
}

static void
check_store(struct load *l)
{
	const struct config_node *said = value_of(&l->said, "store-password");

	if (said != NULL && !is_bad(&l->said, "store-password") &&
	    value_of(&l->said, "store") == NULL)
		config_fault_add(&l->faults, said->at,
		    "store-password: there is no `store`; write it, or remove "
		    "this");
}

/* Plain HTTP, at addresses of its own. */
static void
check_metrics(struct load *l)
{
	const struct config_node *said = value_of(&l->said, "metrics");
	const struct config *c = l->config;

	if (said == NULL || is_bad(&l->said, "metrics"))
		return;
	for (size_t k = 0; k < c->n_metrics; k++) {
		const struct config_listener *other = NULL;

		if (c->metrics[k].is_tls || c->metrics[k].is_lmtp)
			config_fault_add(&l->faults, said->at,
			    "metrics: HTTP is spoken there, without TLS; "
			    "write an address and a port");
		for (size_t no = 0; no < l->n && other == NULL; no++)
			for (size_t i = 0; i < l->listeners[no].n_listen; i++)
				if (is_covered(&c->metrics[k],
				    &l->listeners[no].listen[i]) ||
				    is_covered(&l->listeners[no].listen[i],
				    &c->metrics[k]))
					other = &l->listeners[no];
		if (other != NULL)
			config_fault_add(&l->faults, said->at,
			    "metrics: listener %s is there already; write "
			    "another port", other->name);
	}
}

static void
check_top(struct load *l)
{
	check_retry(l);
	check_store(l);
	check_metrics(l);
	if (lacks(&l->said, "hostname"))
		config_fault_add(&l->faults, l->root->at,
		    "`hostname` is needed: write our name in the DNS, such as "
		    "mx.example.org");
	if (lacks(&l->said, "listeners"))
		config_fault_add(&l->faults, l->root->at,
		    "`listeners` is needed: write a map of them by name");
}

void
config_check(struct load *l)
{
	check_top(l);
	for (size_t no = 0; no < l->n; no++) {
		struct look k = {l, &l->listeners[no], &l->said_of[no], no};

		if (k.own->is_broken)
			continue;
		check_needs(&k);
		check_relay(&k);
		check_clients(&k);
		check_listen(&k);
		check_loop(&k);
		check_auth_file(&k);
		check_auth(&k);
		check_policy(&k);
		check_bounds(&k);
		check_tls(&k);
		if (k.own->has_role) {
			check_egress(&k);
			check_queue(&k);
			check_forward(&k);
			check_adopt(&k);
			check_list(&k);
			check_return(&k);
			check_secrets(&k);
		}
	}
	config_check_pairs(l);
}

/* Reads the whole file, for what is wrong in it, and keeps nothing. */
static void
check_keys_file(struct load *l)
{
	const struct config_node *value = value_of(&l->said, "keys-file");
	struct arena *room;
	struct keysfile *k;
	char text[256];
	struct buf fault = BUF_ON(text);
	int r;

	if (value == NULL || is_bad(&l->said, "keys-file"))
		return;
	room = arena_new(KEYS_FILE_ROOM);
	r = room == NULL ? -E_NOMEM :
	    keysfile_load(&k, l->config->keys_file, room, &fault);
	if (r == -E_NOMEM && fault.n == 0)
		buf_add_str(&fault, err_text(r));
	if (r != 0)
		config_fault_add(&l->faults, value->at, "keys-file: %s: %.*s",
		    l->config->keys_file, BYTES_FMT(buf_bytes(&fault)));
	if (r != 0)
		l->config->keys_file = NULL;
	arena_free(&room);
}

/*
 * What is in it, and how safe, the daemon looks at itself; not of what is told
 * here.
 */
static void
check_folder(struct load *l, const char *directive, const char **path,
    const char *what)
{
	size_t n = l->faults.n;
	const struct config_node *said = value_of(&l->said, directive);
	struct config_file_facts facts;
	const char *why;

	if (said == NULL || is_bad(&l->said, directive))
		return;
	if (config_file_look(*path, true, &facts, &why) != 0)
		config_fault_add(&l->faults, said->at,
		    "%s: can not read %s: %s", directive, *path, why);
	else if (facts.kind != CONFIG_FILE_FOLDER)
		config_fault_add(&l->faults, said->at,
		    "%s: %s is no folder; write the folder that holds %s",
		    directive, *path, what);
	if (l->faults.n != n)
		*path = NULL;
}

void
config_check_files(struct load *l)
{
	check_folder(l, "keys", &l->config->keys, "DOMAIN/SELECTOR.pem");
	check_folder(l, "secrets", &l->config->secrets, "a file for each");
	check_keys_file(l);
}
