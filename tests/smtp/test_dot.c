#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "smtp/dot.h"

#define N(row) (sizeof(row) / sizeof((row)[0]))
#define OUT_MAX 4096

static bool is_repairing;	/* what decoders are told */
static bool has_runs;		/* what needs no copy is taken so */

/* What a decoder made of its input. */
struct made {
	enum dot_step step;
	struct dot dot;
	size_t used;
	size_t n;
	uint8_t octets[OUT_MAX];
};

/*
 * Decodes in, which arrives in pieces of at most piece octets, the first one
 * ending at cut, into an out that has room for room octets at a time.
 */
static void
decode(struct bytes in, size_t cut, size_t piece, size_t room,
    struct made *made)
{
	struct buf all = {made->octets, 0, OUT_MAX, false};
	size_t used = 0;

	dot_init(&made->dot, true);
	made->dot.is_repairing = is_repairing;
	made->step = DOT_MORE;
	while (used < in.n && made->step == DOT_MORE) {
		struct bytes now = bytes_first(bytes_skip(in, used),
		    used < cut && cut - used < piece ? cut - used : piece);
		size_t all_of_it = now.n;

		do {
			uint8_t octets[OUT_MAX];
			struct buf out = {octets, 0, room, false};
			size_t before = now.n;

			if (has_runs)
				buf_add(&all, dot_decode_run(&made->dot, &now,
				    room));
			made->step = dot_decode(&made->dot, &now, &out);
			assert_false(out.full);
			buf_add(&all, buf_bytes(&out));
			assert_true(made->step != DOT_MORE || now.n == 0 ||
			    now.n < before || out.n != 0);
		} while (made->step == DOT_MORE && now.n != 0);
		used += all_of_it - now.n;
	}
	assert_false(all.full);
	made->used = used;
	made->n = all.n;
}

/* The rule, octet at a time and as plain as can be. */
static void
decode_plainly(struct bytes in, struct made *made)
{
	struct buf out = {made->octets, 0, OUT_MAX, false};
	size_t bol = 0;		/* where the line begins */

	made->step = DOT_MORE;
	made->used = in.n;
	for (size_t k = 0; k < in.n && made->step == DOT_MORE; k++) {
		bool is_dot_line = k == bol + 1 && in.p[bol] == '.';

		if (in.p[k] == '\n' && is_repairing) {
			buf_add(&out, BYTES_LIT("\r\n"));
			bol = in.n;	/* no dot was put behind it */
		} else if (in.p[k] == '\n') {
			made->step = DOT_BARE_LF;
			made->used = k;
		} else if (in.p[k] != '\r') {
			if (k != bol || in.p[k] != '.')
				buf_add_octet(&out, in.p[k]);
		} else if (k + 1 == in.n) {
			break;
		} else if (in.p[k + 1] != '\n') {
			made->step = DOT_BARE_CR;
			made->used = k + 1;
		} else if (is_dot_line) {
			made->step = DOT_END;
			made->used = k + 2;
		} else {
			buf_add(&out, BYTES_LIT("\r\n"));
			bol = ++k + 1;
		}
	}
	made->n = out.n;
}

static void
check_same(struct bytes in, const struct made *want, const struct made *got)
{
	if (want->step == got->step && want->used == got->used &&
	    want->n == got->n && memcmp(want->octets, got->octets, got->n) == 0)
		return;
	print_message("in: ");
	for (size_t k = 0; k < in.n; k++)
		print_message("%02x ", in.p[k]);
	fail_msg("step %d %d, used %zu %zu, n %zu %zu", want->step, got->step,
	    want->used, got->used, want->n, got->n);
}

#define NEXT "MAIL FROM:<evil@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nx\r\n.\r\n"
#define LIT(s) {(const uint8_t *)(s), sizeof(s) - 1}

/* F1, F2: only CRLF "." CRLF ends; whole and split at every octet. */
static void
f1_only_crlf_dot_crlf_ends(void **state)
{
	static const struct {
		struct bytes in;
		struct bytes out;
		enum dot_step step;
	} row[] = {
		{LIT("a\r\n.\r\n"), LIT("a\r\n"), DOT_END},
		{LIT("a\r\n.\r\n" NEXT), LIT("a\r\n"), DOT_END},
		{LIT(".\r\n"), LIT(""), DOT_END},
		{LIT("\r\n.\r\n"), LIT("\r\n"), DOT_END},
		{LIT("..a\r\n.\r\n"), LIT(".a\r\n"), DOT_END},
		{LIT("..\r\n.\r\n"), LIT(".\r\n"), DOT_END},
		{LIT("...\r\n.\r\n"), LIT("..\r\n"), DOT_END},
		{LIT(".a\r\n.\r\n"), LIT("a\r\n"), DOT_END},
		{LIT("a.\r\n.\r\n"), LIT("a.\r\n"), DOT_END},
		{LIT("a\r\n..b.\r\n.c\r\n.\r\n"), LIT("a\r\n.b.\r\nc\r\n"), DOT_END},
		{LIT("a\r\n. \r\nb"), LIT("a\r\n \r\nb"), DOT_MORE},
		/* the false ends, each with more mail behind it */
		{LIT("a\n.\n" NEXT), LIT("a"), DOT_BARE_LF},
		{LIT("a\n.\r\n" NEXT), LIT("a"), DOT_BARE_LF},
		{LIT("a\r\n.\n" NEXT), LIT("a\r\n"), DOT_BARE_LF},
		{LIT("a\r.\r" NEXT), LIT("a"), DOT_BARE_CR},
		{LIT("a\r.\r\n" NEXT), LIT("a"), DOT_BARE_CR},
		{LIT("a\r\n.\r" NEXT), LIT("a\r\n"), DOT_BARE_CR},
		{LIT("a\n.\r" NEXT), LIT("a"), DOT_BARE_LF},
		{LIT("a\r.\n" NEXT), LIT("a"), DOT_BARE_CR},
		{LIT("a\r\r\n.\r\n" NEXT), LIT("a"), DOT_BARE_CR},
		{LIT("a\r\r\n.\r\r\n" NEXT), LIT("a"), DOT_BARE_CR},
		{LIT("a\r\n.\r\r\n" NEXT), LIT("a\r\n"), DOT_BARE_CR},
		{LIT("a\n\n.\r\n" NEXT), LIT("a"), DOT_BARE_LF},
		{LIT("a\r\n\0.\r\nb"), LIT("a\r\n\0.\r\nb"), DOT_MORE},
		{LIT("a\r\n.\0\r\nb"), LIT("a\r\n\0\r\nb"), DOT_MORE},
		{LIT("\n.\r\n" NEXT), LIT(""), DOT_BARE_LF},
		{LIT("\r.\r\n" NEXT), LIT(""), DOT_BARE_CR},
		{LIT(".\n" NEXT), LIT(""), DOT_BARE_LF},
		{LIT(".\r.\r\n" NEXT), LIT(""), DOT_BARE_CR},
		/* F2: bare CR and LF amid the text */
		{LIT("a\nb\r\n.\r\n" NEXT), LIT("a"), DOT_BARE_LF},
		{LIT("a\rb\r\n.\r\n" NEXT), LIT("a"), DOT_BARE_CR},
		{LIT("0123456789abcdef\n"), LIT("0123456789abcdef"), DOT_BARE_LF},
		{LIT("a\r\n\nb"), LIT("a\r\n"), DOT_BARE_LF},
	};
	static const size_t room[] = {OUT_MAX, 2, 3, 7};
	struct made plain, got;

	(void)state;
	for (size_t k = 0; k < N(row); k++) {
		struct bytes in = row[k].in;

		decode_plainly(in, &plain);
		decode(in, in.n, in.n, OUT_MAX, &got);
		check_same(in, &plain, &got);
		assert_int_equal(row[k].step, got.step);
		assert_true(bytes_eq(row[k].out,
		    (struct bytes){got.octets, got.n}));
		for (size_t cut = 0; cut <= in.n; cut++)
			for (size_t r = 0; r < N(room); r++) {
				decode(in, cut, in.n, room[r], &got);
				check_same(in, &plain, &got);
				decode(in, cut, 1, room[r], &got);
				check_same(in, &plain, &got);
			}
	}
}

/* F1: each string of up to eight octets that matter, against the plain rule. */
static void
f1_all_short_strings_agree_with_the_rule(void **state)
{
	static const uint8_t letter[] = {'\r', '\n', '.', 'a'};
	struct made plain, got;

	(void)state;
	for (size_t n = 1; n <= 8; n++) {
		for (unsigned code = 0; code < 1U << (2 * n); code++) {
			uint8_t octets[8];
			struct bytes in = {octets, n};

			for (size_t k = 0; k < n; k++)
				octets[k] = letter[(code >> (2 * k)) & 3];
			for (int mode = 0; mode < 2; mode++) {
				is_repairing = mode == 1;
				decode_plainly(in, &plain);
				decode(in, n, n, OUT_MAX, &got);
				check_same(in, &plain, &got);
				decode(in, n, 1, 2, &got);
				check_same(in, &plain, &got);
			}
			is_repairing = false;
		}
	}
}

/*
 * Where an LF alone is repaired the end of the message is still CRLF "." CRLF
 * and nothing else, at every split, and what is sent on is one message.
 */
static void
f1_repair_ends_nothing_and_takes_no_dot(void **state)
{
	static const struct {
		struct bytes in;
		struct bytes out;
		struct bytes sent;
		enum dot_step step;
		bool is_repaired;
	} row[] = {
		{LIT("a\nb\r\n.\r\n"), LIT("a\r\nb\r\n"),
		    LIT("a\r\nb\r\n.\r\n"), DOT_END, true},
		{LIT("a\r\n.\r\n"), LIT("a\r\n"),
		    LIT("a\r\n.\r\n"), DOT_END, false},
		{LIT("\n\n\r\n.\r\n"), LIT("\r\n\r\n\r\n"),
		    LIT("\r\n\r\n\r\n.\r\n"), DOT_END, true},
		/* no end, and a dot that leaves as two */
		{LIT("a\n.\n" NEXT), LIT("a\r\n.\r\nMAIL FROM:<evil@b>\r\n"
		    "RCPT TO:<c@d>\r\nDATA\r\nx\r\n"),
		    LIT("a\r\n..\r\nMAIL FROM:<evil@b>\r\n"
		    "RCPT TO:<c@d>\r\nDATA\r\nx\r\n.\r\n"), DOT_END, true},
		{LIT("a\n.\r\nb\r\n.\r\n"), LIT("a\r\n.\r\nb\r\n"),
		    LIT("a\r\n..\r\nb\r\n.\r\n"), DOT_END, true},
		{LIT("a\n..b\r\n.\r\n"), LIT("a\r\n..b\r\n"),
		    LIT("a\r\n...b\r\n.\r\n"), DOT_END, true},
		/* a dot that was put there, by the rule of CRLF lines */
		{LIT("a\r\n.\nb\r\n.\r\n"), LIT("a\r\n\r\nb\r\n"),
		    LIT("a\r\n\r\nb\r\n.\r\n"), DOT_END, true},
		/* a CR alone is never repaired */
		{LIT("a\n\rb"), LIT("a\r\n"), LIT(""), DOT_BARE_CR, true},
		{LIT("a\n.\r.\r\n"), LIT("a\r\n."), LIT(""), DOT_BARE_CR, true},
		{LIT("a\r\n.\r\r\n"), LIT("a\r\n"), LIT(""), DOT_BARE_CR, false},
	};
	static const size_t room[] = {OUT_MAX, 2, 3, 7};

	(void)state;
	is_repairing = true;
	for (size_t k = 0; k < N(row); k++) {
		struct bytes in = row[k].in;
		uint8_t octets[OUT_MAX];
		struct dot_encoder e;
		struct made got;

		for (size_t cut = 0; cut <= in.n; cut++)
			for (size_t r = 0; r < N(room); r++) {
				struct buf sent = BUF_ON(octets);
				struct bytes out;

				decode(in, cut, in.n, room[r], &got);
				out = (struct bytes){got.octets, got.n};
				assert_int_equal(got.step, row[k].step);
				assert_true(bytes_eq(out, row[k].out));
				assert_int_equal(got.dot.is_repaired,
				    row[k].is_repaired);
				if (got.step != DOT_END)
					continue;
				assert_int_equal(got.used, in.n);
				dot_encoder_init(&e);
				assert_true(dot_encode(&e, &out, &sent) &&
				    dot_encode_end(&e, &sent));
				assert_true(bytes_eq(buf_bytes(&sent),
				    row[k].sent));
			}
	}
	is_repairing = false;
}

/* The end of a line, for whoever looks at how long lines are. */
static void
repair_ends_a_line(void **state)
{
	struct made got;

	(void)state;
	is_repairing = true;
	decode(BYTES_LIT("abc\nde\nfghi\r\nj"), 0, 3, OUT_MAX, &got);
	is_repairing = false;
	assert_int_equal(got.dot.longest, 4);
	assert_int_equal(got.dot.line, 1);
}

static uint32_t
random_next(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

/* Text with many line ends and dots; a few bare ones where is_wild. */
static size_t
random_text(uint32_t *seed, uint8_t *p, size_t max, bool is_wild)
{
	struct buf b = {p, 0, random_next(seed) % max, false};

	while (buf_room(&b) >= 40) {
		switch (random_next(seed) % (is_wild ? 64 : 60)) {
		case 0: case 1: case 2: case 3: case 4: case 5:
			buf_add(&b, BYTES_LIT("\r\n"));
			break;
		case 6: case 7:
			buf_add(&b, BYTES_LIT("\r\n."));
			break;
		case 8:
			buf_add(&b, BYTES_LIT("\0\t\x01\xc3\xa4"));
			break;
		case 9: case 10: case 11:
			buf_add(&b, BYTES_LIT("0123456789abcdefghijklmnopqr"));
			break;
		case 60:
			buf_add_octet(&b, '\r');
			break;
		case 61:
			buf_add_octet(&b, '\n');
			break;
		default:
			buf_add_octet(&b, (uint8_t)(' ' + random_next(seed) % 90));
		}
	}
	return b.n;
}

static void
long_strings_agree_with_the_rule(void **state)
{
	static uint8_t octets[2000];
	struct made plain, got;
	uint32_t seed = 7;

	(void)state;
	for (int round = 0; round < 3000; round++) {
		struct bytes in = {octets, 0};

		is_repairing = round % 2 == 1;
		has_runs = round % 4 / 2 == 1;
		in.n = random_text(&seed, octets, sizeof(octets), true);
		decode_plainly(in, &plain);
		decode(in, random_next(&seed) % 2000,
		    1 + random_next(&seed) % 2000,
		    2 + random_next(&seed) % 2000, &got);
		check_same(in, &plain, &got);
	}
	is_repairing = has_runs = false;
}

/* What is looked at many octets at a time is seen as one at a time is. */
static void
each_octet_is_seen_at_each_place(void **state)
{
	static const uint8_t octet[] = {0, '\t', '\n', '\r', 0x0e, '.', 0x7f,
	    0x80, 0xff};
	static struct made one, all;

	(void)state;
	has_runs = true;
	for (size_t at = 0; at < 300; at++)
		for (size_t k = 0; k < 4 * N(octet); k++) {
			uint8_t octets[320];
			struct bytes in = {octets, sizeof(octets)};

			memset(octets, 'a', sizeof(octets));
			for (size_t j = 17; j < 300; j += 17 + k / N(octet) * 47)
				memcpy(octets + j, "\r\n", 2);
			octets[at] = octet[k % N(octet)];
			decode(in, 0, 1, OUT_MAX, &one);
			decode(in, at % 2 == 0 ? 0 : at, in.n, OUT_MAX, &all);
			check_same(in, &one, &all);
			assert_int_equal(one.dot.line, all.dot.line);
			assert_int_equal(one.dot.longest, all.dot.longest);
			assert_int_equal(one.dot.has_8bit, all.dot.has_8bit);
			assert_int_equal(one.dot.has_nul, all.dot.has_nul);
			assert_int_equal(one.dot.at, all.dot.at);
		}
	has_runs = false;
}

static void
the_decoder_says_what_it_saw(void **state)
{
	static const struct {
		struct bytes in;
		size_t longest;
		size_t line;
		bool has_8bit;
		bool has_nul;
	} row[] = {
		{LIT("abc\r\nabcdefghijklmnop\r\nab"), 16, 2, false, false},
		{LIT("abc\r\nde"), 3, 2, false, false},
		{LIT(".....\r\n"), 4, 0, false, false},
		{LIT("abcdefgh\xff\r\n"), 9, 0, true, false},
		{LIT("abcdefgh\xffgabcdef\r\n"), 16, 0, true, false},
		{LIT("\x80"), 1, 1, true, false},
		{LIT("abcdefgh\0"), 9, 9, false, true},
		{LIT("\0\r\n"), 1, 0, false, true},
		{LIT("\x01\x7f\t\r\n"), 3, 0, false, false},
	};
	struct made got;

	(void)state;
	for (size_t k = 0; k < N(row); k++) {
		for (size_t piece = 1; piece <= row[k].in.n; piece++) {
			decode(row[k].in, 0, piece, OUT_MAX, &got);
			assert_int_equal(row[k].longest, got.dot.longest);
			assert_int_equal(row[k].line, got.dot.line);
			assert_int_equal(row[k].has_8bit, got.dot.has_8bit);
			assert_int_equal(row[k].has_nul, got.dot.has_nul);
		}
	}
}

/* Encodes in, in pieces, into an out with little room. False: refused. */
static bool
encode(struct bytes in, size_t piece, size_t room, struct buf *all)
{
	struct dot_encoder e;
	uint8_t octets[OUT_MAX];
	struct buf out = {octets, 0, room, false};

	dot_encoder_init(&e);
	while (in.n != 0) {
		struct bytes now = bytes_first(in, piece);
		size_t n = now.n;

		while (now.n != 0) {
			if (!dot_encode(&e, &now, &out)) {
				buf_add(all, buf_bytes(&out));
				return false;
			}
			assert_false(out.full);
			buf_add(all, buf_bytes(&out));
			out.n = 0;
		}
		in = bytes_skip(in, n);
	}
	out.cap = 4;
	assert_false(dot_encode_end(&e, &out));
	assert_int_equal(out.n, 0);
	out.cap = 5;
	if (!dot_encode_end(&e, &out))
		return false;
	buf_add(all, buf_bytes(&out));
	assert_false(all->full);
	return true;
}

static void
encoding_is_octet_exact(void **state)
{
	static const struct {
		const char *in;
		const char *out;	/* NULL: refused */
	} row[] = {
		{"", ".\r\n"},
		{"a\r\n", "a\r\n.\r\n"},
		{"a", "a\r\n.\r\n"},
		{".", "..\r\n.\r\n"},
		{".\r\n", "..\r\n.\r\n"},
		{".\r\n.\r\n", "..\r\n..\r\n.\r\n"},
		{"..a\r\na.b\r\n", "...a\r\na.b\r\n.\r\n"},
		{"\r\n\r\n.a", "\r\n\r\n..a\r\n.\r\n"},
		{"a\nb\r\n", NULL},
		{"a\rb\r\n", NULL},
		{"a\r\r\n", NULL},
		{"\n", NULL},
		{"a\r", NULL},
		{"a\r\n\r", NULL},
	};

	(void)state;
	for (size_t k = 0; k < N(row); k++) {
		struct bytes in = bytes_of(row[k].in);

		for (size_t piece = 1; piece <= in.n + 1; piece++)
			for (size_t room = 2; room < 12; room++) {
				uint8_t octets[OUT_MAX];
				struct buf all = BUF_ON(octets);
				bool good = encode(in, piece, room, &all);

				assert_int_equal(good, row[k].out != NULL);
				if (good)
					assert_true(bytes_eq(buf_bytes(&all),
					    bytes_of(row[k].out)));
			}
	}
}

/*
 * F3: whatever goes in, a reader of whatever laxity (LF ends a line, CR ends
 * one, both) sees no line but the last that is a dot alone, and the strict
 * one gets the octets back.
 */
static void
f3_what_is_sent_is_one_message_to_all(void **state)
{
	static uint8_t text[1500];
	uint32_t seed = 11;

	(void)state;
	for (int round = 0; round < 4000; round++) {
		struct bytes in = {text, 0};
		uint8_t octets[OUT_MAX];
		struct buf all = BUF_ON(octets);
		struct made got;
		bool good;

		in.n = random_text(&seed, text, sizeof(text), round % 2 == 0);
		good = encode(in, 1 + random_next(&seed) % 500,
		    2 + random_next(&seed) % 500, &all);
		for (size_t k = 0; k < all.n; k++) {
			if (octets[k] == '\n')
				assert_true(k != 0 && octets[k - 1] == '\r');
			if (octets[k] == '\r')
				assert_true(k + 1 == all.n || octets[k + 1] == '\n');
			if (octets[k] == '.' && (k == 0 || octets[k - 1] == '\n'))
				assert_true(k + 1 == all.n ||
				    octets[k + 1] == '.' ||
				    (good && k + 3 == all.n));
		}
		assert_true(good || all.n == 0 || octets[all.n - 1] != '\r');
		if (!good)
			continue;
		decode(buf_bytes(&all), all.n, all.n, OUT_MAX, &got);
		assert_int_equal(got.step, DOT_END);
		assert_int_equal(got.used, all.n);
		assert_true(got.n == in.n || got.n == in.n + 2);
		assert_memory_equal(got.octets, in.p, in.n);
		if (got.n != in.n)
			assert_true(!bytes_ends(in, BYTES_LIT("\r\n")));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(f1_only_crlf_dot_crlf_ends),
		cmocka_unit_test(f1_all_short_strings_agree_with_the_rule),
		cmocka_unit_test(f1_repair_ends_nothing_and_takes_no_dot),
		cmocka_unit_test(repair_ends_a_line),
		cmocka_unit_test(long_strings_agree_with_the_rule),
		cmocka_unit_test(each_octet_is_seen_at_each_place),
		cmocka_unit_test(the_decoder_says_what_it_saw),
		cmocka_unit_test(encoding_is_octet_exact),
		cmocka_unit_test(f3_what_is_sent_is_one_message_to_all),
	};

	return cmocka_run_group_tests_name("smtp/dot", tests, NULL, NULL);
}
