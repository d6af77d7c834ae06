#include "daemon/signer.h"

#include <setjmp.h>
#include <signal.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "daemon/log.h"
#include "daemon/passfd.h"
#include "daemon/signer_wire.h"
#include "dkim2/crypto.h"

#define MANY 1000

/* A folder with keys of two domains, a signer process, and a worker's end. */
struct fixture {
	char folder[64];
	char path[3][192];
	struct dkim2_private_key *keys[3];
	pid_t pid;
	int control;
	struct arena *arena;
	struct signer_inventory inv;
	struct loop *loop;
	struct signer_client *client;
	size_t n_answers;
	size_t n_wanted;
	bool has_failed[MANY];
	uint8_t digest[32];
	const struct signer_key *asked[MANY];
};

static const struct {
	const char *domain, *selector;
	enum dkim2_algorithm algorithm;
} made[3] = {
	{"a.example", "ed", DKIM2_ED25519_SHA256},
	{"b.example", "one", DKIM2_ED25519_SHA256},
	{"b.example", "two", DKIM2_RSA_SHA256},
};

static void
complain(void *arg, const char *text)
{
	struct buf *b = arg;

	if (b == NULL)
		fail_msg("%s", text);
	buf_add_str(b, text);
	buf_add_octet(b, '\n');
}

static void
write_file(const char *path, struct bytes b, mode_t mode)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(b.p, 1, b.n, f), b.n);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static void
make_keys(struct fixture *f)
{
	char sub[128];

	snprintf(f->folder, sizeof(f->folder), "/tmp/hopseal-signer-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	for (int k = 0; k < 3; k++) {
		uint8_t pem[4096];
		struct buf b = BUF_ON(pem);

		snprintf(sub, sizeof(sub), "%s/%s", f->folder, made[k].domain);
		mkdir(sub, 0700);
		snprintf(f->path[k], sizeof(f->path[k]), "%s/%s.pem", sub,
		    made[k].selector);
		assert_int_equal(dkim2_private_key_generate(&f->keys[k],
		    made[k].algorithm), 0);
		assert_int_equal(dkim2_private_key_pem(f->keys[k], &b), 0);
		write_file(f->path[k], buf_bytes(&b), 0600);
	}
}

static void
serve(struct fixture *f, int control)
{
	struct signer_keys *k = signer_keys_load(f->folder, (unsigned)-1,
	    complain, NULL);

	if (k == NULL || signer_keys_announce(k, control, true) != 0)
		_exit(1);
	signer_serve(k, control, 1000);
	signer_keys_free(&k);
	_exit(0);
}

static void
on_answer(void *arg, uint64_t tag, struct bytes signature)
{
	struct fixture *f = arg;

	assert_true(tag < MANY);
	f->has_failed[tag] = signature.n == 0;
	if (signature.n != 0) {
		const struct signer_key *k = f->asked[tag];
		uint8_t again[DKIM2_SIGNATURE_MAX];
		struct buf b = BUF_ON(again);
		size_t at = 0;

		while (!bytes_eq(bytes_of(made[at].selector), k->selector))
			at++;
		/* both algorithms are deterministic */
		assert_int_equal(dkim2_private_key_sign(f->keys[at],
		    f->digest, &b), 0);
		assert_true(bytes_eq(buf_bytes(&b), signature));
	}
	if (++f->n_answers == f->n_wanted)
		loop_stop(f->loop);
}

static int
start(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct signer_ends ends = {.n = 1};
	int pair[2], status;

	assert_non_null(f);
	*state = f;
	make_keys(f);
	memset(f->digest, 0x5a, sizeof(f->digest));
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	f->control = pair[0];
	f->pid = fork();
	assert_true(f->pid >= 0);
	if (f->pid == 0) {
		close(pair[0]);
		serve(f, pair[1]);
	}
	close(pair[1]);
	f->arena = arena_new(1 << 20);
	assert_int_equal(signer_inventory_take(&f->inv, f->control, f->arena,
	    &status), 0);
	assert_int_equal(status, 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	assert_int_equal(passfd_give(f->control, pair[1]), 0);
	close(pair[1]);
	f->loop = loop_new();
	ends.fds[0] = pair[0];
	f->client = signer_client_new(f->loop, &ends, on_answer, f);
	assert_non_null(f->client);
	return 0;
}

static int
finish(void **state)
{
	struct fixture *f = *state;
	int status;

	signer_client_free(&f->client);
	loop_free(&f->loop);
	if (f->control >= 0)
		close(f->control);
	/* it leaves once every peer is gone */
	assert_int_equal(waitpid(f->pid, &status, 0), f->pid);
	assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
	for (int k = 0; k < 3; k++) {
		char sub[128];

		dkim2_private_key_free(&f->keys[k]);
		unlink(f->path[k]);
		snprintf(sub, sizeof(sub), "%s/%s", f->folder, made[k].domain);
		rmdir(sub);
	}
	rmdir(f->folder);
	arena_free(&f->arena);
	free(f);
	return 0;
}

static void
ask(struct fixture *f, const struct signer_key *k, uint64_t tag)
{
	struct bytes digest = {f->digest, sizeof(f->digest)};

	f->asked[tag] = k;
	assert_int_equal(signer_client_ask(f->client, k->number, digest, tag),
	    0);
	assert_int_equal(f->n_answers, 0);	/* never before it returns */
}

static void
test_inventory(void **state)
{
	struct fixture *f = *state;
	const struct signer_key *k = NULL;
	const struct bytes names[] = {BYTES_LIT("mail.b.example")};

	assert_int_equal(f->inv.n, 3);
	assert_int_equal(signer_inventory_find(&f->inv, BYTES_LIT("a.example"),
	    &k), 1);
	assert_int_equal(k->algorithm, DKIM2_ED25519_SHA256);
	assert_int_equal(signer_inventory_find(&f->inv, BYTES_LIT("b.example"),
	    &k), 2);
	assert_true(bytes_eq(k[0].selector, BYTES_LIT("one")));
	assert_true(bytes_eq(k[1].selector, BYTES_LIT("two")));
	assert_int_equal(k[1].algorithm, DKIM2_RSA_SHA256);
	assert_int_equal(signer_inventory_find(&f->inv, BYTES_LIT("b.exampl"),
	    &k), 0);
	assert_int_equal(signer_inventory_find(&f->inv, BYTES_LIT("z"), &k), 0);
	assert_true(bytes_eq(keydir_cover(&f->inv.domains, names, 1),
	    BYTES_LIT("b.example")));
}

static void
set_state(const struct fixture *f, size_t key, const char *text, char path[200])
{
	FILE *file;

	(void)snprintf(path, 200, "%.*s.state",
	    (int)strlen(f->path[key]) - 4, f->path[key]);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, 0600), 0);
}

/* B7: what a retired key signed comes back; it signs no more itself. */
static void
test_retired_keys_are_known(void **state)
{
	struct fixture *f = *state;
	char path[2][200], room[1024];
	struct buf record = BUF_ON(room);
	struct signer_inventory inv;
	struct signer_keys *k;
	int pair[2], status;

	set_state(f, 0, "made 1", path[0]);
	set_state(f, 2, "retired 1", path[1]);
	k = signer_keys_load(f->folder, (unsigned)-1, complain, NULL);
	assert_non_null(k);
	assert_int_equal(signer_keys_count(k), 1);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	assert_int_equal(signer_keys_announce(k, pair[0], true), 0);
	assert_int_equal(signer_inventory_take(&inv, pair[1], f->arena,
	    &status), 0);
	assert_int_equal(inv.n, 1);
	assert_true(bytes_eq(inv.keys[0].selector, BYTES_LIT("one")));
	assert_int_equal(inv.domains.n, 1);
	assert_int_equal(inv.n_retired, 1);
	assert_true(bytes_eq(inv.retired[0].domain, BYTES_LIT("b.example")));
	assert_true(bytes_eq(inv.retired[0].selector, BYTES_LIT("two")));
	assert_int_equal(inv.retired[0].algorithm, DKIM2_RSA_SHA256);
	assert_int_equal(dkim2_private_key_record(f->keys[2], &record), 0);
	assert_true(bytes_eq(inv.retired[0].record, buf_bytes(&record)));
	signer_keys_free(&k);
	close(pair[0]);
	close(pair[1]);
	assert_int_equal(unlink(path[0]), 0);
	assert_int_equal(unlink(path[1]), 0);
}

/* What a second signer of the folder says to the first one's inventory. */
static int
match(const struct fixture *f)
{
	struct signer_keys *k = signer_keys_load(f->folder, (unsigned)-1,
	    complain, NULL);
	int pair[2], status;

	assert_non_null(k);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	assert_int_equal(signer_keys_announce(k, pair[0], false), 0);
	assert_int_equal(signer_inventory_match(&f->inv, pair[1], &status), 0);
	signer_keys_free(&k);
	close(pair[0]);
	close(pair[1]);
	return status;
}

/* A number must not be that of one key here and of another there. */
static void
test_signers_have_the_same_keys(void **state)
{
	struct fixture *f = *state;
	uint8_t pem[4096];
	struct buf b = BUF_ON(pem);
	char path[200];

	assert_int_equal(match(f), 0);
	set_state(f, 0, "made 1", path);
	assert_int_equal(match(f), EX_TEMPFAIL);
	set_state(f, 0, "retired 1", path);
	assert_int_equal(match(f), EX_TEMPFAIL);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(match(f), 0);
	assert_int_equal(dkim2_private_key_pem(f->keys[0], &b), 0);
	write_file(f->path[1], buf_bytes(&b), 0600);
	assert_int_equal(match(f), EX_TEMPFAIL);
}

/* More at once than a socket holds: each gets its own answer. */
static void
test_sign_many(void **state)
{
	struct fixture *f = *state;

	f->n_wanted = MANY;
	for (uint64_t k = 0; k < MANY; k++)
		ask(f, &f->inv.keys[k % 16 == 0 ? 2 : k % 2], k);
	loop_run(f->loop);
	assert_int_equal(f->n_answers, MANY);
	for (size_t k = 0; k < MANY; k++)
		assert_false(f->has_failed[k]);
}

static void
test_no_such_key(void **state)
{
	struct fixture *f = *state;
	struct signer_key none = {.number = 3};

	f->n_wanted = 2;
	ask(f, &none, 0);
	ask(f, &f->inv.keys[0], 1);
	loop_run(f->loop);
	assert_true(f->has_failed[0]);
	assert_false(f->has_failed[1]);
}

/* The signer dies: what is under way fails, what comes is refused. */
static void
test_signer_dies(void **state)
{
	struct fixture *f = *state;
	struct bytes digest = {f->digest, sizeof(f->digest)};

	kill(f->pid, SIGSTOP);
	f->n_wanted = 300;
	for (uint64_t k = 0; k < 300; k++)
		ask(f, &f->inv.keys[0], k);
	kill(f->pid, SIGKILL);
	loop_run(f->loop);
	assert_int_equal(f->n_answers, 300);
	for (size_t k = 0; k < 300; k++)
		assert_true(f->has_failed[k]);
	assert_int_equal(signer_client_ask(f->client, 0, digest, 0),
	    -E_SYSTEM);
}

/* The client's queue is bounded, and a digest has 32 octets. */
static void
test_bounds(void **state)
{
	struct fixture *f = *state;
	struct bytes digest = {f->digest, sizeof(f->digest)};
	int n = 0;

	kill(f->pid, SIGSTOP);
	while (signer_client_ask(f->client, 0, digest, 0) == 0)
		assert_true(++n <= 4096);
	assert_true(n >= MANY);
	digest.n = 31;
	assert_int_equal(signer_client_ask(f->client, 0, digest, 0),
	    -E_SYSTEM);
	signer_client_free(&f->client);	/* with all of it under way */
	kill(f->pid, SIGCONT);
}

/* A worker that says something else is not listened to again. */
static void
test_wrong_size(void **state)
{
	static const size_t sizes[] = {1, sizeof(struct signer_request) - 1,
	    sizeof(struct signer_request) + 1, 5000};
	struct fixture *f = *state;
	uint8_t octets[5000] = {0};
	int pair[2];

	for (size_t k = 0; k < sizeof(sizes) / sizeof(*sizes); k++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair),
		    0);
		assert_int_equal(passfd_give(f->control, pair[1]), 0);
		close(pair[1]);
		assert_int_equal(send(pair[0], octets, sizes[k], 0), sizes[k]);
		assert_true(recv(pair[0], octets, sizeof(octets), 0) <= 0);
		close(pair[0]);
	}
	f->n_wanted = 1;	/* the others do not feel it */
	ask(f, &f->inv.keys[1], 0);
	loop_run(f->loop);
	assert_false(f->has_failed[0]);
}

/* What it asked before that is answered, in the same turn. */
static void
test_before_a_wrong_size(void **state)
{
	struct fixture *f = *state;
	struct signer_request q = {.key = 1};
	struct signer_reply a;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	for (q.tag = 0; q.tag < 3; q.tag++)
		assert_int_equal(send(pair[0], &q, sizeof(q), 0), sizeof(q));
	assert_int_equal(send(pair[0], &q, 1, 0), 1);
	assert_int_equal(send(pair[0], &q, sizeof(q), 0), sizeof(q));
	assert_int_equal(passfd_give(f->control, pair[1]), 0);
	close(pair[1]);
	for (uint64_t k = 0; k < 3; k++) {
		assert_int_equal(recv(pair[0], &a, sizeof(a), 0), sizeof(a));
		assert_int_equal(a.tag, k);
		assert_int_equal(a.n, 64);
	}
	assert_true(recv(pair[0], &a, sizeof(a), 0) <= 0);
	close(pair[0]);
}

/* Nothing of one answer is in the next. */
static void
test_a_refusal_holds_nothing(void **state)
{
	static const uint8_t zero[sizeof(((struct signer_reply *)0)->signature)];
	struct fixture *f = *state;
	struct signer_request q = {.tag = 0};
	struct signer_reply a[32];
	ssize_t got[32];
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	for (int k = 0; k < 32; k++) {
		q.key = k < 16 ? 1 : 3;		/* there is no 3 */
		assert_int_equal(send(pair[0], &q, sizeof(q), 0), sizeof(q));
	}
	assert_int_equal(passfd_give(f->control, pair[1]), 0);
	close(pair[1]);
	for (int k = 0; k < 32; k++)
		got[k] = recv(pair[0], &a[k], sizeof(a[k]), 0);
	close(pair[0]);		/* or a failure would wait for the signer */
	for (int k = 0; k < 32; k++) {
		assert_int_equal(got[k], sizeof(a[k]));
		assert_int_equal(a[k].n, k < 16 ? 64 : 0);
		if (k >= 16)
			assert_memory_equal(a[k].signature, zero,
			    sizeof(zero));
	}
}

/* The master may go; workers are served until they go too. */
static void
test_master_gone(void **state)
{
	struct fixture *f = *state;

	close(f->control);
	f->control = -1;
	f->n_wanted = 1;
	ask(f, &f->inv.keys[2], 0);
	loop_run(f->loop);
	assert_false(f->has_failed[0]);
}

static void
refused(struct fixture *f, const char *what)
{
	char text[2048] = "";
	struct buf b = BUF_ON(text);
	struct signer_keys *k;

	b.cap--;
	k = signer_keys_load(f->folder, (unsigned)-1, complain, &b);
	assert_null(k);
	if (strstr(text, what) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", what, text);
}

/* P3: what is not safe, no key, or too weak is refused, each by its name. */
static void
test_refused_keys(void **state)
{
	struct fixture *f = *state;
	char other[128];
	uint8_t pem[4096];
	struct buf b = BUF_ON(pem);

	chmod(f->path[0], 0644);
	chmod(f->path[2], 0660);
	refused(f, "a.example/ed.pem");
	refused(f, "b.example/two.pem");
	chmod(f->path[0], 0600);
	chmod(f->path[2], 0600);

	snprintf(other, sizeof(other), "%s/a.example/ED.pem", f->folder);
	assert_int_equal(dkim2_private_key_pem(f->keys[0], &b), 0);
	write_file(other, buf_bytes(&b), 0600);
	refused(f, "same domain and selector");
	unlink(other);

	write_file(f->path[1], BYTES_LIT("no key\n"), 0600);
	refused(f, "b.example/one.pem");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, finish)
	const struct CMUnitTest tests[] = {
		TEST(test_inventory), TEST(test_sign_many),
		TEST(test_retired_keys_are_known),
		TEST(test_signers_have_the_same_keys),
		TEST(test_no_such_key), TEST(test_signer_dies),
		TEST(test_bounds), TEST(test_wrong_size),
		TEST(test_before_a_wrong_size),
		TEST(test_a_refusal_holds_nothing),
		TEST(test_master_gone), TEST(test_refused_keys),
	};

	if (sodium_init() < 0)
		return 1;
	signal(SIGPIPE, SIG_IGN);
	log_open("test");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
