#include "config/config.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "config/keydir.h"

struct warn {
	const struct config *config;
	config_complain *complain;
	void *arg;
};

/* At the listener; NULL: at the beginning of the file. */
static void __attribute__((format(printf, 3, 4)))
warn(const struct warn *w, const struct config_listener *l, const char *fmt,
    ...)
{
	char what[512], text[8192];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	(void)snprintf(text, sizeof(text), "%s:%u:%u: warning: %s%s%s",
	    w->config->path, l == NULL ? 1 : l->line,
	    l == NULL ? 1 : l->column, l == NULL ? "" : l->name,
	    l == NULL ? "" : ": ", what);
	w->complain(w->arg, text);
}

/* Keys stand sorted by domain. */
static size_t
count_domains(const struct keydir *keys)
{
	size_t n = keys->n != 0;

	for (size_t k = 1; k < keys->n; k++)
		n += !bytes_eq(keys->entries[k - 1].domain,
		    keys->entries[k].domain);
	return n;
}

/* Whether a key of the domain, or of one above it, is there. */
static bool
has_key(const struct keydir *keys, struct bytes domain)
{
	for (;;) {
		size_t at = bytes_index(domain, '.');

		for (size_t k = 0; k < keys->n; k++)
			if (bytes_eq(keys->entries[k].domain, domain))
				return true;
		if (at == domain.n)
			return false;
		domain = bytes_skip(domain, at + 1);
	}
}

/* Mail of senders without a key is taken, and leaves as it is. */
static void
warn_of_keys(const struct warn *w, const struct config_listener *l,
    const struct keydir *keys)
{
	if (w->config->keys == NULL) {
		warn(w, l, "nothing is signed: there is no `keys`; write the "
		    "folder of the keys at top level");
		return;
	}
	for (size_t k = 0; k < l->n_senders; k++)
		if (!has_key(keys, l->senders[k]))
			warn(w, l, "mail of %.*s, one of its `senders`, is "
			    "not signed: no active key of the domain is under "
			    "`keys`; make one with hopseal key new",
			    BYTES_FMT(l->senders[k]));
}

void
config_warn(const struct config *c, const struct keydir *keys,
    config_complain *complain, void *arg)
{
	struct warn w = {c, complain, arg};
	size_t n_domains = count_domains(keys);

	if (strchr(c->hostname, '.') == NULL)
		warn(&w, NULL, "hostname: others refuse a name without a dot; "
		    "write the whole one, such as mx.example.org");
	if (c->has_user && strcmp(c->user, "root") == 0)
		warn(&w, NULL, "user: root: nothing is given up; write one of "
		    "its own");
	for (size_t k = 0; k < c->n_listeners; k++) {
		const struct config_listener *l = &c->listeners[k];

		if (l->role == ROLE_INBOUND && !l->has_pass_client)
			warn(&w, l, "no `pass-client`: the server behind takes "
			    "us for the client of all mail, and so do its "
			    "checks; write xclient or proxy-v2, or none");
		if (config_role_originates(l->role) && !l->has_senders &&
		    n_domains > 1)
			warn(&w, l, "no `senders`: its clients may send as "
			    "each of the %zu domains under `keys`; write those "
			    "that are theirs", n_domains);
		if (config_role_originates(l->role))
			warn_of_keys(&w, l, keys);
	}
}
