/*
 * The folder of private keys: keys/DOMAIN/SELECTOR.pem, and beside one its
 * state where it has one (keystate.h).
 */
#ifndef CONFIG_KEYDIR_H
#define CONFIG_KEYDIR_H

#include "config/config.h"
#include "config/keystate.h"

struct keydir_entry {
	struct bytes domain;	/* lower case */
	struct bytes selector;
	const char *path;
};

struct keydir {
	const struct keydir_entry *entries;	/* by domain, then selector */
	size_t n;
};

struct keydir_key {
	struct keydir_entry entry;
	enum keystate state;
	int64_t since_s;	/* 0: it has no state file */
};

/*
 * Lists the active keys of a folder and checks who may read and replace them: each file
 * regular (no link), 0600 or 0400, or 0640 with group gid; each folder from
 * the top one down not writable by group or others; all owned by root or us;
 * a state file regular, not writable by others, and readable as one.
 * One complaint for each mistake, also of keys that are not active.
 *
 * gid      the service's group; (unsigned)-1: none
 * Returns  0, -E_UNSAFE or -E_SYSTEM after complaints, -E_NOMEM
 */
int keydir_scan(struct keydir *k, const char *folder, unsigned gid,
    struct arena *a, config_complain *complain, void *arg);

/* The same with every key, in the same order. */
int keydir_list(const struct keydir_key **keys, size_t *n, const char *folder,
    unsigned gid, struct arena *a, config_complain *complain, void *arg);

/* The same check for one file, and for the top folder alone. */
int keydir_check_file(const char *path, unsigned gid,
    config_complain *complain, void *arg);
int keydir_check_folder(const char *path, config_complain *complain,
    void *arg);

/*
 * The longest domain of the folder that covers every one of names (the
 * relaxed match: equal, or names below it); names of length 0 are ignored.
 * Empty where there is none.
 */
struct bytes keydir_cover(const struct keydir *k, const struct bytes *names,
    size_t n);

#endif
