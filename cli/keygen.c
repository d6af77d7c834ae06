#include "cli/cli.h"
#include "cli/keystore.h"
#include "cli/record.h"

#include "base/err.h"

#include <string.h>

#include <sodium.h>

static const struct args_known known[] = {
	{"type", false},
	{"keys", false},
	{NULL, false},
};

int
keystore_generate(enum dkim2_algorithm type, const char *keys,
    const char *domain, const char *selector, bool is_made)
{
	struct dkim2_private_key *k;
	uint8_t room[4096];
	struct buf pem = BUF_ON(room);
	int r = dkim2_private_key_generate(&k, type);

	if (r == 0)
		r = dkim2_private_key_pem(k, &pem);
	if (r != 0)
		r = cli_fail(CLI_CANNOT, "%s", err_text(r));
	else
		r = keystore_add(keys, domain, selector, buf_bytes(&pem),
		    is_made);
	sodium_memzero(room, sizeof(room));
	if (r == 0)
		r = record_print(k, domain, selector, false);
	dkim2_private_key_free(&k);
	return r;
}

int
keystore_type(const char *type, enum dkim2_algorithm *algorithm)
{
	*algorithm = DKIM2_ED25519_SHA256;
	if (type != NULL && strcmp(type, "rsa2048") == 0)
		*algorithm = DKIM2_RSA_SHA256;
	else if (type != NULL && strcmp(type, "ed25519") != 0)
		return cli_fail(CLI_USAGE,
		    "--type %s: ed25519 or rsa2048", type);
	return 0;
}

static int
run(const struct args *a)
{
	const char *keys = args_get(a, "keys");
	char domain[254], selector[254];
	enum dkim2_algorithm algorithm;

	if (a->n_words != 2)
		return cli_fail(CLI_USAGE, "keygen [--type ed25519|rsa2048] "
		    "[--keys DIR] DOMAIN SELECTOR");
	if (keystore_type(args_get(a, "type"), &algorithm) != 0)
		return CLI_USAGE;
	if (!keystore_name(a->words[0], domain) ||
	    !keystore_name(a->words[1], selector))
		return cli_fail(CLI_USAGE, "keygen: DOMAIN and SELECTOR are "
		    "DNS names (A-labels)");
	return keystore_generate(algorithm, keys == NULL ? "keys" : keys,
	    domain, selector, false);
}

int
cli_keygen(int argc, char **argv)
{
	struct arena *mem = arena_new(65536);
	struct args a;
	int r;

	if (mem == NULL)
		return cli_fail(CLI_CANNOT, "out of memory");
	r = args_parse(&a, argc, argv, known, 2, mem);
	if (r == 0)
		r = run(&a);
	arena_free(&mem);
	return r;
}
