/* The folder of keys that a verb is about, and whom it asks for records. */
#ifndef CLI_KEYPLACE_H
#define CLI_KEYPLACE_H

#include "cli/args.h"
#include "config/keydir.h"

#define KEYPLACE_CONFIG "/etc/hopseal/hopseal.yaml"

/* Options of every verb that has one. */
#define KEYPLACE_OPTIONS \
	{"c", false}, {"keys", false}, {"keys-file", false}, \
	{"resolver", false}

struct keyplace {
	const char *folder;	/* NULL: the configuration names none */
	unsigned gid;		/* the service's group */
	const char *keys_file;	/* its answers are the DNS; or NULL */
	const char *resolver;	/* as lookup_dns() takes it; or NULL */
};

/* The group that a service will run with; (unsigned)-1: none. */
unsigned keyplace_group(const struct config *c);

/*
 * Finds it: by --keys, or as the configuration (-c) says. --keys-file and
 * --resolver count before what that says.
 *
 * Returns  0, or an exit code after a message
 * Lifetime args and arena
 */
int keyplace_find(struct keyplace *p, const struct args *args,
    struct arena *a);

/*
 * Lists the keys, as keydir_list() does.
 *
 * Returns  0, or an exit code after a message
 */
int keyplace_list(const struct keyplace *p, const struct keydir_key **keys,
    size_t *n, struct arena *a);

#endif
