#include "smtp/line.h"

void
smtp_line_init(struct smtp_line *l, uint8_t *storage, size_t cap)
{
	*l = (struct smtp_line){.p = storage, .cap = cap};
}

static void
keep(struct smtp_line *l, struct bytes b)
{
	struct bytes front = bytes_first(b, l->cap - l->n);

	if (front.n != 0)
		memcpy(l->p + l->n, front.p, front.n);
	l->n += front.n;
	l->n_seen += b.n;
	l->is_long = l->n_seen > l->cap;
	if (bytes_index(b, 0) != b.n)
		l->has_nul = true;
}

/* A CR is bare but before the LF, which can be the last octet of b alone. */
static void
look_for_bare_cr(struct smtp_line *l, struct bytes b)
{
	size_t at;

	if (l->is_cr && b.p[0] != '\n')
		l->has_bare_cr = true;
	l->is_cr = b.p[b.n - 1] == '\r';
	while ((at = bytes_index(b, '\r')) + 1 < b.n) {
		if (b.p[at + 1] != '\n')
			l->has_bare_cr = true;
		b = bytes_skip(b, at + 1);
	}
}

enum smtp_line_step
smtp_line_read(struct smtp_line *l, struct bytes *in)
{
	struct bytes now;
	bool was_cr;

	if (l->is_ready)
		smtp_line_init(l, l->p, l->cap);
	now = bytes_first(*in, SMTP_LINE_MAX - l->n_seen);
	if (now.n == 0)
		return in->n == 0 ? SMTP_LINE_MORE : SMTP_LINE_ENDLESS;
	now = bytes_first(now, bytes_index(now, '\n') + 1);
	was_cr = now.n == 1 ? l->is_cr : now.p[now.n - 2] == '\r';
	keep(l, now);
	look_for_bare_cr(l, now);
	*in = bytes_skip(*in, now.n);
	if (now.p[now.n - 1] != '\n')
		return in->n == 0 ? SMTP_LINE_MORE : SMTP_LINE_ENDLESS;
	l->has_bare_lf = !was_cr;
	l->is_ready = true;
	return SMTP_LINE_READY;
}

struct bytes
smtp_line_octets(const struct smtp_line *l)
{
	struct bytes b = {l->p, l->n};

	if (b.n == l->n_seen)
		b.n--;
	if (b.n + 1 == l->n_seen && b.n != 0 && b.p[b.n - 1] == '\r')
		b.n--;
	return b;
}
