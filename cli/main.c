#include "cli/cli.h"

#include "base/version.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <sodium.h>

static int
cli_version(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	puts("hopseal " HOPSEAL_VERSION " (draft-ietf-dkim-dkim2-spec-09)");
	return CLI_OK;
}

static const struct {
	const char *name;
	cli_verb *run;
} verbs[] = {
	{"verify", cli_verify},
	{"dsn-verify", cli_dsn_verify},
	{"explain", cli_explain},
	{"history", cli_history},
	{"sign", cli_sign},
	{"recipe", cli_recipe},
	{"keygen", cli_keygen},
	{"dns-record", cli_dns_record},
	{"which-key", cli_which_key},
	{"check", cli_check},
	{"key", cli_key},
	{"queue", cli_queue},
	{"reload", cli_reload},
	{"status", cli_status},
	{"trace", cli_trace},
	{"bypass", cli_bypass},
	{"pause", cli_pause},
	{"drain", cli_pause},
	{"resume", cli_resume},
	{"set", cli_set},
	{"debug", cli_debug},
	{"test", cli_test},
	{"config", cli_config},
	{"help", cli_help},
	{"--help", cli_help},
	{"-h", cli_help},
	{"--version", cli_version},
	{"version", cli_version},
};

int
cli_fail(int code, const char *fmt, ...)
{
	va_list args;

	fputs("hopseal: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	return code;
}

static int
run(int argc, char **argv)
{
	if (argc < 2)
		return cli_fail(CLI_USAGE, "which verb? see hopseal help");
	if (argc == 3 && argv[1][0] != '-' && strcmp(argv[2], "--help") == 0)
		return cli_help_verb(argv[1]);
	for (size_t k = 0; k < sizeof(verbs) / sizeof(verbs[0]); k++)
		if (strcmp(argv[1], verbs[k].name) == 0)
			return verbs[k].run(argc - 1, argv + 1);
	return cli_fail(CLI_USAGE, "no verb %s; see hopseal help", argv[1]);
}

int
main(int argc, char **argv)
{
	int code;

	if (sodium_init() < 0)
		return cli_fail(CLI_CANNOT, "libsodium cannot be used");
	code = run(argc, argv);
	/* an answer that nobody got is no answer */
	if (fflush(stdout) != 0 || ferror(stdout))
		return cli_fail(CLI_CANNOT, "cannot write to standard output");
	return code;
}
