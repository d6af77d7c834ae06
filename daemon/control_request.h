/* A request to the control process: words with one space between them. */
#ifndef DAEMON_CONTROL_REQUEST_H
#define DAEMON_CONTROL_REQUEST_H

#include "base/bytes.h"

#define CONTROL_WORDS_MAX 16U

struct control_request {
	struct bytes verb;
	struct bytes args[CONTROL_WORDS_MAX - 1];	/* views of the packet */
	size_t n_args;
};

/*
 * Reads a request.
 *
 * Returns  false where it is none: an empty word, an octet that is no
 *          printable ASCII, more words than CONTROL_WORDS_MAX
 */
bool control_request_parse(struct bytes packet, struct control_request *r);

/* Whether an argument is this word. */
bool control_word_is(struct bytes arg, const char *word);

#endif
