#include "config/config.h"

#include "base/ascii.h"

static bool
net_holds(const struct config_net *net, const uint8_t ip[16])
{
	unsigned whole = net->prefix / 8;
	unsigned rest = net->prefix % 8;

	if (memcmp(net->ip, ip, whole) != 0)
		return false;
	return rest == 0 || (net->ip[whole] ^ ip[whole]) >> (8 - rest) == 0;
}

bool
config_nets_hold(const struct config_net *nets, size_t n, const uint8_t ip[16])
{
	for (size_t k = 0; k < n; k++)
		if (net_holds(&nets[k], ip))
			return true;
	return false;
}

bool
config_domains_hold(const struct bytes *domains, size_t n, struct bytes domain)
{
	for (size_t k = 0; k < n; k++)
		if (bytes_case_eq(domains[k], domain))
			return true;
	return false;
}
