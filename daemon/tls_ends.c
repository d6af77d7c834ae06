#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <time.h>

#include "daemon/tls.h"

int64_t
tls_ends(const struct config_tls *of)
{
	FILE *f = fopen(of->cert, "re");
	X509 *cert = f == NULL ? NULL : PEM_read_X509(f, NULL, NULL, NULL);
	int64_t ends = 0;
	struct tm tm;

	if (cert != NULL &&
	    ASN1_TIME_to_tm(X509_get0_notAfter(cert), &tm) == 1)
		ends = (int64_t)timegm(&tm);
	X509_free(cert);
	if (f != NULL)
		fclose(f);
	ERR_clear_error();
	return ends;
}
