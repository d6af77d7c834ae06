/*
 * DNS answers from a JSON file, for demos and tests:
 * {"sel._domainkey.dom": ["v=DKIM1; ..."]}; the string "TEMPERROR" in place
 * of the list is a failing look-up, [] a name without TXT records, a name
 * left out is NXDOMAIN. The nested form {"dom": {"sel._domainkey":
 * [["txt", "v=DKIM1; ..."]]}} is read too.
 */
#ifndef CONFIG_KEYSFILE_H
#define CONFIG_KEYSFILE_H

#include "base/arena.h"
#include "base/bytes.h"

struct keysfile;

enum keysfile_answer {
	KEYSFILE_TXT,		/* records */
	KEYSFILE_EMPTY,		/* the name is there, without TXT records */
	KEYSFILE_NXDOMAIN,
	KEYSFILE_TEMPERROR,
};

/*
 * Reads the JSON octets.
 *
 * fault    "LINE:COLUMN: what is wrong" is added, when -E_SYNTAX; a name that
 *          is given twice is wrong
 * Returns  0, -E_SYNTAX or -E_NOMEM
 * Lifetime of all it returns: the arena's; octets need not live on
 */
int keysfile_parse(struct keysfile **k, struct bytes octets, struct arena *a,
    struct buf *fault);

/*
 * Reads the file, at most 16 MiB.
 *
 * fault    why is added, without the path
 * Returns  0, -E_SYNTAX, -E_NOMEM, or -E_SYSTEM where it can not be read
 */
int keysfile_load(struct keysfile **k, const char *path, struct arena *a,
    struct buf *fault);

/* Looks a name up (any case, with or without a dot at the end). */
enum keysfile_answer keysfile_find(const struct keysfile *k,
    struct bytes name, const struct bytes **records, size_t *n);

#endif
