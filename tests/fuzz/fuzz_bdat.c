/*
 * A message by BDAT and by DATA: both are taken, with the same octets and the
 * same facts, or both are refused; with a bare CR or LF it is refused; the
 * session is in step behind each BDAT, whatever stands in it. The first
 * octets say how it is cut.
 */
#include <stdint.h>
#include <stdlib.h>

#include "tests/smtp/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

#define ENVELOPE BYTES_LIT("EHLO me\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n")
#define N_CUTS 4

static const struct smtp_server_config config = {
    .hostname = "hop.example",
    .max_message = 2000,
    .max_line = 60,
    .offer = SMTP_CAN_CHUNKING,
};

static void
check(bool good)
{
	if (!good)
		abort();
}

static void
by_data(struct session *t, struct bytes message)
{
	static uint8_t octets[20000];
	struct dot_encoder e;
	struct buf wire = BUF_ON(octets);

	session_init(t, &config);
	session_feed(t, ENVELOPE);
	session_feed(t, BYTES_LIT("DATA\r\n"));
	dot_encoder_init(&e);
	check(dot_encode(&e, &message, &wire) && dot_encode_end(&e, &wire));
	session_feed(t, buf_bytes(&wire));
}

static void
by_bdat(struct session *t, struct bytes message, const uint8_t *cuts)
{
	session_init(t, &config);
	session_feed(t, ENVELOPE);
	for (size_t k = 0; k <= N_CUTS; k++) {
		bool is_last = k == N_CUTS;
		struct bytes chunk = bytes_first(message,
		    is_last ? message.n : cuts[k]);
		uint8_t octets[40];
		struct buf line = BUF_ON(octets);

		message = bytes_skip(message, chunk.n);
		buf_printf(&line, "BDAT %zu%s\r\n", chunk.n,
		    is_last ? " LAST" : "");
		session_feed(t, buf_bytes(&line));
		session_feed(t, chunk);
		t->out.n = 0;
		session_feed(t, BYTES_LIT("NOOP\r\n"));
		check(bytes_eq(buf_bytes(&t->out),
		    BYTES_LIT("250 2.0.0 Ok\r\n")));
	}
}

static bool
has_bare(struct bytes b)
{
	for (size_t k = 0; k < b.n; k++) {
		if (b.p[k] == '\n' && (k == 0 || b.p[k - 1] != '\r'))
			return true;
		if (b.p[k] == '\r' && (k + 1 == b.n || b.p[k + 1] != '\n'))
			return true;
	}
	return false;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static struct session data, bdat;
	struct bytes message;
	bool is_good, was_taken;

	if (n < N_CUTS)
		return 0;
	message = bytes_first((struct bytes){p + N_CUTS, n - N_CUTS}, 1900);
	is_good = !has_bare(message) &&
	    (message.n == 0 || bytes_ends(message, BYTES_LIT("\r\n")));
	if (is_good) {
		by_data(&data, message);
		is_good = bytes_ends(buf_bytes(&data.events),
		    BYTES_LIT("end; "));
	}
	by_bdat(&bdat, message, p);
	was_taken = bytes_ends(buf_bytes(&bdat.events), BYTES_LIT("end; "));
	check(was_taken == is_good);
	check(!bdat.is_closed);
	if (!was_taken)
		return 0;
	check(bytes_eq(buf_bytes(&data.content), buf_bytes(&bdat.content)));
	check(bytes_eq(bytes_first(buf_bytes(&bdat.content), message.n),
	    message));
	check(data.s.dot.has_8bit == bdat.s.dot.has_8bit);
	check(data.s.dot.longest == bdat.s.dot.longest);
	return 0;
}
