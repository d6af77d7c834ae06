/*
 * What TLS on a conn costs, client and server in this one process:
 *
 *     full handshakes a second, resumed ones, octets a second, and the octets
 *     of memory that two ends need that wait
 */
#include <malloc.h>
#include <time.h>

#include "daemon/tls_state.h"
#include "tests/daemon/tlskit.h"

#define SECONDS 2.0
#define PAIRS 500

static double
now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
meet(struct kit *k)
{
	kit_join(k);
	kit_secure(k, "mx.example.org", true);
	while (!k->server.has_secured || !k->client.has_secured)
		kit_turn(k);
}

static void
count_handshakes(struct kit *k, bool is_resumed)
{
	double begin = now_s();
	struct tls_facts f;
	unsigned n = 0;

	for (; now_s() - begin < SECONDS; n++) {
		struct tls_way w = kit_client_way(k, "mx.example.org", true);

		if (!is_resumed)
			tls_forget(&w);
		meet(k);
		assert_true(conn_tls_facts(k->server.c, &f));
		assert_true(n == 0 || f.is_resumed == is_resumed);
		kit_turn(k);	/* reads the ticket */
		kit_hang_up(k);
	}
	printf("%s handshakes, P-256, both ends: %.0f/s\n",
	    is_resumed ? "resumed" : "full", n / (now_s() - begin));
}

static void
count_octets(struct kit *k, bool is_tls)
{
	double begin;
	uint64_t n = 0;

	if (is_tls)
		meet(k);
	else
		kit_join(k);
	for (begin = now_s(); now_s() - begin < SECONDS; n += 16384) {
		k->client.out.n = 16384;
		conn_flush(k->client.c);
		while (k->client.out.n != 0 || k->server.n_got != 16384)
			kit_turn(k);
		k->server.n_got = 0;
	}
	printf("%s: %.0f MiB/s of CPU, both ends\n", is_tls ? "TLS" : "plain",
	    (double)n / (now_s() - begin) / (1 << 20));
	kit_hang_up(k);
}

static void
count_memory(struct kit *k, bool is_tls)
{
	struct end *ends = calloc(2 * PAIRS, sizeof(*ends));
	size_t before, after;
	struct end server = k->server, client = k->client;

	assert_non_null(ends);
	before = mallinfo2().uordblks + mallinfo2().hblkhd;
	for (size_t i = 0; i < PAIRS; i++) {
		kit_join(k);
		if (is_tls)
			kit_secure(k, "mx.example.org", true);
		kit_turn(k);
		end_say(&k->client, "EHLO client.example\r\n");
		kit_turn(k);
		end_say(&k->server, "250 hello\r\n");
		kit_turn(k);
		ends[2 * i].c = k->server.c;
		ends[2 * i + 1].c = k->client.c;
	}
	after = mallinfo2().uordblks + mallinfo2().hblkhd;
	printf("%s, idle: %zu octets for two ends\n", is_tls ? "TLS" : "plain",
	    (after - before) / PAIRS);
	for (size_t i = 0; i < 2 * PAIRS; i++)
		conn_kill(&ends[i].c);
	k->server = server;
	k->client = client;
	kit_turn(k);
	free(ends);
}

int
main(void)
{
	void *state;
	struct kit *k;

	kit_setup(&state);
	k = state;
	count_handshakes(k, false);
	count_handshakes(k, true);
	count_octets(k, false);
	count_octets(k, true);
	count_memory(k, false);
	count_memory(k, true);
	return kit_teardown(&state);
}
