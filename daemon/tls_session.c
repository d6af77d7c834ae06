#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/tls_state.h"

/* A certificate that was good is taken to be good for this long. */
#define SESSION_MS (3600 * 1000LL)

struct tls_session {
	uint8_t key[32];
	SSL_SESSION *session;
	int64_t made_ms;
};

/* Newest last. A destination whose certificate was looked at otherwise is
   another one. */
struct tls_sessions {
	struct tls_session session[TLS_SESSIONS];
	size_t n;
};

struct tls_sessions *
tls_sessions_new(void)
{
	return calloc(1, sizeof(struct tls_sessions));
}

static void
drop(struct tls_sessions *s, size_t k)
{
	SSL_SESSION_free(s->session[k].session);
	s->n--;
	memmove(&s->session[k], &s->session[k + 1],
	    (s->n - k) * sizeof(s->session[0]));
}

void
tls_sessions_free(struct tls_sessions **sp)
{
	struct tls_sessions *s = *sp;

	*sp = NULL;
	while (s != NULL && s->n != 0)
		drop(s, s->n - 1);
	free(s);
}

static void
key_of(const struct tls_way *w, uint8_t key[32])
{
	const char *ca = w->listener->tls_ca;
	crypto_generichash_state h;

	crypto_generichash_init(&h, NULL, 0, 32);
	crypto_generichash_update(&h, (const uint8_t *)w->name,
	    strlen(w->name) + 1);
	crypto_generichash_update(&h, (const uint8_t *)&w->port,
	    sizeof(w->port));
	crypto_generichash_update(&h, (const uint8_t *)&w->must_verify,
	    sizeof(w->must_verify));
	if (ca != NULL)
		crypto_generichash_update(&h, (const uint8_t *)ca, strlen(ca));
	crypto_generichash_final(&h, key, 32);
}

static size_t
find(const struct tls_sessions *s, const struct tls_way *w)
{
	uint8_t key[32];
	size_t k = 0;

	key_of(w, key);
	while (k < s->n && memcmp(s->session[k].key, key, sizeof(key)) != 0)
		k++;
	return k;
}

SSL_SESSION *
tls_session_find(struct tls_sessions *s, const struct tls_way *w,
    int64_t now_ms)
{
	size_t k = find(s, w);

	if (k == s->n)
		return NULL;
	if (now_ms - s->session[k].made_ms < SESSION_MS &&
	    SSL_SESSION_is_resumable(s->session[k].session) == 1)
		return s->session[k].session;
	drop(s, k);
	return NULL;
}

void
tls_session_drop(struct tls_sessions *s, const struct tls_way *w)
{
	size_t k = find(s, w);

	if (k != s->n)
		drop(s, k);
}

void
tls_session_put(struct tls_sessions *s, const struct tls_way *w,
    int64_t now_ms, bool is_resumed, SSL_SESSION *session)
{
	size_t k = find(s, w);

	/* the certificate is as old as when it was last looked at */
	if (is_resumed)
		now_ms = k == s->n ? now_ms - SESSION_MS :
		    s->session[k].made_ms;
	if (k != s->n)
		drop(s, k);
	if (s->n == TLS_SESSIONS)
		drop(s, 0);
	k = s->n++;
	key_of(w, s->session[k].key);
	s->session[k].session = session;
	s->session[k].made_ms = now_ms;
}
