/* Queue files: what is written reads the same, all else is refused. Q7 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/err.h"
#include "tests/queue/kit_file.h"

#define LONG_ARENA (64U << 20)

#define REST "                                                  "
#define PADDING REST REST REST

/* The format is a promise to the next version and to operators. */
static void
the_octets_of_a_head(void **state)
{
	static const char want[] =
	    "hopseal-queue 2 00001328 12 20480\n"
	    "id 4fqk2x9a\n"
	    "hold -\n"
	    "again 0000000000\n"
	    "listener lists out\n"
	    "arrived 1795664000\n"
	    "signed 1795663990\n"
	    "client [10.0.8.7]:4321\n"
	    "mail-from <owner@one.example>\n"
	    "ret HDRS\n"
	    "envid QQ314159\n"
	    "digest 9f86d081884c7d659a2feaa0c55ad015\n"
	    "body 8bitmime\n"
	    "smtputf8 no\n"
	    "report <alice@one.example> as=one.example\n"
	    "returned 512 480\n"
	    "about 4fqk2x8z\n"
	    "count 2 3\n"
	    "copy 9 mail-from=<owner+1@one.example> "
	    "signed=\"signed=yes d=one.example\"\n"
	    "rcpt <bob@two.example> to=<bob@one.example> "
	    "notify=SUCCESS,FAILURE orcpt=rfc822;bob@one.example\n"
	    " q 0003 1795664097 450 4.2.0 Mailbox busy                      "
	    "      " PADDING "\n"
	    "rcpt <\"carol x> \\\" y\"@two.example> to=<j\xc3\xb6rg@two.example>\n"
	    " u 0003 1795664097 lost behind the final dot                   "
	    "      " PADDING "\n"
	    "copy 3 mail-from=<> signed=\"signed=no (\"why\")\"\n"
	    "rcpt <postmaster> to=<dave@[192.0.2.7]>\n"
	    " d 0003 1795664097 " REST PADDING "\n"
	    "\n";
	struct kit_message k;
	struct bytes head;

	(void)state;
	kit_message_init(&k);
	head = write_head(&k.m);
	assert_int_equal(head.n, sizeof(want) - 1);
	assert_memory_equal(head.p, want, sizeof(want) - 1);
}

static void
what_is_written_reads_the_same(void **state)
{
	struct arena *a = arena_new(1U << 16);
	struct kit_message k;
	struct queue_message m;
	struct bytes head;

	(void)state;
	kit_message_init(&k);
	head = write_head(&k.m);
	assert_int_equal(queue_file_head(bytes_first(head, 64)), head.n);
	assert_int_equal(queue_file_parse(head, a, &m), 0);
	assert_message(&m, &k.m);
	assert_int_equal(m.copies[0].added_at, head.n);
	assert_int_equal(m.copies[1].added_at, head.n + 9);
	assert_int_equal(m.content_at, head.n + 12);
	assert_int_equal(m.returned_at, head.n + 12 + 20480);
	assert_int_equal(m.n_file, head.n + 12 + 20480 + 512);
	/* The little there may be. */
	k.m.client = k.m.ret = k.m.envid = k.m.digest = (struct bytes){NULL, 0};
	k.m.is_8bit = false;
	k.m.is_utf8 = k.m.is_held = true;
	k.copies[0].signed_as = k.rcpts[0].notify = (struct bytes){NULL, 0};
	k.copies[1].added.n = 0;
	k.m.n_content = k.m.n_returned = k.m.body_at = 0;
	k.m.report_as = k.m.about = (struct bytes){NULL, 0};
	assert_int_equal(queue_file_parse(write_head(&k.m), a, &m), 0);
	assert_message(&m, &k.m);
	k.m.report_to = (struct bytes){NULL, 0};
	k.m.report_why = BYTES_LIT("nobody <knows>");
	assert_int_equal(queue_file_parse(write_head(&k.m), a, &m), 0);
	assert_message(&m, &k.m);
	k.m.report_why = (struct bytes){NULL, 0};
	assert_int_equal(queue_file_parse(write_head(&k.m), a, &m), 0);
	assert_message(&m, &k.m);
	arena_free(&a);
}

static void
behind_what_stands_there_already(void **state)
{
	struct arena *a = arena_new(1U << 16);
	struct buf out = BUF_ON(octets);
	struct kit_message k;
	struct queue_message m;

	(void)state;
	kit_message_init(&k);
	buf_add_str(&out, "before");
	assert_int_equal(queue_file_write(&k.m, &out), 0);
	assert_memory_equal(out.p, "before", 6);
	assert_int_equal(
	    queue_file_parse(bytes_skip(buf_bytes(&out), 6), a, &m), 0);
	arena_free(&a);
}

static void
room_that_is_short_is_told(void **state)
{
	struct kit_message k;
	struct bytes head;

	(void)state;
	kit_message_init(&k);
	head = write_head(&k.m);
	for (size_t room = 0; room < head.n; room++) {
		struct buf out = {octets, 0, room, false};

		assert_int_equal(queue_file_write(&k.m, &out), -E_LIMIT);
	}
}

/* A spool of before is delivered on, and changed in place. */
static void
version_1_is_read(void **state)
{
	static const char text[] =
	    "hopseal-queue 1 00000511 7 9\n"
	    "id 4fqk2x9a\n"
	    "hold -\n"
	    "again 0000000000\n"
	    "listener l\n"
	    "arrived 1795664000\n"
	    "signed 1795663990\n"
	    "client\n"
	    "mail-from <owner@one.example>\n"
	    "ret\n"
	    "envid\n"
	    "digest\n"
	    "body 7bit\n"
	    "smtputf8 no\n"
	    "count 1 1\n"
	    "copy 7 mail-from=<owner@one.example> signed=\"\"\n"
	    "rcpt <bob@two.example> to=<bob@two.example>\n"
	    " f 0003 1795664097 " REST PADDING "\n"
	    "\n";
	struct bytes head = {(const uint8_t *)text, sizeof(text) - 1};
	struct arena *a = arena_new(1U << 16);
	struct queue_message m;

	(void)state;
	assert_int_equal(queue_file_head(bytes_first(head, 64)), head.n);
	assert_int_equal(queue_file_parse(head, a, &m), 0);
	assert_int_equal(m.copies[0].rcpts[0].status, QUEUE_FAILED);
	assert_int_equal(m.report_to.n, 0);
	assert_bytes(m.report_why, BYTES_LIT("an earlier version took it"));
	assert_int_equal(m.n_returned, 0);
	assert_int_equal(m.n_file, head.n + 7 + 9);
	arena_free(&a);
}

/* ---- what is not written ------------------------------------------------- */

static void
not_written(void **state)
{
	static const char *const paths[] = {
		"", "<", "bob@x", "<bob@x", "bob@x>", "<bob@x> ", "<b ob@x>",
		"<bob@x>y", "<bo\nb@x>", "<\"bo\nb\"@x>", "<\"bob@x>",
		"<\"bob\\", "<\"bob\\\n\"@x>", "<b\x7f@x>", "<b\xff@x>",
		"<b\xc3>", "<<bob@x>", "<>>",
	};
	static const char *const tokens[] = {"a b", "a\nb", "\x01", "\xff"};
	struct buf out = BUF_ON(octets);
	struct kit_message k;

	(void)state;
#define REFUSED(field, value) do { \
	kit_message_init(&k); \
	(field) = (value); \
	out = (struct buf)BUF_ON(octets); \
	assert_int_equal(queue_file_write(&k.m, &out), -E_SYNTAX); \
} while (0)
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		REFUSED(k.m.mail_from, bytes_of(paths[i]));
		REFUSED(k.copies[1].mail_from, bytes_of(paths[i]));
		REFUSED(k.rcpts[2].path, bytes_of(paths[i]));
		REFUSED(k.rcpts[2].to, bytes_of(paths[i]));
	}
	REFUSED(k.rcpts[1].path, BYTES_LIT("<>"));
	REFUSED(k.rcpts[1].to, BYTES_LIT("<>"));
	for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
		REFUSED(k.m.ret, bytes_of(tokens[i]));
		REFUSED(k.m.envid, bytes_of(tokens[i]));
		REFUSED(k.m.id, bytes_of(tokens[i]));
		REFUSED(k.rcpts[0].notify, bytes_of(tokens[i]));
		REFUSED(k.rcpts[0].orcpt, bytes_of(tokens[i]));
	}
	REFUSED(k.m.listener, BYTES_LIT(""));
	REFUSED(k.m.listener, BYTES_LIT("a\nb"));
	REFUSED(k.m.client, BYTES_LIT("a\nb"));
	REFUSED(k.m.client, BYTES_LIT("a\0b"));
	REFUSED(k.copies[0].signed_as, BYTES_LIT("a\nb"));
	REFUSED(k.m.arrived_s, -1);
	REFUSED(k.m.arrived_s, QUEUE_TIME_MAX + 1);
	REFUSED(k.m.again_s, -1);
	REFUSED(k.m.again_s, INT64_MAX);
	REFUSED(k.m.signed_s, -1);
	REFUSED(k.m.signed_s, INT64_MAX);
	REFUSED(k.rcpts[0].due_s, -1);
	REFUSED(k.rcpts[0].due_s, QUEUE_TIME_MAX + 1);
	REFUSED(k.rcpts[0].tries, QUEUE_TRIES_MAX + 1);
	REFUSED(k.rcpts[0].status, (enum queue_status)(QUEUE_TOLD + 1));
	REFUSED(k.m.report_to, BYTES_LIT("<>"));
	REFUSED(k.m.report_to, BYTES_LIT("alice"));
	REFUSED(k.m.report_as, BYTES_LIT("a b"));
	REFUSED(k.m.report_why, BYTES_LIT("a\nb"));
	REFUSED(k.m.about, BYTES_LIT("../x"));
	REFUSED(k.m.body_at, 20481);
	REFUSED(k.m.n_copies, 0);
	REFUSED(k.copies[1].n_rcpts, 0);
}

static void
bounds_of_what_is_written(void **state)
{
	static uint8_t many[QUEUE_FIELD_MAX + 1];
	struct buf out = BUF_ON(octets);
	struct arena *a = arena_new(1U << 16);
	struct bytes most = {many, QUEUE_FIELD_MAX};
	const struct bytes over = {many, QUEUE_FIELD_MAX + 1};
	struct kit_message k;
	struct queue_message m;

	(void)state;
	memset(many, 'a', sizeof(many));
#define LIMITED(field, value) do { \
	kit_message_init(&k); \
	(field) = (value); \
	out = (struct buf)BUF_ON(octets); \
	assert_int_equal(queue_file_write(&k.m, &out), -E_LIMIT); \
} while (0)
	LIMITED(k.m.listener, over);
	LIMITED(k.m.client, over);
	LIMITED(k.m.mail_from, over);
	LIMITED(k.m.ret, over);
	LIMITED(k.m.envid, over);
	LIMITED(k.copies[0].mail_from, over);
	LIMITED(k.copies[0].signed_as, over);
	LIMITED(k.rcpts[0].path, over);
	LIMITED(k.rcpts[0].to, over);
	LIMITED(k.rcpts[0].notify, over);
	LIMITED(k.rcpts[0].orcpt, over);
	LIMITED(k.m.digest, bytes_first(over, 65));
	LIMITED(k.m.n_content, QUEUE_PART_MAX + 1);
#if SIZE_MAX > UINT32_MAX	/* else no copy can be larger */
	LIMITED(k.copies[1].added.n, (size_t)-1);
#endif
	LIMITED(k.m.n_copies, QUEUE_COPIES_MAX + 1);
	LIMITED(k.copies[0].n_rcpts, QUEUE_RCPTS_MAX + 1);
	LIMITED(k.copies[1].n_rcpts, QUEUE_RCPTS_MAX - 1);
	kit_message_init(&k);
	k.m.id = BYTES_LIT("12345678901234567890123456789012");
	k.m.listener = k.m.envid = k.rcpts[0].orcpt = most;
	k.m.digest = bytes_first(over, 64);
	k.m.n_content = QUEUE_PART_MAX;
	k.m.arrived_s = k.rcpts[0].due_s = QUEUE_TIME_MAX;
	k.rcpts[0].tries = QUEUE_TRIES_MAX;
	many[0] = '<';
	many[QUEUE_FIELD_MAX - 1] = '>';
	k.rcpts[1].path = most;
	k.rcpts[1].to = BYTES_LIT("<x>");
	k.m.ret = BYTES_LIT("F");
	assert_int_equal(queue_file_parse(write_head(&k.m), a, &m), 0);
	assert_message(&m, &k.m);
	arena_free(&a);
}

static void
ten_thousand_recipients(void **state)
{
	struct arena *a = arena_new(LONG_ARENA);
	struct queue_rcpt *rcpts = arena_array(a, QUEUE_RCPTS_MAX,
	    sizeof(*rcpts));
	struct queue_copy *copies = arena_array(a, QUEUE_COPIES_MAX,
	    sizeof(*copies));
	struct queue_message m;
	struct kit_message k;
	struct buf out;

	(void)state;
	kit_message_init(&k);
	for (size_t i = 0; i < QUEUE_RCPTS_MAX; i++) {
		rcpts[i] = k.rcpts[i % 3];
		copies[i] = k.copies[i % 2];
		copies[i].rcpts = &rcpts[i];
		copies[i].n_rcpts = 1;
	}
	k.m.copies = copies;
	k.m.n_copies = QUEUE_COPIES_MAX;
	assert_int_equal(arena_room(a, queue_file_room(&k.m), &out), 0);
	assert_int_equal(queue_file_write(&k.m, &out), 0);
	assert_int_equal(queue_file_parse(buf_bytes(&out), a, &m), 0);
	assert_message(&m, &k.m);
	arena_free(&a);
}

/* ---- what is not read ---------------------------------------------------- */

/* Parses the octets with one piece of them replaced, and the size of the head
 * told as it is then. */
static int
parse_with(struct bytes head, const char *old, const char *new)
{
	struct arena *a = arena_new(1U << 18);
	size_t at = bytes_find(head, bytes_of(old));
	struct queue_message m;
	struct buf out;
	char digits[24];
	int e;

	assert_true(at < head.n);
	assert_int_equal(arena_buf(a, head.n + strlen(new), &out), 0);
	buf_add(&out, bytes_first(head, at));
	buf_add_str(&out, new);
	buf_add(&out, bytes_skip(head, at + strlen(old)));
	snprintf(digits, sizeof(digits), "%08zu", out.n);
	if (at > 16)
		memcpy(out.p + 16, digits, 8);
	e = queue_file_parse(buf_bytes(&out), a, &m);
	arena_free(&a);
	return e;
}

static void
not_read(void **state)
{
	static const struct {
		const char *old, *new;
	} row[] = {
		{"hopseal-queue 2", "hopseal-queue 01"},
		{"hopseal-queue 2", "hopseal-queue"},
		{"hopseal-queue 2", "hopseal-queue one"},
		{"hopseal-queue 2 ", "hopseal-queue 2\t"},
		{"hopseal-queue 2 ", "hopseal-queue 2 0"},
		{"hopseal-queue 2 0", "hopseal-queue 2 "},
		{" 12 20480\n", " 012 20480\n"}, {" 12 20480\n", " 12 020480\n"},
		{"12 20480\n", "12  20480\n"}, {"12 20480\n", "12 20480 \n"},
		{"12 20480\n", "12 20480\r\n"}, {"12 20480\n", "11 20480\n"},
		{"12 20480\n", "13 20480\n"}, {"12 20480\n", "12 -1\n"},
		{"12 20480\n", "12 1000000000000000\n"},
		{"12 20480\n", "12 99999999999999999999999\n"},
		{"id 4fqk2x9a", "id 4fqk2X9a"}, {"id 4fqk2x9a", "id"},
		{"id 4fqk2x9a", "id ../../etc"}, {"id 4", "id  4"},
		{"id 4", "i 4"}, {"id 4", "\nid 4"}, {"id 4fqk2x9a\n", ""},
		{"hold -\n", ""}, {"hold -\n", "hold\n"}, {"hold -\n", "hold --\n"},
		{"hold -\n", "hold -\nhold -\n"},
		{"again 0000000000\n", ""}, {"again 0", "again "},
		{"again 0", "again 00"},
		{"listener lists out", "listener"},
		{"listener lists out", "listener "},
		{"listener lists out", "listener a\x01"},
		{"listener lists out", "listenera"},
		{"listener ", "listener\t"},
		{"report <alice@one.example> as=one.example\n", ""},
		{"report <alice", "report alice"}, {"report <alice@one.example>", "report <>"},
		{"report <alice@one.example> as=one.example", "report -"},
		{"report <alice@one.example> as=one.example", "report - "},
		{"report <alice@one.example> as=one.example", "report -x"},
		{" as=one", " as= one"}, {" as=one", "  as=one"},
		{" as=one.example\n", " as=one.example x\n"},
		{"returned 512 480\n", ""}, {"returned 512", "returned"},
		{"returned 512", "returned 0512"}, {"returned 512 480", "returned 512"},
		{"returned 512 480", "returned 512 480 "},
		{"returned 512 480", "returned 512 20481"},
		{"about 4fqk2x8z\n", ""}, {"about 4fqk2x8z", "about ../x"},
		{"about 4fqk2x8z", "about "},
		{"arrived 1", "arrived 01"}, {"arrived 1", "arrived -1"},
		{"arrived 1795664000", "arrived 10000000000"},
		{"arrived 1795664000", "arrived"},
		{"arrived 1795664000", "arrived 1795664000 "},
		{"arrived ", "signed "}, {"signed 1", "signed +1"},
		{"client [10", "client \x7f"}, {"client [10", "client \xff"},
		{"mail-from <owner@one.example>\n", "mail-from\n"},
		{"mail-from <owner@one.example>\n", "mail-from <owner@one.example\n"},
		{"mail-from <owner@one.example>\n",
		    "mail-from <owner@one.example> \n"},
		{"ret HDRS", "ret HD RS"}, {"ret HDRS", "ret "},
		{"ret HDRS\n", ""}, {"envid QQ", "envid Q Q"},
		{"digest 9f", "digest 9F"}, {"digest 9f", "digest 9"},
		{"digest 9f", "digest 9g"}, {"digest 9f", "digest g9"},
		{"body 8bitmime", "body 8BITMIME"}, {"body 8bitmime", "body"},
		{"smtputf8 no", "smtputf8 maybe"}, {"smtputf8 no\n", ""},
		{"count 2 3", "count 2 4"}, {"count 2 3", "count 2 2"},
		{"count 2 3", "count 1 3"}, {"count 2 3", "count 3 3"},
		{"count 2 3", "count 0 0"}, {"count 2 3", "count 2 03"},
		{"count 2 3", "count 2 9999"}, {"count 2 3", "count 2 3 "},
		{"count 2 3", "count 2"}, {"count 2 3", "count 4294967296 3"},
		{"copy 9 ", "copy 8 "}, {"copy 9 ", "copy 10 "},
		{"copy 9 ", "copy 09 "}, {"copy 9 ", "copy  "},
		{"copy 9 ", "copy 18446744073709551615 "},
		{"copy 9 ", "copy 999999999999999 "},
		{"copy 9 ", "copie 9 "}, {" mail-from=<o", " mail-from=o"},
		{" mail-from=<o", " mailfrom=<o"}, {"mail-from=<>", "mail-from=<"},
		{" signed=\"s", " signed=s"}, {"e\"\n", "e\n"},
		{"signed=\"signed=no (\"why\")\"", "signed=\""},
		{"d=one.example\"", "d=\x01\""},
		{"rcpt <bob", "rcpt <b ob"}, {"rcpt <bob", "rcpt bob"},
		{"rcpt <bob@two.example>", "rcpt <>"}, {"rcpt <bob", "rcp <bob"},
		{" to=<bob", "  to=<bob"}, {" to=<bob@one.example>", ""},
		{" to=<bob@one.example>", " to=<>"},
		{"notify=SUCCESS,FAILURE", "notify="},
		{"notify=SUCCESS,FAILURE", "notify=\x01"},
		{"notify=SUCCESS,FAILURE orcpt=rfc822;bob@one.example",
		    "orcpt=rfc822;bob@one.example notify=SUCCESS,FAILURE"},
		{"orcpt=rfc822;", "orcpt="  "\xff"},
		{"orcpt=rfc822;bob@one.example\n", "orcpt=x \n"},
		{" q 0003 1", "q 0003 1"}, {" q 0003 1", " qq0003 1"},
		{" q 0003 1", " q 000301"}, {" q 0003 1", " q 0003  1"},
		{"1795664097 450", "1795664097x450"},
		{"busy ", "busy  "}, {"busy ", "busy"},
		{"copy 3 mail-from", "copy 3 mail-from=<> signed=\"\"\ncopy 3"},
	};
	struct kit_message k;
	struct bytes head;

	(void)state;
	kit_message_init(&k);
	head = write_head(&k.m);
	assert_int_equal(parse_with(head, "id 4", "id 5"), 0);
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		if (parse_with(head, row[i].old, row[i].new) != -E_SYNTAX)
			fail_msg("%s -> %s", row[i].old, row[i].new);
	}
	assert_int_equal(parse_with(head, "count 2 3", "count 10001 10001"),
	    -E_LIMIT);
	assert_int_equal(parse_with(head, "count 2 3", "count 2 10001"),
	    -E_LIMIT);
	assert_int_equal(parse_with(head, "queue 2", "queue 3"), -E_LIMIT);
	assert_int_equal(parse_with(head, "queue 2", "queue 0"), -E_LIMIT);
}

/* Each field is bounded where it is read as where it is written. */
static void
too_long_to_be_read(void **state)
{
	static const char *const words[] = {
		"listener lists", "client [", "mail-from <o", "ret H",
		"envid Q", "mail-from=<o", "signed=\"s", "rcpt <b", "to=<b",
		"notify=S", "orcpt=r",
	};
	char many[QUEUE_FIELD_MAX + 32];
	struct kit_message k;
	struct bytes head;

	(void)state;
	kit_message_init(&k);
	head = write_head(&k.m);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		size_t n = strlen(words[i]);

		memset(many, 'a', sizeof(many) - 1);
		many[sizeof(many) - 1] = '\0';
		memcpy(many, words[i], n);
		assert_int_equal(parse_with(head, words[i], many), -E_SYNTAX);
		many[QUEUE_FIELD_MAX / 2] = '\0';
		assert_int_equal(parse_with(head, words[i], many), 0);
	}
	memset(many, 'a', 140);
	memcpy(many, "digest ", 7);
	many[140] = '\0';
	assert_int_equal(parse_with(head, "digest ", many), -E_SYNTAX);
	memset(many, 'a', 40);
	memcpy(many, "id ", 3);
	many[40] = '\0';
	assert_int_equal(parse_with(head, "id ", many), -E_SYNTAX);
}

static void
cut_anywhere_it_is_no_head(void **state)
{
	struct arena *a = arena_new(1U << 16);
	struct kit_message k;
	struct queue_message m;
	struct bytes head;

	(void)state;
	kit_message_init(&k);
	head = write_head(&k.m);
	for (size_t n = 0; n < head.n; n++) {
		/* Its end stands at an edge, so that ASan sees it read past. */
		uint8_t *part = malloc(n + 1);
		char digits[24];

		memcpy(part, head.p, n);
		arena_reset(a);
		assert_int_equal(queue_file_parse((struct bytes){part, n}, a,
		    &m), -E_SYNTAX);
		snprintf(digits, sizeof(digits), "%08zu", n);
		if (n >= 24)
			memcpy(part + 16, digits, 8);
		assert_int_equal(queue_file_parse((struct bytes){part, n}, a,
		    &m), -E_SYNTAX);
		free(part);
	}
	octets[23]++;		/* the size that it tells */
	assert_int_equal(queue_file_parse(head, a, &m), -E_SYNTAX);
	octets[23]--;
	assert_int_equal(queue_file_parse(head, a, &m), 0);
	octets[head.n] = '\n';
	assert_int_equal(queue_file_parse((struct bytes){octets, head.n + 1},
	    a, &m), -E_SYNTAX);
	arena_free(&a);
}

static void
without_memory(void **state)
{
	struct kit_message k;
	struct queue_message m;
	struct bytes head;
	size_t used = 0;
	int e;

	(void)state;
	kit_message_init(&k);
	head = write_head(&k.m);
	do {
		struct arena *a = arena_new(used++);

		e = queue_file_parse(head, a, &m);
		assert_true(e == 0 || e == -E_NOMEM);
		arena_free(&a);
	} while (e != 0);
	assert_true(used > sizeof(k.copies) + sizeof(k.rcpts));
}

static void
the_size_of_a_head(void **state)
{
	static const struct {
		const char *start;
		int64_t want;
	} row[] = {
		{"hopseal-queue 1 00000100 0 0\n", 100},
		{"hopseal-queue 2 00000100 0 0\n", 100},
		{"hopseal-queue 0 00000100 0 0\n", -E_LIMIT},
		{"hopseal-queue 1 16777216 999999999999999 999999999999999\n",
		    16777216},
		{"hopseal-queue 1 16777217 0 0\n", 0},
		{"hopseal-queue 1 00000029 0 0\n", 29},
		{"hopseal-queue 1 00000028 0 0\n", 0},
		{"hopseal-queue 1 00000100 0 0", 0},
		{"hopseal-queue 1 100 0 0\n", 0},
		{"hopseal-queue 3 anything", -E_LIMIT},
		{"hopseal-queue 4294967295\n", -E_LIMIT},
		{"hopseal-queue 4294967296\n", 0},
		{"hopseal-queue 12 00000100 0 0\n", -E_LIMIT},
		{"hopseal-queue ", 0}, {"hopseal-queue x", 0}, {"", 0},
		{"Received: from", 0}, {"\xff\xfe", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		assert_int_equal(queue_file_head(bytes_of(row[i].start)),
		    row[i].want);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_octets_of_a_head),
		cmocka_unit_test(what_is_written_reads_the_same),
		cmocka_unit_test(version_1_is_read),
		cmocka_unit_test(behind_what_stands_there_already),
		cmocka_unit_test(room_that_is_short_is_told),
		cmocka_unit_test(not_written),
		cmocka_unit_test(bounds_of_what_is_written),
		cmocka_unit_test(ten_thousand_recipients),
		cmocka_unit_test(not_read),
		cmocka_unit_test(too_long_to_be_read),
		cmocka_unit_test(cut_anywhere_it_is_no_head),
		cmocka_unit_test(without_memory),
		cmocka_unit_test(the_size_of_a_head),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
