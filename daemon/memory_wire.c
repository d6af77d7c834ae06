#include "daemon/memory_wire.h"

#include "base/err.h"

/* A head of n_head octets, and behind it what the head says. */
static int
take(struct bytes *packet, void *head, size_t n_head, uint16_t *n_value,
    struct bytes *value)
{
	if (packet->n == 0)
		return 0;
	if (packet->n < n_head)
		return -E_SYNTAX;
	memcpy(head, packet->p, n_head);
	if (*n_value > MEMORY_VALUE_MAX || *n_value > packet->n - n_head)
		return -E_SYNTAX;
	*value = bytes_first(bytes_skip(*packet, n_head), *n_value);
	*packet = bytes_skip(*packet, n_head + *n_value);
	return 1;
}

int
memory_request_parse(struct bytes *packet, struct memory_request *q,
    struct bytes *value)
{
	int r = take(packet, q, sizeof(*q), &q->n_value, value);

	if (r != 1)
		return r;
	if (q->op == 0 || q->op >= MEMORY_OP__N || q->is_short > 1 ||
	    q->zero != 0)
		return -E_SYNTAX;
	if (q->op == MEMORY_OP_MIXED && q->n_value % sizeof(uint64_t) != 0)
		return -E_SYNTAX;
	return 1;
}

int
memory_response_parse(struct bytes *packet, struct memory_response *a,
    struct bytes *value)
{
	int r = take(packet, a, sizeof(*a), &a->n_value, value);

	if (r != 1)
		return r;
	if (a->status > MEMORY_OUT || a->is_single > 1 || a->zero != 0)
		return -E_SYNTAX;
	return 1;
}
