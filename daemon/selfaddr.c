#include "daemon/selfaddr.h"

#include <ifaddrs.h>

#include "daemon/addr.h"

void
selfaddr_look(struct selfaddr *s)
{
	if (getifaddrs(&s->own) != 0)
		s->own = NULL;
}

void
selfaddr_forget(struct selfaddr *s)
{
	if (s->own != NULL)
		freeifaddrs(s->own);
	s->own = NULL;
}

static bool
is_own(const struct selfaddr *s, const struct config_addr *to)
{
	static const uint8_t loopback[16] = {[15] = 1};
	struct config_addr one;

	if ((addr_is_v4(to) && to->ip[12] == 127) ||
	    memcmp(to->ip, loopback, 16) == 0)
		return true;
	for (const struct ifaddrs *i = s->own; i != NULL; i = i->ifa_next)
		if (i->ifa_addr != NULL &&
		    addr_from_system(i->ifa_addr, &one) &&
		    memcmp(one.ip, to->ip, 16) == 0)
			return true;
	return false;
}

/* Whether it stands for all addresses of the other's family. */
static bool
is_wild(const struct config_addr *a, const struct config_addr *to)
{
	static const uint8_t none[16];

	if (a->is_any)
		return true;
	if (addr_is_v4(a))
		return addr_is_v4(to) && memcmp(a->ip + 12, none, 4) == 0;
	return !addr_is_v4(to) && memcmp(a->ip, none, 16) == 0;
}

bool
selfaddr_listens(const struct selfaddr *s, const struct config_listener *l,
    const struct config_addr *to)
{
	for (size_t k = 0; k < l->n_listen; k++) {
		const struct config_addr *a = &l->listen[k];

		if (a->port != to->port)
			continue;
		if (is_wild(a, to) ? is_own(s, to) :
		    memcmp(a->ip, to->ip, 16) == 0)
			return true;
	}
	return false;
}
