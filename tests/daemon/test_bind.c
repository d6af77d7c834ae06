#include "daemon/addr.h"
#include "daemon/bind.h"
#include "daemon/addr.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "daemon/log.h"

static struct config_addr
addr(const char *ip, uint16_t port)
{
	struct config_addr a = {.port = port, .is_any = *ip == '*'};

	if (!a.is_any && inet_pton(AF_INET6, ip, a.ip) != 1)
		fail_msg("%s", ip);
	return a;
}

static void
test_text(void **state)
{
	static const struct {
		const char *ip, *want;
	} cases[] = {
		{"::ffff:192.0.2.1", "192.0.2.1:25"},
		{"::ffff:0.0.0.0", "0.0.0.0:25"},
		{"2001:db8::1", "[2001:db8::1]:25"},
		{"::", "[::]:25"},
		{"*", "*:25"},
	};

	(void)state;
	for (size_t k = 0; k < sizeof(cases) / sizeof(*cases); k++) {
		struct config_addr a = addr(cases[k].ip, 25);
		char text[64] = "";
		struct buf b = BUF_ON(text);

		addr_add(&a, &b);
		assert_string_equal(text, cases[k].want);
	}
}

/* A port of 127.0.0.1 that somebody listens on; *fd is theirs. */
static uint16_t
take_port(int *fd)
{
	struct sockaddr_in sin = {.sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(sin);

	*fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(*fd, (struct sockaddr *)&sin, n), 0);
	assert_int_equal(listen(*fd, 1), 0);
	getsockname(*fd, (struct sockaddr *)&sin, &n);
	return ntohs(sin.sin_port);
}

static void
test_update_and_trim(void **state)
{
	const char *local = "::ffff:127.0.0.1";
	struct config_addr addrs[3];
	struct config_listener listener = {.listen = addrs, .n_listen = 2};
	struct config c = {.listeners = &listener, .n_listeners = 1};
	struct bind_set set = {.n = 0};
	int one, two, taken, first, flag;
	socklen_t n = sizeof(flag);

	(void)state;
	addrs[0] = addr(local, take_port(&one));
	addrs[1] = addr(local, take_port(&two));
	addrs[2] = addr(local, take_port(&taken));
	close(one);
	close(two);
	assert_int_equal(bind_update(&set, &c), 0);
	assert_int_equal(set.n, 2);
	first = bind_find(&set, &addrs[0]);
	assert_true(first >= 0);
	assert_int_equal(getsockopt(first, SOL_SOCKET, SO_ACCEPTCONN, &flag,
	    &n), 0);
	assert_int_equal(flag, 1);

	/* one address more, which is taken: nothing has changed */
	listener.n_listen = 3;
	assert_int_equal(bind_update(&set, &c), -E_SYSTEM);
	assert_int_equal(set.n, 2);
	bind_trim(&set);
	assert_int_equal(set.n, 2);

	/* one address less: the other keeps its descriptor */
	listener.n_listen = 1;
	assert_int_equal(bind_update(&set, &c), 0);
	assert_int_equal(set.n, 2);
	bind_trim(&set);
	assert_int_equal(set.n, 1);
	assert_int_equal(bind_find(&set, &addrs[0]), first);
	assert_int_equal(bind_find(&set, &addrs[1]), -1);
	bind_fini(&set);
	close(taken);
}

/* The same port of one address and of every address are two sockets. */
static void
test_any_is_another(void **state)
{
	struct bind_socket s = {addr("::", 25), 7, true};
	struct bind_set set = {.sockets = &s, .n = 1};
	struct config_addr any = addr("*", 25), zero = addr("::", 25);

	(void)state;
	assert_int_equal(bind_find(&set, &zero), 7);
	assert_int_equal(bind_find(&set, &any), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_update_and_trim),
		cmocka_unit_test(test_any_is_another),
	};

	log_open("test");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
