/*
 * Tag lists: "name=value; name=value;". Of DKIM2 fields, and of key records.
 * Source  draft 8; RFC 6376 3.2
 */
#ifndef DKIM2_TAGLIST_H
#define DKIM2_TAGLIST_H

#include "base/arena.h"
#include "base/bytes.h"

#define TAGLIST_MAX 64		/* ours: tags of one list */

struct tag {
	struct bytes name;
	struct bytes value;	/* folds inside, none at its ends */
};

struct taglist {
	struct tag tags[TAGLIST_MAX];
	size_t n;
	bool is_bad;		/* a syntax error; tags holds the rest */
};

/*
 * Splits a tag list. A list is bad with an octet that is neither printable
 * nor white space, a tag that is empty (but behind the last ";") or has no
 * "=", a name that is not a letter, then letters, digits and "_", a name
 * that comes twice (case matters), more than TAGLIST_MAX tags, or no tag.
 */
void taglist_parse(struct taglist *t, struct bytes list);

/* The value of the first tag of that name; false where there is none. */
bool taglist_find(const struct taglist *t, const char *name,
    struct bytes *value);

/* Without white space and line ends at both ends. */
struct bytes taglist_trim(struct bytes b);

/* Says whether b has one octet at least and no white space or line end. */
bool taglist_is_word(struct bytes b);

/* A word of letters, digits, "-" and "_": names of algorithms, flags. */
bool taglist_is_name(struct bytes b);

/*
 * A domain name as DKIM2 writes it: labels of letters, digits, "-" and "_",
 * 1 to 63 octets each, 253 in all, no dot at the end.
 *
 * min_labels how many labels there must be
 */
bool taglist_is_domain(struct bytes b, size_t min_labels);

/*
 * Decodes a base64 value, white space inside allowed.
 *
 * out      set to the octets, in the arena; p == NULL where value is not
 *          canonical base64 or is empty
 * Returns  0 or -E_NOMEM
 */
int taglist_base64(struct bytes value, struct arena *a, struct bytes *out);

/* One member of a list of lists: "," binds tighter than "|". */
struct taglist_members {
	struct bytes group;	/* what is left of this group */
	struct bytes rest;	/* the groups behind it */
	unsigned n_group;
};

void taglist_members_init(struct taglist_members *m, struct bytes value);

/* The next member, trimmed; false where there is no further one. */
bool taglist_members_next(struct taglist_members *m, struct bytes *member,
    unsigned *group);

#endif
