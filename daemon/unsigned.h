/* Why copies are not signed: the log has a sentence, metrics a closed word. */
#ifndef DAEMON_UNSIGNED_H
#define DAEMON_UNSIGNED_H

/* UNSIGNED_BY_* of a decision's rule (decide.h). */
unsigned unsigned_rule(const char *rule);

#endif
