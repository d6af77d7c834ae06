/* Changes of queue files in place, and what statuses and replies say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/queue/kit_file.h"

static void
apply(const struct queue_patch *p)
{
	assert_true(p->n <= sizeof(p->octets));
	memcpy(octets + p->at, p->octets, p->n);
}

static void
a_patch_is_what_is_read(void **state)
{
	struct arena *a = arena_new(1U << 17);
	struct kit_message k;
	struct queue_message m, again;
	struct queue_patch p;
	struct queue_rcpt *r;
	struct bytes head;

	(void)state;
	kit_message_init(&k);
	head = write_head(&k.m);
	assert_int_equal(queue_file_parse(head, a, &m), 0);
	for (enum queue_status s = QUEUE_WAITING; s <= QUEUE_TOLD; s++) {
		r = &m.copies[s % 2].rcpts[0];
		r->status = s;
		r->tries = QUEUE_TRIES_MAX - s;
		r->due_s = QUEUE_TIME_MAX - s;
		r->reply = BYTES_LIT("250 2.0.0 Ok");
		queue_file_patch_rcpt(r, &p);
		apply(&p);
		m.is_held = s % 2 != 0;
		queue_file_patch_hold(&m, &p);
		apply(&p);
		m.again_s = QUEUE_TIME_MAX - 2 * s;
		queue_file_patch_again(&m, &p);
		apply(&p);
		/* The views of m may be into what was patched. */
		m.copies[(s + 1) % 2].rcpts[0].reply = s == 0 ?
		    (struct bytes){NULL, 0} : BYTES_LIT("250 2.0.0 Ok");
		if (s == 0)
			continue;
		assert_int_equal(queue_file_parse(head, a, &again), 0);
		assert_message(&again, &m);
	}
	arena_free(&a);
}

static void
a_reply_is_made_printable_and_cut(void **state)
{
	static const struct {
		const char *in, *out;
	} row[] = {
		{"550-5.1.1 no\r\n550 5.1.1 such\tuser",
		    "550-5.1.1 no  550 5.1.1 such user"},
		{"550 \xc3\xa9\x1b[2J\x7f", "550 ???[2J?"},
		{"", ""}, {"   ", ""}, {"250 ok  ", "250 ok"}, {" x", " x"},
	};
	struct arena *a = arena_new(1U << 16);
	uint8_t many[QUEUE_REPLY_SIZE + 9];
	struct kit_message k;
	struct queue_message m;
	struct queue_patch p;

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		kit_message_init(&k);
		k.rcpts[1].reply = bytes_of(row[i].in);
		assert_int_equal(queue_file_parse(write_head(&k.m), a, &m), 0);
		assert_bytes(m.copies[0].rcpts[1].reply,
		    bytes_of(row[i].out));
	}
	memset(many, 'x', sizeof(many));
	m.copies[0].rcpts[1].reply = (struct bytes){many, sizeof(many)};
	m.copies[0].rcpts[1].tries = QUEUE_TRIES_MAX + 1;
	m.copies[0].rcpts[1].due_s = INT64_MAX;
	queue_file_patch_rcpt(&m.copies[0].rcpts[1], &p);
	apply(&p);
	assert_int_equal(queue_file_parse(bytes_first((struct bytes){octets,
	    sizeof(octets)}, (size_t)m.copies[0].added_at), a, &m), 0);
	assert_bytes(m.copies[0].rcpts[1].reply,
	    (struct bytes){many, QUEUE_REPLY_SIZE});
	assert_int_equal(m.copies[0].rcpts[1].tries, QUEUE_TRIES_MAX);
	assert_int_equal(m.copies[0].rcpts[1].due_s, QUEUE_TIME_MAX);
	m.copies[0].rcpts[1].due_s = -1;
	queue_file_patch_rcpt(&m.copies[0].rcpts[1], &p);
	assert_memory_equal(p.octets + 1, " 9999 0000000000 xx", 19);
	arena_free(&a);
}

/* A kill may leave the first octets of a change, with the old ones behind. */
static void
a_change_that_is_half_written_still_reads(void **state)
{
	struct arena *a = arena_new(1U << 20);
	struct kit_message k;
	struct queue_message m, half;
	struct queue_patch p;
	struct bytes head;

	(void)state;
	kit_message_init(&k);
	head = write_head(&k.m);
	assert_int_equal(queue_file_parse(head, a, &m), 0);
	m.copies[0].rcpts[0].status = QUEUE_FAILED;
	m.copies[0].rcpts[0].due_s = 0;
	m.copies[0].rcpts[0].reply = BYTES_LIT("554 5.7.1 No");
	queue_file_patch_rcpt(&m.copies[0].rcpts[0], &p);
	for (size_t n = 1; n <= p.n; n++) {
		memcpy(octets + p.at, p.octets, n);
		arena_reset(a);
		assert_int_equal(queue_file_parse(head, a, &half), 0);
		assert_int_equal(half.copies[0].rcpts[0].status, QUEUE_FAILED);
	}
	arena_free(&a);
}

static void
fields_of_fixed_width_may_be_anything(void **state)
{
	struct arena *a = arena_new(1U << 17);
	struct kit_message k;
	struct queue_message m;
	struct queue_rcpt *r;
	struct bytes head;

	(void)state;
	kit_message_init(&k);
	head = write_head(&k.m);
	assert_int_equal(queue_file_parse(head, a, &m), 0);
	octets[m.copies[1].rcpts[0].at] = '\0';
	memcpy(octets + m.copies[0].rcpts[0].at, "f 00x3 -000000001", 17);
	octets[m.copies[0].rcpts[0].reply_at + 3] = '\n';
	octets[m.hold_at] = 'x';
	octets[m.again_at + 9] = 'x';
	assert_int_equal(queue_file_parse(head, a, &m), 0);
	r = &m.copies[0].rcpts[0];
	assert_int_equal(m.copies[1].rcpts[0].status, QUEUE_UNSURE);
	assert_int_equal(r->status, QUEUE_FAILED);
	assert_int_equal(r->tries, 0);
	assert_int_equal(r->due_s, 0);
	assert_int_equal(r->reply.n, 0);
	assert_false(m.is_held);
	assert_int_equal(m.again_s, 0);
	octets[m.hold_at] = 'H';
	assert_int_equal(queue_file_parse(head, a, &m), 0);
	assert_true(m.is_held);
	arena_free(&a);
}

/* ---- the small questions ------------------------------------------------- */

static void
ids(void **state)
{
	static const char *const not[] = {
		"", "A", "a.b", ".", "..", "a/b", "a b", "a-b", "a\n",
		"123456789012345678901234567890123", "\xc3\xa9",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(not) / sizeof(not[0]); i++)
		assert_false(queue_id_is(bytes_of(not[i])));
	assert_true(queue_id_is(BYTES_LIT("0")));
	assert_true(queue_id_is(BYTES_LIT("z")));
	assert_true(queue_id_is(BYTES_LIT("12345678901234567890123456789012")));
	assert_false(queue_id_is(BYTES_LIT("a\0")));
}

static void
statuses(void **state)
{
	static const struct {
		enum queue_status status;
		char octet;
		const char *name;
		bool is_open, is_over;
	} row[] = {
		{QUEUE_WAITING, 'q', "queued", true, false},
		{QUEUE_UNSURE, 'u', "unsure", true, false},
		{QUEUE_DELIVERED, 'd', "delivered", false, true},
		{QUEUE_FAILED, 'f', "failed", false, false},
		{QUEUE_EXPIRED, 'e', "expired", false, false},
		{QUEUE_TELLING_FAILED, 'g', "failed", false, false},
		{QUEUE_TELLING_EXPIRED, 'x', "expired", false, false},
		{QUEUE_TOLD, 'r', "reported", false, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		assert_int_equal(queue_status_octet(row[i].status),
		    row[i].octet);
		assert_string_equal(queue_status_name(row[i].status),
		    row[i].name);
		assert_int_equal(queue_status_is_open(row[i].status),
		    row[i].is_open);
		assert_int_equal(queue_status_is_over(row[i].status),
		    row[i].is_over);
		assert_int_equal(queue_status_is_failed(row[i].status),
		    !row[i].is_open && !row[i].is_over);
	}
}

/* Q5 */
static void
duplicates(void **state)
{
	static const struct {
		int code;
		const char *text;
		bool want;
	} row[] = {
		{550, "5.7.1 Duplicate message with no exploded flag", true},
		{500, "DUPLICATE MESSAGE", true},
		{599, "5.7.1 it Is A Duplicate", true},
		{450, "4.7.1 duplicate message", false},
		{250, "duplicate message", false},
		{600, "duplicate message", false},
		{499, "duplicate message", false},
		{0, "duplicate message", false},
		{550, "5.1.1 User unknown", false},
		{550, "duplicate messag", false}, {550, "", false},
		/* of something else */
		{554, "duplicate", false},
		{550, "5.7.1 This message has duplicate header fields (From)",
		    false},
		{554, "5.6.0 duplicate Message-ID header", false},
		{554, "5.6.0 duplicate message-id", false},
		{554, "5.6.0 Duplicate message headers", false},
		{554, "5.6.0 the From field is a duplicate", false},
		{550, "5.1.1 duplicate recipient entry", false},
		{550, "5.1.4 this recipient is a duplicate", false},
		{550, "5.1.4 the address is a duplicate", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		assert_int_equal(queue_is_duplicate(row[i].code,
		    bytes_of(row[i].text)), row[i].want);
	assert_false(queue_is_duplicate(550, (struct bytes){NULL, 0}));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_patch_is_what_is_read),
		cmocka_unit_test(a_reply_is_made_printable_and_cut),
		cmocka_unit_test(a_change_that_is_half_written_still_reads),
		cmocka_unit_test(fields_of_fixed_width_may_be_anything),
		cmocka_unit_test(ids),
		cmocka_unit_test(statuses),
		cmocka_unit_test(duplicates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
