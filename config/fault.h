/* Mistakes of a configuration: gathered while it is read, told at the end. */
#ifndef CONFIG_FAULT_H
#define CONFIG_FAULT_H

#include <stdarg.h>

#include "config/config.h"

/* Where something stands in a file. */
struct config_place {
	const char *file;
	unsigned file_no;	/* order of the files; 0 is the configuration */
	unsigned line;		/* from 1 */
	unsigned column;	/* from 1, in characters */
};

struct config_fault;

struct config_faults {
	struct arena *arena;
	struct config_fault *first;
	size_t n;		/* all, also those past the bound of the list */
	bool has_unbuilt;	/* one of them is a thing not built yet */
	bool is_full;		/* the arena was; something was not read */
};

/* Adds a mistake: what is wrong and what would be right. */
void config_fault_add(struct config_faults *f, struct config_place at,
    const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/*
 * Adds a directive, or a value of it, that is not built yet. The one place
 * where the words for it are made.
 *
 * value    as written, or NULL where the directive as a whole is meant
 * instead  what to write in its place; not used without a value
 */
void config_fault_add_unbuilt(struct config_faults *f, struct config_place at,
    const char *directive, const char *value, const char *instead);

/*
 * Text of the operator's for use in a mistake: escaped and cut.
 *
 * Lifetime the arena's
 */
const char *config_fault_show(struct config_faults *f, struct bytes text);

/* Tells all mistakes in file order, each once. */
void config_fault_tell(struct config_faults *f, const char *file,
    config_complain *complain, void *arg);

#endif
