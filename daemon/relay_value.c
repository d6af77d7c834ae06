#include "daemon/relay_value.h"

#include "base/ascii.h"

#define VERSION 1
#define EXPLODED 2		/* likewise, of an alias' copies */
#define FIXED (1 + 8 + 16 + 1)	/* octets before the id */

void
relay_value_add_rcpt(struct buf *list, struct bytes path)
{
	buf_add_octet(list, (uint8_t)(path.n >> 8));
	buf_add_octet(list, (uint8_t)path.n);
	buf_add(list, path);
}

bool
relay_value_next_rcpt(struct bytes *list, struct bytes *path)
{
	size_t n;

	if (list->n < 2)
		return false;
	n = (size_t)list->p[0] << 8 | list->p[1];
	*list = bytes_skip(*list, 2);
	if (n > list->n)
		return false;
	*path = bytes_first(*list, n);
	*list = bytes_skip(*list, n);
	return true;
}

void
relay_value_write(const struct relay_value *v, struct buf *out)
{
	uint64_t t = (uint64_t)v->time_s;
	size_t n = v->received.n;

	buf_add_octet(out, v->is_exploded ? EXPLODED : VERSION);
	for (int shift = 56; shift >= 0; shift -= 8)
		buf_add_octet(out, (uint8_t)(t >> shift));
	buf_add(out, (struct bytes){v->client, sizeof(v->client)});
	buf_add_octet(out, (uint8_t)v->id.n);
	buf_add(out, v->id);
	if (v->received.n > UINT16_MAX || v->received.n + 2 > buf_room(out))
		n = 0;
	buf_add_octet(out, (uint8_t)(n >> 8));
	buf_add_octet(out, (uint8_t)n);
	buf_add(out, bytes_first(v->received, n));
	if (v->rcpts.n <= buf_room(out))
		buf_add(out, v->rcpts);
}

static bool
is_id(struct bytes id)
{
	for (size_t k = 0; k < id.n; k++)
		if (!ascii_is_alnum(id.p[k]))
			return false;
	return id.n != 0 && id.n <= RELAY_ID_MAX;
}

/* One field: each CRLF but the last is a fold, nothing else is a control. */
static bool
is_received(struct bytes f)
{
	if (!bytes_starts(f, BYTES_LIT("Received: ")) ||
	    !bytes_ends(f, BYTES_LIT("\r\n")))
		return false;
	for (size_t k = 0; k < f.n; k++) {
		if (f.p[k] == '\r') {
			if (f.p[++k] != '\n' || (k + 1 != f.n &&
			    !ascii_is_wsp(f.p[k + 1])))
				return false;
		} else if (f.p[k] == 0x7f ||
		    (f.p[k] < ' ' && f.p[k] != '\t')) {
			return false;
		}
	}
	return true;
}

static bool
is_path(struct bytes path)
{
	for (size_t k = 0; k < path.n; k++)
		if (path.p[k] < ' ' || path.p[k] == 0x7f)
			return false;
	return path.n > 2 && path.p[0] == '<' && path.p[path.n - 1] == '>';
}

bool
relay_value_are_rcpts(struct bytes list)
{
	struct bytes path;

	while (list.n != 0)
		if (!relay_value_next_rcpt(&list, &path) || !is_path(path))
			return false;
	return true;
}

bool
relay_value_parse(struct bytes b, struct relay_value *v)
{
	uint64_t t = 0;
	size_t n;

	if (b.n < FIXED || (b.p[0] != VERSION && b.p[0] != EXPLODED))
		return false;
	v->is_exploded = b.p[0] == EXPLODED;
	for (size_t k = 1; k <= 8; k++)
		t = t << 8 | b.p[k];
	if (t > INT64_MAX)
		return false;
	v->time_s = (int64_t)t;
	memcpy(v->client, b.p + 9, sizeof(v->client));
	n = b.p[FIXED - 1];
	b = bytes_skip(b, FIXED);
	if (b.n < n + 2)
		return false;
	v->id = bytes_first(b, n);
	b = bytes_skip(b, n);
	n = (size_t)b.p[0] << 8 | b.p[1];
	b = bytes_skip(b, 2);
	v->received = bytes_first(b, n);
	v->rcpts = bytes_skip(b, v->received.n);
	if (v->received.n != n || !is_id(v->id) ||
	    !relay_value_are_rcpts(v->rcpts))
		return false;
	return n == 0 || is_received(v->received);
}
