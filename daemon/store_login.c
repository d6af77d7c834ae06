#include "daemon/store_login.h"

#include <netinet/in.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/un.h>

#include "config/file.h"
#include "config/keydir.h"
#include "config/store.h"
#include "config/value.h"

#define FILE_MAX (2 * STORE_LOGIN_MAX + 8)

static bool
is_part(struct bytes b)
{
	return b.n <= STORE_LOGIN_MAX && bytes_index(b, '\0') == b.n;
}

/* What is wrong with it; NULL: nothing. */
static const char *
parse(struct store_login *l, struct bytes octets)
{
	struct bytes password = bytes_cut(&octets, '\n');
	struct bytes user = {NULL, 0};

	if (bytes_ends(password, BYTES_LIT("\r")))
		password.n--;
	if (bytes_index(password, ':') != password.n)
		user = bytes_cut(&password, ':');
	if (octets.n != 0 || password.n == 0 || !is_part(user) ||
	    !is_part(password))
		return "is no login; write NAME:PASSWORD or PASSWORD in one "
		    "line, each of at most 512 octets";
	l->n_user = user.n;
	l->n_password = password.n;
	if (user.n != 0)
		memcpy(l->user, user.p, user.n);
	memcpy(l->password, password.p, password.n);
	return NULL;
}

bool
store_login_read(struct store_login *l, const char *path, unsigned gid,
    config_complain *complain, void *arg)
{
	const char *why = "no memory";
	struct arena *a;
	struct bytes octets;
	char text[768];

	*l = (struct store_login){.n_user = 0};
	if (path == NULL)
		return true;
	if (keydir_check_file(path, gid, complain, arg) != 0)
		return false;
	a = arena_new(4 * FILE_MAX);
	if (a != NULL &&
	    config_file_read(path, FILE_MAX, a, &octets, &why) == 0) {
		why = parse(l, octets);
		sodium_memzero((uint8_t *)(uintptr_t)octets.p, octets.n);
	}
	arena_free(&a);
	if (why == NULL)
		return true;
	snprintf(text, sizeof(text), "%.400s: %s", path, why);
	complain(arg, text);
	return false;
}

bool
store_login_check(const char *path, unsigned gid, config_complain *complain,
    void *arg)
{
	struct store_login l;
	bool is_good = store_login_read(&l, path, gid, complain, arg);

	store_login_wipe(&l);
	return is_good;
}

void
store_login_wipe(struct store_login *l)
{
	sodium_memzero(l, sizeof(*l));
}

/* ---- addresses ----------------------------------------------------------- */

static void
put_local(struct redis_where *w, struct bytes path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	memcpy(a.sun_path, path.p, path.n);
	memcpy(&w->address, &a, sizeof(a));
	w->n_address = sizeof(a);
}

static void
put_address(struct redis_where *w, const struct config_addr *addr)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET,
	    .sin_port = htons(addr->port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6,
	    .sin6_port = htons(addr->port)};

	if (config_value_is_v4(addr->ip)) {
		memcpy(&v4.sin_addr, addr->ip + 12, 4);
		memcpy(&w->address, &v4, sizeof(v4));
		w->n_address = sizeof(v4);
	} else {
		memcpy(&v6.sin6_addr, addr->ip, 16);
		memcpy(&w->address, &v6, sizeof(v6));
		w->n_address = sizeof(v6);
	}
}

void
store_login_where(const char *store, const struct store_login *l,
    struct redis_where *where)
{
	struct config_store s;

	*where = (struct redis_where){.name = store};
	(void)config_store_read(bytes_of(store), &s);
	where->db = s.db;
	if (s.is_local)
		put_local(where, s.path);
	else
		put_address(where, &s.addr);
	if (l == NULL)
		return;
	where->user = (struct bytes){l->user, l->n_user};
	where->password = (struct bytes){l->password, l->n_password};
}

uint16_t
store_login_port(const char *store)
{
	struct config_store s;

	(void)config_store_read(bytes_of(store), &s);
	return s.is_local ? 0 : s.addr.port;
}
