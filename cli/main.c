#include "cli/cli.h"

#include "base/version.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <sodium.h>

static const char help[] =
"hopseal VERB ...                 looks at and signs DKIM2 messages\n"
"\n"
"  verify   [--mail-from A --rcpt-to B ...] [--dns JSON | --resolver ADDR:PORT]\n"
"           [--time T] [MESSAGE]\n"
"           the verdict as one JSON line; without an envelope that part is not\n"
"           checked, without --dns the resolver is asked, without --time it is now\n"
"  dsn-verify --mail-from A --rcpt-to B and the other options of verify\n"
"           whether a bounce may be relied upon: it, and the message it returns\n"
"  explain  the same options: the chain hop by hop, in words\n"
"  sign     --domain D --selector S --key PEM\n"
"           [--key2 PEM --selector2 S2 [--join and|or]]\n"
"           --mail-from A --rcpt-to B ... | --next-domain D\n"
"           [--exploded] [--flags feedback,feedhere,exploded] [--nonce N]\n"
"           [--hash sha256,sha512] [--timestamp T]\n"
"           [--original OLD | --recipe JSON] [--proof-dns JSON] [MESSAGE]\n"
"           originates, or extends the chain there is: whether it was fully\n"
"           verified is yours to know, or --proof-dns verifies it first;\n"
"           what was changed since --original is written down as a recipe\n"
"  recipe   OLD NEW\n"
"           the recipe that leads from the message NEW back to OLD\n"
"  keygen   [--type ed25519|rsa2048] [--keys DIR] DOMAIN SELECTOR\n"
"           writes DIR/DOMAIN/SELECTOR.pem and prints its DNS record\n"
"  dns-record FILE [DOMAIN SELECTOR] [--json]\n"
"           the DNS record of a private key as a zone line, or for a keys-file\n"
"  help, --version\n"
"\n"
"MESSAGE is a file, or standard input. Addresses stand with or without <>; <> is\n"
"the null path.\n"
"exit: 0 pass  1 fail  2 permerror  3 temperror  4 none  64 usage\n"
"      66 a file cannot be read  70 cannot do\n";

static int
cli_help(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	fputs(help, stdout);
	return CLI_OK;
}

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
	{"sign", cli_sign},
	{"recipe", cli_recipe},
	{"keygen", cli_keygen},
	{"dns-record", cli_dns_record},
	{"help", cli_help},
	{"--help", cli_help},
	{"-h", cli_help},
	{"--version", cli_version},
	{"version", cli_version},
};

/* Said by the design, so that they are known by name until they come. */
static const char *const not_built[] = {
	"check", "config", "history", "which-key",
	"key", "test", "queue", "status", "trace", "bypass", "pause",
	"resume", "drain", "set", "debug", "reload",
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
	if (argc < 2) {
		fputs(help, stderr);
		return CLI_USAGE;
	}
	for (size_t k = 0; k < sizeof(verbs) / sizeof(verbs[0]); k++)
		if (strcmp(argv[1], verbs[k].name) == 0)
			return verbs[k].run(argc - 1, argv + 1);
	for (size_t k = 0; k < sizeof(not_built) / sizeof(not_built[0]); k++)
		if (strcmp(argv[1], not_built[k]) == 0)
			return cli_fail(CLI_CANNOT, "%s is not built yet",
			    argv[1]);
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
