/*
 * The parts of soak: clients that send numbered messages through a relay and
 * try again as real ones do, the next hops behind it with their troubles, a
 * list manager between two of its listeners, and the ledger that has an
 * account for each recipient of each number. One process, one loop: what one
 * part saw is what the ledger knows.
 */
#ifndef TESTS_SOAK_SOAK_H
#define TESTS_SOAK_SOAK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define MODES_MAX 12U
#define RCPT_MAX 64U		/* of a message */
#define TRIES_MAX 400U		/* of a client with one message */
#define NOBODY UINT32_MAX	/* no number */

/* ---- modes ----------------------------------------------------------------- */

/* What is sent to a listener, by the name on the command line. */
enum kind {
	KIND_EGRESS,	/* plain mail, to be signed */
	KIND_PASS,	/* plain mail that nobody signs */
	KIND_CHAIN,	/* signed mail */
	KIND_ENFORCE,	/* the same, some of it forged: that is refused */
	KIND_LIST_IN,	/* signed posts, to the manager */
	KIND_LIST_OUT,	/* what the manager makes of them */
	KIND_QUEUE,	/* plain mail; 250 is a promise */
};

struct mode {
	const char *name;
	enum kind kind;
	uint16_t port, hop_port;
	unsigned weight;	/* of new messages; 0: none */
	unsigned signatures;	/* more than the mail had, at least */
	const char *sender, *rcpt;	/* domains */
	unsigned aliases;	/* different recipients; 0: no bound */
};

extern struct mode modes[MODES_MAX];
extern unsigned n_modes;

/* ---- the ledger ------------------------------------------------------------- */

enum fate {
	FATE_OPEN,
	FATE_TAKEN,	/* 250 behind the dot */
	FATE_REFUSED,	/* 5xx */
	FATE_GONE,	/* the client vanished before its dot */
	FATE_GIVEN_UP,	/* TRIES_MAX times 4xx, or no answer */
};

/* Local parts of recipients begin with it, so that the next hop knows. */
enum whom {
	WHOM_GOOD = 'r',
	WHOM_UNKNOWN = 'x',	/* 550 to RCPT */
	WHOM_PICKY = 'd',	/* 554 to the dot */
};

struct rcpt {
	uint8_t fate, whom, count, reports;
};

#define IS_FORGED 1U		/* must be refused */
#define IS_TO_VANISH 2U		/* its client goes away before the dot */
#define WAS_REFUSED 4U		/* a next hop said 5xx to it */
#define IS_OVER 8U		/* its client is through with it */
#define IS_MANAGED 16U		/* the list manager has it */
#define MAY_BE_UNSIGNED 64U	/* DNS or keeper were not there */
#define WILL_LEAVE 32U		/* its client leaves behind the first dot */

struct number {
	uint32_t first;		/* of its recipients */
	uint32_t parent;	/* the post that this is a list's copy of */
	uint16_t n_rcpt, tries;	/* tries since one of them had its answer */
	uint16_t transactions;
	uint8_t mode, flags;
	uint8_t drops;		/* a next hop had it, its answer was lost */
	uint8_t lost;		/* its client waited for an answer in vain */
	uint8_t left;		/* its client did not wait for the answer */
	uint32_t began_ms, last_ms;	/* drawn; its last arrival, report, or try */
};

extern struct number *numbers;
extern struct rcpt *rcpts;
extern uint32_t n_numbers, most_numbers;

struct totals {
	uint64_t tries, replies_4xx, lost, left, drops, vanished, foreign,
	    corrupt, unsigned_, unsigned_excused, stuck, octets, reports, connections;
	uint64_t taken;		/* transactions with 250 behind the dot */
	uint64_t arrivals;	/* transactions that a next hop took */
	uint64_t turned_away;	/* sessions that did not begin */
};

extern struct totals totals;
extern unsigned kills;		/* that we were told of */

/* A process dies now, or did not answer: who asked it meanwhile may not know
 * what became of a message. */
void ledger_kill(void);

/* What its number did last was now. */
void ledger_touch(uint32_t number);
extern bool is_excused;		/* as we were told: no DNS, or no keeper */

void ledger_init(uint32_t most);

/* A new number, NOBODY where there are enough. whom(k) of each recipient. */
uint32_t ledger_new(unsigned mode, unsigned n_rcpt);

static inline struct rcpt *
rcpts_of(uint32_t number)
{
	return rcpts + numbers[number].first;
}

/* Something arrived: at a next hop, for recipient k. */
void ledger_arrived(uint32_t number, unsigned k);

/* A report of ours arrived for it. */
void ledger_reported(uint32_t number, unsigned k);

/* Prints the counts as a line of JSON and tells of each fault on stderr, the
 * first hundred. is_last: nothing is under way any more. */
void ledger_print(bool is_last);

/* ---- mail ------------------------------------------------------------------- */

/* Owned by whoever has it: free(text). */
struct mail {
	char *text;		/* header, empty line, body; no dot */
	size_t n;
};

void mail_init(const char *keys);

/* The message of a number, always the same but for its signature. */
void mail_make(uint32_t number, struct mail *);

/* What the list manager makes of a post. The post must be a whole message. */
void mail_manage(const char *post, size_t n, struct mail *out);

/* Fields DKIM2-Signature that it must have behind the relay. */
unsigned mail_signatures(uint32_t number);

/* "s.17@one.example", of MAIL. */
int mail_sender(uint32_t number, char *text, size_t room);
int mail_rcpt(uint32_t number, unsigned k, char *text, size_t room);

/* The number in an address of mail_sender, however it was rewritten, or
 * NOBODY. */
uint32_t mail_number(const char *address);

/* The sum of a body, as X-Soak has it: fed in pieces. */
uint64_t mail_sum(uint64_t sum, const char *p, size_t n);

/* A number that looks random; the same for the same arguments. */
uint64_t mix(uint64_t a, uint64_t b);

/* ---- clients ---------------------------------------------------------------- */

/* n sessions at a time; new mail to each mode by its weight, at most `rate` a
 * second (0: any). */
void client_init(unsigned n_sessions, unsigned rate, uint64_t seed);
void client_tick(int64_t now_ms);
void client_ready(void *session, uint32_t events);
/* A message is at its next hop, which has not said so yet. */
void client_arrived(uint32_t number);

/* Another message, that somebody wrote; takes m->text. */
bool client_submit(uint32_t number, const struct mail *m);

/* Messages that are under way or wait for another try. */
unsigned client_busy(void);
/* New messages that are still to come. */
unsigned client_undrawn(void);
bool client_is_full(unsigned mode);

/* ---- next hops --------------------------------------------------------------- */

enum trouble {
	TROUBLE_NONE,
	TROUBLE_DEAD,	/* nobody listens, connections are cut */
	TROUBLE_MUTE,	/* connects and says nothing */
	TROUBLE_BUSY,	/* every second answer is 4xx */
	TROUBLE_REFUSES,	/* every tenth answer is 5xx */
	TROUBLE_DROPS,	/* hangs up behind every fifth dot */
	TROUBLE_CUTS,	/* hangs up in the middle */
};

void hop_init(unsigned mode, const char *samples);
void hop_trouble(unsigned mode, enum trouble);
void hop_ready(void *session, uint32_t events);

/* ---- the loop ---------------------------------------------------------------- */

/* What epoll's data points to, first in each session. */
struct watched {
	void (*ready)(void *, uint32_t events);
	int fd;
};

void soak_watch(struct watched *, uint32_t events, bool is_new);
int64_t soak_now_ms(void);
void soak_die(const char *what) __attribute__((noreturn));

#endif
