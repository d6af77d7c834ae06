/* A YAML file as a tree that knows where everything stands. */
#ifndef CONFIG_TREE_H
#define CONFIG_TREE_H

#include "config/fault.h"

enum config_node_kind {
	NODE_TEXT,
	NODE_LIST,
	NODE_MAP,
	NODE_BROKEN,	/* complained of already; say nothing more about it */
};

struct config_node {
	enum config_node_kind kind;
	struct config_place at;
	struct bytes text;		/* NODE_TEXT: with a NUL behind it */
	struct config_node *key;	/* its name, where it stands in a map */
	struct config_node *first;	/* of a list or map */
	struct config_node *next;
	size_t n;			/* how many it holds */
};

/*
 * Reads one YAML document into a tree: maps, lists and text; no anchors, no
 * tags. At most 8 levels deep and 65536 nodes large. What stands before a
 * syntax error is in the tree; of a name that is given twice, the key of the
 * second is NODE_BROKEN.
 *
 * file     for the places
 * root     NULL where there is nothing to look at
 * Returns  whether the file was read to its end
 * Lifetime of the tree: the faults' arena
 */
bool config_tree_read(struct bytes octets, const char *file,
    struct config_faults *f, struct config_node **root);

#endif
