#include "tests/scenario/site.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/keysfile.h"
#include "daemon/listener.h"
#include "daemon/orders_command.h"
#include "daemon/tls.h"
#include "dkim2/crypto.h"
#include "dkim2/dkim1.h"
#include "tests/scenario/memory.h"
#include "tests/scenario/queue.h"

#define KEYS 2
#define SELECTOR "s"

static const char *const domains[KEYS] = {"one.example", "two.example"};

/* What outlives a scenario: keys take time to make. */
static struct dkim2_private_key *secret[KEYS];
static char record[KEYS][256];

static struct site {
	char folder[64];
	struct config *config;
	struct arena *arena;
	struct worker_env env;
	struct signer_inventory inventory;
	struct signer_key keys[KEYS], retired;
	struct keydir_entry entries[KEYS];
	struct listener_set *set;
	enum site_signer how;
	bool is_drained;
	bool is_draining;
} site;

/* Likewise; a name once given stays. */
static struct {
	const struct orders *read;
	struct orders *given;
} site_orders;

/* ---- the signer, in the place of daemon/signer_client.c ------------------- */

struct question {
	struct loop_deferred deferred;
	struct signer_client *client;
	unsigned key;
	uint8_t digest[DKIM2_DIGEST];
	uint64_t tag;
};

struct signer_client {
	signer_answer *answer;
	void *arg;
};

static struct signer_client client;

struct signer_client *
signer_client_new(struct loop *l, const struct signer_ends *ends,
    signer_answer *answer, void *arg)
{
	(void)l;
	(void)ends;
	client = (struct signer_client){answer, arg};
	return &client;
}

void
signer_client_free(struct signer_client **c)
{
	*c = NULL;
}

static void
answer(void *arg)
{
	struct question *q = arg;
	uint8_t octets[DKIM2_SIGNATURE_MAX];
	struct buf out = BUF_ON(octets);

	if (site.how == SIGNER_WORKS || site.how == SIGNER_WORKS_ONCE ||
	    site.how == SIGNER_LIES || site.how == SIGNER_LIES_ONCE)
		assert(dkim2_private_key_sign(secret[q->key], q->digest,
		    &out) == 0);
	if (site.how == SIGNER_LIES || site.how == SIGNER_LIES_ONCE)
		octets[7] ^= 1;
	if (site.how == SIGNER_LIES_ONCE)
		site.how = SIGNER_WORKS;
	if (site.how == SIGNER_WORKS_ONCE)
		site.how = SIGNER_FAILS;
	q->client->answer(q->client->arg, q->tag, buf_bytes(&out));
	free(q);
}

int
signer_client_ask(struct signer_client *c, unsigned key, struct bytes digest,
    uint64_t tag)
{
	struct question *q;

	if (site.how == SIGNER_IS_GONE)
		return -1;
	if (site.how == SIGNER_IS_SILENT)
		return 0;
	q = world_alloc(1, sizeof(*q));
	assert(q != NULL && digest.n == sizeof(q->digest));
	q->client = c;
	q->key = key;
	q->tag = tag;
	memcpy(q->digest, digest.p, digest.n);
	loop_defer(world_loop, &q->deferred, answer, q);
	return 0;
}

void
site_signer(enum site_signer how)
{
	site.how = how;
}

/* ---- files ----------------------------------------------------------------- */

static void
make_keys(void)
{
	for (size_t k = 0; k < KEYS && secret[k] == NULL; k++) {
		struct buf out = BUF_ON(record[k]);

		assert(dkim2_private_key_generate(&secret[k],
		    DKIM2_ED25519_SHA256) == 0);
		assert(dkim2_private_key_record(secret[k], &out) == 0);
		record[k][out.n] = '\0';
	}
}

static FILE *
create(const char *name)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", site.folder, name);
	f = fopen(path, "w");
	assert(f != NULL);
	return f;
}

/* The record of a key, unless the scenario has another in its place. */
static void
write_record(FILE *f, size_t k, struct bytes dns, const char **comma)
{
	char name[80];

	snprintf(name, sizeof(name), "\"" SELECTOR "._domainkey.%s\"",
	    domains[k]);
	if (bytes_find(dns, bytes_of(name)) != dns.n)
		return;
	fprintf(f, "%s%s: [\"%s\"]", *comma, name, record[k]);
	*comma = ",\n";
}

static void
write_files(struct bytes listeners, struct bytes top, struct bytes dns)
{
	FILE *f = create("dns.json");
	const char *comma = "";

	fprintf(f, "{");
	for (size_t k = 0; k < KEYS; k++)
		write_record(f, k, dns, &comma);
	fprintf(f, "%s%.*s}\n", dns.n == 0 ? "" : comma, BYTES_FMT(dns));
	fclose(f);
	f = create("secrets/1");
	fprintf(f, "a secret of all scenarios\n");
	assert(fchmod(fileno(f), 0600) == 0);
	fclose(f);
	f = create("hopseal.yaml");
	fprintf(f, "hostname: hop.example\nstate: %s\nkeys: keys\n"
	    "keys-file: dns.json\n%.*slisteners:\n%.*s", site.folder,
	    BYTES_FMT(top), BYTES_FMT(listeners));
	fclose(f);
}

static void
complain(void *arg, const char *text)
{
	struct buf *why = arg;

	buf_printf(why, "%s\n", text);
}

enum walk { COUNT, REMOVE, SWAP };

/* Other octets in the place of a copy. */
static void
swap_copy(int folder, const char *name)
{
	static const char other[] = "From: Alice <alice@one.example>\r\n"
	    "\r\nother\r\n";
	int fd = openat(folder, name, O_WRONLY | O_TRUNC);

	assert(fd >= 0 && pwrite(fd, other, sizeof(other) - 1, 0) > 0);
	close(fd);
}

static size_t
walk_copies(enum walk how)
{
	char path[128];
	struct dirent *e;
	size_t n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "%s/copies", site.folder);
	d = opendir(path);
	assert(d != NULL);
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		n++;
		assert(how != REMOVE ||
		    unlinkat(dirfd(d), e->d_name, 0) == 0);
		if (how == SWAP)
			swap_copy(dirfd(d), e->d_name);
	}
	closedir(d);
	return n;
}

bool
site_has_copies(struct bytes number)
{
	uint64_t n;

	if (bytes_eq(number, BYTES_LIT("gone")))
		return walk_copies(REMOVE) != 0;
	if (bytes_eq(number, BYTES_LIT("others")))
		return walk_copies(SWAP) != 0;
	return bytes_number(number, 1000, &n) && walk_copies(COUNT) == n;
}

static void
remove_files(void)
{
	static const char *const names[] = {"dns.json", "hopseal.yaml",
	    "secrets/1", "secrets", "keys",
	    "copies", ""};
	char path[128];

	walk_copies(REMOVE);

	for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++) {
		snprintf(path, sizeof(path), "%s/%s", site.folder, names[k]);
		remove(path);
	}
}

static bool
load(struct buf *why)
{
	char path[128];
	struct keysfile *keysfile;

	snprintf(path, sizeof(path), "%s/hopseal.yaml", site.folder);
	site.config = config_load(path, complain, why);
	if (site.config == NULL)
		return false;
	assert(keysfile_load(&keysfile, site.config->keys_file, site.arena,
	    why) == 0);
	site.env.keysfile = keysfile;
	site.env.secrets = secrets_new(site.config->secrets, (unsigned)-1,
	    complain, why);
	assert(site.env.secrets != NULL);
	site.env.config = site.config;
	return true;
}

/* ---- the worker ------------------------------------------------------------ */

static void
drained(void *arg)
{
	(void)arg;
	site.is_drained = true;
}

static void
make_inventory(void)
{
	for (size_t k = 0; k < KEYS; k++) {
		site.keys[k] = (struct signer_key){bytes_of(domains[k]),
		    BYTES_LIT(SELECTOR), DKIM2_ED25519_SHA256, (unsigned)k,
		    bytes_of(record[k])};
		site.entries[k] = (struct keydir_entry){site.keys[k].domain,
		    site.keys[k].selector, "-"};
	}
	site.inventory = (struct signer_inventory){site.keys, KEYS,
	    {site.entries, KEYS}, NULL, 0, {0}};
}

/* Every scenario begins without any. */
static void
forget_orders(void)
{
	struct config none = {.n_listeners = 0};
	struct config_net net;
	int fd;

	if (site_orders.given == NULL) {
		site_orders.read = orders_make(&fd);
		assert(site_orders.read != NULL);
		site_orders.given = orders_open(fd);
		assert(site_orders.given != NULL);
		close(fd);
	}
	orders_trim(site_orders.given, &none);
	for (size_t k = 0; k < ORDERS_NETS; k++)
		if (orders_net(site_orders.given, k, 0, &net) != 0)
			(void)orders_watch(site_orders.given, &net, 0, 0);
	site.env.orders = site_orders.read;
}

void
site_retire(void)
{
	site.retired = site.keys[KEYS - 1];
	site.keys[KEYS - 1].selector = BYTES_LIT("new");
	site.entries[KEYS - 1].selector = BYTES_LIT("new");
	site.inventory.retired = &site.retired;
	site.inventory.n_retired = 1;
}

static void
make_env(void)
{
	const struct config *c = site.config;
	struct worker_socket *s;
	char path[128];
	size_t n = 0;

	for (size_t l = 0; l < c->n_listeners; l++)
		n += c->listeners[l].n_listen;
	s = arena_array(site.arena, n, sizeof(*s));
	assert(s != NULL);
	site.env.sockets = s;
	site.env.n_sockets = n;
	for (size_t l = 0; l < c->n_listeners; l++)
		for (size_t k = 0; k < c->listeners[l].n_listen; k++)
			*s++ = (struct worker_socket){world_listener(),
			    c->listeners + l,
			    c->listeners[l].listen[k].is_tls,
			    c->listeners[l].listen[k].is_lmtp};
	make_inventory();
	site.env.inventory = &site.inventory;
	site.env.signers.n = 1;	/* there is one */
	site.env.keeper_fd = -1;
	site.env.spool_fd = -1;
	site.env.state_fd = -1;
	snprintf(path, sizeof(path), "%s/copies", site.folder);
	site.env.copies_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert(site.env.copies_fd >= 0);
	site.env.queue_fd = 0;		/* there is one */
	site.env.drained = drained;
	forget_orders();
	site.env.loop = loop_new();
}

bool
site_begin(struct bytes listeners, struct bytes top, struct bytes dns,
    struct buf *why)
{
	char path[80];
	const char *temporary = getenv("TMPDIR");

	make_keys();
	memset(&site, 0, sizeof(site));
	snprintf(site.folder, sizeof(site.folder), "%.40s/scenario-XXXXXX",
	    temporary == NULL ? "/tmp" : temporary);
	assert(mkdtemp(site.folder) != NULL);
	snprintf(path, sizeof(path), "%s/keys", site.folder);
	assert(mkdir(path, 0700) == 0);
	snprintf(path, sizeof(path), "%s/secrets", site.folder);
	assert(mkdir(path, 0700) == 0);
	snprintf(path, sizeof(path), "%s/copies", site.folder);
	assert(mkdir(path, 0700) == 0);
	write_files(listeners, top, dns);
	site.arena = arena_new(1 << 20);
	assert(site.arena != NULL);
	world_begin();
	scenario_memory_begin();
	scenario_queue_begin();
	if (!load(why)) {
		remove_files();
		arena_free(&site.arena);
		return false;
	}
	make_env();
	site.set = listener_set_new(&site.env);
	assert(site.set != NULL);
	world_run();
	return true;
}

int
site_listener(size_t n)
{
	return n < site.env.n_sockets ? site.env.sockets[n].fd : -1;
}

void
site_drain(void)
{
	if (!site.is_draining)
		listener_set_stop(site.set);
	site.is_draining = true;
}

bool
site_order(struct bytes request, struct buf *why)
{
	const struct orders_scene s = {site_orders.given, site.config,
	    loop_now_ms(world_loop)};
	struct control_request r;

	return control_request_parse(request, &r) &&
	    orders_command(&s, &r, why);
}

void
site_leave(void)
{
	listener_set_leave(site.set);
}

const char *
site_end(void)
{
	const char *left = NULL;

	world_reset_all();
	site_drain();
	/* longer than any time-out of the configuration */
	world_pass(2 * 3600 * 1000);
	if (!site.is_drained)
		left = "a session or a relay that never ends";
	else if (world_net_open() != 0)
		left = "an open connection";
	if (left != NULL)
		return left;	/* it can not be freed either */
	listener_set_free(&site.set);
	world_run();
	loop_free(&site.env.loop);
	secrets_free(&site.env.secrets);
	config_free(&site.config);
	arena_free(&site.arena);
	close(site.env.copies_fd);
	remove_files();
	return left;
}

/* ---- messages -------------------------------------------------------------- */

/* Header and body of a message; the empty line belongs to neither. */
static void
split(struct bytes message, struct bytes *header, struct bytes *body)
{
	size_t at = bytes_find(message, BYTES_LIT("\r\n\r\n"));

	assert(at < message.n);
	*header = bytes_first(message, at + 2);
	*body = bytes_skip(message, at + 4);
}

struct checked {
	struct arena *arena;
	struct dkim2_message message;
	struct dkim2_verify *verify;
};

static void
check(struct checked *c, struct bytes message,
    const struct dkim2_envelope *envelope)
{
	const struct dkim2_verify_options opts = {
	    .now_s = loop_time_s(world_loop),
	    .envelope = envelope,
	    .hashes = 1U << DKIM2_SHA256,
	};
	struct bytes header, body;

	split(message, &header, &body);
	c->arena = arena_new(64U << 20);
	assert(c->arena != NULL);
	assert(dkim2_message_parse(&c->message, header, 1000, c->arena) == 0);
	assert(dkim2_verify_new(&c->verify, c->arena, &opts) == 0);
	assert(dkim2_verify_header(c->verify, &c->message) == 0);
	assert(dkim2_verify_body(c->verify, body) == 0);
	assert(dkim2_verify_end(c->verify, body) == 0);
}

static void
checked_fini(struct checked *c)
{
	dkim2_verify_fini(c->verify);
	arena_free(&c->arena);
}

void
site_sign(struct bytes message, struct bytes domain, const char *mail_from,
    const char *rcpt_to, struct buf *out)
{
	struct bytes rest = bytes_of(rcpt_to), rcpts[8];
	struct dkim2_envelope leaves = {bytes_of(mail_from), rcpts, 0};
	const struct dkim2_signing_key key = {BYTES_LIT(SELECTOR),
	    DKIM2_ED25519_SHA256};
	const struct dkim2_sign_options opts = {
	    .domain = domain,
	    .keys = &key,
	    .n_keys = 1,
	    .envelope = &leaves,
	    .timestamp_s = loop_time_s(world_loop),
	    .flags = bytes_find(message, BYTES_LIT("X-Feedback:")) < message.n
	        ? DKIM2_FLAG_FEEDBACK : 0,
	};
	uint8_t octets[DKIM2_SIGNATURE_MAX];
	struct buf signature = BUF_ON(octets);
	enum dkim2_refusal why = DKIM2_MAY_SIGN;
	struct dkim2_sign *sign;
	struct checked c;

	while (rest.p != NULL && leaves.n_rcpt_to < 8)
		rcpts[leaves.n_rcpt_to++] = bytes_cut(&rest, ' ');
	check(&c, message, NULL);
	assert(dkim2_sign_new(&sign, c.arena, &c.message,
	    dkim2_verify_digests(c.verify), &opts, &why) == 0);
	assert(why == DKIM2_MAY_SIGN);
	assert(dkim2_private_key_sign(secret[0], dkim2_sign_want(sign).p,
	    &signature) == 0);
	assert(dkim2_sign_answer(sign, 0, buf_bytes(&signature)) == 0);
	buf_add(out, dkim2_sign_fields(sign));
	buf_add(out, message);
	checked_fini(&c);
}

void
site_sign_dkim1(struct bytes message, struct bytes domain, struct buf *out)
{
	const struct dkim2_signing_key key = {BYTES_LIT(SELECTOR),
	    DKIM2_ED25519_SHA256};
	const struct dkim1_sign_options opts = {
	    .domain = domain,
	    .keys = &key,
	    .n_keys = 1,
	    .timestamp_s = loop_time_s(world_loop),
	};
	size_t k = bytes_eq(domain, bytes_of(domains[0])) ? 0 : 1;
	uint8_t octets[DKIM2_SIGNATURE_MAX];
	struct buf signature = BUF_ON(octets);
	struct bytes header, body;
	enum dkim1_refusal why;
	struct dkim2_message m;
	struct dkim1_sign *sign;
	struct arena *a = arena_new(1 << 20);

	split(message, &header, &body);
	assert(a != NULL && dkim2_message_parse(&m, header, 1000, a) == 0);
	assert(dkim1_sign_new(&sign, a, &m, &opts, &why) == 0);
	assert(why == DKIM1_MAY_SIGN && dkim1_sign_body(sign, body) == 0);
	assert(dkim1_sign_end(sign) == 0);
	assert(dkim2_private_key_sign(secret[k], dkim1_sign_want(sign, 0).p,
	    &signature) == 0);
	assert(dkim1_sign_answer(sign, 0, buf_bytes(&signature)) == 0);
	buf_add(out, dkim1_sign_fields(sign));
	buf_add(out, message);
	dkim1_sign_fini(sign);
	arena_free(&a);
}

void
site_verify(struct bytes message, const char *mail_from, const char *rcpt_to,
    struct buf *out)
{
	static const char *const name[] = {
		[DKIM2_NONE] = "none", [DKIM2_PASS] = "pass",
		[DKIM2_FAIL] = "fail", [DKIM2_PERMERROR] = "permerror",
		[DKIM2_TEMPERROR] = "temperror",
	};
	const struct bytes rcpt = bytes_of(rcpt_to);
	const struct dkim2_envelope arrived = {bytes_of(mail_from), &rcpt, 1};
	const struct dkim2_verdict *v;
	const struct bytes *names;
	struct checked c;

	check(&c, message, &arrived);
	for (size_t k = 0, n = dkim2_verify_wants(c.verify, &names); k < n; k++) {
		const struct bytes *records = NULL;
		size_t found = 0;

		(void)keysfile_find(site.env.keysfile, names[k], &records,
		    &found);
		assert(dkim2_verify_answer(c.verify, k, found == 0
		    ? DKIM2_KEY_ABSENT : DKIM2_KEY_TXT, records, found) == 0);
	}
	assert(dkim2_verify_step(c.verify) == DKIM2_DONE);
	v = &dkim2_verify_result(c.verify)->full;
	buf_printf(out, "%s ", name[v->state]);
	dkim2_verdict_text(v, out);
	checked_fini(&c);
}
