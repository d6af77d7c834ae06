#include "tests/config/kit.h"

/* Lines 1 to 7 of a good configuration; what is tested comes behind. */
#define TOP "hostname: mx.example.org\n"
#define IN TOP "listeners:\n  in:\n    role: inbound\n" \
	"    listen: '*:25'\n    domains: example.org\n" \
	"    next-hop: smtp://192.0.2.1\n"
#define OUT TOP "listeners:\n  out:\n    role: egress\n" \
	"    listen: 10026\n    clients: 127.0.0.1\n" \
	"    next-hop: smtp://192.0.2.1\n"
/* Eleven lines. */
#define FWD TOP "keys: keys\nlisteners:\n  fwd:\n    role: forward\n" \
	"    listen: '*:25'\n    domains: [example.net, example.com]\n" \
	"    next-hop: smtp://192.0.2.1\n    mail-from: b@example.net\n" \
	"    aliases:\n      a@example.net: x@example.org\n"

struct row {
	const char *what;
	const char *in;
	const char *out;	/* each mistake in a line, without "c.yaml:" */
};

static void
run(const struct row *rows, size_t n)
{
	size_t n_bad = 0;

	for (size_t k = 0; k < n; k++) {
		struct heard *h = test_malloc(sizeof(*h));
		struct put want = {NULL, 0};
		struct bytes rest = bytes_of(rows[k].out);
		struct config *c = load_text(rows[k].in, h);

		put(&want, "");
		while (rest.n != 0) {
			struct bytes line = bytes_cut(&rest, '\n');
			char text[1024];

			(void)snprintf(text, sizeof(text), "c.yaml:%.*s\n",
			    BYTES_FMT(line));
			put(&want, text);
		}
		if (strcmp(h->text, want.text) != 0) {
			(void)fprintf(stderr, "%s:\n%sis not\n%s",
			    rows[k].what, h->text, want.text);
			n_bad++;
		}
		assert_true((c == NULL) == (*h->text != '\0'));
		config_free(&c);
		free(want.text);
		test_free(h);
	}
	assert_int_equal(n_bad, 0);
}

#define RUN(rows) run(rows, N(rows))

static void
yaml_is_read_up_to_its_first_fault(void **state)
{
	static const struct row rows[] = {
		{"nothing wrong", IN, ""},
		{"nothing at all", "", "1:1: the file is empty; see config/examples"},
		{"a comment", "# no\n", "1:1: the file is empty; see config/examples"},
		{"no map", "- a\n", "1:1: a configuration is a map; write NAME: VALUE lines"},
		{"text", "hello", "1:1: a configuration is a map; write NAME: VALUE lines"},
		{"what stands before is looked at, what is behind is not",
		    "hostnam: a\nkeys: [\nbogus: }\n",
		    "1:1: `hostnam` is no directive; did you mean `hostname`?\n"
		    "2:7: keys: takes one value, no list\n"
		    "3:8: not YAML: did not find expected node content while parsing a flow node that began at line 3; nothing behind it was read"},
		{"a tab", "hostname:\n\tx\n",
		    "2:1: not YAML: a tab; indent with spaces; nothing behind it was read"},
		{"no token", "hostname: @x\n",
		    "1:11: not YAML: found character that cannot start any token while scanning for the next token that began at line 1; nothing behind it was read"},
		{"rules are not asked of half a file", "listeners: {in: {role: inbound",
		    "2:1: not YAML: did not find expected ',' or '}' while parsing a flow mapping that began at line 1; nothing behind it was read"},
		{"not UTF-8", "a: b\nc: \xff\n",
		    "2:4: not YAML: invalid leading UTF-8 octet; write it in UTF-8; nothing behind it was read"},
		{"two documents", IN "---\nhostname: x\n",
		    "8:1: a second document; the configuration is one; nothing behind it was read"},
		{"too deep", "a: [[[[[[[[b]]]]]]]]\n",
		    "1:1: `a` is no directive; remove it\n"
		    "1:11: more than 8 levels deep; nothing behind it was read"},
		{"an anchor", "hostname: &x mx.example.org\n",
		    "1:1: `listeners` is needed: write a map of them by name\n"
		    "1:11: anchors (&NAME) are not taken; write the value where it is needed"},
		{"a tag", "hostname: !!str mx.example.org\n",
		    "1:1: `listeners` is needed: write a map of them by name\n"
		    "1:11: tags (!NAME) are not taken; write the value alone"},
		{"a star without quotes", TOP "listeners: {in: {role: inbound, domains: a.b, next-hop: smtp://c.d, listen: *25}}",
		    "2:77: aliases (*NAME) are not taken; write the value where it is needed, or \"*:25\" in quotes"},
		{"a list as a name", IN "? [a]\n: b\n",
		    "8:3: a list or map is no name; write NAME: VALUE"},
		{"a control octet", "hostname: \"a\\x1bb\"\n",
		    "1:1: `listeners` is needed: write a map of them by name\n"
		    "1:11: a value with control octets or line ends; write it on one line"},
		{"a C1 control octet", "hostname: \"a\\x9bb\"\n",
		    "1:1: `listeners` is needed: write a map of them by name\n"
		    "1:11: a value with control octets or line ends; write it on one line"},
		{"a name twice", IN "hostname: a\nhostname: b\n",
		    "8:1: `hostname` stands at line 1 already; keep one of them\n"
		    "9:1: `hostname` stands at line 1 already; keep one of them"},
		{"a listener twice", IN "  in: {}\n",
		    "8:3: `in` stands at line 3 already; keep one of them"},
		{"in the listener twice", IN "    domains: x.example\n",
		    "8:5: `domains` stands at line 6 already; keep one of them"},
	};

	(void)state;
	RUN(rows);
}

static void
directives_are_known_or_guessed(void **state)
{
	static const struct row rows[] = {
		{"a slip", IN "    next-hpo: a\n",
		    "8:5: `next-hpo` is no directive; did you mean `next-hop`?"},
		{"another case", IN "User: a\n",
		    "8:1: `User` is no directive; did you mean `user`?"},
		{"nothing near", IN "colour: a\n",
		    "8:1: `colour` is no directive; remove it"},
		{"in the wrong place", IN "    keys: a\n",
		    "8:5: keys: is for all listeners; move it to the top level"},
		{"escaped", IN "\"a\\u00fc\": a\n",
		    "8:1: `a\\303\\274` is no directive; remove it"},
		{"no listeners", TOP,
		    "1:1: `listeners` is needed: write a map of them by name"},
		{"an empty map of them", TOP "listeners: {}\n",
		    "2:12: listeners: takes a map of 1 to 64 listeners by name; write NAME: {role: inbound, ...}"},
		{"a list of them", TOP "listeners: [a]\n",
		    "2:12: listeners: takes a map of 1 to 64 listeners by name; write NAME: {role: inbound, ...}"},
		{"a listener that is text", TOP "listeners: {a: b}\n",
		    "2:16: a: a listener is a map; write {role: inbound, ...}"},
		{"a listener without a name", TOP "listeners: {a b: {role: inbound, listen: 1, domains: b.c, next-hop: smtp://a.b}}\n",
		    "2:13: `a b` is no name of a listener; write 1 to 32 letters, digits, - and _"},
		{"a word", IN "    verify: enforc\n",
		    "8:13: verify: `enforc` is none of observe, enforce or off; did you mean `enforce`?"},
		{"no word near", IN "    unsigned: maybe\n",
		    "8:15: unsigned: `maybe` is none of accept or refuse"},
	};

	(void)state;
	RUN(rows);
}

static void
values_are_what_their_row_says(void **state)
{
	static const struct row rows[] = {
		{"nothing", IN "user:\n", "8:6: user: has no value; write one or remove it"},
		{"a map", IN "user: {}\n", "8:7: user: takes one value, no map"},
		{"a user", IN "user: 9a\n", "8:7: user: `9a` is no user name; write one of the system's, such as hopseal"},
		{"an id", IN "authserv-id: a b\n", "8:14: authserv-id: `a b` is no authserv-id; write a name such as mx.example.org"},
		{"a number", IN "    max-errors: 1x\n", "8:17: max-errors: `1x` is no number; write digits alone"},
		{"under", IN "    max-errors: 0\n", "8:17: max-errors: `0` is out of range; write 1 to 1000"},
		{"least", IN "    max-errors: 1\n", ""},
		{"most", IN "    max-errors: 1000\n", ""},
		{"over", IN "    max-errors: 1001\n", "8:17: max-errors: `1001` is out of range; write 1 to 1000"},
		{"huge", IN "    max-errors: 18446744073709551616\n", "8:17: max-errors: `18446744073709551616` is no number; write digits alone"},
		{"a size", IN "    max-message: 50MB\n", "8:18: max-message: `50MB` is no size; write a number of octets, or one with K, M or G behind it, such as 50M"},
		{"largest", IN "    max-message: 1G\n", ""},
		{"too large", IN "    max-message: 1025M\n", "8:18: max-message: `1025M` is out of range; write 64K to 1G"},
		{"past 64 bits", IN "    max-message: 17179869184G\n", "8:18: max-message: `17179869184G` is no size; write a number of octets, or one with K, M or G behind it, such as 50M"},
		{"too long a line", IN "    max-line: 65537\n", "8:15: max-line: `65537` is out of range; write 998 to 64K"},
		{"a time without unit", IN "    idle-timeout: 4\n", "8:19: idle-timeout: `4` is no time; write a number with s, m, h or d behind it, such as 4m"},
		{"half a second", IN "    idle-timeout: 1500ms\n", "8:19: idle-timeout: `1500ms` is no whole number of seconds; write one"},
		{"too long a time", IN "    idle-timeout: 61m\n", "8:19: idle-timeout: `61m` is out of range; write 1s to 1h"},
		{"milliseconds", IN "resolver-timeout: 100ms\n", ""},
		{"too few of them", IN "resolver-timeout: 99ms\n", "8:19: resolver-timeout: `99ms` is out of range; write 100ms to 20s"},
		{"workers", IN "workers: 257\n", "8:10: workers: `257` is out of range; write 0 to 256"},
		{"a resolver", IN "resolver: '*:53'\n", "8:11: resolver: `*:53` is no address to ask; write that of a resolver"},
		{"a list with a hole", IN "    clients: [10.0.0.0/8, , 10.0.0.1/8]\n",
		    "8:27: not YAML: did not find expected node content while parsing a flow node that began at line 8; nothing behind it was read"},
		{"each of a list", IN "    clients: [10.0.0.0/33, '', 10.0.0.1/8, [], smtp.example]\n",
		    "8:15: clients: `10.0.0.0/33` has a bad prefix length; write 0 to 32 behind an IPv4 address, 0 to 128 behind an IPv6 one\n"
		    "8:28: clients: has no value; write one or remove it\n"
		    "8:32: clients: `10.0.0.1/8` has bits set behind its prefix; write the first address of the block\n"
		    "8:44: clients: takes one value, no list\n"
		    "8:48: clients: `smtp.example` is no address or block; write 192.0.2.1, 10.0.8.0/24 or \"2001:db8::/32\""},
		{"resolvers", IN "resolver: [1.1.1.1, 1.1.1.1, 1.1.1.1, 1.1.1.1, 1.1.1.1, 1.1.1.1, 1.1.1.1, 1.1.1.1, 1.1.1.1]\n",
		    "8:11: resolver: takes 0 to 8 values"},
		{"U-labels", TOP "listeners: {in: {role: inbound, listen: 25, next-hop: smtp://a.b, domains: b\xc3\xbc" "cher.example}}\n",
		    "2:76: domains: `b\\303\\274cher.example` has 8-bit octets; write its A-labels (xn--...)"},
		{"a table of next hops", TOP "listeners: {in: {role: inbound, listen: 25, domains: a.b, next-hop: {a.b: c}}}\n",
		    "2:69: next-hop: takes one way; write a table behind `routes`"},
		{"a file of next hops", TOP "listeners: {in: {role: inbound, listen: 25, domains: a.b, next-hop: 'file:x'}}\n",
		    "2:69: next-hop: takes one way; write a table behind `routes`"},
		{"a port for MX", OUT "    mx-port: 65536\n",
		    "8:14: mx-port: `65536` is out of range; write 1 to 65535"},
		{"no table", OUT "    routes: a.b\n",
		    "8:13: routes: `a.b` is no table; write file:PATH or a map of DOMAIN: NEXT-HOP"},
	};

	(void)state;
	RUN(rows);
}

static void
certificates_come_with_their_keys(void **state)
{
	static const struct row rows[] = {
		{"a pair", IN "    tls: {cert: a, key: b}\n", ""},
		{"a list", IN "    tls: [{cert: a, key: b}, {cert: c, key: d}]\n", ""},
		{"none", "tls: {cert: a, key: b}\n" IN "    tls: none\n", ""},
		{"no key", IN "    tls: {cert: a}\n", "8:10: tls: names no key; write {cert: FILE, key: FILE}, a list of them, or none"},
		{"no cert", IN "    tls: {key: a}\n", "8:10: tls: names no cert; write {cert: FILE, key: FILE}, a list of them, or none"},
		{"a word", IN "    tls: yes\n", "8:10: tls: names no cert; write {cert: FILE, key: FILE}, a list of them, or none"},
		{"a word in a list", IN "    tls: [none]\n", "8:11: tls: names no cert; write {cert: FILE, key: FILE}, a list of them, or none"},
		{"nothing", IN "    tls:\n", "8:9: tls: names no cert; write {cert: FILE, key: FILE}, a list of them, or none"},
		{"an empty list", IN "    tls: []\n", "8:10: tls: takes 1 to 64 certificates"},
		{"another name", IN "    tls: {cert: a, key: b, ca: c}\n", "8:28: tls: `ca` is none of cert or key; remove it"},
		{"an empty path", IN "    tls: {cert: a, key: ''}\n", "8:25: tls: takes the path of a PEM file"},
		{"a list for a path", IN "    tls: {cert: [a], key: b}\n", "8:17: tls: takes the path of a PEM file"},
		{"a password under TLS", TOP "listeners: {in: {role: inbound, listen: 25, domains: a.b, next-hop: smtp://c.d encrypt, auth-file: f}}\n", ""},
		{"a password in the clear", TOP "listeners: {in: {role: inbound, listen: 25, domains: a.b, next-hop: smtp://c.d, auth-file: f}}\n",
		    "2:92: auth-file: the password could go in the clear; write `encrypt` or `verify` behind the next hop"},
		{"a password for many", TOP "listeners: {in: {role: inbound, listen: 25, domains: a.b, next-hop: mx verify, auth-file: f}}\n",
		    "2:91: auth-file: is for one server, and mx finds many; write next-hop: smtps://HOST"},
		{"required", IN "    tls: {cert: a, key: b}\n    tls-required: yes\n", ""},
		{"from the first octet", TOP "tls: {cert: a, key: b}\nlisteners: {in: {role: inbound, listen: 'smtps://*:465', domains: a.b, next-hop: 'smtp://c'}}\n", ""},
		{"from the first octet, without", TOP "listeners: {in: {role: inbound, listen: [25, 'smtps://*:465'], domains: a.b, next-hop: 'smtp://c'}}\n",
		    "2:46: listen: smtps:// needs a certificate; write `tls: {cert: FILE, key: FILE}`"},
		{"required, of nothing", IN "    tls-required: yes\n", "8:19: tls-required: no client could begin TLS; write `tls: {cert: FILE, key: FILE}`"},
	};

	(void)state;
	RUN(rows);
}

static void
what_is_kept_has_an_age_and_a_size(void **state)
{
	static const struct row rows[] = {
		{"both", IN "memory: {age: 3d, size: 1G}\n", ""},
		{"one of them", IN "memory: {age: 1m}\n", ""},
		{"the bounds", IN "memory: {age: 30d, size: 1M}\n", ""},
		{"the other bounds", IN "memory: {size: 64G, age: 60s}\n", ""},
		{"too short", IN "memory: {age: 59s}\n", "8:15: memory: `59s` is out of range; write 1m to 30d"},
		{"too long", IN "memory: {age: 31d}\n", "8:15: memory: `31d` is out of range; write 1m to 30d"},
		{"too small", IN "memory: {size: 1023K}\n", "8:16: memory: `1023K` is out of range; write 1M to 64G"},
		{"too large", IN "memory: {size: 65G}\n", "8:16: memory: `65G` is out of range; write 1M to 64G"},
		{"of copies", IN "copies: {age: 30d, size: 64G}\n", ""},
		{"too small for copies", IN "copies: {size: 1023K}\n", "8:16: copies: `1023K` is out of range; write 1M to 64G"},
		{"no time", IN "memory: {age: old}\n", "8:15: memory: `old` is no time; write a number with s, m, h or d behind it, such as 4m"},
		{"no value", IN "memory: {age: []}\n", "8:15: memory: takes one value"},
		{"another name", IN "memory: {ages: 3d}\n", "8:10: memory: `ages` is none of age or size; remove it"},
		{"a word", IN "memory: 7d\n", "8:9: memory: takes an age and a size; write {age: 7d, size: 256M}"},
		{"nothing", IN "memory:\n", "8:8: memory: takes an age and a size; write {age: 7d, size: 256M}"},
		{"of a listener", IN "    memory: {age: 7d}\n", "8:5: memory: is for all listeners; move it to the top level"},
	};

	(void)state;
	RUN(rows);
}

static void
what_is_not_built_yet_is_refused_by_name(void **state)
{
	static const struct row rows[] = {
		{"its inert value", IN "    tls: none\nadopt: never\nfrom-rewrite: never\ndkim1: no\ndelivery: through\nrepair: no\npass-client: none\n", ""},
		{"at inbound, from the top level", IN "dkim1: yes\n", ""},
		{"at inbound", IN "    dkim1: yes\n", "8:5: dkim1: a listener of role inbound has no use for it: it never signs; remove it"},
		{"no word of it", IN "replay: twice\n", "8:9: replay: `twice` is none of once, refuse or off"},
		{"xclient", IN "    pass-client: xclient\n", ""},
		{"bounces of the server behind us", OUT "    legacy-bounce-out: discard\n", ""},
		{"held", OUT "    legacy-bounce-out: hold\n", ""},
		{"held, without the client", OUT "    legacy-bounce-out: hold\n    pass-client: xclient\n",
		    "8:24: legacy-bounce-out: hold: the client is gone when mail is delivered; remove `pass-client`"},
		{"held, without a login", OUT "    legacy-bounce-out: hold\n    auth: pass\n",
		    "8:24: legacy-bounce-out: hold: the next hop is not there when a client logs in; remove `auth`\n"
		    "9:11: auth: pass: passwords could go in the clear; write `encrypt` or `verify` behind the next hop"},
		{"what is returned", IN "dsn-return: full\ndsn-return-max: 16M\n", ""},
		{"what is returned, too much", IN "dsn-return: body\ndsn-return-max: 17M\n",
		    "8:13: dsn-return: `body` is none of headers or full\n"
		    "9:17: dsn-return-max: `17M` is out of range; write 0 to 16M"},
		{"no server behind it", IN "    legacy-bounce-out: pass\n", "8:5: legacy-bounce-out: a listener of role inbound has no use for it: no server behind us sends through it; remove it"},
		{"at top level", IN "normalize: a\n",
		    "8:1: normalize: not built yet; remove it"},
	};

	(void)state;
	RUN(rows);
}

/* Q20: what could neither be delivered later nor reported is not queued. */
static void
q20_a_queue_is_for_mail_of_ours(void **state)
{
#define LAN TOP "listeners:\n  lan:\n    role: appliance\n" \
	"    listen: 'lmtp://127.0.0.1:24'\n    clients: 127.0.0.1\n" \
	"    next-hop: smtp://192.0.2.1 encrypt\n"
	static const struct row rows[] = {
		{"by senders, by LMTP", LAN "    senders: example.org\n", ""},
		{"by keys", LAN "keys: k\n", ""},
		{"by neither", LAN, "3:3: delivery: queue: takes only mail from domains of ours; write `senders`, or the folder of the keys at top level"},
		{"by nobody", LAN "    senders: []\nkeys: k\n", "8:14: senders: is empty, so that no sender is taken; write their domains, or remove it"},
		{"through", LAN "    delivery: through\n", ""},
		{"egress", OUT "    delivery: queue\n    repair: yes\nkeys: k\n", ""},
		{"egress by neither", OUT "    delivery: queue\n", "8:15: delivery: queue: takes only mail from domains of ours; write `senders`, or the folder of the keys at top level"},
		{"repair alone", OUT "    repair: yes\n", ""},
		{"no role for it", IN "    delivery: queue\n", "8:15: delivery: queue: is for role egress, list-out, appliance and forward; write through"},
		{"no role for it, from the top level", IN "delivery: queue\n", "3:3: delivery: queue: is for role egress, list-out, appliance and forward; write through"},
		{"a forwarder", FWD "    delivery: queue\n", ""},
		{"one that verifies nothing", FWD "    delivery: queue\n    verify: off\n", "12:15: delivery: queue: takes only chains that are verified; remove `verify`"},
		{"another word", IN "    delivery: later\n", "8:15: delivery: `later` is none of through or queue"},
		{"who the client is", LAN "    senders: a.b\n    pass-client: xclient\n", "3:3: delivery: queue: the client is gone when mail is delivered; remove `pass-client`"},
		{"a client that logs in", LAN "    senders: a.b\n    auth: pass\n    tls: {cert: a, key: b}\n",
		    "3:3: delivery: queue: the next hop is not there when a client logs in; remove `auth`"},
		{"clients", TOP "listeners: {lan: {role: appliance, listen: 25, senders: a.b, next-hop: smtp://a.b}}\n",
		    "2:13: lan: `clients` is needed: role appliance signs for them alone; write the networks that may send"},
		{"an appliance for strangers", LAN "    senders: a.b\n    domains: example.org\n",
		    "9:5: domains: a listener of role appliance has no use for it: strangers could have mail signed there; remove it"},
		{"an envelope that stays", LAN "    senders: a.b\n    mail-from: a@b.c\n    unsigned: refuse\n",
		    "9:5: mail-from: a listener of role appliance has no use for it: it leaves the envelope as it came; remove it\n"
		    "10:5: unsigned: a listener of role appliance has no use for it: mail without DKIM2 is what it signs; remove it"},
		{"what is not ours to repair", IN "    repair: yes\n", "8:5: repair: a listener of role inbound has no use for it: it leaves the message as it came; remove it"},
		{"nor that", FWD "    repair: yes\n", "12:5: repair: a listener of role forward has no use for it: mail of others is not its to change; remove it"},
		{"from the top level it passes them by", IN "repair: yes\n", ""},
		{"times", IN "queue-retry: 10m\nqueue-retry-max: 10m\n", ""},
		{"the first is longer", IN "queue-retry: 10m\nqueue-retry-max: 9m\n", "8:14: queue-retry: more than `queue-retry-max`; write less"},
		{"than the default", IN "queue-retry: 2h\n", "8:14: queue-retry: more than `queue-retry-max`; write less"},
		{"the default is", IN "queue-retry-max: 1m\n", "8:18: queue-retry: more than `queue-retry-max`; write less"},
		{"is bad: said once", IN "queue-retry: 2h\nqueue-retry-max: x\n", "9:18: queue-retry-max: `x` is no time; write a number with s, m, h or d behind it, such as 4m"},
	};

	(void)state;
	RUN(rows);
}

/* What came by one listener comes back to the other. */
static void
pairs_must_fit(void **state)
{
#define PAIR TOP "keys: k\nlisteners:\n" \
	"  in: {role: list-in, listen: 25, domains: a.b, next-hop: lmtp://c.d}\n"
#define BACK "  out: {role: list-out, listen: 26, clients: 10.0.0.1, next-hop: mx"
	static const struct row rows[] = {
		{"a pair", PAIR BACK ", pair: in}\n", ""},
		{"egress and inbound", TOP "keys: k\nlisteners:\n"
		    "  out: {role: egress, listen: 26, clients: 10.0.0.1, next-hop: mx, pair: in, recipes: headers, on-failure: unsigned}\n"
		    "  in: {role: inbound, listen: 25, domains: a.b, next-hop: smtp://c.d, on-failure: unsigned}\n", ""},
		{"none", PAIR BACK "}\n", "5:3: out: `pair` is needed: role list-out extends what came by it; write the name of the listener of role list-in"},
		{"nobody", PAIR BACK ", pair: inn}\n", "5:76: pair: `inn` is no listener; write the name of the one whose mail comes back here"},
		{"itself", PAIR BACK ", pair: out}\n", "5:76: pair: `out` takes no mail in from others; write a listener of role list-in or inbound"},
		{"one that does not verify", TOP "keys: k\nverify: off\nlisteners:\n"
		    "  in: {role: list-in, listen: 25, domains: a.b, next-hop: lmtp://c.d}\n" BACK ", pair: in}\n",
		    "6:76: pair: `in` verifies nothing, so that nothing of it could be extended; write `verify: observe` there"},
		{"a verdict of its own", TOP "keys: k\nlisteners:\n"
		    "  in: {role: inbound, listen: 25, domains: a.b, next-hop: smtp://c.d}\n"
		    "  out: {role: egress, listen: 26, clients: 10.0.0.1, next-hop: mx, pair: in, verify: enforce}\n",
		    "5:74: pair: `in` has verified what comes back here; write `verify: observe`"},
		{"at list-out", PAIR BACK ", pair: in, verify: enforce}\n", "5:80: verify: a listener of role list-out has no use for it: its pair has verified what comes back; remove it"},
		{"a list without an end", PAIR, "4:3: in: no listener has it as its `pair`, so that nothing it takes in could be extended; write one of role list-out"},
		{"no keys", TOP "listeners:\n"
		    "  in: {role: list-in, listen: 25, domains: a.b, next-hop: lmtp://c.d}\n" BACK ", pair: in}\n",
		    "4:3: out: `keys` is needed: role list-out signs; write the folder of the keys at top level"},
		{"of who takes mail in", PAIR BACK ", pair: in}\n  i2: {role: inbound, listen: 27, domains: a.b, next-hop: lmtp://c.d, pair: in, recipes: none, extend: trusting}\n",
		    "6:71: pair: a listener of role inbound has no use for it: it is what others are paired with; remove it\n"
		    "6:81: recipes: a listener of role inbound has no use for it: it never signs; remove it\n"
		    "6:96: extend: a listener of role inbound has no use for it: it never signs; remove it"},
		{"a return path", TOP "keys: k\nsecrets: s\nlisteners:\n"
		    "  in: {role: inbound, listen: 25, domains: a.b, next-hop: smtp://c.d}\n"
		    "  out: {role: egress, listen: 26, clients: 10.0.0.1, next-hop: mx, pair: in, mail-from: token}\n", ""},
		{"what bounces to it", TOP "keys: k\nsecrets: s\nlisteners:\n"
		    "  in: {role: inbound, listen: 25, domains: a.b, next-hop: smtp://c.d}\n"
		    "  out: {role: egress, listen: 26, clients: 10.0.0.1, next-hop: mx, pair: in, mail-from: srs, legacy-bounce-in: refuse}\n", ""},
		{"bounces to no address of ours", OUT "    legacy-bounce-in: refuse\n", ""},
		{"of new mail", TOP "keys: k\nsecrets: s\nlisteners:\n"
		    "  out: {role: egress, listen: 26, clients: 10.0.0.1, next-hop: mx, mail-from: srs}\n",
		    "5:79: mail-from: at egress, it is for mail that came in before, and nobody could say which that is; write `pair`, or keep"},
		{"a fixed one", TOP "keys: k\nlisteners:\n"
		    "  out: {role: egress, listen: 26, clients: 10.0.0.1, next-hop: mx, mail-from: x@y.z}\n",
		    "4:79: mail-from: at egress, bounces could not be told apart here; write keep, srs or token"},
		{"words", IN "recipes: some\non-failure: x\nextend: y\n",
		    "8:10: recipes: `some` is none of all, headers or none\n"
		    "9:13: on-failure: `x` is none of defer or unsigned\n"
		    "10:9: extend: `y` is none of recorded or trusting"},
		{"another From", PAIR BACK ", pair: in, from-rewrite: dmarc, adopt: always}\n", ""},
		{"another From, undescribed", PAIR BACK ", pair: in, from-rewrite: dmarc, recipes: none}\n", "5:94: from-rewrite: what From was must be described, and `recipes` is none; write `recipes: headers`"},
		{"strangers at list-out", PAIR BACK ", pair: in, domains: a.b}\n", "5:80: domains: a listener of role list-out has no use for it: strangers could have mail signed there; remove it"},
	};

	(void)state;
	RUN(rows);
#undef PAIR
#undef BACK
}

/* What others' mail becomes goes by what was found out of it. */
static void
mail_of_others_is_known_before_it_is_ours(void **state)
{
	static const struct row rows[] = {
		{"all", FWD "    adopt: dkim1-aligned\n    from-rewrite: dmarc\n", ""},
		{"always, and nothing is verified", FWD "    from-rewrite: always\n    verify: off\n", ""},
		{"bounces", FWD "    legacy-bounce-in: refuse\n", ""},
		{"their words", FWD "    legacy-bounce-in: pass\n",
		    "12:23: legacy-bounce-in: `pass` is none of token or refuse"},
		{"bounces elsewhere", IN "    legacy-bounce-in: refuse\n",
		    "8:5: legacy-bounce-in: a listener of role inbound has no use for it: bounces are taken where mail is forwarded; remove it"},
		{"words", FWD "    adopt: own\n    from-rewrite: yes\n",
		    "12:12: adopt: `own` is none of never, dkim1-aligned or always\n"
		    "13:19: from-rewrite: `yes` is none of never, dmarc or always"},
		{"nothing is verified", FWD "    adopt: always\n    from-rewrite: dmarc\n    verify: off\n",
		    "12:12: adopt: nothing is known of mail with `verify: off`; write `verify: observe`\n"
		    "13:19: from-rewrite: no policy is asked for with `verify: off`; write `verify: observe`"},
		{"inbound", IN "    adopt: always\n    from-rewrite: always\n",
		    "8:5: adopt: a listener of role inbound has no use for it: it never signs; remove it\n"
		    "9:5: from-rewrite: a listener of role inbound has no use for it: it leaves the message as it came; remove it"},
		{"egress", OUT "    adopt: always\n    from-rewrite: always\n",
		    "8:5: adopt: a listener of role egress has no use for it: mail without DKIM2 is what it signs; remove it\n"
		    "9:5: from-rewrite: a listener of role egress has no use for it: what it sends is of its own senders; remove it"},
	};

	(void)state;
	RUN(rows);
}

/* T8: who speaks for others is named, and is not everybody. */
static void
t8_proxies_must_be_named(void **state)
{
	static const struct row rows[] = {
		{"named", IN "    proxy: [10.0.0.0/8, 192.0.2.1]\n    xclient: 2001:db8::/32\n", ""},
		{"nobody", IN "    proxy: []\n    xclient: []\n", ""},
		{"balancers", IN "    proxy: [10.0.0.1, 0.0.0.0/0]\n", "8:23: proxy: `0.0.0.0/0` is everybody, and any client could name another; write the balancers"},
		{"proxies", IN "    xclient: ::/0\n", "8:14: xclient: `::/0` is everybody, and any client could name another; write the proxies"},
		{"auth", IN "    auth: off\n", ""},
		{"auth passed on", TOP "listeners: {in: {role: inbound, listen: 25, domains: a.b, next-hop: smtp://c.d verify, auth: pass, tls: {cert: a, key: b}}}\n", ""},
		{"auth in the clear", IN "    auth: pass\n", "8:11: auth: pass: passwords could go in the clear; write `encrypt` or `verify` behind the next hop"},
		{"auth for many", TOP "listeners: {in: {role: inbound, listen: 25, domains: a.b, next-hop: mx verify, auth: pass}}\n",
		    "2:86: auth: pass: needs one server that knows the clients; write one next-hop, and no routes"},
		{"auth of two", TOP "listeners: {in: {role: inbound, listen: 25, domains: a.b, next-hop: smtp://c.d verify, auth: pass, auth-file: f}}\n",
		    "2:94: auth: pass: the next hop can know the client or us; remove `auth-file`"},
		{"auth without TLS", TOP "listeners: {in: {role: inbound, listen: 25, domains: a.b, next-hop: smtp://c.d verify, auth: pass}}\n",
		    "2:94: auth: pass: no client could begin TLS, and none logs in without; write `tls: {cert: FILE, key: FILE}`"},
	};

	(void)state;
	RUN(rows);
}

/* T9: nobody relays by accident, and not by too wide a block. */
static void
t9_someone_must_be_named(void **state)
{
	static const struct row rows[] = {
		{"neither", TOP "listeners: {in: {role: inbound, listen: 25, next-hop: smtp://a.b}}\n",
		    "2:13: in: has neither `clients` nor `domains`, so nobody could send; write who may send, or to whom"},
		{"both empty", TOP "listeners: {in: {role: inbound, listen: 25, next-hop: smtp://a.b, clients: [], domains: []}}\n",
		    "2:13: in: has neither `clients` nor `domains`, so nobody could send; write who may send, or to whom"},
		{"one is bad: said once", TOP "listeners: {in: {role: inbound, listen: 25, next-hop: smtp://a.b, clients: x}}\n",
		    "2:76: clients: `x` is no address or block; write 192.0.2.1, 10.0.8.0/24 or \"2001:db8::/32\""},
		{"egress", TOP "listeners: {out: {role: egress, listen: 25, next-hop: smtp://a.b}}\n",
		    "2:13: out: `clients` is needed: role egress signs for them alone; write the networks that may send"},
		{"egress for strangers", OUT "    domains: example.org\n",
		    "8:5: domains: a listener of role egress has no use for it: strangers could have mail signed there; remove it"},
		{"for nobody", OUT "    senders: []\n",
		    "8:14: senders: is empty, so that no sender is taken; write their domains, or remove it"},
		{"from the top level they pass it by", OUT "domains: example.org\nunsigned: refuse\n", ""},
		{"forward", TOP "keys: k\nlisteners: {f: {role: forward, clients: 10.0.0.1, listen: 25, next-hop: smtp://a.b, mail-from: keep, aliases: file:a}}\n",
		    "3:13: f: `domains` is needed: role forward forwards mail to them; write the domains of the aliases"},
		{"all of IPv4", OUT "  b: {role: inbound, listen: 2, next-hop: smtp://a.b, clients: 0.0.0.0/0}\n",
		    "8:64: clients: `0.0.0.0/0` is everybody, and this an open relay; write the networks that may send"},
		{"all", OUT "  b: {role: inbound, listen: 2, next-hop: smtp://a.b, clients: [10.0.0.1, '::/0']}\n",
		    "8:75: clients: `::/0` is everybody, and this an open relay; write the networks that may send"},
		{"IPv4 inside IPv6", OUT "  b: {role: inbound, listen: 2, next-hop: smtp://a.b, clients: '::/64'}\n",
		    "8:64: clients: `::/64` is everybody, and this an open relay; write the networks that may send"},
		{"half of it is meant", OUT "  b: {role: inbound, listen: 2, next-hop: smtp://a.b, clients: [0.0.0.0/1, '2000::/3']}\n", ""},
	};

	(void)state;
	RUN(rows);
}

static void
a_listener_says_all_it_needs(void **state)
{
	static const struct row rows[] = {
		{"a hostname", "listeners: {in: {role: inbound, listen: 25, domains: a.b, next-hop: smtp://a.b}}\n",
		    "1:1: `hostname` is needed: write our name in the DNS, such as mx.example.org"},
		{"a good hostname", "hostname: mx_1.example\n",
		    "1:1: `listeners` is needed: write a map of them by name\n"
		    "1:11: hostname: `mx_1.example` is no DNS name; write letters, digits and hyphens in labels of 1 to 63, such as mx.example.org"},
		{"all", TOP "listeners: {in: {}}\n",
		    "2:13: in: `role` is needed: write inbound, egress, forward, list-in, list-out or appliance\n"
		    "2:13: in: `listen` is needed: write \"*:25\", an address with a port, or a port on loopback\n"
		    "2:13: in: `next-hop` is needed: write smtp://HOST:PORT or mx\n"
		    "2:13: in: has neither `clients` nor `domains`, so nobody could send; write who may send, or to whom"},
		{"all from the top level", TOP "role: inbound\nlisten: 25\nnext-hop: smtp://a.b\ndomains: a.b\nlisteners: {in: {}}\n", ""},
		{"forward", TOP "listeners: {f: {role: forward, domains: a.b, listen: 25, next-hop: smtp://a.b}}\n",
		    "2:13: f: `aliases` is needed: without a line no recipient is taken; write file:PATH or a map\n"
		    "2:13: f: `keys` is needed: role forward signs; write the folder of the keys at top level\n"
		    "2:13: f: `mail-from` is needed: role forward signs only what leaves from a domain of its own; write srs, token, LOCAL@DOMAIN, or keep"},
		{"srs and token", FWD "  g: {role: forward, listen: 26, next-hop: smtp://a.b, domains: c.d, mail-from: srs, aliases: {'@c.d': x@y.z}}\n"
		    "  h: {role: forward, listen: 27, next-hop: smtp://a.b, domains: c.d, mail-from: token, aliases: {'@c.d': x@y.z}}\nsecrets: s\n", ""},
		{"srs without a secret", FWD "  g: {role: forward, listen: 26, next-hop: smtp://a.b, domains: c.d, mail-from: srs, aliases: {'@c.d': x@y.z}}\n",
		    "12:81: mail-from: such addresses are keyed, and there is no `secrets`; write the folder of the secrets at top level"},
		{"flags", FWD "flags: [feedback, feedhere]\n", ""},
		{"one flag, or none", FWD "  g: {role: forward, listen: 26, next-hop: smtp://a.b, domains: c.d, mail-from: keep, aliases: {'@c.d': x@y.z}, flags: []}\nflags: feedback\n", ""},
		{"another flag", FWD "flags: [feedback, exploded]\n", "12:19: flags: `exploded` is none of feedback or feedhere"},
		{"another way", FWD "  g: {role: forward, listen: 26, next-hop: smtp://a.b, domains: c.d, mail-from: ses, aliases: {'@c.d': x@y.z}}\n",
		    "12:81: mail-from: `ses` is none of keep, srs, token or LOCAL@DOMAIN"},
		{"a foreign mail-from", FWD "  g: {role: forward, listen: 26, next-hop: smtp://a.b, domains: c.d, aliases: {'@c.d': x@y.z}, mail-from: a@example.net}\n",
		    "12:107: mail-from: `a@example.net` is in none of the listener's `domains`; write an address of one of them"},
		{"of no use", IN "    senders: a.b\n    unsignable: refuse\n    mail-from: a@b.c\n    aliases: {a@b.c: d@e.f}\n",
		    "8:5: senders: a listener of role inbound has no use for it: it never signs; remove it\n"
		    "9:5: unsignable: a listener of role inbound has no use for it: it never signs; remove it\n"
		    "10:5: mail-from: a listener of role inbound has no use for it: it leaves the envelope as it came; remove it\n"
		    "11:5: aliases: a listener of role inbound has no use for it: it leaves the envelope as it came; remove it\n"
		    "11:15: address `a@b.c` is in none of the listener's `domains`; add its domain there or remove the line"},
		{"of no use, but the default", IN "    senders: []\n    unsignable: pass\n    mail-from: keep\n", ""},
		{"a header over the message, not said", IN "    max-message: 64K\n", ""},
		{"a header over the message", IN "    max-message: 64K\n    max-header: 65K\n",
		    "9:17: max-header: more than `max-message`; write less"},
	};

	(void)state;
	RUN(rows);
}

static void
addresses_are_listened_to_once(void **state)
{
	static const struct row rows[] = {
		{"the same", OUT "  b: {role: inbound, domains: a.b, next-hop: smtp://a.b, listen: '127.0.0.1:10026'}\n",
		    "8:66: listen: listener out has 127.0.0.1:10026 already; give each its own address or port"},
		{"all of them", OUT "  b: {role: inbound, domains: a.b, next-hop: smtp://a.b, listen: [1, '*:10026']}\n",
		    "8:70: listen: listener out has 127.0.0.1:10026 already; give each its own address or port"},
		{"all of IPv4", OUT "  b: {role: inbound, domains: a.b, next-hop: smtp://a.b, listen: '0.0.0.0:10026'}\n",
		    "8:66: listen: listener out has 127.0.0.1:10026 already; give each its own address or port"},
		{"mapped", OUT "  b: {role: inbound, domains: a.b, next-hop: smtp://a.b, listen: '[::ffff:127.0.0.1]:10026'}\n",
		    "8:66: listen: listener out has 127.0.0.1:10026 already; give each its own address or port"},
		{"all of IPv6 is another", OUT "  b: {role: inbound, domains: a.b, next-hop: smtp://a.b, listen: '[::]:10026'}\n", ""},
		{"metrics too", OUT "metrics: ['[::1]:10026', 9626]\n", ""},
		{"but not there", OUT "metrics: [9626, 10026]\n", "8:10: metrics: listener out is there already; write another port"},
		{"nor everywhere", OUT "metrics: '*:10026'\n", "8:10: metrics: listener out is there already; write another port"},
		{"nor as mail", OUT "metrics: smtps://127.0.0.1:9626\n", "8:10: metrics: HTTP is spoken there, without TLS; write an address and a port"},
		{"another port is", OUT "  b: {role: inbound, domains: a.b, next-hop: smtp://a.b, listen: '*:10025'}\n", ""},
		{"in one list", TOP "listeners: {a: {role: inbound, domains: a.b, next-hop: smtp://a.b, listen: [1, '[::1]:1', '[::1]:1']}}\n",
		    "2:91: listen: listener a has [::1]:1 already; give each its own address or port"},
		{"from the top level", TOP "listen: 1\nlisteners: {a: {role: inbound, domains: a.b, next-hop: smtp://a.b}, b: {role: inbound, domains: a.b, next-hop: smtp://a.b}}\n",
		    "3:69: listen: listener a has 127.0.0.1:1 already; give each its own address or port"},
	};

	(void)state;
	RUN(rows);
}

/* L2: a next hop that is ourselves, as far as the file alone can tell. */
static void
l2_the_next_hop_is_not_ourselves(void **state)
{
#define L2(listen, hop) TOP "listeners: {a: {role: inbound, domains: a.b, " \
	"next-hop: '" hop "', listen: '" listen "'}}\n"
#define ROUND "2:56: next-hop: is our own listener a, and mail would go round; write the server behind us"
	static const struct row rows[] = {
		{"the address", L2("192.0.2.1:25", "smtp://192.0.2.1"), ROUND},
		{"another port", L2("192.0.2.1:26", "smtp://192.0.2.1"), ""},
		{"another address", L2("192.0.2.1:25", "smtp://192.0.2.2"), ""},
		{"loopback, and all", L2("*:25", "smtp://127.0.0.1"), ROUND},
		{"all of loopback, and all", L2("*:25", "smtp://127.9.9.9:25"), ROUND},
		{"loopback, and all of IPv4", L2("0.0.0.0:25", "smtp://127.0.0.1"), ROUND},
		{"loopback, and all of IPv6", L2("[::]:25", "smtp://[::1]"), ROUND},
		{"IPv4, and all of IPv6", L2("[::]:25", "smtp://127.0.0.1"), ""},
		{"who knows", L2("*:25", "smtp://192.0.2.1"), ""},
		{"mapped", L2("127.0.0.1:25", "smtp://[::ffff:127.0.0.1]:25"), ROUND},
		{"by name", L2("25", "smtp://localhost"), ROUND},
		{"by name, IPv6", L2("[::1]:25", "smtp://LOCALHOST:25"), ROUND},
		{"our own name, and all", L2("*:25", "smtp://MX.example.org"), ROUND},
		{"our own name, and not all", L2("192.0.2.1:25", "smtp://mx.example.org"), ""},
		{"another listener's", OUT "  b: {role: inbound, listen: 9, domains: a.b, next-hop: 'smtp://127.0.0.1:10026'}\n",
		    "8:57: next-hop: is our own listener out, and mail would go round; write the server behind us"},
	};

	(void)state;
	RUN(rows);
}

static void
rules_of_a_policy(void **state)
{
	static const struct row rows[] = {
		{"good", IN "    policy:\n      - {condition: left, clients: [10.0.0.0/8, 192.0.2.1], senders: A.b, action: accept}\n      - {condition: left, action: refuse}\n      - {condition: never-left, action: annotate}\n", ""},
		{"one", IN "    policy: {action: refuse, condition: never-entered, senders: [a.b, c.d]}\n", ""},
		{"none", IN "    policy: []\n", ""},
		{"no rule", IN "    policy: refuse\n", "8:13: policy: a rule has a condition and an action; write {condition: left, action: refuse}, or a list of such"},
		{"half a rule", IN "    policy: {condition: left}\n", "8:13: policy: a rule has a condition and an action; write {condition: left, action: refuse}, or a list of such"},
		{"wrong words", IN "    policy: {condition: in, action: reject, sender: a.b}\n",
		    "8:25: policy: `in` is no condition; write never-entered, left or never-left\n"
		    "8:37: policy: `reject` is no action; write accept, annotate or refuse\n"
		    "8:45: policy: `sender` is none of condition, clients, senders or action; remove it"},
		{"wrong lists", IN "    policy: {condition: left, action: refuse, clients: [a, [b]], senders: ['*.b', {}]}\n",
		    "8:57: policy: `a` is no address or block; write 192.0.2.1, 10.0.8.0/24 or \"2001:db8::/32\"\n"
		    "8:60: policy: `` is no address\n"
		    "8:76: policy: `*.b` is a pattern; write each name in full\n"
		    "8:83: policy: `` is no domain"},
		{"empty lists", IN "    policy: {condition: left, action: refuse, clients: [], senders: {a: b}}\n",
		    "8:56: policy: takes 1 to 4096 values here; leave it out for all\n"
		    "8:69: policy: takes 1 to 4096 values here; leave it out for all"},
		{"never reached", IN "    policy: [{condition: left, clients: 10.0.0.1, action: refuse}, {condition: left, action: accept}, {condition: left, senders: a.b, action: refuse}]\n",
		    "8:103: policy: rule 2 takes all of `left` before this one; move it behind, or remove one"},
		{"nothing is verified", IN "    policy: {condition: left, action: refuse}\n    verify: off\n",
		    "8:13: policy: nothing is known of mail with `verify: off`; write observe, or remove one"},
		{"of no use", OUT "    policy: {condition: left, action: refuse}\n",
		    "8:5: policy: a listener of role egress has no use for it: mail of its own clients is what it signs; remove it"},
		{"at top level it passes such a listener by", OUT "policy: {condition: left, action: refuse}\n", ""},
	};

	(void)state;
	RUN(rows);
}

static void
next_hops_of_ours(void **state)
{
	static const struct row rows[] = {
		{"good", OUT "    internal: 192.0.2.1\n", ""},
		{"of the routes", OUT "    internal: [Hub.example, 192.0.2.1]\n    routes: {a.b: smtp://hub.example}\n", ""},
		{"none of them", OUT "    internal: [hub.example, 192.0.2.1, 192.0.2.2]\n",
		    "8:16: internal: `hub.example` is the host of no next hop of this listener; write it as it stands there\n"
		    "8:40: internal: `192.0.2.2` is the host of no next hop of this listener; write it as it stands there"},
		{"no host", OUT "    internal: 192.0.2.0/24\n",
		    "8:15: internal: `192.0.2.0/24` is no DNS name; write letters, digits and hyphens in labels of 1 to 63, such as mx.example.org"},
		{"of no use", IN "    internal: 192.0.2.1\n",
		    "8:5: internal: a listener of role inbound has no use for it: it never signs; remove it"},
	};

	(void)state;
	RUN(rows);
}

static void
inline_tables_are_checked_in_place(void **state)
{
	static const struct row rows[] = {
		{"good", FWD "      '@Example.COM': y@example.org\n", ""},
		{"twice, but for case", FWD "      a@EXAMPLE.net: y@example.org\n",
		    "12:7: address `a@example.net` stands at line 11 already; keep one of them"},
		{"the local part has case", FWD "      A@example.net: y@example.org\n", ""},
		{"a stranger", FWD "      a@sub.example.net: y@example.org\n",
		    "12:7: address `a@sub.example.net` is in none of the listener's `domains`; add its domain there or remove the line"},
		{"one to many", FWD "      c@example.net: x@example.org, a@example.net\n", ""},
		{"one to many in a list", FWD "      c@example.net: [x@example.org, a@example.net]\n", ""},
		{"one to many without a memory", FWD "      c@example.net: [x@example.org, a@example.net]\nreplay: off\n",
		    "11:7: aliases: an address leads to more than one, and `replay: off` keeps no memory of who has it already; write `once`"},
		{"one to one without a memory", FWD "      c@example.net: a@example.net\nreplay: off\n", ""},
		{"more than may be", FWD "      c@example.net: [x@example.org, y@example.org, a@example.net]\nmax-copies: 2\n",
		    "12:7: address `c@example.net` leads to 3 addresses, a copy each, and `max-copies` allows 2; write more there"},
		{"a list of what is no address", FWD "      c@example.net: [x@example.org, [a], d]\n      e@example.net: []\n      f@example.net: {a: b}\n",
		    "12:38: target is no text; write an address\n"
		    "12:43: target `d` is no address; write LOCAL@DOMAIN\n"
		    "13:22: address `e@example.net` has no target; write one\n"
		    "14:22: target is a map; write an address, or a list of them"},
		{"without a line", FWD "      c@example.net: d@Example.com\n",
		    "12:22: target `d@Example.com` is in the listener's own `domains` and has no line; write one, `d@Example.com d@Example.com` where its mail goes on as it is"},
		{"to itself", FWD "      c@example.net: c@Example.net\n", ""},
		{"in a circle", FWD "      c@example.net: [y@example.org, d@example.net]\n      d@example.net: e@Example.com\n      e@example.com: c@example.net\n",
		    "14:22: target `c@example.net` leads in a circle: c@example.net -> d@example.net -> e@example.com -> c@example.net; take one of these targets out"},
		{"delimiters", FWD "      c@example.net: x@example.org\nrecipient-delimiter: '+='\n", ""},
		{"no delimiter", FWD "      c@example.net: x@example.org\nrecipient-delimiter: none\n", ""},
		{"a letter", FWD "      c@example.net: x@example.org\nrecipient-delimiter: '+x'\n",
		    "13:22: recipient-delimiter: `+x` is no delimiter; write 1 to 8 of !#$%&'*+-/=?^_`{|}~. or none"},
		{"nine", FWD "      c@example.net: x@example.org\nrecipient-delimiter: '+++++++++'\n",
		    "13:22: recipient-delimiter: `+++++++++` is no delimiter; write 1 to 8 of !#$%&'*+-/=?^_`{|}~. or none"},
		{"the address of bounces", FWD "      b@example.net: d@example.org\n",
		    "12:7: address `b@example.net` is the listener's `mail-from`, which takes no mail; remove the line"},
		{"no addresses", FWD "      b: d\n      '\"q\"@example.net': d@example.org\n",
		    "12:7: address `b` is no address; write LOCAL@DOMAIN\n"
		    "12:10: target `d` is no address; write LOCAL@DOMAIN\n"
		    "13:7: address `\"q\"@example.net` has a local part that is no dot-string; write letters, digits and .!#$%&'*+-/=?^_`{|}~ without quotes"},
		{"no target", FWD "      d@example.net:\n",
		    "12:21: target `` is no address; write LOCAL@DOMAIN"},
		{"no table", FWD "  g: {role: forward, listen: 26, next-hop: smtp://a.b, domains: c.d, mail-from: keep, aliases: aliases}\n",
		    "12:96: aliases: `aliases` is no table; write file:PATH or a map of ADDRESS: TARGET"},
		{"an empty one", FWD "  g: {role: forward, listen: 26, next-hop: smtp://a.b, domains: c.d, mail-from: keep, aliases: {}}\n",
		    "12:96: aliases: no line is in the table, so that no recipient is taken; write ADDRESS TARGET"},
	};

	(void)state;
	RUN(rows);
}

static void
routes_are_checked_in_place(void **state)
{
#define ROUTES OUT "    routes:\n      a.b: smtp://c.d\n"
	static const struct row rows[] = {
		{"good", ROUTES "      .A.b: smtp://c.d:26 none\n", ""},
		{"twice, but for case", ROUTES "      A.B: smtp://x.y\n",
		    "10:7: domain `a.b` stands at line 9 already; keep one of them"},
		{"no domain", ROUTES "      a@b: smtp://c.d\n      '.': smtp://c.d\n      '*.b': smtp://c.d\n",
		    "10:7: domain `a@b` is no DNS name; write letters, digits and hyphens in labels of 1 to 63, such as mx.example.org\n"
		    "11:7: domain `.` ends with a dot; leave it out\n"
		    "12:7: domain `*.b` is a pattern; write each name in full"},
		{"U-labels", ROUTES "      b\xc3\xbc" "cher.example: smtp://c.d\n",
		    "10:7: domain `b\\303\\274cher.example` has 8-bit octets; write its A-labels (xn--...)"},
		{"no next hops", ROUTES "      b.c: c.d\n      c.d: [smtp://c.d]\n      d.e:\n",
		    "10:12: routes: `c.d` is no next hop; write smtp://HOST:PORT or mx\n"
		    "11:12: routes: a line takes one next hop\n"
		    "12:11: routes: `` is no next hop; write smtp://HOST:PORT or mx"},
		{"all the rest twice", ROUTES "      '*': smtp://c.d\n",
		    "10:7: domain `*`: `next-hop` says it already; keep one of them"},
		{"the rest instead of next-hop", TOP "listeners: {in: {role: inbound, listen: 25, domains: a.b, routes: {'*': smtp://c.d}}}\n", ""},
		{"it is nearer than the top level's", TOP "next-hop: smtp://a.b\nlisteners: {in: {role: inbound, listen: 25, domains: a.b, routes: {'*': smtp://c.d}}}\n", ""},
		{"no rest", TOP "listeners: {in: {role: inbound, listen: 25, domains: a.b, routes: {a.b: smtp://c.d}}}\n",
		    "2:13: in: `next-hop` is needed: its `routes` have no line for `*`"},
		{"L2", ROUTES "      b.c: smtp://127.0.0.1:10026\n",
		    "10:12: routes: is our own listener out, and mail would go round; write another server"},
		{"an empty one", OUT "    routes: {}\n",
		    "8:13: routes: no line is in the table; write DOMAIN NEXT-HOP, or remove it"},
	};

	(void)state;
	RUN(rows);
}

static void
mistakes_have_a_bound(void **state)
{
	struct heard *h = test_malloc(sizeof(*h));
	struct put in = {NULL, 0};
	struct config *c;
	size_t lines = 0;

	(void)state;
	for (int k = 0; k < 2000; k++) {
		char line[64];

		(void)snprintf(line, sizeof(line), "x%d: y\n", k);
		put(&in, line);
	}
	c = load_text(in.text, h);
	assert_null(c);
	for (const char *at = h->text; *at != '\0'; at++)
		lines += *at == '\n';
	assert_int_equal(lines, 1001);
	assert_non_null(strstr(h->text, "c.yaml:1:1: there are more mistakes "
	    "than the 1000 told here\n"));
	free(in.text);
	test_free(h);
}

static void
trees_have_a_bound(void **state)
{
	struct heard *h = test_malloc(sizeof(*h));
	struct put in = {NULL, 0};
	struct config *c;

	(void)state;
	put(&in, "keys: [a");
	for (int k = 0; k < 70000; k++)
		put(&in, ",a");
	put(&in, "]\n");
	c = load_text(in.text, h);
	assert_null(c);
	assert_non_null(strstr(h->text, "more than 65536 names and values; "
	    "nothing behind it was read\n"));
	free(in.text);
	test_free(h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(yaml_is_read_up_to_its_first_fault),
		cmocka_unit_test(directives_are_known_or_guessed),
		cmocka_unit_test(values_are_what_their_row_says),
		cmocka_unit_test(certificates_come_with_their_keys),
		cmocka_unit_test(what_is_kept_has_an_age_and_a_size),
		cmocka_unit_test(what_is_not_built_yet_is_refused_by_name),
		cmocka_unit_test(q20_a_queue_is_for_mail_of_ours),
		cmocka_unit_test(pairs_must_fit),
		cmocka_unit_test(mail_of_others_is_known_before_it_is_ours),
		cmocka_unit_test(t8_proxies_must_be_named),
		cmocka_unit_test(t9_someone_must_be_named),
		cmocka_unit_test(a_listener_says_all_it_needs),
		cmocka_unit_test(addresses_are_listened_to_once),
		cmocka_unit_test(l2_the_next_hop_is_not_ourselves),
		cmocka_unit_test(rules_of_a_policy),
		cmocka_unit_test(next_hops_of_ours),
		cmocka_unit_test(inline_tables_are_checked_in_place),
		cmocka_unit_test(routes_are_checked_in_place),
		cmocka_unit_test(mistakes_have_a_bound),
		cmocka_unit_test(trees_have_a_bound),
	};

	return cmocka_run_group_tests_name("config/mistakes", tests, NULL, NULL);
}
