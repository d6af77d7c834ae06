#include "daemon/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "config/keydir.h"
#include "config/value.h"
#include "daemon/log.h"
#include "daemon/tls_state.h"

/*
 * Of TLS 1.2 only what has forward secrecy first, the rest for old peers
 * that would else get no TLS at all; TLS 1.3 has OpenSSL's own.
 */
#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20:" \
	"ECDHE+AES:DHE+AES:RSA+AESGCM:RSA+AES:" \
	"!aNULL:!eNULL:!PSK:!SRP:!DSS:!MD5:!CAMELLIA:!ARIA"

/* A certificate with its key. */
struct pair {
	SSL_CTX *ctx;
};

/* The certificates that one `tls` directive names; the first is for all. */
struct pairs {
	const struct config_tls *of;
	struct pair *pair;
	size_t n;
	int64_t *ends;		/* of each that is named, in s of 1970 */
};

/* Whom we believe about next hops. */
struct trust {
	const char *ca;		/* a file; NULL: the system's */
	SSL_CTX *ctx;
};

struct tls {
	struct pairs *pairs;
	size_t n_pairs;
	struct trust *trust;
	size_t n_trust;
	struct tls_sessions *sessions;
};

/* Where complaints go, and where in the files. */
struct maker {
	struct tls *tls;
	unsigned gid;
	config_complain *complain;
	void *arg;
	bool is_bad;
};

static void
complain(struct maker *m, const char *path, const char *why)
{
	unsigned long e = ERR_peek_error();
	const char *more = ERR_SYSTEM_ERROR(e) ?
	    strerrordesc_np(ERR_GET_REASON(e)) : ERR_reason_error_string(e);
	char text[1024];

	snprintf(text, sizeof(text), "%s: %s%s%s", path, why,
	    more == NULL ? "" : ": ", more == NULL ? "" : more);
	ERR_clear_error();
	m->complain(m->arg, text);
	m->is_bad = true;
}

static SSL_CTX *
ctx_new(const SSL_METHOD *method)
{
	SSL_CTX *ctx = SSL_CTX_new(method);

	if (ctx == NULL)
		return NULL;
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION |
	    SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS |
	    SSL_MODE_ENABLE_PARTIAL_WRITE |
	    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	if (SSL_CTX_set_cipher_list(ctx, CIPHERS) == 1)
		return ctx;
	SSL_CTX_free(ctx);
	return NULL;
}

/* ---- our certificates ----------------------------------------------------- */

static int
no_password(char *p, int n, int is_writing, void *arg)
{
	(void)p;
	(void)n;
	(void)is_writing;
	(void)arg;
	return -1;	/* or OpenSSL would ask a terminal */
}

/* Chooses by the name that the client asks for; else it is the first. */
static int
on_name(SSL *ssl, int *alert, void *arg)
{
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	const struct pairs *p = arg;

	(void)alert;
	for (size_t k = 0; name != NULL && k < p->n; k++) {
		X509 *cert = SSL_CTX_get0_certificate(p->pair[k].ctx);

		if (X509_check_host(cert, name, 0, 0, NULL) != 1)
			continue;
		if (SSL_set_SSL_CTX(ssl, p->pair[k].ctx) == NULL)
			return SSL_TLSEXT_ERR_ALERT_FATAL;
		return SSL_TLSEXT_ERR_OK;
	}
	return SSL_TLSEXT_ERR_OK;	/* RFC 6066 3: that is no failure */
}

static void
look_at_dates(const struct config_tls *of, const X509 *cert)
{
	if (X509_cmp_current_time(X509_get0_notAfter(cert)) < 0)
		log_line(LOG_WARNING_, "%s: the certificate has expired",
		    of->cert);
	else if (X509_cmp_current_time(X509_get0_notBefore(cert)) > 0)
		log_line(LOG_WARNING_, "%s: the certificate is not valid yet",
		    of->cert);
}

/* Keys that others may read are refused as those of DKIM are (row P3). */
static bool
is_safe(struct maker *m, const char *path)
{
	char *real = realpath(path, NULL);
	int r;

	if (real == NULL) {
		ERR_clear_error();
		complain(m, path, strerrordesc_np(errno));
		return false;
	}
	r = keydir_check_file(real, m->gid, m->complain, m->arg);
	free(real);
	m->is_bad = m->is_bad || r != 0;
	return r == 0;
}

/* A ticket is good at every listener: it stands for no right. */
static const uint8_t our_id[] = "hopseal";

static SSL_CTX *
server_ctx_new(struct pairs *p)
{
	SSL_CTX *ctx = ctx_new(TLS_server_method());

	if (ctx == NULL)
		return NULL;
	SSL_CTX_set_default_passwd_cb(ctx, no_password);
	SSL_CTX_set_tlsext_servername_callback(ctx, on_name);
	SSL_CTX_set_tlsext_servername_arg(ctx, p);
	SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, tls_ticket_call);
	SSL_CTX_set_session_id_context(ctx, our_id, sizeof(our_id));
	SSL_CTX_set_timeout(ctx, TLS_TICKET_S);
	SSL_CTX_set_num_tickets(ctx, 1);
	return ctx;
}

static void
load(struct maker *m, SSL_CTX *ctx, const struct config_tls *of)
{
	ERR_clear_error();
	if (SSL_CTX_use_certificate_chain_file(ctx, of->cert) != 1) {
		complain(m, of->cert, "no certificate could be read (PEM)");
		return;
	}
	if (is_safe(m, of->key) && (SSL_CTX_use_PrivateKey_file(ctx,
	    of->key, SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_check_private_key(ctx) != 1))
		complain(m, of->key, "no key of the certificate could be read "
		    "(PEM, without a password)");
}

/* 0 where it does not say. */
static int64_t
end_of(const X509 *cert)
{
	struct tm tm;

	if (ASN1_TIME_to_tm(X509_get0_notAfter(cert), &tm) != 1)
		return 0;
	return (int64_t)timegm(&tm);
}

/* Whether two certificates are for the same names with keys of two kinds. */
static bool
are_twins(const X509 *a, const X509 *b)
{
	int at = X509_get_ext_by_NID(a, NID_subject_alt_name, -1);
	int bt = X509_get_ext_by_NID(b, NID_subject_alt_name, -1);

	return at >= 0 && bt >= 0 &&
	    EVP_PKEY_get_base_id(X509_get0_pubkey(a)) !=
	    EVP_PKEY_get_base_id(X509_get0_pubkey(b)) &&
	    ASN1_STRING_cmp(X509_EXTENSION_get_data(X509_get_ext(a, at)),
	    X509_EXTENSION_get_data(X509_get_ext(b, bt))) == 0;
}

static void
make_pair(struct maker *m, struct pairs *p, const struct config_tls *of)
{
	SSL_CTX *ctx = server_ctx_new(p);
	X509 *cert;

	if (ctx == NULL) {
		complain(m, of->cert, err_text(E_NOMEM));
		return;
	}
	load(m, ctx, of);
	cert = SSL_CTX_get0_certificate(ctx);
	if (cert != NULL) {
		look_at_dates(of, cert);
		p->ends[of - p->of] = end_of(cert);
	}
	for (size_t k = 0; !m->is_bad && k < p->n; k++) {
		if (!are_twins(SSL_CTX_get0_certificate(p->pair[k].ctx), cert))
			continue;
		/* OpenSSL takes the one that the client can verify */
		load(m, p->pair[k].ctx, of);
		SSL_CTX_free(ctx);
		return;
	}
	p->pair[p->n++].ctx = ctx;
}

static struct pairs *
find_pairs(const struct tls *t, const struct config_tls *of)
{
	for (size_t k = 0; k < t->n_pairs; k++)
		if (t->pairs[k].of == of)
			return &t->pairs[k];
	return NULL;
}

static void
make_pairs(struct maker *m, const struct config_listener *l)
{
	struct pairs *p = &m->tls->pairs[m->tls->n_pairs];

	if (l->n_tls == 0 || find_pairs(m->tls, l->tls) != NULL)
		return;
	p->of = l->tls;
	p->pair = calloc(l->n_tls, sizeof(*p->pair));
	p->ends = calloc(l->n_tls, sizeof(*p->ends));
	m->tls->n_pairs++;
	if (p->pair == NULL || p->ends == NULL) {
		complain(m, l->name, err_text(E_NOMEM));
		return;
	}
	for (size_t k = 0; k < l->n_tls; k++)
		make_pair(m, p, &l->tls[k]);
}

/* ---- whom we believe ------------------------------------------------------ */

static bool
is_same_ca(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static SSL_CTX *
find_trust(const struct tls *t, const char *ca)
{
	for (size_t k = 0; k < t->n_trust; k++)
		if (is_same_ca(t->trust[k].ca, ca))
			return t->trust[k].ctx;
	return NULL;
}

static int
on_session(SSL *ssl, SSL_SESSION *session)
{
	const struct tls_link *link = SSL_get_app_data(ssl);

	tls_session_put(link->way->tls->sessions, link->way, link->now_ms,
	    SSL_session_reused(ssl) == 1, session);
	return 1;	/* it is ours now */
}

static void
make_trust(struct maker *m, const char *ca)
{
	struct trust *t = &m->tls->trust[m->tls->n_trust];

	if (find_trust(m->tls, ca) != NULL)
		return;
	t->ca = ca;
	t->ctx = ctx_new(TLS_client_method());
	if (t->ctx == NULL) {
		complain(m, "tls-ca", err_text(E_NOMEM));
		return;
	}
	m->tls->n_trust++;
	SSL_CTX_set_session_cache_mode(t->ctx, SSL_SESS_CACHE_CLIENT |
	    SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(t->ctx, on_session);
	ERR_clear_error();
	if (ca == NULL)
		SSL_CTX_set_default_verify_paths(t->ctx);
	else if (SSL_CTX_load_verify_file(t->ctx, ca) != 1)
		complain(m, ca, "no certificate could be read (PEM)");
}

/* ---- all of it ------------------------------------------------------------ */

struct tls *
tls_new(const struct config *c, unsigned gid, config_complain *call,
    void *arg)
{
	struct tls *t = calloc(1, sizeof(*t));
	struct maker m = {t, gid, call, arg, false};

	if (t != NULL) {
		t->pairs = calloc(c->n_listeners, sizeof(*t->pairs));
		t->trust = calloc(c->n_listeners, sizeof(*t->trust));
		t->sessions = tls_sessions_new();
	}
	if (t == NULL || t->pairs == NULL || t->trust == NULL ||
	    t->sessions == NULL) {
		complain(&m, c->path, err_text(E_NOMEM));
		tls_free(&t);
		return NULL;
	}
	for (size_t k = 0; k < c->n_listeners; k++) {
		make_pairs(&m, &c->listeners[k]);
		make_trust(&m, c->listeners[k].tls_ca);
	}
	if (m.is_bad)
		tls_free(&t);
	return t;
}

void
tls_free(struct tls **tp)
{
	struct tls *t = *tp;

	*tp = NULL;
	if (t == NULL)
		return;
	for (size_t k = 0; t->pairs != NULL && k < t->n_pairs; k++) {
		for (size_t i = 0; i < t->pairs[k].n; i++)
			SSL_CTX_free(t->pairs[k].pair[i].ctx);
		free(t->pairs[k].pair);
		free(t->pairs[k].ends);
	}
	for (size_t k = 0; t->trust != NULL && k < t->n_trust; k++)
		SSL_CTX_free(t->trust[k].ctx);
	tls_sessions_free(&t->sessions);
	free(t->pairs);
	free(t->trust);
	free(t);
}

bool
tls_is_offered(const struct config_listener *l)
{
	return l->n_tls != 0;
}

int64_t
tls_expiry(const struct tls *t, const struct config_listener *l, size_t k)
{
	const struct pairs *p = find_pairs(t, l->tls);

	return p == NULL || k >= l->n_tls ? 0 : p->ends[k];
}

/* ---- one handshake -------------------------------------------------------- */

static SSL *
server_new(const struct tls_way *w)
{
	const struct pairs *p = find_pairs(w->tls, w->listener->tls);
	SSL *ssl = p == NULL ? NULL : SSL_new(p->pair[0].ctx);

	if (ssl == NULL)
		return NULL;
	SSL_set_accept_state(ssl);
	if (w->listener->auth == AUTH_PASS)	/* passwords stand in records */
		SSL_set_options(ssl, SSL_OP_CLEANSE_PLAINTEXT);
	return ssl;
}

/* Source RFC 6125 6.4, RFC 7817 3: the host's name; an address where the
   operator wrote one. */
static bool
set_name(SSL *ssl, const char *name)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
	uint8_t ip[16];

	X509_VERIFY_PARAM_set_hostflags(param,
	    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (config_value_ip(bytes_of(name), ip))
		return X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1;
	return X509_VERIFY_PARAM_set1_host(param, name, 0) == 1 &&
	    SSL_set_tlsext_host_name(ssl, name) == 1;
}

static SSL *
client_new(const struct tls_way *w, int64_t now_ms)
{
	SSL *ssl = SSL_new(find_trust(w->tls, w->listener->tls_ca));
	SSL_SESSION *session;

	if (ssl == NULL)
		return NULL;
	session = tls_session_find(w->tls->sessions, w, now_ms);
	if (session != NULL)
		SSL_set_session(ssl, session);
	SSL_set_connect_state(ssl);
	/*
	 * Where any certificate will do, one with an old hash or a short key
	 * is still better than none at all.
	 */
	SSL_set_security_level(ssl, w->must_verify ? 2 : 1);
	SSL_set_verify(ssl, w->must_verify ? SSL_VERIFY_PEER :
	    SSL_VERIFY_NONE, NULL);
	if (set_name(ssl, w->name))
		return ssl;
	SSL_free(ssl);
	return NULL;
}

SSL *
tls_ssl_new(const struct tls_way *w, struct tls_link *link)
{
	SSL *ssl = w->is_server ? server_new(w) : client_new(w, link->now_ms);

	if (ssl == NULL)
		return NULL;
	link->way = w;
	SSL_set_app_data(ssl, link);
	return ssl;
}

void
tls_forget(const struct tls_way *w)
{
	if (!w->is_server)
		tls_session_drop(w->tls->sessions, w);
}
