#include "daemon/addr.h"

#include <arpa/inet.h>
#include <netinet/in.h>

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

bool
addr_is_v4(const struct config_addr *a)
{
	return memcmp(a->ip, mapped, sizeof(mapped)) == 0;
}

void
addr_text(const struct config_addr *a, char text[ADDR_TEXT_MAX])
{
	bool is_v4 = addr_is_v4(a);

	inet_ntop(is_v4 ? AF_INET : AF_INET6, is_v4 ? a->ip + 12 : a->ip,
	    text, ADDR_TEXT_MAX);
}

bool
addr_from_text(const char *text, struct config_addr *out)
{
	if (inet_pton(AF_INET, text, out->ip + 12) == 1) {
		memcpy(out->ip, mapped, sizeof(mapped));
		return true;
	}
	return inet_pton(AF_INET6, text, out->ip) == 1;
}

void
addr_add(const struct config_addr *a, struct buf *out)
{
	char text[ADDR_TEXT_MAX];

	addr_text(a, text);
	if (a->is_any)
		buf_printf(out, "*:%u", a->port);
	else
		buf_printf(out, addr_is_v4(a) ? "%s:%u" : "[%s]:%u", text,
		    a->port);
}

socklen_t
addr_to_system(const struct config_addr *a, struct sockaddr_storage *ss)
{
	struct sockaddr_in four = {.sin_family = AF_INET,
	    .sin_port = htons(a->port)};
	struct sockaddr_in6 six = {.sin6_family = AF_INET6,
	    .sin6_port = htons(a->port)};

	if (!a->is_any && addr_is_v4(a)) {
		memcpy(&four.sin_addr, a->ip + 12, 4);
		memcpy(ss, &four, sizeof(four));
		return sizeof(four);
	}
	if (!a->is_any)
		memcpy(&six.sin6_addr, a->ip, 16);
	memcpy(ss, &six, sizeof(six));
	return sizeof(six);
}

bool
addr_from_system(const struct sockaddr *sa, struct config_addr *out)
{
	struct sockaddr_in four;
	struct sockaddr_in6 six;

	*out = (struct config_addr){.is_any = false};
	if (sa->sa_family == AF_INET) {
		memcpy(&four, sa, sizeof(four));
		memcpy(out->ip, mapped, sizeof(mapped));
		memcpy(out->ip + 12, &four.sin_addr, 4);
		out->port = ntohs(four.sin_port);
		return true;
	}
	if (sa->sa_family != AF_INET6)
		return false;
	memcpy(&six, sa, sizeof(six));
	memcpy(out->ip, &six.sin6_addr, 16);
	out->port = ntohs(six.sin6_port);
	return true;
}

void
addr_of_socket(int fd, struct config_addr *out)
{
	struct sockaddr_storage ss = {.ss_family = AF_UNSPEC};
	socklen_t n = sizeof(ss);

	*out = (struct config_addr){0};
	if (getsockname(fd, (struct sockaddr *)&ss, &n) == 0)
		addr_from_system((struct sockaddr *)&ss, out);
}
