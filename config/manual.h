/* The directives for people: a commented sample file, and their manual. */
#ifndef CONFIG_MANUAL_H
#define CONFIG_MANUAL_H

/* Takes the next piece of text. */
typedef void config_manual_put(void *arg, const char *text);

/*
 * Puts a configuration that starts as it is, with every other directive
 * behind a #, as its default has it or else with an example. Whoever takes
 * away the # of a default changes nothing, but in a role that says another.
 */
void config_manual_sample(config_manual_put *put, void *arg);

/* Puts the directives as sections of an mdoc(7) page. */
void config_manual_mdoc(config_manual_put *put, void *arg);

#endif
