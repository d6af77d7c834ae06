/* What the tests of the server's side share. */
#ifndef TESTS_SMTP_KIT_H
#define TESTS_SMTP_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/smtp/session.h"

#define N(row) (sizeof(row) / sizeof((row)[0]))
#define LIT(s) {(const uint8_t *)(s), sizeof(s) - 1}

#define EHLO "EHLO me.example\r\n"
#define ENVELOPE EHLO "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n"
#define TO_DATA ENVELOPE "DATA\r\n"

static struct session t;

/* The codes of the replies, a multi-line reply counted once. */
static inline void
list_codes(struct bytes out, struct buf *codes)
{
	while (out.n != 0) {
		size_t end = bytes_find(out, BYTES_LIT("\r\n"));

		assert_true(end < out.n && end >= 3 && end <= 510);
		if (end == 3 || out.p[3] == ' ') {
			buf_add(codes, bytes_first(out, 3));
			buf_add_octet(codes, ' ');
		}
		out = bytes_skip(out, end + 2);
	}
}

static inline void
check_run(struct bytes in, const char *events, const char *codes)
{
	uint8_t octets[2000];
	struct buf got = BUF_ON(octets);

	list_codes(buf_bytes(&t.out), &got);
	if (bytes_eq(buf_bytes(&got), bytes_of(codes)) &&
	    bytes_eq(buf_bytes(&t.events), bytes_of(events)))
		return;
	fail_msg("in: %.*s\nout: %.*s\nevents: %.*s", BYTES_FMT(in),
	    (int)t.out.n, (const char *)t.out.p, (int)t.events.n,
	    (const char *)t.events.p);
}

/* A session, what the owner saw of it, and the codes of the replies. */
struct row {
	struct bytes in;
	const char *events;
	const char *codes;
	const char *content;
};

/* Runs them, cut in two at every place, and octet by octet. */
static inline void
check_rows(const struct smtp_server_config *config, const struct row *rows,
    size_t n)
{
	for (size_t k = 0; k < n; k++) {
		struct bytes in = rows[k].in;

		for (size_t cut = 0; cut <= in.n; cut++) {
			session_init(&t, config);
			session_run(&t, in, cut, cut == 0 ? 1 : in.n);
			check_run(in, rows[k].events, rows[k].codes);
			if (!bytes_eq(buf_bytes(&t.content),
			    bytes_of(rows[k].content)))
				fail_msg("%.*s\ncontent %.*s", BYTES_FMT(in),
				    (int)t.content.n, (char *)t.content.p);
		}
	}
}

/* What is sent, and how the replies to it end. */
struct last_row {
	const char *in;
	const char *last;
};

static inline void
check_last_rows(const struct smtp_server_config *config,
    const struct last_row *row, size_t n)
{
	for (size_t k = 0; k < n; k++) {
		session_init(&t, config);
		session_run(&t, bytes_of(row[k].in), 0, SIZE_MAX);
		if (!bytes_ends(buf_bytes(&t.out), bytes_of(row[k].last)))
			fail_msg("%s\n%.*s", row[k].in, (int)t.out.n,
			    (const char *)t.out.p);
	}
}

/* Feeds n times the octet c. */
static inline void
feed_many(uint8_t c, size_t n)
{
	uint8_t octets[1000];

	memset(octets, c, sizeof(octets));
	for (; n != 0 && !t.is_closed; n -= n < 1000 ? n : 1000)
		session_feed(&t, (struct bytes){octets, n < 1000 ? n : 1000});
}

static inline void
check_last(const char *last)
{
	if (!bytes_ends(buf_bytes(&t.out), bytes_of(last)))
		fail_msg("want %s\n%.*s", last, (int)t.out.n,
		    (const char *)t.out.p);
}

#endif
