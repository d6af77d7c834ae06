/* What fields of a queue file look like; for file*.c alone. */
#ifndef QUEUE_FILE_FORM_H
#define QUEUE_FILE_FORM_H

#include "queue/file.h"

#define FILE_MAGIC "hopseal-queue "
#define FILE_HEAD_DIGITS 8U
#define FILE_TRIES_DIGITS 4U
#define FILE_DUE_DIGITS 10U
/* From a recipient's status to its reply: "q 0003 1795664097 ". */
#define FILE_REPLY_OFFSET (1U + 1U + FILE_TRIES_DIGITS + 1U + \
	FILE_DUE_DIGITS + 1U)
/* The whole second line of a recipient, with its line end. */
#define FILE_STATE_SIZE (1U + FILE_REPLY_OFFSET + QUEUE_REPLY_SIZE + 1U)

/*
 * The octets of the path at the front of b, from one bracket to the other;
 * 0 where there is none.
 */
size_t file_path_length(struct bytes b);

/* UTF-8 without control octets, with blanks or without; may be empty. */
bool file_is_text(struct bytes b);
bool file_is_token(struct bytes b);

/* Adds a number of so many digits, or all nines where it has more. */
void file_add_digits(struct buf *out, uint64_t value, unsigned digits);

/* Adds status, tries, due and reply as they stand in a file. */
void file_add_state(struct buf *out, const struct queue_rcpt *r);

#endif
