#include "smtp/dot.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* What a scan of message octets saw on its way. */
struct scan {
	size_t line;		/* octets of the last line so far */
	size_t longest;
	bool has_8bit;
	bool has_nul;
};

#ifdef __SSE2__
#define BLOCK 16U

/* Where octets stand that are c, a bit each. */
static inline unsigned
places(__m128i w, char c)
{
	return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(w,
	    _mm_set1_epi8(c)));
}

/* Octets of whole blocks at the front of b in which nothing is below 0x0e:
 * no LF, CR, NUL or TAB. */
static inline size_t
span_text(struct bytes b, struct scan *s)
{
	const __m128i low = _mm_set1_epi8(0x0d);
	__m128i w, all = _mm_setzero_si128();
	size_t k = 0;

	for (; b.n - k >= BLOCK; k += BLOCK) {
		w = _mm_loadu_si128((const void *)(b.p + k));
		if (_mm_movemask_epi8(_mm_cmpeq_epi8(w,
		    _mm_min_epu8(w, low))) != 0)
			break;
		all = _mm_or_si128(all, w);
	}
	s->has_8bit |= _mm_movemask_epi8(all) != 0;
	return k;
}

/* Octets of a block before its first CR or LF; BLOCK without one. */
static inline size_t
span_block(const uint8_t *p, struct scan *s)
{
	__m128i w = _mm_loadu_si128((const void *)p);
	unsigned ends = places(w, '\r') | places(w, '\n');
	unsigned before = (ends & -ends) - 1;	/* all, where there is none */

	s->has_8bit |= ((unsigned)_mm_movemask_epi8(w) & before) != 0;
	s->has_nul |= (places(w, 0) & before) != 0;
	return ends == 0 ? BLOCK : (size_t)__builtin_ctz(ends);
}
#else
#define BLOCK 8U
#define EACH(octet) (UINT64_C(0x0101010101010101) * (octet))

/* As above, eight at a time. */
static size_t
span_text(struct bytes b, struct scan *s)
{
	uint64_t w, all = 0;
	size_t k = 0;

	for (; b.n - k >= BLOCK; k += BLOCK) {
		memcpy(&w, b.p + k, sizeof(w));
		if (((w - EACH(0x0e)) & ~w & EACH(0x80)) != 0)
			break;
		all |= w;
	}
	s->has_8bit |= (all & EACH(0x80)) != 0;
	return k;
}

static size_t
span_block(const uint8_t *p, struct scan *s)
{
	size_t n = 0;

	for (; n < BLOCK && p[n] != '\r' && p[n] != '\n'; n++) {
		s->has_8bit |= p[n] >= 0x80;
		s->has_nul |= p[n] == 0;
	}
	return n;
}
#endif

/* Octets of b before the first CR or LF. */
static size_t
span_line(struct bytes b, struct scan *s)
{
	size_t k = span_text(b, s);

	while (b.n - k >= BLOCK) {
		size_t n = span_block(b.p + k, s);

		k += n;
		if (n < BLOCK)
			return k;
		k += span_text(bytes_skip(b, k), s);
	}
	for (; k < b.n && b.p[k] != '\r' && b.p[k] != '\n'; k++) {
		s->has_8bit |= b.p[k] >= 0x80;
		s->has_nul |= b.p[k] == 0;
	}
	return k;
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

void
dot_init(struct dot *d, bool is_stuffed)
{
	*d = (struct dot){.at = DOT_AT_BOL, .is_stuffed = is_stuffed};
}

struct bytes
dot_decode_run(struct dot *d, struct bytes *in, size_t max)
{
	struct scan s = {.line = d->line, .longest = d->longest};
	struct bytes run = {NULL, 0};
	bool is_bol;

	if (in->n == 0 || (d->at != DOT_AT_BOL && d->at != DOT_AT_TEXT) ||
	    (d->is_stuffed && d->at == DOT_AT_BOL && in->p[0] == '.'))
		return run;
	run = bytes_first(*in, span_lines(bytes_first(*in, max), &s,
	    &is_bol));
	if (run.n == 0)
		return run;
	*in = bytes_skip(*in, run.n);
	d->at = is_bol ? DOT_AT_BOL : DOT_AT_TEXT;
	d->line = s.line;
	d->longest = s.longest;
	d->has_8bit |= s.has_8bit;
	d->has_nul |= s.has_nul;
	return run;
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
	buf_add(out, dot_decode_run(d, in, buf_room(out)));
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

struct bytes
dot_encode_run(struct dot_encoder *e, struct bytes *in, size_t max)
{
	struct scan s = {0};
	struct bytes run = {NULL, 0};
	bool is_bol;

	if (in->n == 0 || e->is_cr || (e->is_bol && in->p[0] == '.'))
		return run;
	run = bytes_first(*in, span_lines(bytes_first(*in, max), &s,
	    &is_bol));
	*in = bytes_skip(*in, run.n);
	if (run.n != 0)
		e->is_bol = is_bol;
	return run;
}

bool
dot_encode(struct dot_encoder *e, struct bytes *in, struct buf *out)
{
	while (in->n != 0) {
		struct bytes run;

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
		run = dot_encode_run(e, in, buf_room(out));
		if (run.n != 0) {
			buf_add(out, run);
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
