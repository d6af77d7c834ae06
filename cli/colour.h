/* Colours on standard output, for eyes. */
#ifndef CLI_COLOUR_H
#define CLI_COLOUR_H

#define GREEN "\033[32m"
#define RED "\033[31m"
#define YELLOW "\033[33m"
#define BOLD "\033[1m"
#define OFF "\033[0m"

/* A code for the terminal; "" where there is none, or NO_COLOR is. */
const char *colour(const char *code);

#endif
