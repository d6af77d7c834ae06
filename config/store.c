#include "config/store.h"

#include "base/ascii.h"
#include "config/value.h"

static const char *
read_path(struct bytes path, struct config_store *s)
{
	if (path.n == 0 || path.p[0] != '/' ||
	    bytes_index(path, '\0') != path.n)
		return "names no socket; write unix:/PATH";
	if (path.n > CONFIG_STORE_PATH_MAX)
		return "has a path that is too long; write one of at most "
		    "107 octets";
	s->is_local = true;
	s->path = path;
	return NULL;
}

bool
config_store_is_secret(struct bytes text)
{
	return bytes_index(text, '@') != text.n;
}

const char *
config_store_read(struct bytes text, struct config_store *s)
{
	struct bytes host, port;
	uint64_t db = 0;

	*s = (struct config_store){.is_local = false};
	if (bytes_starts(text, BYTES_LIT("unix:")))
		return read_path(bytes_skip(text, strlen("unix:")), s);
	if (bytes_starts(text, BYTES_LIT("rediss://")))
		return "is TLS, which is not built; write redis:// to a server "
		    "or tunnel of a network of yours, or unix:/PATH";
	if (!bytes_starts(text, BYTES_LIT("redis://")))
		return "is no store; write redis://ADDRESS:PORT, or "
		    "unix:/PATH";
	text = bytes_skip(text, strlen("redis://"));
	host = bytes_first(text, bytes_index(text, '/'));
	text = bytes_skip(text, host.n + 1);
	if (text.n != 0 && !bytes_number(text, CONFIG_STORE_DB_MAX, &db))
		return "has a bad number of a database; write one of 0 to "
		    "16383 behind the /";
	s->db = (uint32_t)db;
	/* where an address without brackets ends nobody knows */
	port = bytes_skip(host, bytes_index(host, ':') + 1);
	if ((host.n != 0 && host.p[0] != '[' &&
	    bytes_index(port, ':') != port.n) ||
	    config_value_addr(host, CONFIG_STORE_PORT, &s->addr) != NULL ||
	    s->addr.is_any)
		return "names no address; write redis://192.0.2.1:6379 or "
		    "\"redis://[2001:db8::1]:6379\"";
	return NULL;
}
