#include "daemon/shared_rows.h"

#include <sodium.h>
#include <stdio.h>

#define WHOLE 'w'
#define ON_ITS_WAY 'p'

void
shared_content(const uint8_t chain[STORE_KEY_SIZE],
    const uint8_t message[STORE_KEY_SIZE], const struct arrival *a,
    uint8_t content[STORE_KEY_SIZE])
{
	crypto_generichash_state state;

	crypto_generichash_init(&state, NULL, 0, STORE_KEY_SIZE);
	crypto_generichash_update(&state, chain, STORE_KEY_SIZE);
	crypto_generichash_update(&state, message, STORE_KEY_SIZE);
	crypto_generichash_update(&state, a->header, sizeof(a->header));
	crypto_generichash_update(&state, a->body, sizeof(a->body));
	crypto_generichash_final(&state, content, STORE_KEY_SIZE);
}

/* ---- rows ---------------------------------------------------------------- */

void
shared_row_write(const struct store_arrival *row,
    const uint8_t content[STORE_KEY_SIZE], struct buf *out)
{
	buf_printf(out, "%020lld", row->time_s < 0 ? 0LL :
	    (long long)row->time_s);
	buf_add(out, (struct bytes){content, STORE_KEY_SIZE});
	buf_add(out, (struct bytes){row->message, STORE_KEY_SIZE});
	buf_add(out, row->value);
}

bool
shared_row_parse(struct bytes b, struct store_arrival *row,
    uint8_t content[STORE_KEY_SIZE])
{
	uint64_t time_s;

	if (b.n < SHARED_ROW_FIXED || b.n > SHARED_ROW_MAX ||
	    !bytes_number(bytes_first(b, SHARED_TIME_SIZE), INT64_MAX,
	    &time_s))
		return false;
	*row = (struct store_arrival){.time_s = (int64_t)time_s, .n_uses = 1,
	    .value = bytes_skip(b, SHARED_ROW_FIXED)};
	b = bytes_skip(b, SHARED_TIME_SIZE);
	memcpy(content, b.p, STORE_KEY_SIZE);
	memcpy(row->message, b.p + STORE_KEY_SIZE, STORE_KEY_SIZE);
	return true;
}

/* ---- copies -------------------------------------------------------------- */

static void
add_word(struct buf *out, uint64_t v)
{
	for (int k = 7; k >= 0; k--)
		buf_add_octet(out, (uint8_t)(v >> (8 * k)));
}

static uint64_t
take_word(struct bytes *b)
{
	uint64_t v = 0;

	for (size_t k = 0; k < 8; k++)
		v = v << 8 | b->p[k];
	*b = bytes_skip(*b, 8);
	return v;
}

void
shared_copy_write(const struct shared_copy *c, struct buf *out)
{
	buf_add_octet(out, c->is_whole ? WHOLE : ON_ITS_WAY);
	buf_add(out, (struct bytes){c->name, sizeof(c->name)});
	add_word(out, c->size);
	if (c->is_whole)
		buf_add(out, (struct bytes){c->digest, sizeof(c->digest)});
	else
		add_word(out, (uint64_t)c->time_s);
}

bool
shared_copy_parse(struct bytes b, struct shared_copy *c)
{
	size_t head = 1 + STORE_KEY_SIZE + 8;
	uint64_t time_s;

	if (b.n < head || (b.p[0] != WHOLE && b.p[0] != ON_ITS_WAY))
		return false;
	*c = (struct shared_copy){.is_whole = b.p[0] == WHOLE};
	if (b.n != head + (c->is_whole ? sizeof(c->digest) : 8))
		return false;
	b = bytes_skip(b, 1);
	memcpy(c->name, b.p, sizeof(c->name));
	b = bytes_skip(b, sizeof(c->name));
	c->size = take_word(&b);
	if (c->is_whole) {
		memcpy(c->digest, b.p, sizeof(c->digest));
	} else {
		time_s = take_word(&b);
		if (time_s > INT64_MAX)
			return false;
		c->time_s = (int64_t)time_s;
	}
	return c->size != 0 && c->size <= INT64_MAX;
}
