/* Where what several machines share is kept, as `store` names it. */
#ifndef CONFIG_STORE_H
#define CONFIG_STORE_H

#include "config/config.h"

#define CONFIG_STORE_PORT 6379U
#define CONFIG_STORE_PATH_MAX 107U	/* octets, of sockaddr_un */
#define CONFIG_STORE_DB_MAX 16383U

struct config_store {
	bool is_local;		/* a socket of this machine: path */
	struct bytes path;	/* absolute; a view of the text */
	struct config_addr addr;	/* else */
	uint32_t db;
};

/*
 * Reads redis://ADDRESS[:PORT][/DB] or unix:/PATH.
 *
 * Returns  NULL, or a static text that goes on from "`VALUE` ": what is wrong
 *          and what would be right
 */
const char *config_store_read(struct bytes text, struct config_store *s);

/* Whether a password may stand in it: then it is not to be shown. */
bool config_store_is_secret(struct bytes text);

#endif
