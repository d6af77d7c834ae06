#include "daemon/reload_keys.h"

#include <stdio.h>
#include <string.h>

#include "daemon/log.h"
#include "dkim2/dkim2.h"

#define SAID_MAX 20U		/* keys that are named; the others are counted */
#define WARNING ": warning: "

static bool
is_among(const struct signer_key *keys, size_t n, const struct signer_key *k)
{
	for (size_t at = 0; at < n; at++)
		if (bytes_eq(keys[at].domain, k->domain) &&
		    bytes_case_eq(keys[at].selector, k->selector))
			return true;
	return false;
}

static bool
is_there(const struct signer_inventory *inv, const struct signer_key *k)
{
	const struct signer_key *first = NULL;
	size_t n = signer_inventory_find(inv, k->domain, &first);

	return is_among(first, n, k) ||
	    is_among(inv->retired, inv->n_retired, k);
}

/* A key of the domain, or of one above it. */
static bool
is_signed_for(const struct signer_inventory *inv, struct bytes domain)
{
	const struct signer_key *first;

	while (domain.n != 0) {
		if (signer_inventory_find(inv, domain, &first) != 0)
			return true;
		domain = bytes_skip(domain, bytes_index(domain, '.'));
		domain = bytes_skip(domain, domain.n != 0);
	}
	return false;
}

static bool
is_about(const struct bytes *names, size_t n, struct bytes domain)
{
	for (size_t k = 0; k < n; k++)
		if (dkim2_domain_covers(names[k], domain) ||
		    dkim2_domain_covers(domain, names[k]))
			return true;
	return false;
}

/* Whether some listener is for mail of the domain, or of every one. */
static bool
is_named(const struct config *c, struct bytes domain)
{
	for (size_t k = 0; k < c->n_listeners; k++) {
		const struct config_listener *l = c->listeners + k;

		if ((config_role_originates(l->role) && !l->has_senders) ||
		    is_about(l->senders, l->n_senders, domain) ||
		    is_about(l->domains, l->n_domains, domain))
			return true;
	}
	return false;
}

/* Of keys that are gone. */
static void
tell(const struct reload_keys *now, const struct signer_key *k, bool is_lost)
{
	if (is_lost)
		log_line(LOG_ERROR_, "%s: the key %.*s of %.*s is gone, and "
		    "mail of that domain would leave unsigned; put "
		    "%.*s/%.*s.pem back, or say that it is meant: hopseal key "
		    "retire --last %.*s %.*s; or take the domain out of "
		    "`senders`", now->config->keys, BYTES_FMT(k->selector),
		    BYTES_FMT(k->domain), BYTES_FMT(k->domain),
		    BYTES_FMT(k->selector), BYTES_FMT(k->domain),
		    BYTES_FMT(k->selector));
	else
		log_line(LOG_WARNING_, "%s: the key %.*s of %.*s is gone "
		    "without being retired; what is left signs for it",
		    now->config->keys, BYTES_FMT(k->selector),
		    BYTES_FMT(k->domain));
}

bool
reload_keys_stay(const struct reload_keys *before,
    const struct reload_keys *now)
{
	size_t n_gone = 0;
	bool is_good = true;

	if (now->config->keys == NULL)
		return true;
	for (size_t at = 0; at < before->keys->n; at++) {
		const struct signer_key *k = before->keys->keys + at;
		bool is_lost;

		if (is_there(now->keys, k) ||
		    (is_named(before->config, k->domain) &&
		    !is_named(now->config, k->domain)))
			continue;
		is_lost = !is_signed_for(now->keys, k->domain);
		is_good = is_good && !is_lost;
		if (n_gone++ < SAID_MAX)
			tell(now, k, is_lost);
	}
	if (n_gone > SAID_MAX)
		log_line(LOG_WARNING_, "%s: %zu more keys are gone",
		    now->config->keys, n_gone - SAID_MAX);
	return is_good;
}

/* The log says by itself that it is a warning. */
static void
to_log(void *arg, const char *text)
{
	const char *at = strstr(text, WARNING);

	(void)arg;
	if (at == NULL)
		log_line(LOG_WARNING_, "%s", text);
	else
		log_line(LOG_WARNING_, "%.*s: %s", (int)(at - text), text,
		    at + strlen(WARNING));
}

void
reload_warn(const struct reload_keys *now)
{
	config_warn(now->config, &now->keys->domains, to_log, NULL);
}
