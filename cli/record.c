#include "cli/record.h"

#include "base/err.h"
#include "cli/cli.h"
#include "cli/jsonout.h"
#include "cli/keyfile.h"

#include <stdlib.h>
#include <string.h>

#define STRING_MAX 255U

int
record_print(const struct dkim2_private_key *k, const char *domain,
    const char *selector, bool is_json)
{
	char text[1024];
	struct buf out = BUF_ON(text);
	struct bytes rest;
	int r = dkim2_private_key_record(k, &out);

	if (r != 0)
		return cli_fail(CLI_CANNOT, "%s", err_text(r));
	rest = buf_bytes(&out);
	if (domain == NULL) {
		printf("%.*s\n", BYTES_FMT(rest));
		return 0;
	}
	if (is_json) {
		printf("{\"%s._domainkey.%s\":[", selector, domain);
		json_put_string(stdout, rest);
		puts("]}");
		return 0;
	}
	printf("%s._domainkey.%s. IN TXT", selector, domain);
	fputs(out.n > STRING_MAX ? " (" : "", stdout);
	for (; rest.n != 0; rest = bytes_skip(rest, STRING_MAX))
		printf(" \"%.*s\"", BYTES_FMT(bytes_first(rest, STRING_MAX)));
	puts(out.n > STRING_MAX ? " )" : "");
	return 0;
}

static const struct args_known known[] = {
	{"json", true},
	{NULL, false},
};

/* "..../DOMAIN/SELECTOR.pem", as keygen writes it; else both stay NULL. */
static void
names_of(char *path, const char **domain, const char **selector)
{
	char *file = strrchr(path, '/'), *folder, *end;

	if (file == NULL)
		return;
	*file++ = '\0';
	end = strrchr(file, '.');
	if (end == NULL || strcmp(end, ".pem") != 0)
		return;
	*end = '\0';
	folder = strrchr(path, '/');
	folder = folder == NULL ? path : folder + 1;
	if (strchr(folder, '.') == NULL || !keyfile_is_name(folder) ||
	    !keyfile_is_name(file))
		return;
	*domain = folder;
	*selector = file;
}

static int
print_file(const struct args *a, char *path)
{
	const char *domain = NULL, *selector = NULL;
	bool is_json = args_get(a, "json") != NULL;
	struct dkim2_private_key *k;
	int r;

	if (a->n_words == 3) {
		domain = a->words[1];
		selector = a->words[2];
		if (!keyfile_is_name(domain) || !keyfile_is_name(selector))
			return cli_fail(CLI_USAGE, "dns-record: DOMAIN and "
			    "SELECTOR are DNS names (A-labels)");
	} else {
		names_of(path, &domain, &selector);
	}
	if (is_json && domain == NULL)
		return cli_fail(CLI_USAGE,
		    "dns-record: --json needs DOMAIN and SELECTOR");
	r = keyfile_load(&k, a->words[0], false);
	if (r == 0)
		r = record_print(k, domain, selector, is_json);
	dkim2_private_key_free(&k);
	return r;
}

int
cli_dns_record(int argc, char **argv)
{
	struct arena *mem = arena_new(65536);
	struct args a;
	char *path;
	int r;

	if (mem == NULL)
		return cli_fail(CLI_CANNOT, "out of memory");
	r = args_parse(&a, argc, argv, known, 3, mem);
	if (r == 0 && a.n_words != 1 && a.n_words != 3)
		r = cli_fail(CLI_USAGE,
		    "dns-record FILE [DOMAIN SELECTOR] [--json]");
	path = r == 0 ? strdup(a.words[0]) : NULL;
	if (r == 0)
		r = path == NULL ? cli_fail(CLI_CANNOT, "out of memory") :
		    print_file(&a, path);
	free(path);
	arena_free(&mem);
	return r;
}
