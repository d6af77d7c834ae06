#include "config/config.h"

#include <stdarg.h>
#include <stdio.h>

#include "config/keydir.h"

struct warn {
	const struct config *config;
	config_complain *complain;
	void *arg;
};

static void __attribute__((format(printf, 3, 4)))
warn(const struct warn *w, const struct config_listener *l, const char *fmt,
    ...)
{
	char what[512], text[8192];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	(void)snprintf(text, sizeof(text), "%s:%u:%u: warning: %s: %s",
	    w->config->path, l->line, l->column, l->name, what);
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

void
config_warn(const struct config *c, const struct keydir *keys,
    config_complain *complain, void *arg)
{
	struct warn w = {c, complain, arg};
	size_t n_domains = count_domains(keys);

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
	}
}
