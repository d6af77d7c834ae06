/*
 * Recipes: how to go from the state of the message at instance m back to the
 * state at m - 1.
 * Source  draft 5
 */
#ifndef DKIM2_RECIPE_H
#define DKIM2_RECIPE_H

#include "dkim2/canon.h"

/* One step: a copy of what is there now, or what was there before. */
struct recipe_step {
	size_t first, last;	/* a copy of these, from 1; 0: literal */
	struct bytes lines;	/* literal: each ended by CRLF */
	size_t n_lines;
};

struct recipe_list {
	struct recipe_step *steps;
	size_t n;
};

struct recipe_name {
	struct bytes name;		/* of fields, in any case */
	struct recipe_list list;
};

struct recipe {
	struct recipe_name *names;	/* in hash order of their names */
	size_t n_names;
	size_t n_values;		/* literal values for all of them */
	bool has_body;
	bool is_body_null;		/* the body before cannot be rebuilt */
	struct recipe_list body;
};

enum recipe_verdict {
	RECIPE_GOOD,
	RECIPE_NOT_JSON,
	RECIPE_INVALID,		/* JSON, but no recipe; or it does not fit */
	RECIPE_TOO_MUCH,	/* more than we do for one message */
};

/*
 * Reads a recipe; all that can be wrong with it, without the message that it
 * is for, is found here.
 *
 * json     lives as long as the recipe
 * Returns  0 with *v set, or -E_NOMEM
 */
int recipe_parse(struct recipe *r, struct bytes json, struct arena *a,
    enum recipe_verdict *v);

/* Says whether the recipe has steps for fields of this name. */
bool recipe_names(const struct recipe *r, struct bytes name);

/*
 * Undoes a change of the header.
 *
 * to       has room for from->n + r->n_values fields; n is set
 * budget   octets that may still be made; what was made is taken off
 */
enum recipe_verdict recipe_undo_header(const struct recipe *r,
    const struct canon_header *from, struct canon_header *to, size_t *budget);

/*
 * A state of the body: pieces of whole lines, one behind the other. Only the
 * last line may lack its CRLF.
 */
struct recipe_body {
	struct bytes *pieces;
	size_t n;
};

/*
 * Undoes a change of the body; r->has_body, and not is_body_null.
 *
 * to       has room for from->n + r->body.n + 1 pieces; n is set
 * budget   octets that may still be made; what was made is taken off
 */
enum recipe_verdict recipe_undo_body(const struct recipe *r,
    const struct recipe_body *from, struct recipe_body *to, size_t *budget);

#endif
