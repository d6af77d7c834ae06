#include "tests/config/kit.h"

#include "base/err.h"
#include "config/file.h"

/* What the five deployments still lack is told, and nothing else. */
static void
examples_lack_only_what_is_not_built(void **state)
{
	static const struct {
		const char *path;
		const char *out;
	} row[] = {
		{"config/examples/1-inbound.yaml", ""},
		{"config/examples/2-egress.yaml", ""},
		{"config/examples/3-forward.yaml", ""},
		{"config/examples/4-list.yaml", ""},
		{"config/examples/5-appliance.yaml", ""},
	};

	(void)state;
	for (size_t k = 0; k < N(row); k++) {
		struct heard *h = test_calloc(1, sizeof(*h));
		struct arena *a = arena_new(1 << 20);
		struct put want = {NULL, 0};
		struct bytes octets, rest = bytes_of(row[k].out);
		const char *why;
		struct config *c;

		put(&want, "");
		while (rest.n != 0) {
			struct bytes line = bytes_cut(&rest, '\n');
			char text[1024];

			(void)snprintf(text, sizeof(text), "%s%.*s\n",
			    row[k].path, BYTES_FMT(line));
			put(&want, text);
		}
		assert_int_equal(config_file_read(row[k].path, 1 << 19, a,
		    &octets, &why), 0);
		/* without the files: they are the operator's */
		c = config_load_octets(row[k].path, octets, false, hear, h);
		assert_string_equal(h->text, want.text);
		assert_int_equal(c == NULL, *want.text != '\0');
		config_free(&c);
		arena_free(&a);
		free(want.text);
		test_free(h);
	}
}

static const char good[] =
    "hostname: Mx.example.org\n"
    "keys: keys/\n"
    "keys-file: /tmp/dns.json\n"
    "state: spool\n"
    "user: smtp\n"
    "workers: 2\n"
    "resolver: [127.0.0.1, '[::1]:5353', 2001:db8::1]\n"
    "resolver-timeout: 500ms\n"
    "memory: {size: 1G}\n"
    "verify: enforce\n"
    "max-line: 2000\n"
    "unsignable: refuse\n"
    "listeners:\n"
    "  in: {role: inbound, listen: ['*:25', '[::1]:2525'], domains: [Example.ORG, b.example],\n"
    "       next-hop: 'smtp://127.0.0.1:10025', verify: off, max-message: 64K, unsigned: refuse}\n"
    "  out: {role: egress, listen: 10026, clients: [127.0.0.1, 10.0.8.0/24, '2001:db8::/32'],\n"
    "        senders: Example.org, next-hop: 'smtp://[2001:db8::1]:26', idle-timeout: 2m, max-line: 1K,\n"
    "        flags: [feedhere, feedback]}\n"
    "  fwd: {role: forward, listen: '192.0.2.1:26', domains: [example.net], next-hop: smtp://smart.example,\n"
    "        mail-from: Bounces@Example.net, aliases: {info@Example.net: a@b.c, '@example.net': d@E.f},\n"
    "        internal: [C.d, '2001:db8::2'], recipient-delimiter: '+-',\n"
    "        policy: [{condition: left, clients: [10.0.0.0/8], senders: [A.b, c.d], action: refuse},\n"
    "                 {condition: never-entered, action: annotate}],\n"
    "        mx-port: 2525, routes: {.A.b: smtp://c.d none, a.b: 'smtp://[2001:db8::2]'}}\n";

static const uint8_t v4_loopback[16] = {[10] = 0xff, [11] = 0xff, [12] = 127,
    [15] = 1};
static const uint8_t v6_loopback[16] = {[15] = 1};

static void
top_level_values_arrive(void **state)
{
	struct heard *h = test_malloc(sizeof(*h));
	struct config *c = load_text(good, h);
	char here[4096], path[4200];

	(void)state;
	assert_string_equal(h->text, "");
	assert_non_null(c);
	assert_non_null(getcwd(here, sizeof(here)));
	assert_string_equal(c->path, "c.yaml");
	assert_string_equal(c->folder, here);
	assert_string_equal(c->hostname, "Mx.example.org");
	assert_string_equal(c->authserv_id, "Mx.example.org");
	(void)snprintf(path, sizeof(path), "%s/keys/", here);
	assert_string_equal(c->keys, path);
	(void)snprintf(path, sizeof(path), "%s/spool", here);
	assert_string_equal(c->state, path);
	assert_string_equal(c->keys_file, "/tmp/dns.json");
	assert_string_equal(c->user, "smtp");
	assert_true(c->has_user);
	assert_int_equal(c->workers, 2);
	assert_int_equal(c->n_resolver, 3);
	assert_memory_equal(c->resolver[0].ip, v4_loopback, 16);
	assert_int_equal(c->resolver[0].port, 53);
	assert_memory_equal(c->resolver[1].ip, v6_loopback, 16);
	assert_int_equal(c->resolver[1].port, 5353);
	assert_int_equal(c->resolver[2].port, 53);
	assert_int_equal(c->resolver_timeout_ms, 500);
	assert_int_equal(c->memory.age_s, 7 * 86400);
	assert_int_equal(c->memory.size, 1 << 30);
	assert_int_equal(c->n_listeners, 3);
	config_free(&c);
	assert_null(c);
	config_free(&c);
	test_free(h);
}

static bool
is_text(struct bytes b, const char *text)
{
	return bytes_eq(b, bytes_of(text));
}

static void
listener_values_arrive(void **state)
{
	struct heard *h = test_malloc(sizeof(*h));
	struct config *c = load_text(good, h);
	const struct config_listener *l;

	(void)state;
	assert_non_null(c);
	l = &c->listeners[0];
	assert_string_equal(l->name, "in");
	assert_int_equal(l->role, ROLE_INBOUND);
	assert_int_equal(l->n_listen, 2);
	assert_true(l->listen[0].is_any);
	assert_int_equal(l->listen[0].port, 25);
	assert_false(l->listen[1].is_any);
	assert_memory_equal(l->listen[1].ip, v6_loopback, 16);
	assert_int_equal(l->n_domains, 2);
	assert_true(is_text(l->domains[0], "example.org"));
	assert_true(l->next_hop.is_ip);
	assert_string_equal(l->next_hop.host_str, "127.0.0.1");
	assert_int_equal(l->next_hop.port, 10025);
	assert_int_equal(l->next_hop.addr.port, 10025);
	assert_memory_equal(l->next_hop.addr.ip, v4_loopback, 16);
	assert_int_equal(l->unsigned_mail, UNSIGNED_REFUSE);
	assert_int_equal(l->max_message, 65536);
	assert_int_equal(l->max_header, 65536);
	assert_false(l->has_senders);
	assert_false(l->has_aliases);
	l = &c->listeners[1];
	assert_int_equal(l->role, ROLE_EGRESS);
	assert_false(l->listen[0].is_any);
	assert_memory_equal(l->listen[0].ip, v4_loopback, 16);
	assert_int_equal(l->n_clients, 3);
	assert_int_equal(l->clients[0].prefix, 128);
	assert_int_equal(l->clients[1].prefix, 120);
	assert_int_equal(l->clients[2].prefix, 32);
	assert_true(l->has_senders);
	assert_true(is_text(l->senders[0], "example.org"));
	assert_string_equal(l->next_hop.host_str, "2001:db8::1");
	assert_int_equal(l->idle_timeout_s, 120);
	l = &c->listeners[2];
	assert_false(l->next_hop.is_ip);
	assert_string_equal(l->next_hop.host_str, "smart.example");
	assert_int_equal(l->next_hop.port, 25);
	assert_int_equal(l->mail_from, MAIL_FROM_FIXED);
	assert_true(is_text(l->mail_from_address, "Bounces@example.net"));
	assert_true(l->has_aliases);
	assert_int_equal(l->aliases.n, 2);
	assert_int_equal(l->n_internal, 2);
	assert_true(is_text(l->internal[0], "c.d"));
	assert_string_equal(l->recipient_delimiter, "+-");
	assert_int_equal(l->n_policy, 2);
	assert_int_equal(l->policy[0].condition, CONDITION_LEFT);
	assert_int_equal(l->policy[0].action, ACTION_REFUSE);
	assert_int_equal(l->policy[0].n_clients, 1);
	assert_int_equal(l->policy[0].n_senders, 2);
	assert_true(is_text(l->policy[0].senders[0], "a.b"));
	assert_int_equal(l->policy[1].condition, CONDITION_NEVER_ENTERED);
	assert_int_equal(l->policy[1].action, ACTION_ANNOTATE);
	assert_int_equal(l->policy[1].n_clients + l->policy[1].n_senders, 0);
	config_free(&c);
	test_free(h);
}

/* The listener, then the top level, then the role, then the row. */
static void
the_nearest_word_counts(void **state)
{
	struct heard *h = test_malloc(sizeof(*h));
	struct config *c = load_text(good, h);

	(void)state;
	assert_int_equal(c->listeners[0].verify, VERIFY_OFF);
	assert_int_equal(c->listeners[1].verify, VERIFY_ENFORCE);
	assert_int_equal(c->listeners[0].max_line, 2000);
	assert_int_equal(c->listeners[1].max_line, 1024);
	assert_int_equal(c->listeners[2].max_line, 2000);
	/* What a role has no use for, the top level does not give it. */
	assert_int_equal(c->listeners[0].unsignable, UNSIGNABLE_PASS);
	assert_int_equal(c->listeners[1].unsignable, UNSIGNABLE_REFUSE);
	config_free(&c);
	c = load_text("hostname: a\nlisteners:\n"
	    "  a: {role: egress, listen: 1, clients: 10.0.0.1, next-hop: smtp://b}\n"
	    "  b: {role: inbound, listen: 2, domains: c, next-hop: smtp://b}\n", h);
	assert_non_null(c);
	assert_int_equal(c->listeners[0].max_line, 998);
	assert_int_equal(c->listeners[1].max_line, 65536);
	assert_int_equal(c->listeners[0].delivery, DELIVERY_THROUGH);
	assert_int_equal(c->listeners[0].is_repairing, 0);
	config_free(&c);
	c = load_text("hostname: a\nsenders: b.c\nlisteners:\n"
	    "  a: {role: appliance, listen: 1, clients: 10.0.0.1, next-hop: smtp://b}\n"
	    "  b: {role: appliance, listen: 2, clients: 10.0.0.1, next-hop: smtp://b,\n"
	    "      delivery: through, repair: no, max-line: 2000}\n", h);
	assert_non_null(c);
	assert_int_equal(c->listeners[0].max_line, 998);
	assert_int_equal(c->listeners[0].delivery, DELIVERY_QUEUE);
	assert_int_equal(c->listeners[0].is_repairing, 1);
	assert_int_equal(c->listeners[1].max_line, 2000);
	assert_int_equal(c->listeners[1].delivery, DELIVERY_THROUGH);
	assert_int_equal(c->listeners[1].is_repairing, 0);
	config_free(&c);
	test_free(h);
}

/* product.md "Defaults are safe", and the times of RFC 5321 4.5.3.2. */
static void
defaults_are_those_of_the_design(void **state)
{
	struct heard *h = test_malloc(sizeof(*h));
	struct config *c = load_text("hostname: a\nlisteners: {b: {role: inbound, "
	    "listen: 25, domains: c, next-hop: smtp://d}}\n", h);
	const struct config_listener *l;

	(void)state;
	assert_non_null(c);
	assert_string_equal(c->state, "/var/lib/hopseal");
	assert_string_equal(c->user, "hopseal");
	assert_false(c->has_user);
	assert_int_equal(c->workers, 0);
	assert_null(c->keys);
	assert_null(c->keys_file);
	assert_int_equal(c->n_resolver, 0);
	assert_int_equal(c->resolver_timeout_ms, 5000);
	l = &c->listeners[0];
	assert_memory_equal(l->listen[0].ip, v4_loopback, 16);
	assert_int_equal(l->n_clients, 0);
	assert_int_equal(l->verify, VERIFY_OBSERVE);
	assert_int_equal(l->unsigned_mail, UNSIGNED_ACCEPT);
	assert_int_equal(l->unsignable, UNSIGNABLE_PASS);
	assert_int_equal(l->mail_from, MAIL_FROM_KEEP);
	assert_int_equal(l->max_message, 50 << 20);
	assert_int_equal(l->max_header, 1 << 20);
	assert_int_equal(l->max_fields, 1000);
	assert_int_equal(l->max_received, 50);
	assert_int_equal(l->max_errors, 20);
	assert_int_equal(l->idle_timeout_s, 300);
	assert_int_equal(l->through_wait_s, 240);
	assert_int_equal(l->connect_timeout_s, 30);
	assert_int_equal(l->reply_timeout_s, 300);
	assert_int_equal(l->data_timeout_s, 120);
	assert_int_equal(l->send_timeout_s, 180);
	assert_int_equal(l->end_timeout_s, 600);
	config_free(&c);
	test_free(h);
}

static void
dumps_load_again_as_they_are(void **state)
{
	struct heard *h = test_malloc(sizeof(*h));
	struct config *c = load_text(good, h);
	struct put first = {NULL, 0}, second = {NULL, 0};

	(void)state;
	config_dump(c, put, &first);
	config_free(&c);
	c = load_text(first.text, h);
	assert_string_equal(h->text, "");
	assert_non_null(c);
	config_dump(c, put, &second);
	assert_string_equal(first.text, second.text);
	assert_non_null(strstr(first.text, "    listen: [\"*:25\", \"[::1]:2525\"]\n"));
	assert_non_null(strstr(first.text, "    max-message: 64K\n"));
	assert_non_null(strstr(first.text, "    clients: [\"127.0.0.1/32\", "
	    "\"10.0.8.0/24\", \"2001:db8::/32\"]\n"));
	assert_non_null(strstr(first.text, "    next-hop: \"smtp://[2001:db8::1]:26\"\n"));
	assert_non_null(strstr(first.text, "      \"@example.net\": \"d@E.f\"\n"));
	assert_non_null(strstr(first.text, "    routes:\n"
	    "      \".a.b\": \"smtp://c.d:25 none\"\n"
	    "      \"a.b\": \"smtp://[2001:db8::2]:25\"\n"));
	assert_non_null(strstr(first.text, "    mx-port: 2525\n"));
	assert_non_null(strstr(first.text, "resolver-timeout: 500ms\n"));
	assert_non_null(strstr(first.text, "memory: {age: 7d, size: 1G}\n"));
	config_free(&c);
	free(first.text);
	free(second.text);
	test_free(h);
}

#define WITH_FILES "hostname: mx.example.org\nkeys: keys\n" \
	"keys-file: dns.json\nlisteners:\n  f: {role: forward, listen: 25, " \
	"domains: a.b, mail-from: keep,\n      next-hop: smtp://c.d, aliases: " \
	"'file:aliases'}\n"

#define TWO_WITH_FILES "hostname: mx.example.org\nkeys: keys\n" \
	"role: forward\nmail-from: keep\naliases: file:aliases\n" \
	"domains: a.b\nnext-hop: smtp://c.d\n" \
	"listeners: {f: {listen: 25}, g: {listen: 26}}\n"

/* Loads c.yaml of the folder. */
static struct config *
load_file(const struct folder *f, struct heard *h)
{
	char path[512];

	*h = (struct heard){.folder = f->path};
	folder_join(f, "c.yaml", path);
	return config_load(path, hear, h);
}

static void
files_are_read_relative_to_the_configuration(void **state)
{
	struct heard *h = test_malloc(sizeof(*h));
	struct folder f;
	struct config *c;
	const struct config_alias *row;

	(void)state;
	folder_make(&f);
	folder_add(&f, "c.yaml", 0644, WITH_FILES);
	folder_add(&f, "aliases", 0644, "# all\n@a.b\tx@y.z # one\r\n");
	folder_add(&f, "dns.json", 0644, "{}");
	folder_add_folder(&f, "keys", 0755);
	c = load_file(&f, h);
	assert_string_equal(h->text, "");
	assert_non_null(c);
	row = config_alias_find(&c->listeners[0].aliases, bytes_of("who"),
	    bytes_of("A.B"));
	assert_non_null(row);
	assert_true(is_text(row->targets[0], "x@y.z"));
	config_free(&c);
	folder_remove(&f);
	test_free(h);
}

static void
mistakes_of_all_files_are_told_in_one_run(void **state)
{
	struct heard *h = test_malloc(sizeof(*h));
	char want[2048];
	struct folder f;

	(void)state;
	folder_make(&f);
	folder_add(&f, "c.yaml", 0644, WITH_FILES "workers: x\n");
	folder_add(&f, "aliases", 0644,
	    "q@a.b x@y.z\nq@A.b v@w.x\n  r@a.b u@a.b\nlone@a.b\n"
	    "s@a.b x@y.z, w@\n");
	folder_add(&f, "dns.json", 0644, "{\"a\": [\"b\"],\n \"A\": []}");
	folder_add(&f, "keys", 0644, "");
	assert_null(load_file(&f, h));
	(void)snprintf(want, sizeof(want),
	    "c.yaml:2:7: keys: %s/keys is no folder; write the folder that "
	    "holds DOMAIN/SELECTOR.pem\n"
	    "c.yaml:3:12: keys-file: %s/dns.json: 2:2: a name that was given "
	    "already; keep one of them\n"
	    "c.yaml:7:10: workers: `x` is no number; write digits alone\n"
	    "aliases:2:1: address `q@a.b` stands at line 1 already; keep one "
	    "of them\n"
	    "aliases:3:9: target `u@a.b` is in the listener's own `domains` "
	    "and has no line; write one, `u@a.b u@a.b` where its mail goes on "
	    "as it is\n"
	    "aliases:4:1: address `lone@a.b` has no target; write ADDRESS "
	    "TARGET\n"
	    "aliases:5:14: target `w@` is empty; write a name such as "
	    "mx.example.org\n", f.path, f.path);
	assert_string_equal(h->text, want);
	folder_remove(&f);
	test_free(h);
}

static void
files_must_be_there_and_safe(void **state)
{
	struct heard *h = test_malloc(sizeof(*h));
	char want[2048];
	struct folder f;

	(void)state;
	folder_make(&f);
	assert_null(load_file(&f, h));
	assert_string_equal(h->text, "c.yaml:1:1: can not read it: "
	    "No such file or directory\n");
	folder_add(&f, "c.yaml", 0644, WITH_FILES);
	folder_add(&f, "aliases", 0666, "@a.b x@y.z\n");
	assert_null(load_file(&f, h));
	(void)snprintf(want, sizeof(want),
	    "c.yaml:2:7: keys: can not read %s/keys: No such file or directory\n"
	    "c.yaml:3:12: keys-file: %s/dns.json: can not read it: No such "
	    "file or directory\n"
	    "c.yaml:6:38: aliases: can not read %s/aliases: everybody may "
	    "write it; take that away (chmod o-w)\n", f.path, f.path, f.path);
	assert_string_equal(h->text, want);
	/* P3: a configuration that everybody may write. */
	folder_add(&f, "c.yaml", 0646, WITH_FILES);
	assert_null(load_file(&f, h));
	assert_string_equal(h->text, "c.yaml:1:1: can not read it: everybody "
	    "may write it; take that away (chmod o-w)\n");
	/* Named for two listeners, and told once. */
	folder_add(&f, "c.yaml", 0644, TWO_WITH_FILES);
	folder_add(&f, "aliases", 0644, "q@c.d x@y.z\nlone\n");
	folder_add_folder(&f, "keys", 0755);
	assert_null(load_file(&f, h));
	assert_string_equal(h->text, "aliases:1:1: address `q@c.d` is in none "
	    "of the listener's `domains`; add its domain there or remove the "
	    "line\naliases:2:1: address `lone` has no target; write ADDRESS "
	    "TARGET\n");
	/* What is not built yet is told without a look at other files. */
	folder_add(&f, "c.yaml", 0644, WITH_FILES "normalize: {}\n");
	assert_null(load_file(&f, h));
	assert_string_equal(h->text,
	    "c.yaml:7:1: normalize: not built yet; remove it\n");
	folder_remove(&f);
	test_free(h);
}

static void
only_regular_files_within_the_bound_are_read(void **state)
{
	struct arena *a = arena_new(1 << 16);
	struct bytes octets;
	const char *why;
	struct folder f;
	char path[512];

	(void)state;
	folder_make(&f);
	folder_add(&f, "ten", 0600, "0123456789");
	folder_join(&f, "ten", path);
	assert_int_equal(config_file_read(path, 10, a, &octets, &why), 0);
	assert_true(is_text(octets, "0123456789"));
	assert_int_equal(config_file_read(path, 9, a, &octets, &why),
	    -E_LIMIT);
	assert_string_equal(why, "it is too large");
	assert_int_equal(config_file_read(f.path, 9, a, &octets, &why),
	    -E_SYSTEM);
	assert_string_equal(why, "it is not a regular file");
	folder_join(&f, "fifo", path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(config_file_read(path, 9, a, &octets, &why),
	    -E_SYSTEM);
	assert_string_equal(why, "it is not a regular file");
	folder_remove(&f);
	arena_free(&a);
}

static void
octet_for_octet_cut_it_never_breaks(void **state)
{
	struct heard *h = test_malloc(sizeof(*h));

	(void)state;
	for (size_t n = 0; n < sizeof(good); n++) {
		struct bytes part = bytes_first(bytes_of(good), n);
		struct config *c;

		*h = (struct heard){.text = ""};
		c = config_load_octets("c.yaml", part, false, hear, h);
		assert_true((c == NULL) == (*h->text != '\0'));
		config_free(&c);
	}
	test_free(h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(examples_lack_only_what_is_not_built),
		cmocka_unit_test(top_level_values_arrive),
		cmocka_unit_test(listener_values_arrive),
		cmocka_unit_test(the_nearest_word_counts),
		cmocka_unit_test(defaults_are_those_of_the_design),
		cmocka_unit_test(dumps_load_again_as_they_are),
		cmocka_unit_test(files_are_read_relative_to_the_configuration),
		cmocka_unit_test(mistakes_of_all_files_are_told_in_one_run),
		cmocka_unit_test(files_must_be_there_and_safe),
		cmocka_unit_test(only_regular_files_within_the_bound_are_read),
		cmocka_unit_test(octet_for_octet_cut_it_never_breaks),
	};

	return cmocka_run_group_tests_name("config/load", tests, NULL, NULL);
}
