#include "tests/smtp/kit.h"

/*
 * F11: the answer to each verb in each state, and the state behind it: with
 * nothing offered, with all of it in clear, and with all of it under TLS.
 */
static const struct smtp_server_config plain = {
    .hostname = "hop.example",
    .max_message = 1000,
};

static const struct smtp_server_config all = {
    .hostname = "hop.example",
    .max_message = 1000,
    .offer = SMTP_CAN_8BITMIME | SMTP_CAN_SMTPUTF8 | SMTP_CAN_CHUNKING |
        SMTP_CAN_DSN | SMTP_CAN_STARTTLS | SMTP_CAN_AUTH_PLAIN |
        SMTP_CAN_AUTH_LOGIN | SMTP_CAN_XCLIENT,
};

/* How each state is come to. */
static const char *const to[] = {
	"",
	EHLO,
	EHLO "MAIL FROM:<a@b>\r\n",
	ENVELOPE,
	ENVELOPE "BDAT 2\r\n\r\n",
};

/* Probed with RCPT, MAIL and BDAT: where the session stands. */
static const char *const stands[] = {
	"503 503 502 ",		/* no EHLO so far */
	"503 250 503 ",		/* no transaction */
	"250 503 250 ",		/* one */
	"250 503 250 ",
	"503 503 250 ",		/* a chunk was taken */
};

/* Without CHUNKING BDAT ends the session. */
static const char *const stands_plain[] = {
	"503 503 502 ", "503 250 502 ", "250 503 502 ", "250 503 502 ", NULL,
};

struct cell {
	const char *line;
	const char *code[N(to)];
	int behind[N(to)];	/* index into stands; -1: closed */
};

#define EACH(c) {c, c, c, c, c}
#define STAYS {0, 1, 2, 3, 4}
#define CLOSED {-1, -1, -1, -1, -1}

/* Where nothing depends on what is offered. */
static const struct cell always[] = {
	{"EHLO x\r\n", EACH("250 "), {1, 1, 1, 1, 1}},
	{"HELO x\r\n", EACH("250 "), {1, 1, 1, 1, 1}},
	{"EHLO\r\n", EACH("501 "), STAYS},
	{"LHLO x\r\n", EACH("500 "), STAYS},
	{"MAIL FROM:<e@f>\r\n", {"503 ", "250 ", "503 ", "503 ", "503 "}, {0, 2, 2, 3, 4}},
	{"MAIL FROM:<550@f>\r\n", {"503 ", "550 ", "503 ", "503 ", "503 "}, STAYS},
	{"MAIL FROM:<\r\n", {"503 ", "501 ", "503 ", "503 ", "503 "}, STAYS},
	{"RCPT TO:<e@f>\r\n", {"503 ", "503 ", "250 ", "250 ", "503 "}, {0, 1, 3, 3, 4}},
	{"RCPT TO:<550@f>\r\n", {"503 ", "503 ", "550 ", "550 ", "503 "}, STAYS},
	{"DATA\r\n", {"503 ", "503 ", "503 ", "354 ", "503 "}, {0, 1, 2, 1, 4}},
	{"DATA x\r\n", {"503 ", "503 ", "503 ", "501 ", "503 "}, STAYS},
	{"RSET\r\n", EACH("250 "), {0, 1, 1, 1, 1}},
	{"RSET x\r\n", EACH("501 "), STAYS},
	{"NOOP\r\n", EACH("250 "), STAYS},
	{"QUIT\r\n", EACH("221 "), CLOSED},
	{"VRFY a\r\n", EACH("252 "), STAYS},
	{"EXPN a\r\n", EACH("502 "), STAYS},
	{"HELP\r\n", EACH("214 "), STAYS},
	{"GET /\r\n", EACH("554 "), CLOSED},
	{"XYZZY\r\n", EACH("500 "), STAYS},
	{"NOOP\n", EACH("500 "), STAYS},
};

static const struct cell with_nothing[] = {
	{"STARTTLS\r\n", EACH("502 "), STAYS},
	{"AUTH PLAIN AA==\r\n", EACH("502 "), STAYS},
	{"XCLIENT NAME=x\r\n", EACH("550 "), STAYS},
	{"BDAT 1\r\n", EACH("502 "), CLOSED},
};

static const struct cell with_all[] = {
	{"STARTTLS x\r\n", {"503 ", "501 ", "503 ", "503 ", "503 "}, STAYS},
	{"AUTH PLAIN AA==\r\n", EACH("538 "), STAYS},
	{"XCLIENT NAME=x\r\n", {"220 ", "220 ", "503 ", "503 ", "503 "}, {0, 0, 2, 3, 4}},
	{"XCLIENT LOGIN=550\r\n", {"550 ", "550 ", "503 ", "503 ", "503 "}, STAYS},
	{"BDAT 2\r\n\r\n", {"502 ", "503 ", "503 ", "250 ", "250 "}, {-1, 1, 1, 4, 4}},
	{"BDAT 2 LAST\r\n\r\n", {"502 ", "503 ", "503 ", "250 ", "250 "}, {-1, 1, 1, 1, 1}},
	{"BDAT 1 LAST\r\nx", {"502 ", "503 ", "503 ", "550 ", "550 "}, {-1, 1, 1, 1, 1}},
	{"BDAT x\r\n", {"502 ", "521 ", "521 ", "521 ", "521 "}, CLOSED},
};

static const struct cell with_tls[] = {
	{"STARTTLS\r\n", EACH("503 "), STAYS},
	{"AUTH PLAIN AHUAcA==\r\n", {"503 ", "235 ", "503 ", "503 ", "503 "}, STAYS},
	{"AUTH PLAIN AHUANTM1\r\n", {"503 ", "535 ", "503 ", "503 ", "503 "}, STAYS},
	{"AUTH PLAIN\r\n*\r\n", {"503 500 ", "334 501 ", "503 500 ", "503 500 ", "503 500 "}, STAYS},
	{"AUTH X\r\n", {"503 ", "504 ", "503 ", "503 ", "503 "}, STAYS},
};

static void
begin(const struct smtp_server_config *config, bool is_secured, size_t at)
{
	session_init(&t, config);
	if (is_secured)
		smtp_server_secured(&t.s);
	session_feed(&t, bytes_of(to[at]));
	t.out.n = 0;
}

static void
check_codes(const char *codes, const char *line, size_t at)
{
	uint8_t octets[200];
	struct buf got = BUF_ON(octets);

	list_codes(buf_bytes(&t.out), &got);
	if (!bytes_eq(buf_bytes(&got), bytes_of(codes)))
		fail_msg("%s in %zu: %.*s", line, at, (int)got.n,
		    (char *)octets);
	t.out.n = 0;
}

static void
check_cells(const struct smtp_server_config *config, bool is_secured,
    const struct cell *cell, size_t n)
{
	bool is_chunking = (config->offer & SMTP_CAN_CHUNKING) != 0;
	size_t n_states = is_chunking ? N(to) : N(to) - 1;

	for (size_t k = 0; k < n; k++) {
		for (size_t at = 0; at < n_states; at++) {
			begin(config, is_secured, at);
			session_feed(&t, bytes_of(cell[k].line));
			check_codes(cell[k].code[at], cell[k].line, at);
			assert_int_equal(t.is_closed, cell[k].behind[at] < 0);
			if (t.is_closed)
				continue;
			if (cell[k].code[at][0] == '3' &&
			    cell[k].line[0] == 'D')
				session_feed(&t, BYTES_LIT(".\r\n"));
			if (t.s.is_tainted)
				session_feed(&t, BYTES_LIT("NOOP\r\n"));
			t.out.n = 0;
			session_feed(&t, BYTES_LIT("RCPT TO:<z@f>\r\n"));
			session_feed(&t, BYTES_LIT("MAIL FROM:<z@f>\r\n"));
			if (cell[k].behind[at] == 1)
				session_feed(&t, BYTES_LIT("RSET\r\n"));
			if (cell[k].behind[at] == 1)
				t.out.n -= strlen("250 2.0.0 Ok\r\n");
			session_feed(&t, BYTES_LIT("BDAT 0\r\n"));
			check_codes(is_chunking ? stands[cell[k].behind[at]] :
			    stands_plain[cell[k].behind[at]], cell[k].line, at);
		}
	}
}

static void
f11_each_verb_in_each_state(void **state)
{
	(void)state;
	check_cells(&plain, false, always, N(always));
	check_cells(&plain, false, with_nothing, N(with_nothing));
	check_cells(&all, false, always, N(always));
	check_cells(&all, false, with_all, N(with_all));
	check_cells(&all, true, always, N(always));
	check_cells(&all, true, with_tls, N(with_tls));
}

/* STARTTLS goes to where nothing was said, from EHLO alone. */
static void
f11_starttls_in_each_state(void **state)
{
	(void)state;
	for (size_t at = 0; at < N(to); at++) {
		begin(&all, false, at);
		session_feed(&t, BYTES_LIT("STARTTLS\r\n"));
		check_codes(at == 1 ? "220 " : "503 ", "STARTTLS", at);
		if (at != 1)
			continue;
		smtp_server_secured(&t.s);
		session_feed(&t, BYTES_LIT("RCPT TO:<z@f>\r\n"));
		session_feed(&t, BYTES_LIT("MAIL FROM:<z@f>\r\n"));
		session_feed(&t, BYTES_LIT("BDAT 0\r\n"));
		check_codes(stands[0], "STARTTLS", at);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(f11_each_verb_in_each_state),
		cmocka_unit_test(f11_starttls_in_each_state),
	};

	return cmocka_run_group_tests_name("smtp/server: states", tests, NULL,
	    NULL);
}
