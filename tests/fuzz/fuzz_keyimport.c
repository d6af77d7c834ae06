/*
 * Tables of other signers: each half of the input is one. What comes out is
 * sorted, each name once, a name that a folder of keys may have and an
 * absolute path; mistakes have a place, and without memory nothing is told
 * but that. Of a state file: what reads is written the same.
 */
#include <stdlib.h>

#include "base/ascii.h"
#include "base/err.h"
#include "config/keyimport.h"
#include "config/keystate.h"
#include "config/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
hear(void *arg, const char *text)
{
	(void)arg;
	if (strncmp(text, "first:", 6) != 0 && strncmp(text, "second:", 7) != 0)
		abort();
}

static void
check(const struct keyimport *out, const struct arena *a)
{
	(void)a;
	for (size_t k = 0; k < out->n; k++) {
		const struct keyimport_key *key = &out->keys[k];
		int r = k == 0 ? -1 : bytes_compare(key[-1].domain,
		    key->domain);

		if (r == 0)
			r = bytes_compare(key[-1].selector, key->selector);
		if (r >= 0 || config_value_name(key->domain) != NULL ||
		    config_value_selector(key->selector) != NULL ||
		    key->path[0] != '/' ||
		    strlen(key->path) >= KEYIMPORT_PATH_MAX)
			abort();
		for (size_t i = 0; i < key->selector.n; i++)
			if (key->selector.p[i] !=
			    ascii_lower(key->selector.p[i]))
				abort();
	}
}

static void
try(bool is_opendkim, const struct keyimport_table *first,
    const struct keyimport_table *second)
{
	struct arena *a = arena_new(64U << 20);
	struct config_faults faults = {.arena = a}, notes = {.arena = a};
	const struct keyimport_to to = {a, &faults, &notes};
	struct keyimport out;
	int r;

	if (a == NULL)
		abort();
	r = is_opendkim ? keyimport_opendkim(&out, first, second, &to) :
	    keyimport_rspamd(&out, first, second->octets.n == 0 ? NULL :
	    second, "/k/$domain/$selector", &to);
	if (r == 0 && faults.n == 0)
		check(&out, a);
	if (r != 0 && r != -E_NOMEM)
		abort();
	config_fault_tell(&faults, "first", hear, NULL);
	config_fault_tell(&notes, "first", hear, NULL);
	arena_free(&a);
}

static void
try_state(struct bytes octets)
{
	char room[KEYSTATE_FILE_MAX];
	struct buf text = BUF_ON(room);
	enum keystate s, again;
	int64_t since, its;

	if (!keystate_parse(octets, &s, &since))
		return;
	keystate_put(&text, s, since);
	if (text.full || since < 0 ||
	    !keystate_parse(buf_bytes(&text), &again, &its) || again != s ||
	    its != since)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	const struct bytes all = {p, n};
	struct bytes rest = all;
	struct keyimport_table first = {bytes_cut(&rest, '\0'), "first"};
	struct keyimport_table second = {rest, "second"};

	if (second.octets.p == NULL)
		second.octets = (struct bytes){p, 0};
	try(true, &first, &second);
	try(false, &first, &second);
	try_state(all);
	return 0;
}
