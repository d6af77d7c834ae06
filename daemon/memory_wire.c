#include "daemon/memory_wire.h"

#include "base/err.h"

/* A head of n_head octets, and behind it what the head says. */
static int
take(struct bytes *packet, void *head, size_t n_head, const uint16_t *n_value,
    struct bytes *value)
{
	if (packet->n == 0)
		return 0;
	if (packet->n < n_head)
		return -E_SYNTAX;
	memcpy(head, packet->p, n_head);
	if (*n_value > packet->n - n_head)
		return -E_SYNTAX;
	*value = bytes_first(bytes_skip(*packet, n_head), *n_value);
	*packet = bytes_skip(*packet, n_head + *n_value);
	return 1;
}

static bool
is_size_of(unsigned op, size_t n)
{
	switch (op) {
	case MEMORY_OP_MIXED:
		return n <= MEMORY_VALUE_MAX && n % sizeof(uint64_t) == 0;
	case MEMORY_OP_WRITE:
		return n >= sizeof(struct memory_write) &&
		    n <= MEMORY_WRITE_MAX;
	case MEMORY_OP_RETURN_KEEP:
		return n != 0 && n <= MEMORY_VALUE_MAX;
	case MEMORY_OP_REMOVE:
		return n == sizeof(struct memory_place);
	case MEMORY_OP_RETURN_FIND:
	case MEMORY_OP_FIND_CHAIN:
	case MEMORY_OP_FIND_MESSAGE:
		return n == 0;
	default:
		return n <= MEMORY_VALUE_MAX;
	}
}

int
memory_request_parse(struct bytes *packet, struct memory_request *q,
    struct bytes *value)
{
	int r = take(packet, q, sizeof(*q), &q->n_value, value);

	if (r != 1)
		return r;
	if (q->op == 0 || q->op >= MEMORY_OP__N || q->is_short > 1 ||
	    q->zero != 0 || !is_size_of(q->op, value->n))
		return -E_SYNTAX;
	return 1;
}

static bool
is_answer(const struct memory_response *a)
{
	if (a->is_arrival)
		return a->status <= ARRIVAL_COMING && a->is_single == 0 &&
		    a->n_value <= ARRIVAL_VALUE_MAX;
	return a->status <= MEMORY_OUT && a->is_single <= 1 &&
	    a->n_value <= MEMORY_VALUE_MAX;
}

int
memory_response_parse(struct bytes *packet, struct memory_response *a,
    struct bytes *value)
{
	static const uint8_t zero[sizeof(a->zero)];
	int r = take(packet, a, sizeof(*a), &a->n_value, value);

	if (r != 1)
		return r;
	if (a->is_arrival > 1 || memcmp(a->zero, zero, sizeof(zero)) != 0 ||
	    !is_answer(a))
		return -E_SYNTAX;
	return 1;
}
