#include "daemon/nexthop.h"

#include "base/buf.h"
#include "dkim2/idn.h"

#define NAME_MAX_OCTETS 255

const struct config_next_hop *
nexthop_route(const struct config_listener *l, struct bytes domain)
{
	uint8_t room[NAME_MAX_OCTETS];
	struct buf ascii = BUF_ON(room);
	const struct config_next_hop *hop = NULL;

	if (idn_to_ascii(domain, &ascii))
		hop = config_route_find(&l->routes, buf_bytes(&ascii));
	return hop != NULL ? hop : &l->next_hop;
}

bool
nexthop_is_same(const struct config_next_hop *a, struct bytes a_domain,
    const struct config_next_hop *b, struct bytes b_domain)
{
	if (a->scheme != b->scheme || a->tls != b->tls || a->port != b->port)
		return false;
	if (a->scheme == SCHEME_MX)
		return idn_domain_eq(a_domain, b_domain);
	return bytes_case_eq(a->host, b->host);
}
