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

/*
 * Of the last minute, in memory that the control processes of one daemon
 * have in common, one after the other: a reload forgets nothing. Who is killed
 * while he writes a sample has not counted it yet.
 */
struct control_past {
	uint32_t n;		/* samples ever taken */
	struct control_sample ring[CONTROL_SAMPLES];
};

struct control_samples {
	struct loop *loop;
	struct loop_timer *timer;
	struct control_past *past;
	struct control_past own;	/* where there is no other */
};

/* In the master, before its first fork. NULL: there is none. */
struct control_past *control_past_make(void);

/* Goes on where the process before ended, or begins. past may be NULL. NULL
 * without memory. */
struct control_samples *control_samples_new(struct loop *l,
    struct control_past *past);
void control_samples_free(struct control_samples **s);

/* The oldest one of the last minute; NULL: this process did not run in it. */
const struct control_sample *control_samples_oldest(
    const struct control_samples *s);

/* The verb. */
void control_status(const struct control_call *c);

#endif
