/* A bounded writer: it checks at each step and is asked once, at its end. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>

#include "base/bytes.h"

/*
 * Octets written so far and the room there is. The storage is the caller's.
 * Once something did not fit, full is set and nothing further is written.
 */
struct buf {
	uint8_t *p;
	size_t n;
	size_t cap;
	bool full;
};

#define BUF_ON(array) ((struct buf){(uint8_t *)(array), 0, sizeof(array), false})

static inline struct bytes
buf_bytes(const struct buf *b)
{
	return (struct bytes){b->p, b->n};
}

static inline size_t
buf_room(const struct buf *b)
{
	return b->full ? 0 : b->cap - b->n;
}

static inline void
buf_add(struct buf *b, struct bytes s)
{
	if (b->full || s.n > b->cap - b->n) {
		b->full = true;
		return;
	}
	if (s.n != 0)
		memcpy(b->p + b->n, s.p, s.n);
	b->n += s.n;
}

static inline void
buf_add_octet(struct buf *b, uint8_t c)
{
	if (b->full || b->n == b->cap) {
		b->full = true;
		return;
	}
	b->p[b->n++] = c;
}

/* Adds a C string without its NUL. */
static inline void
buf_add_str(struct buf *b, const char *s)
{
	buf_add(b, bytes_of(s));
}

/* Takes the first n octets out and moves the rest to the front. */
static inline void
buf_drop(struct buf *b, size_t n)
{
	if (n >= b->n) {
		b->n = 0;
		return;
	}
	memmove(b->p, b->p + n, b->n - n);
	b->n -= n;
}

/* Adds v in decimal. */
void buf_add_number(struct buf *b, uint64_t v);

/* Adds formatted text; all of it or, with full set, nothing. */
void buf_printf(struct buf *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Adds octets from the net for a log line or a reply: control octets, 8-bit
 * octets and the backslash as \ooo, at most max octets of s, then "...".
 */
void buf_add_escaped(struct buf *b, struct bytes s, size_t max);

#endif
