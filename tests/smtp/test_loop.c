#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "smtp/client.h"
#include "smtp/server.h"

/*
 * Our client against our server, in memory, what goes over the wire cut at
 * random: each message arrives octet for octet, each envelope as it was.
 */
#define MESSAGE_MAX 40000
#define WIRE_MAX 100000
#define N_MESSAGES 3

static struct {
	uint32_t seed;
	struct smtp_client c;
	struct smtp_server s;
	struct smtp_server_room room;
	struct buf to_server;
	struct buf to_client;
	uint8_t to_server_octets[WIRE_MAX];
	uint8_t to_client_octets[WIRE_MAX];
	uint8_t message[MESSAGE_MAX];
	size_t n_message;
	struct bytes left;	/* of the message, not sent so far */
	struct buf got;
	uint8_t got_octets[MESSAGE_MAX + 2];
	unsigned n_rcpt_asked;
	unsigned n_rcpt_good;
	unsigned n_rcpt_seen;
	unsigned n_done;	/* messages that were answered */
	bool is_ready;
	bool is_ended;		/* by the client */
	bool is_received;	/* END at the server */
	bool is_over;
} t;

static uint32_t
random_below(uint32_t n)
{
	t.seed ^= t.seed << 13;
	t.seed ^= t.seed >> 17;
	t.seed ^= t.seed << 5;
	return t.seed % n;
}

static void
make_message(void)
{
	static const struct bytes piece[] = {
		{(const uint8_t *)"\r\n", 2},
		{(const uint8_t *)"\r\n.", 3},
		{(const uint8_t *)"\r\n..\r\n", 6},
		{(const uint8_t *)".", 1},
		{(const uint8_t *)"\r\n.\r\n", 5},
		{(const uint8_t *)"Subject: a folded\r\n field\r\n\r\n", 29},
		{(const uint8_t *)"\xc3\xa4\xff\x80", 4},
		{(const uint8_t *)"a line of text that is a little longer", 38},
		{(const uint8_t *)"MAIL FROM:<evil@b>", 18},
		{(const uint8_t *)"\t", 1},
	};
	size_t want = random_below(4) == 0 ? random_below(10) :
	    random_below(MESSAGE_MAX - 100);
	struct buf b = BUF_ON(t.message);

	while (b.n < want)
		buf_add(&b, piece[random_below(10)]);
	t.n_message = b.n;
	t.left = buf_bytes(&b);
	t.n_rcpt_asked = 0;
	t.n_rcpt_good = 0;
	t.n_rcpt_seen = 0;
	t.is_ended = false;
	t.is_received = false;
	t.got = BUF_ON(t.got_octets);
}

static struct bytes
rcpt_path(unsigned n)
{
	static const char *const path[] = {"<c@d.example>", "<Postmaster>",
	    "<\"a >@b\"@[IPv6:::1]>", "<550@d.example>"};

	return bytes_of(path[n % 4]);
}

/* The client's owner: whatever can be asked for next. */
static void
push_client(void)
{
	struct smtp_client *c = &t.c;
	struct smtp_client_mail mail = {
	    .path = BYTES_LIT("<a@b.example>"),
	    .is_8bit = true,
	};

	if (!t.is_ready)
		return;
	if (t.n_done == N_MESSAGES) {
		smtp_client_quit(c);
		return;
	}
	mail.size = t.n_message;
	smtp_client_mail(c, &mail);
	while (c->is_mail && t.n_rcpt_asked < 8) {
		struct smtp_client_rcpt rcpt = {
		    .path = rcpt_path(t.n_rcpt_asked)};

		if (!smtp_client_rcpt(c, &rcpt))
			break;
		t.n_rcpt_asked++;
	}
	if (t.n_rcpt_asked == 8)
		smtp_client_data(c);
	if (!c->is_content)
		return;
	assert_true(smtp_client_content(c, &t.left));
	if (t.left.n == 0 && smtp_client_end(c))
		t.is_ended = true;
}

static void
step_client(void)
{
	struct bytes in = bytes_first(buf_bytes(&t.to_client),
	    1 + random_below(200));
	size_t n = in.n;
	enum smtp_client_event event = smtp_client_next(&t.c, &in);

	buf_drop(&t.to_client, n - in.n);
	if (event == SMTP_CLIENT_READY) {
		assert_int_equal(t.c.can, SMTP_CAN_PIPELINE |
		    SMTP_CAN_8BITMIME | SMTP_CAN_SIZE | SMTP_CAN_ENHANCED);
		assert_int_equal(t.c.max_size, MESSAGE_MAX);
		t.is_ready = true;
	} else if (event == SMTP_CLIENT_RCPT && t.c.reply.code == 250) {
		assert_true(bytes_eq(t.c.reply.enhanced, BYTES_LIT("2.1.5")));
		t.n_rcpt_good++;
	} else if (event == SMTP_CLIENT_END) {
		assert_true(t.is_received);
		assert_true(bytes_eq(t.c.reply.text,
		    BYTES_LIT("queued\nas we say")));
		t.n_done++;
		make_message();
	} else if (event == SMTP_CLIENT_QUIT) {
		t.is_over = true;
	} else {
		assert_int_not_equal(event, SMTP_CLIENT_BROKEN);
		assert_int_not_equal(event, SMTP_CLIENT_REFUSED);
	}
	push_client();
	n = random_below(3) == 0 ? t.c.out.n : random_below(300);
	n = n < t.c.out.n ? n : t.c.out.n;
	buf_add(&t.to_server, bytes_first(buf_bytes(&t.c.out), n));
	buf_drop(&t.c.out, n);
}

static void
check_received(void)
{
	assert_true(t.is_ended && !t.is_received);
	assert_true(t.got.n == t.n_message || t.got.n == t.n_message + 2);
	assert_memory_equal(t.got.p, t.message, t.n_message);
	if (t.got.n != t.n_message)
		assert_memory_equal(t.got.p + t.n_message, "\r\n", 2);
	assert_int_equal(t.s.n_content, t.got.n);
	assert_int_equal(t.s.n_rcpt, t.n_rcpt_good);
	assert_int_equal(t.n_rcpt_good, 6);
	t.is_received = true;
}

static void
step_server(void)
{
	static const struct bytes ok = {(const uint8_t *)"Ok", 2};
	struct bytes in = bytes_first(buf_bytes(&t.to_server),
	    random_below(2) == 0 ? 1 + random_below(100) : SIZE_MAX);
	size_t n = in.n;
	enum smtp_server_event event = smtp_server_next(&t.s, &in);

	buf_drop(&t.to_server, n - in.n);
	switch (event) {
	case SMTP_SERVER_MAIL:
		assert_true(bytes_eq(t.s.mail.from.raw,
		    BYTES_LIT("<a@b.example>")));
		assert_int_equal(t.s.mail.size, t.n_message);
		assert_true(t.s.mail.is_8bit);
		smtp_server_answer(&t.s, 250, "2.1.0", ok);
		break;
	case SMTP_SERVER_RCPT:
		assert_true(bytes_eq(t.s.rcpt.to.raw, rcpt_path(t.n_rcpt_seen)));
		if (t.n_rcpt_seen++ % 4 == 3)
			smtp_server_answer(&t.s, 550, "5.1.1", ok);
		else
			smtp_server_answer(&t.s, 250, "2.1.5", ok);
		break;
	case SMTP_SERVER_DATA:
		smtp_server_answer(&t.s, 354, NULL, BYTES_LIT("go"));
		break;
	case SMTP_SERVER_CONTENT:
		buf_add(&t.got, t.s.content);
		assert_false(t.got.full);
		break;
	case SMTP_SERVER_END:
		check_received();
		smtp_server_answer(&t.s, 250, "2.0.0",
		    BYTES_LIT("queued\nas we say"));
		break;
	case SMTP_SERVER_HELO:
	case SMTP_SERVER_MORE:
		break;
	case SMTP_SERVER_STARTTLS:
	case SMTP_SERVER_AUTH:
	case SMTP_SERVER_XCLIENT:
	case SMTP_SERVER_END_RCPT:
		fail();		/* nothing of it is offered */
		break;
	case SMTP_SERVER_CLOSE:
	case SMTP_SERVER_RESET:
		assert_int_equal(t.n_done, N_MESSAGES);
		break;
	}
	n = random_below(3) == 0 ? t.s.out.n : random_below(40);
	n = n < t.s.out.n ? n : t.s.out.n;
	buf_add(&t.to_client, bytes_first(buf_bytes(&t.s.out), n));
	buf_drop(&t.s.out, n);
}

static void
messages_pass_octet_for_octet(void **state)
{
	static const struct smtp_server_config config = {
	    .hostname = "hop.example",
	    .max_message = MESSAGE_MAX,
	    .offer = SMTP_CAN_8BITMIME,
	};

	(void)state;
	for (uint32_t round = 1; round <= 60; round++) {
		memset(&t, 0, sizeof(t));
		t.seed = round * 2654435761U;
		t.to_server = BUF_ON(t.to_server_octets);
		t.to_client = BUF_ON(t.to_client_octets);
		smtp_client_init(&t.c, "me.example", false);
		smtp_server_init(&t.s, &config, &t.room);
		make_message();
		for (int steps = 0; !t.is_over; steps++) {
			assert_true(steps < 200000);
			if (random_below(2) == 0)
				step_client();
			else
				step_server();
			assert_false(t.to_server.full || t.to_client.full);
		}
		assert_int_equal(t.n_done, N_MESSAGES);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_pass_octet_for_octet),
	};

	return cmocka_run_group_tests_name("smtp/loop", tests, NULL, NULL);
}
