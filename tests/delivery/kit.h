/* What the tests of delivery from the queue share. */
#ifndef DELIVERY_KIT_H
#define DELIVERY_KIT_H

#include <stdio.h>

#include "tests/delivery/site.h"

#define S 1000LL
#define M (60 * S)
#define H (60 * M)
#define D (24 * H)

#define LISTENER(name, more) "  " name ": {listen: [\"127.0.0.1:25\"], " \
	"role: inbound, domains: [two.example], verify: off, " more "}\n"
#define TO_HOP "next-hop: \"smtp://10.0.0.2:25\""
#define TO_LMTP "next-hop: \"lmtp://10.0.0.2:25\""
#define BY_MX "next-hop: mx, mx-port: 25"

static const struct queue_site_mail plain = {
	.id = "m1", .to = {"<bob@two.example>"},
};

static inline void
begin(const char *top, const char *more)
{
	char listeners[600];

	snprintf(listeners, sizeof(listeners), LISTENER("l", "%s"), more);
	queue_site_begin(top, listeners);
	queue_run_start(queue_site_run);
	queue_site_work();
}

static inline void
put(const struct queue_site_mail *m)
{
	queue_site_put(m);
	queue_run_add(queue_site_run, m->id);
}

static inline void
put_many(size_t n, const char *to)
{
	for (size_t k = 0; k < n; k++) {
		char id[20];
		struct queue_site_mail m = {.id = id, .to = {to}};

		snprintf(id, sizeof(id), "many%zu", k);
		put(&m);
	}
}

#endif
