#include "smtp/dot.h"

/* What a scan of message octets saw on its way. */
struct scan {
	size_t line;		/* octets of the last line so far */
	size_t longest;
	uint64_t bits;		/* all octets seen, ORed */
	bool has_nul;
};

#define EACH(octet) (UINT64_C(0x0101010101010101) * (octet))

/* Whether one of the eight octets of w is below 0x0e: LF, CR, NUL, TAB. */
static inline bool
has_low(uint64_t w)
{
	return ((w - EACH(0x0e)) & ~w & EACH(0x80)) != 0;
}

/* Octets of b before the first CR or LF, eight at a time where possible. */
static size_t
span_line(struct bytes b, struct scan *s)
{
	size_t k = 0;
	uint64_t w;

	for (;;) {
		size_t stop;

		while (b.n - k >= sizeof(w)) {
			memcpy(&w, b.p + k, sizeof(w));
			if (has_low(w))
				break;
			s->bits |= w;
			k += sizeof(w);
		}
		stop = b.n - k > sizeof(w) ? k + sizeof(w) : b.n;
		for (; k < stop; k++) {
			if (b.p[k] == '\r' || b.p[k] == '\n')
				return k;
			s->bits |= b.p[k];
			if (b.p[k] == 0)
				s->has_nul = true;
		}
		if (k == b.n)
			return k;
	}
}

/*
 * Octets at the front of b that go through as they are, both ways: text and
 * whole CRLFs. It stops before a dot at the beginning of a line, an LF on its
 * own, and a CR that no LF follows in b. b does not begin with such a dot.
 *
 * is_bol   whether what was counted ends a line
 */
static size_t
span_lines(struct bytes b, struct scan *s, bool *is_bol)
{
	size_t n = 0;

	*is_bol = false;
	while (n < b.n) {
		size_t text = span_line(bytes_skip(b, n), s);

		s->line += text;
		if (s->line > s->longest)
			s->longest = s->line;
		if (text != 0)
			*is_bol = false;
		n += text;
		if (b.n - n < 2 || b.p[n] != '\r' || b.p[n + 1] != '\n')
			return n;
		n += 2;
		s->line = 0;
		*is_bol = true;
		if (n < b.n && b.p[n] == '.')
			return n;
	}
	return n;
}

static void
add_run(struct bytes *in, struct buf *out, size_t n)
{
	buf_add(out, bytes_first(*in, n));
	*in = bytes_skip(*in, n);
}

void
dot_init(struct dot *d, bool is_stuffed)
{
	*d = (struct dot){.at = DOT_AT_BOL, .is_stuffed = is_stuffed};
}

/* Takes text and whole lines; d stands at the beginning or inside of one. */
static void
decode_run(struct dot *d, struct bytes *in, struct buf *out)
{
	struct scan s = {.line = d->line, .longest = d->longest};
	bool is_bol;
	size_t n = span_lines(bytes_first(*in, buf_room(out)), &s, &is_bol);

	if (n == 0)
		return;
	add_run(in, out, n);
	d->at = is_bol ? DOT_AT_BOL : DOT_AT_TEXT;
	d->line = s.line;
	d->longest = s.longest;
	d->has_8bit = d->has_8bit || (s.bits & EACH(0x80)) != 0;
	d->has_nul = d->has_nul || s.has_nul;
}

/* DOT_AT_BOL and DOT_AT_TEXT. False where out has no room for what comes. */
static bool
decode_text(struct dot *d, struct bytes *in, struct buf *out)
{
	size_t before = in->n;

	if (d->is_stuffed && d->at == DOT_AT_BOL && in->p[0] == '.') {
		*in = bytes_skip(*in, 1);
		d->at = DOT_AT_DOT;
		return true;
	}
	decode_run(d, in, out);
	if (in->n == 0 || in->p[0] != '\r')
		return in->n != before;
	/* a CR at the end of the input or of the room, or on its own */
	*in = bytes_skip(*in, 1);
	d->at = DOT_AT_CR;
	return true;
}

/*
 * An LF alone. For those who look for the end of the message, or for dots that
 * were put there, its line goes on. False where out has no room.
 */
static bool
repair(struct dot *d, struct bytes *in, struct buf *out)
{
	if (buf_room(out) < 2)
		return false;
	*in = bytes_skip(*in, 1);
	buf_add(out, BYTES_LIT("\r\n"));
	d->line = 0;
	d->at = d->is_stuffed ? DOT_AT_TEXT : DOT_AT_BOL;
	d->is_repaired = true;
	return true;
}

enum dot_step
dot_decode(struct dot *d, struct bytes *in, struct buf *out)
{
	while (in->n != 0) {
		switch (d->at) {
		case DOT_AT_DOT:
			/* a dot that begins a line is never text itself */
			d->at = DOT_AT_TEXT;
			if (in->p[0] != '\r')
				continue;
			*in = bytes_skip(*in, 1);
			d->at = DOT_AT_DOTCR;
			continue;
		case DOT_AT_DOTCR:
			if (in->p[0] != '\n')
				return DOT_BARE_CR;
			*in = bytes_skip(*in, 1);
			return DOT_END;
		case DOT_AT_CR:
			if (in->p[0] != '\n')
				return DOT_BARE_CR;
			if (buf_room(out) < 2)
				return DOT_MORE;
			*in = bytes_skip(*in, 1);
			buf_add(out, BYTES_LIT("\r\n"));
			d->line = 0;
			d->at = DOT_AT_BOL;
			continue;
		case DOT_AT_BOL:
		case DOT_AT_TEXT:
			if (in->p[0] == '\n' && !d->is_repairing)
				return DOT_BARE_LF;
			if (in->p[0] == '\n') {
				if (!repair(d, in, out))
					return DOT_MORE;
			} else if (!decode_text(d, in, out)) {
				return DOT_MORE;
			}
			continue;
		}
	}
	return DOT_MORE;
}

void
dot_encoder_init(struct dot_encoder *e)
{
	*e = (struct dot_encoder){.is_bol = true};
}

bool
dot_encode(struct dot_encoder *e, struct bytes *in, struct buf *out)
{
	while (in->n != 0) {
		struct scan s = {0};
		bool is_bol;
		size_t n;

		if (in->p[0] == '\n' ? !e->is_cr : e->is_cr)
			return false;
		if (e->is_cr || (e->is_bol && in->p[0] == '.')) {
			if (buf_room(out) < 2)
				return true;
			buf_add(out,
			    e->is_cr ? BYTES_LIT("\r\n") : BYTES_LIT(".."));
			e->is_bol = e->is_cr;
			e->is_cr = false;
			*in = bytes_skip(*in, 1);
			continue;
		}
		n = span_lines(bytes_first(*in, buf_room(out)), &s, &is_bol);
		if (n != 0) {
			add_run(in, out, n);
			e->is_bol = is_bol;
		} else if (in->p[0] == '\r') {
			/* held back until its LF is there to go with it */
			*in = bytes_skip(*in, 1);
			e->is_cr = true;
		} else {
			return true;
		}
	}
	return true;
}

bool
dot_encode_end(struct dot_encoder *e, struct buf *out)
{
	if (e->is_cr || buf_room(out) < 5)
		return false;
	if (!e->is_bol)
		buf_add(out, BYTES_LIT("\r\n"));
	buf_add(out, BYTES_LIT(".\r\n"));
	dot_encoder_init(e);
	return true;
}
