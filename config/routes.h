/* Tables of routes: lines of DOMAIN NEXT-HOP, from a file or from a map. */
#ifndef CONFIG_ROUTES_H
#define CONFIG_ROUTES_H

#include "config/lines.h"
#include "config/load.h"

struct routes_row;

struct config_routes_table {
	const struct load *l;		/* whose listeners no route may meet */
	struct arena *arena;		/* the rows' octets */
	struct config_faults *faults;
	uint16_t mx_port;
	struct routes_row *first;
	size_t n;
};

/* How its lines are read: DOMAIN, .DOMAIN or *, then as `next-hop` has it. */
struct config_lines config_routes_lines(struct config_routes_table *t);

/*
 * Sorts the lines; no domain twice.
 *
 * rest     the line of "*", or is left as it is
 * Returns  where that line stands, or NULL; mistakes are among the faults
 */
const struct config_place *config_routes_end(struct config_routes_table *t,
    struct config_routes *out, struct config_next_hop *rest);

#endif
