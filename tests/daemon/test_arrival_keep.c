/* The keeper's judgement of arrivals, over a store and a folder of copies. */
#include "daemon/arrival_keep.h"

#include <sodium.h>
#include <sys/stat.h>

#include "daemon/relay_value.h"
#include "tests/daemon/store_kit.h"

struct fixture {
	struct kit *kit;
	struct copies *copies;
	struct arrival_keep *keep;
	int folder;			/* of copies */
	struct arrival record;		/* of the last FOUND */
	uint8_t octets[ARRIVAL_VALUE_MAX];
};

static int
start(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	void *kit;
	char path[128];

	assert_non_null(f);
	kit_start(&kit);
	f->kit = kit;
	snprintf(path, sizeof(path), "%s/" COPIES_NAME, f->kit->folder);
	assert_int_equal(mkdir(path, 0700), 0);
	f->folder = open(path, O_PATH | O_DIRECTORY);
	assert_true(f->folder >= 0);
	f->copies = copies_new(f->kit->folder);
	f->keep = arrival_keep_new(f->kit->store, f->copies);
	*state = f;
	return 0;
}

static int
stop(void **state)
{
	struct fixture *f = *state;
	void *kit = f->kit;

	arrival_keep_free(&f->keep);
	copies_free(&f->copies);
	close(f->folder);
	kit_stop(&kit);
	free(f);
	return 0;
}

/* ---- messages ------------------------------------------------------------ */

/* One write: names and keys are single letters. */
struct write {
	char name, chain, message, content;
	const char *rcpts;		/* with blanks between */
	enum dkim2_state full;
	char copy;			/* 0: none */
};

static struct memory_request
request(enum memory_op op, char key)
{
	struct memory_request q = {.op = (uint8_t)op, .tag = 7};

	memset(q.key, key, sizeof(q.key));
	return q;
}

static bool
take(struct fixture *f, const struct memory_request *q, struct bytes value,
    int64_t now_s, struct memory_response *a, struct bytes *out)
{
	struct claims_now now = {0, now_s};

	return arrival_keep_take(f->keep, q, value, now, a, out);
}

static enum arrival_status
write_at(struct fixture *f, const struct write *w, int64_t now_s)
{
	uint8_t room[MEMORY_WRITE_MAX], list[512];
	struct buf b = BUF_ON(room), rcpts = BUF_ON(list);
	struct memory_request q = request(MEMORY_OP_WRITE, w->chain);
	struct memory_write head;
	struct arrival a = {.time_s = now_s, .full = w->full,
	    .provisional = w->full, .mail_from = BYTES_LIT("<a@a.example>"),
	    .has_copy = w->copy != 0};
	struct bytes rest = bytes_of(w->rcpts), out;
	struct memory_response r;

	memset(head.message, w->message, sizeof(head.message));
	memset(head.name, w->name, sizeof(head.name));
	memset(a.header, w->content, sizeof(a.header));
	memset(a.copy, w->copy, sizeof(a.copy));
	a.client[0] = (uint8_t)w->name;
	while (rest.n != 0)
		relay_value_add_rcpt(&rcpts, bytes_cut(&rest, ' '));
	a.rcpts = buf_bytes(&rcpts);
	buf_add(&b, (struct bytes){(uint8_t *)&head, sizeof(head)});
	arrival_value_write(&a, &b);
	assert_false(b.full);
	q.n_value = (uint16_t)b.n;
	assert_true(take(f, &q, buf_bytes(&b), now_s, &r, &out));
	assert_int_equal(r.tag, 7);
	assert_true(r.is_arrival);
	assert_int_equal(r.n_value, 0);
	return (enum arrival_status)r.status;
}

static void
kept(struct fixture *f, const struct write *w)
{
	assert_int_equal(write_at(f, w, NOW), ARRIVAL_KEPT);
}

static void
remove_write(struct fixture *f, char name)
{
	struct memory_request q = request(MEMORY_OP_REMOVE, name);
	struct memory_response r;
	struct bytes out;

	assert_false(take(f, &q, (struct bytes){NULL, 0}, NOW, &r, &out));
}

static enum arrival_status
find_at(struct fixture *f, enum memory_op op, char key, int64_t now_s)
{
	struct memory_request q = request(op, key);
	struct memory_response r;
	struct bytes out;

	assert_true(take(f, &q, (struct bytes){NULL, 0}, now_s, &r, &out));
	assert_true(r.is_arrival);
	assert_int_equal(r.n_value, out.n);
	assert_int_equal(r.status == ARRIVAL_FOUND, out.n != 0);
	if (out.n != 0) {
		memcpy(f->octets, out.p, out.n);
		assert_true(arrival_value_parse((struct bytes){f->octets,
		    out.n}, &f->record));
	}
	return (enum arrival_status)r.status;
}

/* What a chain is found with: the youngest's name, and the recipients. */
static void
found(struct fixture *f, enum memory_op op, char key, char name,
    const char *rcpts)
{
	char text[512] = "";
	struct bytes list, path;

	assert_int_equal(find_at(f, op, key, NOW), ARRIVAL_FOUND);
	assert_int_equal(f->record.client[0], name);
	list = f->record.rcpts;
	while (relay_value_next_rcpt(&list, &path))
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
		    "%s%.*s", *text == '\0' ? "" : " ", BYTES_FMT(path));
	assert_string_equal(text, rcpts);
}

static void
none(struct fixture *f, enum memory_op op, char key)
{
	assert_int_equal(find_at(f, op, key, NOW), ARRIVAL_NONE);
}

static void
make_copy(struct fixture *f, char copy)
{
	char path[64], octets[600] = "octets";
	int fd;

	for (int k = 0; k < 16; k++)
		snprintf(path + 2 * k, 3, "%02x", (unsigned)copy);
	fd = openat(f->folder, path, O_CREAT | O_EXCL | O_WRONLY, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, octets, sizeof(octets)), sizeof(octets));
	close(fd);
}

/* What the keeper does behind a turn. Whether a copy is there then. */
static bool
is_copy_left(struct fixture *f, char copy)
{
	const uint8_t (*names)[STORE_KEY_SIZE];
	uint8_t name[STORE_KEY_SIZE];
	size_t n;

	kit_commit(f->kit, NOW);
	n = store_arrival_dropped(f->kit->store, &names);
	for (size_t k = 0; k < n; k++)
		if (store_arrival_has_copy(f->kit->store, names[k]) == 0)
			copies_remove(f->copies, names[k]);
	memset(name, copy, sizeof(name));
	return copies_size(f->copies, name) != 0;
}

#define CHAIN MEMORY_OP_FIND_CHAIN
#define MESSAGE MEMORY_OP_FIND_MESSAGE

/* ---- tests --------------------------------------------------------------- */

static void
found_by_chain_or_message(void **state)
{
	struct fixture *f = *state;

	kept(f, &(struct write){'1', 'a', 'm', 'x', "<r@l.example>",
	    DKIM2_PASS, 0});
	found(f, CHAIN, 'a', '1', "<r@l.example>");
	assert_int_equal(f->record.full, DKIM2_PASS);
	assert_int_equal(f->record.n_found, 0);
	found(f, MESSAGE, 'm', '1', "<r@l.example>");
	assert_int_equal(f->record.n_found, 1);
	found(f, CHAIN, 'a', '1', "<r@l.example>");
	assert_int_equal(f->record.n_found, 2);
	none(f, CHAIN, 'm');
	none(f, MESSAGE, 'a');
}

static void
writes_of_a_chain_are_joined(void **state)
{
	struct fixture *f = *state;

	kept(f, &(struct write){'1', 'a', 'm', 'x', "<r@l.example>",
	    DKIM2_PASS, 0});
	found(f, CHAIN, 'a', '1', "<r@l.example>");
	kept(f, &(struct write){'2', 'a', 'm', 'x',
	    "<s@l.example> <r@l.example>", DKIM2_PASS, 0});
	kept(f, &(struct write){'3', 'b', 'n', 'x', "<t@l.example>",
	    DKIM2_PASS, 0});
	found(f, CHAIN, 'a', '2', "<s@l.example> <r@l.example>");
	assert_int_equal(f->record.n_found, 1);
	/* what it added is taken back, and no more */
	remove_write(f, '2');
	found(f, CHAIN, 'a', '1', "<r@l.example>");
	assert_int_equal(f->record.n_found, 2);
	remove_write(f, '2');
	found(f, CHAIN, 'b', '3', "<t@l.example>");
	remove_write(f, '1');
	none(f, CHAIN, 'a');
	none(f, MESSAGE, 'm');
	remove_write(f, '3');
	none(f, CHAIN, 'b');
}

/* The same twice, one of which is refused. */
static void
what_was_written_twice_is_removed_twice(void **state)
{
	struct fixture *f = *state;
	struct write w = {'1', 'a', 'm', 'x', "<r@l.example>", DKIM2_PASS, 0};

	kept(f, &w);
	kept(f, &w);
	remove_write(f, '1');
	found(f, CHAIN, 'a', '1', "<r@l.example>");
	remove_write(f, '1');
	none(f, CHAIN, 'a');
}

static void
one_that_did_not_pass_counts(void **state)
{
	struct fixture *f = *state;

	kept(f, &(struct write){'1', 'a', 'm', 'x', "<r@l.example>",
	    DKIM2_PASS, 0});
	kept(f, &(struct write){'2', 'a', 'm', 'y', "<r@l.example>",
	    DKIM2_FAIL, 0});
	kept(f, &(struct write){'3', 'a', 'm', 'x', "<r@l.example>",
	    DKIM2_PASS, 0});
	found(f, CHAIN, 'a', '3', "<r@l.example>");
	assert_int_equal(f->record.full, DKIM2_FAIL);
	remove_write(f, '2');
	found(f, CHAIN, 'a', '3', "<r@l.example>");
	assert_int_equal(f->record.full, DKIM2_PASS);
}

/* Somebody may take the Message-ID of another. */
static void
other_messages_of_a_message_id_are_not_joined(void **state)
{
	struct fixture *f = *state;

	kept(f, &(struct write){'1', 'a', 'm', 'x', "<r@l.example>",
	    DKIM2_FAIL, 0});
	kept(f, &(struct write){'2', 'b', 'm', 'y', "<s@l.example>",
	    DKIM2_PASS, 0});
	found(f, MESSAGE, 'm', '2', "<s@l.example>");
	assert_int_equal(f->record.full, DKIM2_PASS);
}

static void
none_older_is_found(void **state)
{
	struct fixture *f = *state;
	struct write w = {'1', 'a', 'm', 'x', "<r@l.example>", DKIM2_PASS, 0};

	assert_int_equal(write_at(f, &w, NOW), ARRIVAL_KEPT);
	assert_int_equal(find_at(f, CHAIN, 'a', NOW + ARRIVAL_AGE_S - 1),
	    ARRIVAL_FOUND);
	assert_int_equal(find_at(f, CHAIN, 'a', NOW + ARRIVAL_AGE_S),
	    ARRIVAL_NONE);
	assert_int_equal(find_at(f, MESSAGE, 'm', NOW + ARRIVAL_AGE_S),
	    ARRIVAL_NONE);
}

/* ---- copies -------------------------------------------------------------- */

static void
one_copy_of_a_content_is_kept(void **state)
{
	struct fixture *f = *state;

	make_copy(f, 'A');
	make_copy(f, 'B');
	make_copy(f, 'C');
	kept(f, &(struct write){'1', 'a', 'm', 'x', "<r@l.example>",
	    DKIM2_PASS, 'A'});
	kept(f, &(struct write){'2', 'a', 'm', 'x', "<s@l.example>",
	    DKIM2_PASS, 'B'});
	kept(f, &(struct write){'3', 'a', 'm', 'y', "<t@l.example>",
	    DKIM2_FAIL, 'C'});
	assert_true(is_copy_left(f, 'A'));
	assert_false(is_copy_left(f, 'B'));
	assert_true(is_copy_left(f, 'C'));	/* of another content */
	remove_write(f, '3');
	assert_false(is_copy_left(f, 'C'));
	found(f, CHAIN, 'a', '2', "<s@l.example> <r@l.example>");
	assert_true(f->record.has_copy);
	assert_int_equal(f->record.copy[0], 'A');
	/* it goes on to the next that may need it */
	remove_write(f, '1');
	assert_true(is_copy_left(f, 'A'));
	found(f, CHAIN, 'a', '2', "<s@l.example>");
	assert_int_equal(f->record.copy[0], 'A');
	remove_write(f, '2');
	assert_false(is_copy_left(f, 'A'));
}

/* A writer may make one file part of many records. */
static void
a_copy_of_many_stays(void **state)
{
	struct fixture *f = *state;

	make_copy(f, 'A');
	kept(f, &(struct write){'1', 'a', 'm', 'x', "<r@l.example>",
	    DKIM2_PASS, 'A'});
	kept(f, &(struct write){'2', 'a', 'm', 'x', "<s@l.example>",
	    DKIM2_PASS, 'A'});
	kept(f, &(struct write){'3', 'b', 'm', 'x', "<s@l.example>",
	    DKIM2_PASS, 'A'});
	assert_true(is_copy_left(f, 'A'));
	remove_write(f, '3');
	assert_true(is_copy_left(f, 'A'));
	remove_write(f, '1');
	assert_true(is_copy_left(f, 'A'));
}

static void
a_copy_that_is_gone_is_none(void **state)
{
	struct fixture *f = *state;

	kept(f, &(struct write){'1', 'a', 'm', 'x', "<r@l.example>",
	    DKIM2_PASS, 'A'});
	found(f, CHAIN, 'a', '1', "<r@l.example>");
	assert_false(f->record.has_copy);
}

/* Past the size the record goes on alone. */
static void
a_record_outlives_its_copy(void **state)
{
	struct fixture *f = *state;

	make_copy(f, 'A');
	kept(f, &(struct write){'1', 'a', 'm', 'x', "<r@l.example>",
	    DKIM2_PASS, 'A'});
	assert_true(is_copy_left(f, 'A'));
	store_free(&f->kit->store);
	f->kit->limits.arrival_size = 600;
	kit_open(f->kit, NOW);
	arrival_keep_free(&f->keep);
	f->keep = arrival_keep_new(f->kit->store, f->copies);
	found(f, CHAIN, 'a', '1', "<r@l.example>");
	assert_false(is_copy_left(f, 'A'));
	found(f, CHAIN, 'a', '1', "<r@l.example>");
	assert_false(f->record.has_copy);
}

/* ---- what fails ---------------------------------------------------------- */

static void
what_is_no_record_is_not_kept(void **state)
{
	struct fixture *f = *state;
	struct memory_request q = request(MEMORY_OP_WRITE, 'a');
	uint8_t room[sizeof(struct memory_write) + ARRIVAL_FIXED] = {0};
	struct memory_response r;
	struct bytes out;

	assert_true(take(f, &q, (struct bytes){room, sizeof(room)}, NOW, &r,
	    &out));
	assert_int_equal(r.status, ARRIVAL_OUT);
	none(f, CHAIN, 'a');
	q.op = MEMORY_OP_LOOK;
	assert_false(take(f, &q, (struct bytes){NULL, 0}, NOW, &r, &out));
}

static void
without_a_store_nothing_is_known(void **state)
{
	struct fixture *f = *state;
	struct write w = {'1', 'a', 'm', 'x', "<r@l.example>", DKIM2_PASS, 0};
	struct memory_response r = {.status = ARRIVAL_FOUND, .n_value = 9};

	store_free(&f->kit->store);
	arrival_keep_free(&f->keep);
	f->kit->store = store_new(f->kit->folder, &f->kit->limits,
	    f->kit->secret);	/* not open */
	f->keep = arrival_keep_new(f->kit->store, f->copies);
	assert_int_equal(write_at(f, &w, NOW), ARRIVAL_OUT);
	assert_int_equal(find_at(f, CHAIN, 'a', NOW), ARRIVAL_OUT);
	remove_write(f, '1');
	arrival_keep_fail(&r);
	assert_int_equal(r.status, ARRIVAL_OUT);
	assert_int_equal(r.n_value, 0);
}

/* Of very many writes of one message it takes some time, and no more. */
static void
many_writes_are_bounded(void **state)
{
	struct fixture *f = *state;
	char path[64];

	for (int n = 0; n < 700; n++) {
		uint8_t room[MEMORY_WRITE_MAX], list[64];
		struct buf b = BUF_ON(room), rcpts = BUF_ON(list);
		struct memory_request q = request(MEMORY_OP_WRITE, 'a');
		struct memory_write head = {.name = {0}};
		struct arrival a = {.time_s = NOW, .full = DKIM2_PASS};
		struct memory_response r;
		struct bytes out;

		memcpy(head.name, &n, sizeof(n));
		memset(head.message, 'm', sizeof(head.message));
		snprintf(path, sizeof(path), "<rcpt%d@l.example>", n);
		relay_value_add_rcpt(&rcpts, bytes_of(path));
		a.rcpts = buf_bytes(&rcpts);
		buf_add(&b, (struct bytes){(uint8_t *)&head, sizeof(head)});
		arrival_value_write(&a, &b);
		q.n_value = (uint16_t)b.n;
		assert_true(take(f, &q, buf_bytes(&b), NOW, &r, &out));
		assert_int_equal(r.status, ARRIVAL_KEPT);
	}
	assert_int_equal(find_at(f, CHAIN, 'a', NOW), ARRIVAL_FOUND);
	assert_in_range(f->record.rcpts.n, 256 * 18, ARRIVAL_RCPTS_MAX);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	static const struct CMUnitTest tests[] = {
		TEST(found_by_chain_or_message),
		TEST(writes_of_a_chain_are_joined),
		TEST(what_was_written_twice_is_removed_twice),
		TEST(one_that_did_not_pass_counts),
		TEST(other_messages_of_a_message_id_are_not_joined),
		TEST(none_older_is_found),
		TEST(one_copy_of_a_content_is_kept),
		TEST(a_copy_of_many_stays),
		TEST(a_copy_that_is_gone_is_none),
		TEST(a_record_outlives_its_copy),
		TEST(what_is_no_record_is_not_kept),
		TEST(without_a_store_nothing_is_known),
		TEST(many_writes_are_bounded),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
