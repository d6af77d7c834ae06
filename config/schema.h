/*
 * The directives: one row each, read by the loader, the dump and the manual.
 */
#ifndef CONFIG_SCHEMA_H
#define CONFIG_SCHEMA_H

#include "config/config.h"

#define CONFIG_ROWS_MAX 96U

enum config_kind {
	K_NAME,		/* a DNS name */
	K_ID,		/* an authserv-id */
	K_USER,		/* a user of the system */
	K_PATH,		/* relative to the configuration's folder */
	K_UINT32,
	K_SIZE,		/* octets; 32 or 64 bits wide */
	K_SECONDS,
	K_MILLIS,
	K_WORD,		/* one of the row's words */
	K_FLAGS,	/* any of them; their values are bits */
	K_ADDRS,	/* addresses with ports */
	K_RESOLVERS,	/* addresses, port 53 where none is said */
	K_NETS,
	K_DOMAINS,
	K_NEXT_HOP,
	K_MAIL_FROM,
	K_ALIASES,
	K_MARKS,	/* characters that may stand in a local part, or none */
	K_ROUTES,
	K_HOSTS,	/* names or addresses, as in next hops */
	K_POLICY,	/* rules: {condition:, clients:, senders:, action:} */
	K_TLS,		/* certificates with their keys */
	K_KEPT,		/* {age: TIME, size: OCTETS} */
	K_PEER,		/* the name of another listener */
	K_STORE,	/* redis://ADDRESS:PORT/DB or unix:/PATH */
	K_LISTENERS,
	K_UNBUILT,	/* known by name; only its default may be written */
	K__N
};

enum config_scope {
	SCOPE_TOP,	/* struct config */
	SCOPE_LISTENER,	/* struct config_listener; at top level for all */
};

struct config_row {
	const char *name;
	enum config_kind kind;
	enum config_scope scope;
	size_t at;		/* where in the struct */
	size_t size;		/* octets there; 0: nowhere */
	uint64_t min;
	uint64_t max;
	const char *fallback;	/* as one would write it; NULL: none */
	const char *doc;	/* one sentence */
};

/* A word that a directive takes. */
struct config_word {
	const char *directive;
	const char *word;
	unsigned value;
	bool is_built;
};

extern const struct config_row config_rows[];
extern const size_t config_n_rows;

/* The row of a directive, or NULL. */
const struct config_row *config_row_find(struct bytes name);

/* Its number: an index for arrays of CONFIG_ROWS_MAX. */
size_t config_row_no(const struct config_row *row);

/* config_row_no() of a directive that there is. */
size_t config_row_of(const char *name);

/*
 * The directive that was perhaps meant: one or two slips away.
 *
 * Returns  NULL where none is near
 */
const char *config_row_near(struct bytes name);

/* The word of a directive, or NULL. */
const struct config_word *config_word_find(const struct config_row *row,
    struct bytes word);

/* The built word of a directive with this value, or NULL. */
const char *config_word_name(const struct config_row *row, unsigned value);

/* The word that was perhaps meant, or NULL. */
const char *config_word_near(const struct config_row *row, struct bytes word);

/* Adds the built words of a directive: "observe, enforce or off". */
void config_word_list(const struct config_row *row, struct buf *out);

#endif
