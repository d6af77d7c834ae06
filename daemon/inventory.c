#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/err.h"
#include "daemon/log.h"
#include "daemon/signer.h"
#include "daemon/signer_wire.h"

#define START_MS 30000		/* to read and check all keys */
#define KEYS_MAX 1000000U

/* Reads one message of exactly n octets. 0 or -E_SYSTEM. */
static int
take(int control, void *m, size_t n)
{
	struct pollfd p = {control, POLLIN, 0};
	ssize_t got;
	int r;

	do
		r = poll(&p, 1, START_MS);
	while (r < 0 && errno == EINTR);
	if (r <= 0)
		return -E_SYSTEM;
	do
		got = recv(control, m, n, MSG_TRUNC);
	while (got < 0 && errno == EINTR);
	return got >= 0 && (size_t)got == n ? 0 : -E_SYSTEM;
}

static int
by_name(const void *va, const void *vb)
{
	const struct signer_key *a = va, *b = vb;
	int r = bytes_compare(a->domain, b->domain);

	return r != 0 ? r : bytes_compare(a->selector, b->selector);
}

static int
take_key(struct signer_key *k, int control, struct arena *a)
{
	struct signer_entry m;
	int r = take(control, &m, sizeof(m));

	if (r != 0)
		return r;
	if (m.n_domain > sizeof(m.domain) ||
	    m.n_selector > sizeof(m.selector) ||
	    m.n_record > sizeof(m.record) ||
	    m.algorithm >= DKIM2_ALGORITHM__N)
		return -E_SYSTEM;
	k->number = m.number;
	k->algorithm = (enum dkim2_algorithm)m.algorithm;
	k->domain = arena_copy(a, (struct bytes){m.domain, m.n_domain});
	k->selector = arena_copy(a, (struct bytes){m.selector, m.n_selector});
	k->record = arena_copy(a, (struct bytes){m.record, m.n_record});
	return k->domain.p == NULL || k->selector.p == NULL ||
	    k->record.p == NULL ? -E_NOMEM : 0;
}

static int
take_keys(struct signer_key *keys, size_t n, int control, struct arena *a)
{
	int r = 0;

	for (size_t k = 0; k < n && r == 0; k++)
		r = take_key(keys + k, control, a);
	return r;
}

int
signer_inventory_take(struct signer_inventory *inv, int control,
    struct arena *a, int *status)
{
	struct signer_hello hello;
	struct signer_key *keys, *retired;
	struct keydir_entry *entries;
	int r = take(control, &hello, sizeof(hello));

	memset(inv, 0, sizeof(*inv));
	*status = r == 0 ? (int)hello.status : 0;
	if (r != 0 || *status != 0)
		return r;
	if (hello.n_keys > KEYS_MAX || hello.n_retired > KEYS_MAX)
		return -E_SYSTEM;
	keys = arena_array(a, hello.n_keys, sizeof(*keys));
	entries = arena_array(a, hello.n_keys, sizeof(*entries));
	retired = arena_array(a, hello.n_retired, sizeof(*retired));
	if (keys == NULL || entries == NULL || retired == NULL)
		return -E_NOMEM;
	r = take_keys(keys, hello.n_keys, control, a);
	if (r == 0)
		r = take_keys(retired, hello.n_retired, control, a);
	if (r != 0)
		return r;
	if (hello.n_keys != 0)
		qsort(keys, hello.n_keys, sizeof(*keys), by_name);
	for (size_t k = 0; k < hello.n_keys; k++) {
		entries[k].domain = keys[k].domain;
		entries[k].selector = keys[k].selector;
		entries[k].path = "";	/* the signer's alone to know */
	}
	*inv = (struct signer_inventory){keys, hello.n_keys,
	    {entries, hello.n_keys}, retired, hello.n_retired, {0}};
	memcpy(inv->digest, hello.digest, sizeof(inv->digest));
	return 0;
}

int
signer_inventory_match(const struct signer_inventory *inv, int control,
    int *status)
{
	struct signer_hello hello;
	int r = take(control, &hello, sizeof(hello));

	*status = r == 0 ? (int)hello.status : 0;
	if (r != 0 || *status != 0 ||
	    memcmp(hello.digest, inv->digest, sizeof(inv->digest)) == 0)
		return r;
	log_line(LOG_ERROR_, "keys changed while the signers read them: "
	    "reload once they are in their place");
	*status = EX_TEMPFAIL;
	return 0;
}

/* The first key whose domain is not before the one asked for. */
static size_t
lower_bound(const struct signer_inventory *inv, struct bytes domain)
{
	size_t from = 0, to = inv->n;

	while (from < to) {
		size_t mid = from + (to - from) / 2;

		if (bytes_compare(inv->keys[mid].domain, domain) < 0)
			from = mid + 1;
		else
			to = mid;
	}
	return from;
}

size_t
signer_inventory_find(const struct signer_inventory *inv, struct bytes domain,
    const struct signer_key **first)
{
	size_t at = lower_bound(inv, domain), n = 0;

	while (at + n < inv->n && bytes_eq(inv->keys[at + n].domain, domain))
		n++;
	if (n != 0)
		*first = inv->keys + at;
	return n;
}

bool
signer_key_is(const struct signer_key *k, struct bytes name)
{
	static const struct bytes label = BYTES_LIT("._domainkey.");
	size_t n = k->selector.n;

	return name.n == n + label.n + k->domain.n &&
	    bytes_case_eq(bytes_first(name, n), k->selector) &&
	    bytes_starts(bytes_skip(name, n), label) &&
	    bytes_case_eq(bytes_skip(name, n + label.n), k->domain);
}
