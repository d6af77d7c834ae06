/* Which messages hopseal queue means, how it reads them, and what it makes of
 * the daemon's answers. The whole of it stands in tests/e2e/queue. */
#include "cli/queue.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/cli.h"

#define DAY 86400
#define CONTENT "Subject: x\r\n\r\nx\r\n"

static struct {
	char path[64];
	struct queue_folder folder;
	struct arena *arena, *args;
} site;

struct mail {
	const char *id, *from, *to, *was_to, *reply;
	enum queue_status status;
	bool is_held;
	int64_t age_s;
};

/* What main.c would say on stderr. */
int
cli_fail(int code, const char *fmt, ...)
{
	(void)fmt;
	return code;
}

static const struct mail mails[] = {
	{"m1", "<a@one.example>", "<b@two.example>", "<b@two.example>",
	    "450 4.2.0 Mailbox busy", QUEUE_WAITING, false, 3 * DAY},
	{"m2", "<a@one.example>", "<c@three.example>", "<c@Two.Example>",
	    "550 5.1.1 nobody", QUEUE_FAILED, false, 2 * DAY},
	{"m3", "<>", "<b@two.example>", "<b@two.example>", "", QUEUE_WAITING,
	    true, DAY},
	{"m4", "<A@ONE.example>", "<d@four.example>", "<d@four.example>", "",
	    QUEUE_UNSURE, false, 60},
	{"m5", "<a@one.example>", "<b@two.example>", "<b@two.example>",
	    "250 2.0.0 busy no more", QUEUE_DELIVERED, false, 30},
};

static void
put(const char *name, struct bytes octets)
{
	int fd = openat(site.folder.mail, name, O_WRONLY | O_CREAT | O_TRUNC,
	    0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, octets.p, octets.n), octets.n);
	close(fd);
}

static void
put_mail(const struct mail *k, struct buf *out)
{
	struct queue_rcpt rcpt = {.path = bytes_of(k->to),
	    .to = bytes_of(k->was_to), .status = k->status,
	    .reply = bytes_of(k->reply)};
	struct queue_copy copy = {.mail_from = bytes_of(k->from),
	    .rcpts = &rcpt, .n_rcpts = 1};
	int64_t arrived = time(NULL) - k->age_s;
	struct queue_message m = {.id = bytes_of(k->id),
	    .listener = BYTES_LIT("l"), .arrived_s = arrived,
	    .signed_s = arrived, .client = BYTES_LIT("[192.0.2.1]:25"),
	    .mail_from = bytes_of(k->from), .is_held = k->is_held,
	    .copies = &copy, .n_copies = 1, .n_content = sizeof(CONTENT) - 1};

	assert_int_equal(queue_file_write(&m, out), 0);
	buf_add_str(out, CONTENT);
	assert_false(out->full);
	put(k->id, buf_bytes(out));
}

static int
begin(void **state)
{
	(void)state;
	snprintf(site.path, sizeof(site.path), "/tmp/hopseal-cli-XXXXXX");
	assert_non_null(mkdtemp(site.path));
	site.arena = arena_new((size_t)1 << 24);
	site.args = arena_new(1 << 16);
	assert_int_equal(queue_folder_open(&site.folder, site.path),
	    CLI_UNREADABLE);
	assert_int_equal(queue_folder_open(&site.folder, "/nowhere/at/all"),
	    CLI_UNREADABLE);
	site.folder.fd = open(site.path, O_RDONLY | O_DIRECTORY);
	assert_int_equal(mkdirat(site.folder.fd, "mail", 0700), 0);
	close(site.folder.fd);
	assert_int_equal(queue_folder_open(&site.folder, site.path), 0);
	for (size_t k = 0; k < sizeof(mails) / sizeof(mails[0]); k++) {
		static uint8_t room[4096];
		struct buf out = BUF_ON(room);

		put_mail(&mails[k], &out);
	}
	return 0;
}

static int
finish(void **state)
{
	char command[100];

	(void)state;
	queue_folder_close(&site.folder);
	arena_free(&site.arena);
	arena_free(&site.args);
	snprintf(command, sizeof(command), "rm -r %s", site.path);
	return system(command);
}

/* ---- which --------------------------------------------------------------- */

/* The exit code; ids in their order, as "m1 m2 ", and whether it is chosen. */
static int
choose(char ids[200], bool *is_chosen, char **argv, int argc)
{
	static const struct args_known known[] = {QUEUE_FILTERS, {NULL, false}};
	struct queue_choice c;
	struct args args;
	int r;

	ids[0] = '\0';
	arena_reset(site.args);
	assert_int_equal(args_parse(&args, argc, argv, known, 10, site.args),
	    0);
	*is_chosen = queue_is_chosen(&args);
	r = queue_choose(&c, &site.folder, &args, site.arena);
	for (size_t k = 0; k < c.n && r == 0; k++) {
		strcat(ids, c.all[k].id);
		strcat(ids, " ");
	}
	free(c.all);
	return r != 0 ? r : c.code;
}

static const struct {
	const char *words[6];
	const char *ids;
	int code;
} rows[] = {
	{{NULL}, "m1 m2 m3 m4 m5 ", 0},
	{{"--all"}, "m1 m2 m3 m4 m5 ", 0},
	{{"m3", "m1"}, "m1 m3 ", 0},
	{{"m3", "absent", "m1"}, "m1 m3 ", 1},
	{{"m3", "../m1"}, "", 64},
	{{"--from", "a@one.example"}, "m1 m2 m4 m5 ", 0},
	{{"--from", "<a@one.example>"}, "m1 m2 m4 m5 ", 0},
	{{"--from", "<>"}, "m3 ", 0},
	{{"--from", "one.example"}, "", 0},
	/* where it goes, or came to; not what is delivered */
	{{"--to-domain", "two.example"}, "m1 m2 m3 ", 0},
	{{"--to-domain", "THREE.example"}, "m2 ", 0},
	{{"--to-domain", "example"}, "", 0},
	{{"--reason", "BUSY"}, "m1 ", 0},
	{{"--reason", "mailbox busy"}, "m1 ", 0},
	{{"--reason", "mailbox busy "}, "", 0},
	{{"--status", "queued"}, "m1 m3 ", 0},
	{{"--status", "failed"}, "m2 ", 0},
	{{"--status", "unsure"}, "m4 ", 0},
	{{"--status", "delivered"}, "m5 ", 0},
	{{"--status", "delivered", "--reason", "busy"}, "m5 ", 0},
	{{"--status", "held"}, "m3 ", 0},
	{{"--status", "expired"}, "", 0},
	{{"--status", "other"}, "", 64},
	{{"--older", "36h"}, "m1 m2 ", 0},
	{{"--older", "1h", "--to-domain", "two.example"}, "m1 m2 m3 ", 0},
	{{"--older", "2d", "--to-domain", "three.example"}, "m2 ", 0},
	{{"--older", "x"}, "", 64},
	{{"--from", "a@one.example", "m3", "m4"}, "m4 ", 0},
};

static void
filters(void **state)
{
	(void)state;
	for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
		char *argv[8] = {(char[]){"list"}}, ids[200];
		bool is_chosen;
		int argc = 1, code;

		while (argc <= 6 && rows[k].words[argc - 1] != NULL) {
			argv[argc] = (char *)(uintptr_t)rows[k].words[argc - 1];
			argc++;
		}
		code = choose(ids, &is_chosen, argv, argc);
		if (code != rows[k].code || strcmp(ids, rows[k].ids) != 0)
			fail_msg("row %zu: %d \"%s\"", k, code, ids);
		assert_int_equal(is_chosen, rows[k].words[0] != NULL);
	}
}

/* ---- reading ------------------------------------------------------------- */

static int
try_open(const char *name)
{
	struct queue_open o;
	int r = queue_open(&o, site.folder.mail, name, site.arena);

	if (r == 0)
		queue_close(&o);
	else
		assert_int_equal(o.fd, -1);
	return r;
}

static void
make(const char *id, struct buf *out)
{
	struct mail m = mails[0];

	out->n = 0;
	m.id = id;
	put_mail(&m, out);
}

/* What anybody may have put there, and what a disk may make of a file. */
static void
q7_what_is_no_message(void **state)
{
	char *all[] = {(char[]){"list"}}, ids[200];
	uint8_t room[4096];
	struct buf out = BUF_ON(room);
	bool is_chosen;

	(void)state;
	make("m1", &out);
	assert_int_equal(try_open("m1"), 0);
	assert_int_equal(try_open("none"), QUEUE_NOT_THERE);
	make("link", &out);
	assert_int_equal(renameat(site.folder.mail, "link", site.folder.fd,
	    "away"), 0);
	assert_int_equal(symlinkat("../away", site.folder.mail, "link"), 0);
	assert_int_equal(try_open("link"), CLI_UNREADABLE);
	assert_int_equal(mkfifoat(site.folder.mail, "fifo", 0600), 0);
	assert_int_equal(try_open("fifo"), CLI_UNREADABLE);
	assert_int_equal(mkdirat(site.folder.mail, "dir", 0700), 0);
	assert_int_equal(try_open("dir"), CLI_UNREADABLE);
	put("empty", BYTES_LIT(""));
	assert_int_equal(try_open("empty"), CLI_UNREADABLE);
	put("newer", BYTES_LIT("hopseal-queue 2 00000100 0 0\n"));
	assert_int_equal(try_open("newer"), CLI_UNREADABLE);
	put("huge", BYTES_LIT("hopseal-queue 1 99999999 0 0\n"));
	assert_int_equal(try_open("huge"), CLI_UNREADABLE);
	make("short", &out);
	put("short", bytes_first(buf_bytes(&out), out.n - 1));
	assert_int_equal(try_open("short"), CLI_UNREADABLE);
	make("long", &out);
	buf_add_str(&out, "x");
	put("long", buf_bytes(&out));
	assert_int_equal(try_open("long"), CLI_UNREADABLE);
	make("torn", &out);
	room[36] = '\0';
	put("torn", buf_bytes(&out));
	assert_int_equal(try_open("torn"), CLI_UNREADABLE);
	/* the others are listed all the same */
	assert_int_equal(choose(ids, &is_chosen, all, 1), CLI_UNREADABLE);
	assert_string_equal(ids, "m1 m2 m3 m4 m5 ");
	put("NO.ID", BYTES_LIT(""));
	assert_int_equal(choose(ids, &is_chosen, all, 1), CLI_UNREADABLE);
}

static void
worse_is_told(void **state)
{
	(void)state;
	assert_int_equal(queue_worse(0, 0), 0);
	assert_int_equal(queue_worse(0, 1), 1);
	assert_int_equal(queue_worse(1, 0), 1);
	assert_int_equal(queue_worse(66, 1), 66);
	assert_int_equal(queue_worse(1, 75), 75);
}

/* ---- the daemon ---------------------------------------------------------- */

static int
ask(const char *answer, enum queue_said *said)
{
	char got[100];
	int pair[2], r;
	ssize_t n;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	if (answer != NULL)
		assert_int_equal(send(pair[1], answer, strlen(answer), 0),
		    strlen(answer));
	else
		shutdown(pair[1], SHUT_WR);
	*said = QUEUE_SAID_BUSY;
	r = queue_ask(pair[0], "retry", "m1", said);
	n = recv(pair[1], got, sizeof(got), MSG_DONTWAIT);
	assert_int_equal(n, 8);
	assert_memory_equal(got, "retry m1", 8);
	close(pair[0]);
	close(pair[1]);
	return r;
}

static void
answers(void **state)
{
	enum queue_said said;
	int fd;

	(void)state;
	assert_int_equal(ask("ok", &said), 0);
	assert_int_equal(said, QUEUE_SAID_OK);
	assert_int_equal(ask("absent", &said), 0);
	assert_int_equal(said, QUEUE_SAID_ABSENT);
	said = QUEUE_SAID_OK;
	assert_int_equal(ask("busy", &said), 0);
	assert_int_equal(said, QUEUE_SAID_BUSY);
	assert_int_equal(ask("error it is held", &said), QUEUE_UNAVAILABLE);
	assert_int_equal(ask("okay", &said), QUEUE_UNAVAILABLE);
	assert_int_equal(ask(NULL, &said), QUEUE_LATER);
	/* nobody is there */
	assert_int_equal(queue_ask_open(&site.folder, &fd), QUEUE_LATER);
	assert_int_equal(fd, -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(filters),
		TEST(q7_what_is_no_message),
		TEST(worse_is_told),
		TEST(answers),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
