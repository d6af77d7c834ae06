/*
 * Where the store of several machines is and who we are there: of `store` and
 * `store-password`. What is read reaches no log, and is to be wiped.
 */
#ifndef DAEMON_STORE_LOGIN_H
#define DAEMON_STORE_LOGIN_H

#include "config/config.h"
#include "daemon/redis.h"

#define STORE_LOGIN_MAX 512U	/* octets of either */

struct store_login {
	size_t n_user, n_password;
	uint8_t user[STORE_LOGIN_MAX];
	uint8_t password[STORE_LOGIN_MAX];
};

/*
 * Reads the file of `store-password`: NAME:PASSWORD, or a PASSWORD without a
 * colon.
 *
 * path     NULL: there is none, and both are empty
 * gid      the service's group, which may read it; (unsigned)-1: none
 * complain one call for each mistake, none of which shows what is in the file
 * Returns  false after at least one complaint
 */
bool store_login_read(struct store_login *l, const char *path, unsigned gid,
    config_complain *complain, void *arg);

/* Only whether it could be read. */
bool store_login_check(const char *path, unsigned gid,
    config_complain *complain, void *arg);

void store_login_wipe(struct store_login *l);

/*
 * Fills in where a server is.
 *
 * store    a `store` that was checked; where->name is it
 * l        outlives where; NULL: no login
 */
void store_login_where(const char *store, const struct store_login *l,
    struct redis_where *where);

/* The port that is connected to; 0: none, it is a socket of this machine. */
uint16_t store_login_port(const char *store);

#endif
