/*
 * A message as it comes in: the header block is kept whole in memory, the
 * body in memory up to 256 KiB, or up to 2 MiB for some at a time; what is
 * larger goes to an unlinked file, which is mapped when it is complete. Nothing
 * copies a body.
 */
#ifndef DAEMON_CONTENT_H
#define DAEMON_CONTENT_H

#include "base/bytes.h"

struct content {
	uint8_t *header;	/* octets so far; with the empty line, if any */
	size_t n_header;
	size_t cap_header;
	size_t n_block;		/* of them, without the empty line */
	bool has_header;	/* the empty line was seen, or the end */
	uint8_t *body;		/* memory, or the mapped file */
	size_t n_body;
	size_t cap_body;	/* of the memory; 0: none */
	int folder;		/* for O_TMPFILE; -1: memfd */
	int file;		/* -1: none */
	bool is_mapped;
};

/* Empty. folder is the caller's descriptor, or -1. */
void content_init(struct content *c, int folder);

/* Gives back memory, mapping and file. */
void content_fini(struct content *c);

/*
 * Takes octets while the header block is not complete.
 *
 * octets   what belongs to the header is cut from its front
 * max      octets that the header block may have
 * Returns  0 (look at has_header), -E_LIMIT past max, or -E_NOMEM
 */
int content_add_header(struct content *c, struct bytes *octets, size_t max);

/* Takes octets of the body. 0, -E_NOMEM or -E_SYSTEM (the disk is full). */
int content_add_body(struct content *c, struct bytes octets);

/*
 * Says that all has come: a message without an empty line is all header.
 * After it ->body is all of the body. 0 or -E_SYSTEM.
 */
int content_end(struct content *c);

/* The header block without its empty line; stable after has_header. */
struct bytes content_block(const struct content *c);

/* The header with its empty line, as it came. */
struct bytes content_header(const struct content *c);

/* The body, after content_end(). */
struct bytes content_body(const struct content *c);

#endif
