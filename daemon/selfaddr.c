#include "daemon/selfaddr.h"

#include <sys/socket.h>
#include <unistd.h>

#include "daemon/addr.h"

/*
 * What the system would send from to get there. To an address of its own it
 * sends from that very address. Nothing is sent, and no list of interfaces
 * is asked for: netlink is much of the kernel for a question so small.
 */
static bool
source_of(const struct config_addr *to, struct config_addr *from)
{
	struct sockaddr_storage ss;
	socklen_t n = addr_to_system(to, &ss);
	bool is_good;
	int fd;

	fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	is_good = connect(fd, (struct sockaddr *)&ss, n) == 0;
	n = sizeof(ss);
	is_good = is_good && getsockname(fd, (struct sockaddr *)&ss, &n) == 0 &&
	    addr_from_system((struct sockaddr *)&ss, from);
	close(fd);
	return is_good;
}

static bool
is_own(const struct config_addr *to)
{
	static const uint8_t loopback[16] = {[15] = 1};
	struct config_addr from;

	if ((addr_is_v4(to) && to->ip[12] == 127) ||
	    memcmp(to->ip, loopback, 16) == 0)
		return true;
	return source_of(to, &from) && memcmp(from.ip, to->ip, 16) == 0;
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
selfaddr_listens(const struct config_listener *l, const struct config_addr *to)
{
	for (size_t k = 0; k < l->n_listen; k++) {
		const struct config_addr *a = &l->listen[k];

		if (a->port != to->port)
			continue;
		if (is_wild(a, to) ? is_own(to) :
		    memcmp(a->ip, to->ip, 16) == 0)
			return true;
	}
	return false;
}
