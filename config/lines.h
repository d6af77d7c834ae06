/* The lines of a table: KEY VALUE, from a file or from a map. */
#ifndef CONFIG_LINES_H
#define CONFIG_LINES_H

#include "config/fault.h"
#include "config/tree.h"

/* Takes one line; views. value.p is NULL for a list or map: not one text. */
typedef void config_lines_add(void *table, struct bytes key,
    struct config_place at, struct bytes value, struct config_place value_at);

/* Takes one of a map whose value is a list. */
typedef void config_lines_add_list(void *table, struct bytes key,
    struct config_place at, const struct config_node *list);

struct config_lines {
	struct config_faults *faults;
	config_lines_add *add;
	void *table;
	const char *key_name;	/* for mistakes: "address" */
	const char *value_name;	/* "target; write ADDRESS TARGET" */
	config_lines_add_list *add_list;	/* NULL: a list is no text */
};

/*
 * Reads the lines of a file: KEY VALUE, white space between; # at the start
 * of a line or behind white space begins a comment.
 */
void config_lines_read(const struct config_lines *r, struct bytes octets,
    const char *file, unsigned file_no);

/* Reads a map. */
void config_lines_map(const struct config_lines *r,
    const struct config_node *map);

#endif
