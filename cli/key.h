/* hopseal key: what its verbs share. */
#ifndef CLI_KEY_H
#define CLI_KEY_H

#include "cli/published.h"

struct key_call {
	struct arena *arena;
	struct args args;
	struct keyplace place;		/* folder is set */
	const struct keydir_key *all;	/* of the folder */
	size_t n_all;
	const struct keydir_key *keys;	/* those that are meant */
	size_t n;
};

/* keyplace_find(), and a folder there must be. */
int key_find_folder(struct key_call *k);

/* Takes over the keys of another signer. Returns an exit code. */
int key_import(struct key_call *k);

#endif
