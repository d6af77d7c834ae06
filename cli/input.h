/* Files and messages that come in. */
#ifndef CLI_INPUT_H
#define CLI_INPUT_H

#include "base/arena.h"
#include "base/bytes.h"
#include "dkim2/dkim2.h"

#define INPUT_MAX ((size_t)1 << 30)	/* octets of a message */
/* For a message and what undoing it needs: of 32-bit addresses a half. */
#define INPUT_ARENA \
	((size_t)(SIZE_MAX >> 31 > 1 ? UINT64_C(4) << 30 : SIZE_MAX / 2))
#define INPUT_MAX_KEY ((size_t)1 << 16)	/* of a key file */

/*
 * Reads a file whole.
 *
 * path     NULL or "-": standard input
 * Returns  0, or an exit code after a message
 * Lifetime octets->p is the caller's to free(), whatever is returned
 */
int input_read(const char *path, size_t max, struct bytes *octets);

/* A message from a file, ready for libdkim2. */
struct input_message {
	struct bytes raw;	/* as read; freed by input_message_fini() */
	struct bytes octets;	/* with CRLF line ends */
	bool is_lf;		/* raw has LF line ends, and no CRLF */
	bool is_message;	/* fields and body are set: it did parse */
	struct dkim2_message fields;
	struct bytes body;
};

/*
 * Reads a message and splits it. A file of LF lines stands for the message
 * that a mail server will send with CRLF, so each bare LF is taken for a
 * line end, as other programs of this kind do.
 *
 * Returns  0, or an exit code after a message
 */
int input_message_load(struct input_message *m, const char *path,
    struct arena *a);

void input_message_fini(struct input_message *m);

/*
 * "a@b" or "<a@b>" as a path with its brackets, in the arena.
 *
 * Returns  p == NULL without memory
 */
struct bytes input_path(const char *address, struct arena *a);

#endif
