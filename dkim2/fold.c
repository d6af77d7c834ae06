#include "dkim2/fold.h"

#include "base/b64.h"

static void
put(struct fold *f, struct bytes octets)
{
	if (octets.n == 0)
		return;
	buf_add(f->out, octets);
	f->left -= octets.n < f->left ? octets.n : f->left;
	f->at_start = false;
}

static void
new_line(struct fold *f)
{
	buf_add_str(f->out, "\r\n\t");
	f->left = FOLD_NEXT;
	f->at_start = true;
}

/* Goes to where a thing of n octets may begin, a space before it if asked. */
static void
place(struct fold *f, bool spaced, size_t n)
{
	if (f->at_start)
		return;
	if (n + (spaced ? 1 : 0) > f->left)
		new_line(f);
	else if (spaced)
		put(f, BYTES_LIT(" "));
}

void
fold_begin(struct fold *f, struct buf *out, const char *name)
{
	*f = (struct fold){out, FOLD_FIRST, false};
	put(f, bytes_of(name));
	put(f, BYTES_LIT(":"));
}

void
fold_tag(struct fold *f, struct bytes word)
{
	place(f, true, word.n);
	put(f, word);
}

void
fold_word(struct fold *f, struct bytes word)
{
	place(f, false, word.n);
	put(f, word);
}

/* Takes up to n octets of base64 from the front of octets, in fours. */
static void
put_quads(struct fold *f, struct bytes *octets, size_t quads, size_t *skip,
    size_t n)
{
	uint8_t text[B64_LEN(3 * (FOLD_NEXT / 4 + 2))];
	struct buf b = BUF_ON(text);

	b64_encode(bytes_first(*octets, quads * 3), &b);
	put(f, bytes_first(bytes_skip(buf_bytes(&b), *skip), n));
	*octets = bytes_skip(*octets, (*skip + n) / 4 * 3);
	*skip = (*skip + n) % 4;
}

void
fold_base64(struct fold *f, bool is_tag, const char *head,
    struct bytes octets, char tail)
{
	size_t todo = B64_LEN(octets.n), skip = 0;
	size_t whole = strlen(head) + todo + 1;
	uint8_t end = (uint8_t)tail;

	/* on a line of its own rather than cut in two, where it fits */
	place(f, is_tag, whole <= FOLD_NEXT ? whole : strlen(head) + 2);
	put(f, bytes_of(head));
	while (todo != 0) {
		/* the separator stays with the last octet */
		size_t n = todo < f->left ? todo : f->left;

		if (n == todo && n == f->left)
			n--;
		if (n == 0) {
			new_line(f);
			continue;
		}
		put_quads(f, &octets, (skip + n + 3) / 4, &skip, n);
		todo -= n;
	}
	put(f, (struct bytes){&end, 1});
}

void
fold_end(struct fold *f)
{
	buf_add_str(f->out, "\r\n");
}
