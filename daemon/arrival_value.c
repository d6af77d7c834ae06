#include "daemon/arrival_value.h"

#include "daemon/relay_value.h"

#define VERSION 1

#define HAS_COPY 1U
#define IS_ALIGNED 2U
#define IS_FROM_SIGNED 4U

static void
add_number(struct buf *out, uint64_t v, int octets)
{
	for (int k = octets - 1; k >= 0; k--)
		buf_add_octet(out, (uint8_t)(v >> (8 * k)));
}

static uint64_t
take_number(struct bytes *b, size_t octets)
{
	uint64_t v = 0;

	for (size_t k = 0; k < octets; k++)
		v = v << 8 | b->p[k];
	*b = bytes_skip(*b, octets);
	return v;
}

static void
take_octets(struct bytes *b, uint8_t *out, size_t n)
{
	memcpy(out, b->p, n);
	*b = bytes_skip(*b, n);
}

/* The recipients at the front of a list that fit into n octets. */
static struct bytes
first_rcpts(struct bytes list, size_t n)
{
	struct bytes rest = list, path;
	size_t fit = 0;

	while (relay_value_next_rcpt(&rest, &path) && list.n - rest.n <= n)
		fit = list.n - rest.n;
	return bytes_first(list, fit);
}

void
arrival_value_write(const struct arrival *a, struct buf *out)
{
	struct bytes from = a->mail_from;

	if (from.n > ARRIVAL_PATH_MAX)
		from.n = 0;
	buf_add_octet(out, VERSION);
	buf_add_octet(out, (uint8_t)((a->has_copy ? HAS_COPY : 0) |
	    (a->is_dkim1_aligned ? IS_ALIGNED : 0) |
	    (a->is_from_signed ? IS_FROM_SIGNED : 0)));
	buf_add_octet(out, (uint8_t)a->full);
	buf_add_octet(out, (uint8_t)a->provisional);
	add_number(out, (uint64_t)a->time_s, 8);
	add_number(out, a->n_found, 4);
	buf_add(out, (struct bytes){a->client, sizeof(a->client)});
	buf_add(out, (struct bytes){a->header, sizeof(a->header)});
	buf_add(out, (struct bytes){a->body, sizeof(a->body)});
	buf_add(out, (struct bytes){a->copy, sizeof(a->copy)});
	add_number(out, from.n, 2);
	buf_add(out, from);
	buf_add(out, first_rcpts(a->rcpts, ARRIVAL_RCPTS_MAX));
}

/* The null path, too. */
static bool
is_reverse_path(struct bytes path)
{
	for (size_t k = 0; k < path.n; k++)
		if (path.p[k] < ' ' || path.p[k] == 0x7f)
			return false;
	return path.n >= 2 && path.p[0] == '<' && path.p[path.n - 1] == '>';
}

bool
arrival_value_parse(struct bytes b, struct arrival *a)
{
	unsigned flags;
	uint64_t time_s;
	size_t n;

	if (b.n < ARRIVAL_FIXED || b.n > ARRIVAL_VALUE_MAX ||
	    b.p[0] != VERSION || b.p[1] > (HAS_COPY | IS_ALIGNED | IS_FROM_SIGNED) ||
	    b.p[2] > DKIM2_TEMPERROR || b.p[3] > DKIM2_TEMPERROR)
		return false;
	flags = b.p[1];
	*a = (struct arrival){.full = (enum dkim2_state)b.p[2],
	    .provisional = (enum dkim2_state)b.p[3],
	    .has_copy = (flags & HAS_COPY) != 0,
	    .is_dkim1_aligned = (flags & IS_ALIGNED) != 0,
	    .is_from_signed = (flags & IS_FROM_SIGNED) != 0};
	b = bytes_skip(b, 4);
	time_s = take_number(&b, 8);
	a->time_s = (int64_t)time_s;
	a->n_found = (uint32_t)take_number(&b, 4);
	take_octets(&b, a->client, sizeof(a->client));
	take_octets(&b, a->header, sizeof(a->header));
	take_octets(&b, a->body, sizeof(a->body));
	take_octets(&b, a->copy, sizeof(a->copy));
	n = (size_t)take_number(&b, 2);
	if (time_s > INT64_MAX || n > b.n || n > ARRIVAL_PATH_MAX)
		return false;
	a->mail_from = bytes_first(b, n);
	a->rcpts = bytes_skip(b, n);
	return (n == 0 || is_reverse_path(a->mail_from)) &&
	    a->rcpts.n <= ARRIVAL_RCPTS_MAX && relay_value_are_rcpts(a->rcpts);
}

/* ---- joining ------------------------------------------------------------- */

static bool
has_rcpt(struct bytes list, struct bytes path)
{
	struct bytes one;

	while (relay_value_next_rcpt(&list, &one))
		if (bytes_eq(one, path))
			return true;
	return false;
}

static void
join_rcpts(struct arrival_join *j, struct bytes list)
{
	struct buf room = {j->room, j->record.rcpts.n, sizeof(j->room), false};
	struct bytes path;

	while (relay_value_next_rcpt(&list, &path))
		if (path.n + 2 <= buf_room(&room) &&
		    !has_rcpt(buf_bytes(&room), path))
			relay_value_add_rcpt(&room, path);
	j->record.rcpts = buf_bytes(&room);
}

/* The worse of two, the first where they are as bad. */
static enum dkim2_state
worse(enum dkim2_state a, enum dkim2_state b)
{
	if (a == DKIM2_PASS || (a == DKIM2_TEMPERROR && b != DKIM2_PASS))
		return b;
	return a;
}

static bool
is_same(const struct arrival *a, const struct arrival *b)
{
	return memcmp(a->header, b->header, sizeof(a->header)) == 0 &&
	    memcmp(a->body, b->body, sizeof(a->body)) == 0;
}

/* One that passed says it for all of that content. */
static void
join_full(struct arrival_join *j, const struct arrival *a)
{
	j->worst = worse(j->worst, a->full);
	j->has_passed = j->has_passed || a->full == DKIM2_PASS;
	j->has_other = j->has_other || !is_same(&j->record, a);
	j->record.full = j->has_passed && !j->has_other ? DKIM2_PASS :
	    j->worst;
}

void
arrival_join(struct arrival_join *j, const struct arrival *a)
{
	struct arrival *r = &j->record;

	if (j->n++ == 0) {
		*r = *a;
		r->rcpts = (struct bytes){j->room, 0};
		join_rcpts(j, a->rcpts);
		j->worst = a->full;
		j->has_passed = a->full == DKIM2_PASS;
		j->has_other = false;
		return;
	}
	join_full(j, a);
	r->provisional = worse(r->provisional, a->provisional);
	r->is_dkim1_aligned = r->is_dkim1_aligned && a->is_dkim1_aligned;
	r->is_from_signed = r->is_from_signed && a->is_from_signed;
	if (!r->has_copy && a->has_copy && is_same(r, a)) {
		r->has_copy = true;
		memcpy(r->copy, a->copy, sizeof(r->copy));
	}
	if (a->n_found > r->n_found)
		r->n_found = a->n_found;
	join_rcpts(j, a->rcpts);
}
