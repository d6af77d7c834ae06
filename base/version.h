/* What --version says, and which draft it follows. */
#ifndef BASE_VERSION_H
#define BASE_VERSION_H

#define HOPSEAL_VERSION "0.1.0"
#define HOPSEAL_DRAFT "draft-ietf-dkim-dkim2-spec-09"

#endif
