/* The inner side of logline.h: lines that are JSON. */
#ifndef BASE_LOGLINE_JSON_H
#define BASE_LOGLINE_JSON_H

#include "base/logline.h"

/*
 * Reads an object, of the daemon or of the journal.
 *
 * message  set to the line that an object of the journal is about; p == NULL
 *          where it is none
 * Returns  false where it is no JSON, or without memory
 */
bool logline_read_json(struct bytes line, struct arena *a, struct logline *l,
    struct bytes *message);

#endif
