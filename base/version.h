/* What --version says. */
#ifndef BASE_VERSION_H
#define BASE_VERSION_H

#define HOPSEAL_VERSION "0.1.0"

#endif
