/*
 * The one place where config/ touches the file system. Everything else works
 * on octets and facts.
 */
#ifndef CONFIG_FILE_H
#define CONFIG_FILE_H

#include "base/arena.h"
#include "base/bytes.h"

enum config_file_kind {
	CONFIG_FILE_REGULAR,
	CONFIG_FILE_FOLDER,
	CONFIG_FILE_LINK,
	CONFIG_FILE_OTHER,
};

/* What may be known of a file without opening it. */
struct config_file_facts {
	enum config_file_kind kind;
	unsigned mode;		/* the low 12 bits */
	unsigned uid;
	unsigned gid;
	int64_t changed_ns;	/* of its octets, since 1970 */
};

/*
 * Looks at a file.
 *
 * is_followed  whether a link at the end of path stands for its target
 * why          set to a static text when the result is not 0
 * Returns      0, or -E_SYSTEM
 */
int config_file_look(const char *path, bool is_followed,
    struct config_file_facts *f, const char **why);

/*
 * Reads a whole regular file that others than its owner and group can not
 * write.
 *
 * max      octets it may have
 * octets   in the arena, with a NUL behind them that does not count
 * why      set to a static text when the result is not 0
 * Returns  0, -E_SYSTEM, -E_LIMIT, -E_UNSAFE, or -E_NOMEM
 */
int config_file_read(const char *path, size_t max, struct arena *a,
    struct bytes *octets, const char **why);

/*
 * Lists a folder: every name but those that begin with a dot, in octet order.
 *
 * names    in the arena
 * why      set to a static text when the result is not 0
 * Returns  0, -E_SYSTEM, -E_LIMIT (over 65536 names), or -E_NOMEM
 */
int config_file_list(const char *folder, struct arena *a,
    const char *const **names, size_t *n, const char **why);

/* The path of a name in a folder; from the arena, NULL without memory. */
const char *config_file_in(struct arena *a, const char *folder,
    const char *name);

/*
 * The folder that path stands in, absolute; links are not resolved.
 *
 * Returns  NULL when the arena is full or the current folder is gone
 */
const char *config_file_folder(const char *path, struct arena *a);

/* Who we are, for questions of ownership. */
unsigned config_file_euid(void);

#endif
