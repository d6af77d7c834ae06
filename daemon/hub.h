/* What all sessions of one worker share. */
#ifndef DAEMON_HUB_H
#define DAEMON_HUB_H

#include "daemon/memory.h"
#include "daemon/resolve.h"
#include "daemon/signer.h"
#include "daemon/slots.h"
#include "daemon/tls.h"
#include "daemon/worker.h"

struct hub {
	const struct worker_env *env;
	struct loop *loop;
	const struct config *config;
	const struct signer_inventory *inventory;
	struct resolve *resolve;
	struct tls *tls;
	struct memory *memory;	/* what was delivered before */
	struct signer_client *signer;	/* NULL: there are no keys */
	struct slots slots;	/* TXT, signatures, memory: a relay;
				   addresses: an outbound */
	size_t n_relays;	/* under way, also those nobody waits for */
	void (*relay_gone)(struct hub *);	/* one less */
};

#endif
