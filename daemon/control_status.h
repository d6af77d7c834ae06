/*
 * `status` in the control process: what the configuration, the counters and
 * the signer's inventory say, then what the master knows (status.h).
 */
#ifndef DAEMON_CONTROL_STATUS_H
#define DAEMON_CONTROL_STATUS_H

#include "daemon/control.h"
#include "daemon/metrics.h"

#define CONTROL_SAMPLE_MS (5 * 1000)
#define CONTROL_SAMPLES 13U	/* a minute, from the first to the last */
#define CONTROL_ROLES (ROLE_APPLIANCE + 1U)
#define CONTROL_COUNTED 5U	/* counters of a role */

/* What was counted at one time. */
struct control_sample {
	int64_t at_ms;
	uint64_t n[CONTROL_ROLES][CONTROL_COUNTED];
};

/* Of the last minute, the oldest first; there is always one. */
struct control_samples {
	struct loop *loop;
	struct loop_timer *timer;
	size_t n;
	struct control_sample samples[CONTROL_SAMPLES];
};

/* NULL without memory. */
struct control_samples *control_samples_new(struct loop *l);
void control_samples_free(struct control_samples **s);

/* The verb. */
void control_status(const struct control_call *c);

#endif
