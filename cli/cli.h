/*
 * The hopseal command: one file a verb, one message in, one answer out.
 * Exit codes: 0 pass, 1 fail, 2 permerror, 3 temperror, 4 none; 64 usage,
 * 66 a file cannot be read, 70 cannot do, 75 not now, 78 a mistake in the configuration
 * (interface.md, Commands).
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "cli/args.h"

enum cli_exit {
	CLI_OK = 0,
	CLI_USAGE = 64,
	CLI_UNREADABLE = 66,
	CLI_CANNOT = 70,
	CLI_LATER = 75,
	CLI_CONFIG = 78,
};

/* What a verb is called with: argv[0] is the verb. Returns the exit code. */
typedef int cli_verb(int argc, char **argv);

cli_verb cli_verify, cli_dsn_verify, cli_explain, cli_sign, cli_recipe,
    cli_keygen, cli_dns_record,
    cli_bypass, cli_pause, cli_resume, cli_set, cli_debug, cli_test,
    cli_history, cli_which_key, cli_queue, cli_check, cli_key,
    cli_config, cli_reload, cli_status,
    cli_trace, cli_help;

/* What a verb does and its options, on stdout; its exit code. */
int cli_help_verb(const char *verb);

/*
 * Says on stderr what is wrong, behind "hopseal: ".
 *
 * Returns  code, so that one can return it at once
 */
int cli_fail(int code, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
