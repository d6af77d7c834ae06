/* What errors of a Redis server mean, and what to do. */
#include "daemon/redis_state.h"

const struct redis_error redis_errors[] = {
	{"READONLY", true, "it is a replica: `store` is to name the primary"},
	{"NOAUTH", true, "it wants a password: see `store-password`"},
	{"WRONGPASS", true, "look at `store-password`"},
	{"ERR invalid password", true, "look at `store-password`"},
	{"ERR AUTH", true, "look at `store-password`: it may have no password"},
	{"ERR Client sent AUTH", true, "it has no password: leave out "
	    "`store-password`"},
	{"NOPERM", true, "its user may not do this: it needs ~hopseal:* and "
	    "+@all -@dangerous"},
	{"DENIED", true, "look at its `protected-mode` and `bind`"},
	{"LOADING", true, "it will be back when it has read its data"},
	{"MASTERDOWN", true, "it is a replica without its primary"},
	{"MOVED", true, "it is part of a cluster: `store` is to name a server "
	    "that has every key"},
	{"ASK", true, "it is part of a cluster: `store` is to name a server "
	    "that has every key"},
	{"CLUSTERDOWN", true, "it is part of a cluster: `store` is to name a "
	    "server that has every key"},
	{"OOM", false, "its `maxmemory` is reached: give it more, or have it "
	    "drop what expires first (`maxmemory-policy volatile-ttl`)"},
	{"MISCONF", false, "it can not write its data to its disk"},
	{"NOREPLICAS", false, "it wants replicas that are not there"},
	{"BUSY", true, "somebody's script runs for too long there"},
	{"WRONGTYPE", false, "somebody else wrote a key of ours"},
	{"ERR max number of clients", true, "its `maxclients` is reached"},
	{NULL, false, "see its own log"},
};

static bool
has(struct bytes text, struct bytes word)
{
	for (; text.n >= word.n; text = bytes_skip(text, 1))
		if (bytes_starts(text, word))
			return true;
	return false;
}

const struct redis_error *
redis_error_find(struct bytes text)
{
	const struct redis_error *e = redis_errors;

	/* up to Redis 6, what a script ran into stands behind words */
	bool is_of_script = bytes_starts(text,
	    BYTES_LIT("ERR Error running script"));

	for (; e->word != NULL; e++) {
		struct bytes word = bytes_of(e->word);

		if (is_of_script ? has(bytes_first(text, 512), word) :
		    bytes_starts(text, word))
			break;
	}
	return e;
}
