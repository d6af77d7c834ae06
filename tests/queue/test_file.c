/* Queue files: what is written reads the same, all else is refused. Q7 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/err.h"
#include "tests/queue/kit.h"

#define LONG_ARENA (64U << 20)

static uint8_t octets[8192];

static struct bytes
write_head(const struct queue_message *m)
{
	struct buf out = BUF_ON(octets);

	assert_int_equal(queue_file_write(m, &out), 0);
	assert_true(out.n <= queue_file_room(m));
	return buf_bytes(&out);
}

static void
assert_rcpt(const struct queue_rcpt *a, const struct queue_rcpt *b)
{
	assert_int_equal(a->status, b->status);
	assert_int_equal(a->tries, b->tries);
	assert_int_equal(a->due_s, b->due_s);
	assert_bytes(a->path, b->path);
	assert_bytes(a->to, b->to);
	assert_bytes(a->notify, b->notify);
	assert_bytes(a->orcpt, b->orcpt);
	assert_bytes(a->reply, b->reply);
}

static void
assert_message(const struct queue_message *a, const struct queue_message *b)
{
	assert_bytes(a->id, b->id);
	assert_bytes(a->listener, b->listener);
	assert_int_equal(a->arrived_s, b->arrived_s);
	assert_int_equal(a->signed_s, b->signed_s);
	assert_bytes(a->client, b->client);
	assert_bytes(a->mail_from, b->mail_from);
	assert_bytes(a->ret, b->ret);
	assert_bytes(a->envid, b->envid);
	assert_bytes(a->digest, b->digest);
	assert_int_equal(a->is_8bit, b->is_8bit);
	assert_int_equal(a->is_utf8, b->is_utf8);
	assert_int_equal(a->is_held, b->is_held);
	assert_int_equal(a->n_content, b->n_content);
	assert_int_equal(a->n_copies, b->n_copies);
	for (size_t k = 0; k < a->n_copies; k++) {
		const struct queue_copy *c = &a->copies[k], *d = &b->copies[k];

		assert_bytes(c->mail_from, d->mail_from);
		assert_bytes(c->signed_as, d->signed_as);
		assert_int_equal(c->added.n, d->added.n);
		assert_int_equal(c->n_rcpts, d->n_rcpts);
		for (size_t i = 0; i < c->n_rcpts; i++)
			assert_rcpt(&c->rcpts[i], &d->rcpts[i]);
	}
}

#define REST "                                                  "
#define PADDING REST REST REST

/* The format is a promise to the next version and to operators. */
static void
the_octets_of_a_head(void **state)
{
	static const char want[] =
	    "hopseal-queue 1 00001237 12 20480\n"
	    "id 4fqk2x9a\n"
	    "hold -\n"
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
	assert_int_equal(m.n_file, head.n + 12 + 20480);
	/* The little there may be. */
	k.m.client = k.m.ret = k.m.envid = k.m.digest = (struct bytes){NULL, 0};
	k.m.is_8bit = false;
	k.m.is_utf8 = k.m.is_held = true;
	k.copies[0].signed_as = k.rcpts[0].notify = (struct bytes){NULL, 0};
	k.copies[1].added.n = 0;
	k.m.n_content = 0;
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
	REFUSED(k.m.signed_s, -1);
	REFUSED(k.m.signed_s, INT64_MAX);
	REFUSED(k.rcpts[0].due_s, -1);
	REFUSED(k.rcpts[0].due_s, QUEUE_TIME_MAX + 1);
	REFUSED(k.rcpts[0].tries, QUEUE_TRIES_MAX + 1);
	REFUSED(k.rcpts[0].status, (enum queue_status)(QUEUE_EXPIRED + 1));
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
	LIMITED(k.copies[1].added.n, (size_t)-1);
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
		{"hopseal-queue 1", "hopseal-queue 01"},
		{"hopseal-queue 1", "hopseal-queue"},
		{"hopseal-queue 1", "hopseal-queue one"},
		{"hopseal-queue 1 ", "hopseal-queue 1\t"},
		{"hopseal-queue 1 ", "hopseal-queue 1 0"},
		{"hopseal-queue 1 0", "hopseal-queue 1 "},
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
		{"listener lists out", "listener"},
		{"listener lists out", "listener "},
		{"listener lists out", "listener a\x01"},
		{"listener lists out", "listenera"},
		{"listener ", "listener\t"},
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
	assert_int_equal(parse_with(head, "queue 1", "queue 2"), -E_LIMIT);
	assert_int_equal(parse_with(head, "queue 1", "queue 0"), -E_LIMIT);
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
		{"hopseal-queue 1 16777216 999999999999999 999999999999999\n",
		    16777216},
		{"hopseal-queue 1 16777217 0 0\n", 0},
		{"hopseal-queue 1 00000029 0 0\n", 29},
		{"hopseal-queue 1 00000028 0 0\n", 0},
		{"hopseal-queue 1 00000100 0 0", 0},
		{"hopseal-queue 1 100 0 0\n", 0},
		{"hopseal-queue 2 anything", -E_LIMIT},
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

/* ---- changes in place ---------------------------------------------------- */

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
	for (enum queue_status s = QUEUE_WAITING; s <= QUEUE_EXPIRED; s++) {
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
	assert_int_equal(queue_file_parse(head, a, &m), 0);
	r = &m.copies[0].rcpts[0];
	assert_int_equal(m.copies[1].rcpts[0].status, QUEUE_UNSURE);
	assert_int_equal(r->status, QUEUE_FAILED);
	assert_int_equal(r->tries, 0);
	assert_int_equal(r->due_s, 0);
	assert_int_equal(r->reply.n, 0);
	assert_false(m.is_held);
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
		bool is_open;
	} row[] = {
		{QUEUE_WAITING, 'q', "queued", true},
		{QUEUE_UNSURE, 'u', "unsure", true},
		{QUEUE_DELIVERED, 'd', "delivered", false},
		{QUEUE_FAILED, 'f', "failed", false},
		{QUEUE_EXPIRED, 'e', "expired", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		assert_int_equal(queue_status_octet(row[i].status),
		    row[i].octet);
		assert_string_equal(queue_status_name(row[i].status),
		    row[i].name);
		assert_int_equal(queue_status_is_open(row[i].status),
		    row[i].is_open);
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
		{554, "duplicate", true}, {599, "a DUPLICATE", true},
		{500, "DuplicateMessage", true},
		{450, "4.7.1 duplicate", false}, {250, "duplicate", false},
		{600, "duplicate", false}, {499, "duplicate", false},
		{550, "5.1.1 User unknown", false}, {550, "duplicat", false},
		{550, "", false}, {0, "duplicate", false},
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
		cmocka_unit_test(the_octets_of_a_head),
		cmocka_unit_test(what_is_written_reads_the_same),
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
