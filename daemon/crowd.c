#include "daemon/crowd.h"

#include <sodium.h>

#include "daemon/addr.h"

void
crowd_init(struct crowd *c)
{
	memset(c, 0, sizeof(*c));
	randombytes_buf(c->key, sizeof(c->key));
}

/* IPv4 is apart from what any IPv6 network can be. */
static void
network_of(const struct config_addr *addr, uint8_t network[8])
{
	if (addr_is_v4(addr)) {
		memset(network, 0xff, 5);
		memcpy(network + 5, addr->ip + 12, 3);
	} else {
		memcpy(network, addr->ip, 8);
	}
}

static size_t
head_of(const struct crowd *c, const uint8_t network[8])
{
	uint8_t hash[crypto_shorthash_BYTES];

	_Static_assert(crypto_shorthash_KEYBYTES == sizeof(c->key), "");
	crypto_shorthash(hash, network, 8, c->key);
	return hash[0] % CROWD_HEADS;
}

uint32_t
crowd_count(const struct crowd *c, const struct config_addr *addr)
{
	uint8_t network[8];
	uint32_t n = 0;

	network_of(addr, network);
	for (const struct crowd_member *m = c->heads[head_of(c, network)];
	    m != NULL; m = m->next)
		n += memcmp(m->network, network, 8) == 0;
	return n;
}

void
crowd_join(struct crowd *c, struct crowd_member *m,
    const struct config_addr *addr)
{
	struct crowd_member **head;

	network_of(addr, m->network);
	head = &c->heads[head_of(c, m->network)];
	m->next = *head;
	m->at = head;
	if (m->next != NULL)
		m->next->at = &m->next;
	*head = m;
}

void
crowd_leave(struct crowd_member *m)
{
	if (m->at == NULL)
		return;
	*m->at = m->next;
	if (m->next != NULL)
		m->next->at = m->at;
	m->at = NULL;
}
