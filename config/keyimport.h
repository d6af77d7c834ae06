/*
 * Tables of other signers that say which keys there are: KeyTable and
 * SigningTable of OpenDKIM (files of lines), and the maps of rspamd's
 * dkim_signing. Octets in, names and paths out; no key is looked at.
 */
#ifndef CONFIG_KEYIMPORT_H
#define CONFIG_KEYIMPORT_H

#include "config/fault.h"

#define KEYIMPORT_LINES_MAX 100000U	/* of a table */
#define KEYIMPORT_FILE_MAX (16U << 20)	/* octets */
#define KEYIMPORT_PATH_MAX 4000U

struct keyimport_key {
	struct bytes domain;	/* lower case A-labels */
	struct bytes selector;	/* lower case */
	const char *path;	/* absolute, as the table says it */
	struct config_place at;
};

/* What a table says, by domain and selector, each once. */
struct keyimport {
	const struct keyimport_key *keys;
	size_t n;
	size_t n_unused;	/* lines that nothing leads to */
};

struct keyimport_table {
	struct bytes octets;	/* live as long as what comes of them */
	const char *file;
};

/* Where mistakes go, and what is different from now on: no mistake. */
struct keyimport_to {
	struct arena *arena;
	struct config_faults *faults;
	struct config_faults *notes;
};

/*
 * keys      NAME DOMAIN:SELECTOR:PATH; "%" is the domain of the pattern
 * signing   PATTERN NAME[:SIGNER], PATTERN an address or domain, "*" in front
 *           of it for all below
 * out       good where there is no fault
 * Returns   0 or -E_NOMEM
 * Source    opendkim.conf(5), KeyTable and SigningTable
 */
int keyimport_opendkim(struct keyimport *out,
    const struct keyimport_table *keys,
    const struct keyimport_table *signing, const struct keyimport_to *to);

/*
 * selectors DOMAIN SELECTOR
 * paths     DOMAIN PATH, or NULL; in a path $domain and $selector stand for
 *           them
 * other     the path of what has no line there
 * Source    rspamd, dkim_signing: selector_map, path_map, path
 */
int keyimport_rspamd(struct keyimport *out,
    const struct keyimport_table *selectors,
    const struct keyimport_table *paths, const char *other,
    const struct keyimport_to *to);

#endif
