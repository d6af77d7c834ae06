/* Certificates for tests, made when they are needed: P-256 or RSA, PEM files. */
#ifndef TESTS_DAEMON_CERTS_H
#define TESTS_DAEMON_CERTS_H

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <sys/stat.h>

struct cert {
	char cert[128], key[128];	/* the files */
	X509 *x;
	EVP_PKEY *k;
};

static inline void
cert_extend(X509 *x, int nid, const char *value)
{
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	assert_non_null(e);
	X509_add_ext(x, e, -1);
	X509_EXTENSION_free(e);
}

/*
 * file   the key is an RSA key where it begins so
 * names  "DNS:a.example" or "IP:127.0.0.1"; NULL: a CA
 * ca     who signs; NULL: itself
 * days   how long it is still valid; negative: since when no more
 */
static inline void
cert_make(struct cert *c, const char *folder, const char *file,
    const char *names, const struct cert *ca, int days)
{
	X509_NAME *name;
	FILE *f;

	snprintf(c->cert, sizeof(c->cert), "%s/%s.pem", folder, file);
	snprintf(c->key, sizeof(c->key), "%s/%s.key", folder, file);
	c->k = strncmp(file, "rsa", 3) == 0 ? EVP_RSA_gen(2048) :
	    EVP_EC_gen("P-256");
	c->x = X509_new();
	assert_non_null(c->k);
	assert_non_null(c->x);
	X509_set_version(c->x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(c->x), file[0]);
	X509_gmtime_adj(X509_getm_notBefore(c->x), -86400L * 30);
	X509_gmtime_adj(X509_getm_notAfter(c->x), 86400L * days);
	X509_set_pubkey(c->x, c->k);
	name = X509_get_subject_name(c->x);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
	    (const uint8_t *)file, -1, -1, 0);
	X509_set_issuer_name(c->x, ca == NULL ? name :
	    X509_get_subject_name(ca->x));
	cert_extend(c->x, NID_basic_constraints, names == NULL ?
	    "critical,CA:TRUE" : "CA:FALSE");
	if (names != NULL)
		cert_extend(c->x, NID_subject_alt_name, names);
	assert_int_not_equal(X509_sign(c->x, ca == NULL ? c->k : ca->k,
	    EVP_sha256()), 0);
	f = fopen(c->cert, "w");
	assert_non_null(f);
	PEM_write_X509(f, c->x);
	fclose(f);
	f = fopen(c->key, "w");
	assert_non_null(f);
	PEM_write_PrivateKey(f, c->k, NULL, NULL, 0, NULL, NULL);
	fclose(f);
	chmod(c->key, 0600);
}

static inline void
cert_free(struct cert *c)
{
	X509_free(c->x);
	EVP_PKEY_free(c->k);
	unlink(c->cert);
	unlink(c->key);
}

#endif
