/*
 * DATA undone and done: at once, octet by octet and into small buffers it is
 * the same; what an octet-at-a-time reading of the rule says; and what is
 * encoded is one message that decodes to what it was. Where an LF alone is
 * repaired none is left, and the message ends no earlier.
 */
#include <stdint.h>
#include <stdlib.h>

#include "smtp/dot.h"

#define MAX 8192

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

struct made {
	enum dot_step step;
	struct dot dot;
	size_t used;
	struct buf out;
	uint8_t octets[2 * MAX + 8];
};

static void
check(bool good)
{
	if (!good)
		abort();
}

static void
decode(struct bytes in, size_t piece, size_t room, bool is_repairing,
    struct made *m)
{
	size_t used = 0;

	m->out = BUF_ON(m->octets);
	m->step = DOT_MORE;
	dot_init(&m->dot, true);
	m->dot.is_repairing = is_repairing;
	while (used < in.n && m->step == DOT_MORE) {
		struct bytes now = bytes_first(bytes_skip(in, used), piece);
		size_t n = now.n;

		do {
			uint8_t octets[MAX + 8];
			struct buf out = {octets, 0, room, false};

			m->step = dot_decode(&m->dot, &now, &out);
			check(!out.full);
			check(m->step != DOT_MORE || now.n == 0 || out.n != 0);
			buf_add(&m->out, buf_bytes(&out));
		} while (m->step == DOT_MORE && now.n != 0);
		used += n - now.n;
	}
	m->used = used;
}

static bool
same(const struct made *a, const struct made *b)
{
	return a->step == b->step && a->used == b->used &&
	    bytes_eq(buf_bytes(&a->out), buf_bytes(&b->out)) &&
	    a->dot.line == b->dot.line && a->dot.longest == b->dot.longest &&
	    a->dot.has_8bit == b->dot.has_8bit &&
	    a->dot.has_nul == b->dot.has_nul &&
	    a->dot.is_repaired == b->dot.is_repaired;
}

/* Where the message ends, or is refused, by the rule. */
static void
check_rule(struct bytes in, const struct made *m)
{
	size_t bol = 0;

	for (size_t k = 0; k < in.n; k++) {
		if (in.p[k] == '\n') {
			check(m->step == DOT_BARE_LF && m->used == k);
			return;
		}
		if (in.p[k] != '\r')
			continue;
		if (k + 1 == in.n)
			break;
		if (in.p[k + 1] != '\n') {
			check(m->step == DOT_BARE_CR && m->used == k + 1);
			return;
		}
		if (k == bol + 1 && in.p[bol] == '.') {
			check(m->step == DOT_END && m->used == k + 2);
			return;
		}
		bol = ++k + 1;
	}
	check(m->step == DOT_MORE && m->used == in.n);
}

/* Nothing else changes: what needs no repair is as it was, and what does goes on. */
static void
check_repaired(struct bytes in, size_t size, const struct made *strict)
{
	static struct made whole, bits;
	struct bytes out;

	decode(in, MAX, MAX, true, &whole);
	decode(in, 1, 2, true, &bits);
	check(same(&whole, &bits));
	decode(in, size, size, true, &bits);
	check(same(&whole, &bits));
	check(whole.step != DOT_BARE_LF);
	check(whole.dot.is_repaired == (strict->step == DOT_BARE_LF));
	if (!whole.dot.is_repaired)
		check(same(&whole, strict));
	check(whole.used >= strict->used);
	out = buf_bytes(&whole.out);
	check(bytes_starts(out, buf_bytes(&strict->out)));
	for (size_t k = 0; k < out.n; k++)
		check(out.p[k] != '\n' || (k != 0 && out.p[k - 1] == '\r'));
	if (whole.step == DOT_END)
		check(whole.used >= 3 && bytes_ends(bytes_first(in,
		    whole.used), whole.used == 3 ? BYTES_LIT(".\r\n") :
		    BYTES_LIT("\r\n.\r\n")));
}

static bool
encode(struct bytes in, size_t piece, size_t room, struct buf *all)
{
	struct dot_encoder e;
	uint8_t octets[MAX + 8];
	struct buf out = {octets, 0, room, false};

	dot_encoder_init(&e);
	while (in.n != 0) {
		struct bytes now = bytes_first(in, piece);

		in = bytes_skip(in, now.n);
		while (now.n != 0) {
			bool good = dot_encode(&e, &now, &out);

			check(!out.full);
			buf_add(all, buf_bytes(&out));
			out.n = 0;
			if (!good)
				return false;
		}
	}
	out.cap = 5;
	if (!dot_encode_end(&e, &out))
		return false;
	buf_add(all, buf_bytes(&out));
	check(!all->full);
	return true;
}

static void
check_encoded(struct bytes in, bool good, struct bytes sent)
{
	static struct made m;

	for (size_t k = 0; k < sent.n; k++) {
		check(sent.p[k] != '\n' || (k != 0 && sent.p[k - 1] == '\r'));
		check(sent.p[k] != '\r' ||
		    (k + 1 < sent.n && sent.p[k + 1] == '\n'));
	}
	decode(sent, MAX, MAX, false, &m);
	check(good ? m.step == DOT_END && m.used == sent.n :
	    m.step == DOT_MORE);
	check(bytes_starts(good ? buf_bytes(&m.out) : in,
	    good ? in : buf_bytes(&m.out)));
	check(!good || m.out.n == in.n || (m.out.n == in.n + 2 &&
	    !bytes_ends(in, BYTES_LIT("\r\n"))));
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static struct made whole, bits;
	static uint8_t sent_octets[2 * MAX + 16], more_octets[2 * MAX + 16];
	struct buf sent = BUF_ON(sent_octets), more = BUF_ON(more_octets);
	struct bytes in = bytes_first((struct bytes){p, n}, MAX);
	size_t size = n == 0 ? 2 : 2 + p[0] % 19u;
	bool good;

	decode(in, MAX, MAX, false, &whole);
	check_rule(in, &whole);
	decode(in, 1, 2, false, &bits);
	check(same(&whole, &bits));
	decode(in, size, size, false, &bits);
	check(same(&whole, &bits));
	check_repaired(in, size, &whole);

	good = encode(in, MAX, MAX, &sent);
	check(good == encode(in, 1, size, &more));
	check(bytes_eq(buf_bytes(&sent), buf_bytes(&more)));
	check_encoded(in, good, buf_bytes(&sent));
	return 0;
}
