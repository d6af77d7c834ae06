/*
 * Return addresses for the tests with other programs.
 *
 *   srs make SECRET TIME LOCAL DOMAIN     prints the local part
 *   srs read SECRET TIME LOCAL            prints the path it leads back to
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "smtp/srs.h"

int
main(int argc, char **argv)
{
	static const char *const why[] = {[SMTP_RETURN_NONE] = "none",
	    [SMTP_RETURN_FORGED] = "forged", [SMTP_RETURN_EXPIRED] = "expired"};
	char octets[300];
	struct buf out = BUF_ON(octets);
	struct bytes secret;
	struct smtp_secrets secrets = {&secret, 1};
	enum smtp_return found;

	if (argc < 5)
		return 64;
	secret = bytes_of(argv[2]);
	if (strcmp(argv[1], "make") == 0 && argc == 6) {
		if (!smtp_srs_make(&secrets, bytes_of(argv[4]),
		    bytes_of(argv[5]), atoll(argv[3]), &out))
			return 1;
	} else if (strcmp(argv[1], "read") == 0) {
		found = smtp_srs_read(&secrets, bytes_of(argv[4]),
		    atoll(argv[3]), &out);
		if (found != SMTP_RETURN_GOOD) {
			puts(why[found]);
			return 1;
		}
	} else {
		return 64;
	}
	printf("%.*s\n", BYTES_FMT(buf_bytes(&out)));
	return 0;
}
