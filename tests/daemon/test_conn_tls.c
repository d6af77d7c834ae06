#include "tests/daemon/tlskit.h"

#include "daemon/conn_state.h"

static void
assert_got(const struct end *e, const char *text)
{
	assert_int_equal(e->n_got, strlen(text));
	assert_memory_equal(e->got, text, e->n_got);
}

static void
test_octets_go_both_ways(void **state)
{
	struct kit *k = *state;
	struct tls_facts f;

	kit_join(k);
	assert_false(conn_tls_facts(k->client.c, &f));
	kit_secure(k, "mx.example.org", true);
	kit_turn(k);
	assert_string_equal(k->server.log, "S");
	assert_string_equal(k->client.log, "S");
	end_say(&k->client, "EHLO client.example\r\n");
	end_say(&k->server, "250 hello\r\n");
	kit_turn(k);
	assert_got(&k->server, "EHLO client.example\r\n");
	assert_got(&k->client, "250 hello\r\n");
	assert_true(conn_tls_facts(k->client.c, &f));
	assert_string_equal(f.version, "TLSv1.3");
	assert_true(f.is_verified);
	assert_string_equal(f.name, "mx.example.org");
	assert_true(conn_tls_facts(k->server.c, &f));
	assert_false(f.is_verified);
	assert_string_equal(f.name, "mx.example.org");
	kit_hang_up(k);
}

/* T4, the good case: who says good bye has not cut anything off. */
static void
test_a_close_notify_is_an_end(void **state)
{
	struct kit *k = *state;

	kit_join(k);
	kit_secure(k, "mx.example.org", true);
	kit_turn(k);
	end_say(&k->client, "QUIT\r\n");
	conn_kill(&k->client.c);
	kit_turn(k);
	assert_string_equal(k->server.log, "SIE");
	assert_got(&k->server, "QUIT\r\n");
	kit_hang_up(k);
}

/* What stood in the out buffer goes first, in plain, and alone. */
static void
test_the_220_goes_in_plain(void **state)
{
	struct kit *k = *state;
	struct tls_way s = kit_server_way(k), c;

	kit_join(k);
	buf_add_str(&k->server.out, "220 go ahead\r\n");
	conn_secure(k->server.c, &s);
	buf_add_str(&k->server.out, "secret\r\n");
	kit_turn(k);
	assert_got(&k->client, "220 go ahead\r\n");
	c = kit_client_way(k, "mx.example.org", true);
	conn_secure(k->client.c, &c);
	kit_turn(k);
	conn_flush(k->server.c);
	kit_turn(k);
	assert_got(&k->client, "220 go ahead\r\nsecret\r\n");
	assert_string_equal(k->client.log, "ISI");
	kit_hang_up(k);
}

/* T1 and T2: what was read in plain is never taken for what came by TLS. */
static void
test_octets_in_plain_are_no_part_of_it(void **state)
{
	struct kit *k = *state;
	struct tls_way w = kit_server_way(k);

	kit_join(k);
	k->server.is_lazy = true;
	end_say(&k->client, "RSET\r\n");
	kit_turn(k);
	assert_int_equal(k->server.c->in.n, 6);
	conn_secure(k->server.c, &w);
	assert_string_equal(k->server.log, "I");
	kit_turn(k);
	assert_string_equal(k->server.log, "IB");
	assert_string_equal(k->server.fault,
	    "octets in plain stood behind STARTTLS");
	kit_hang_up(k);
}

/* T1: commands in plain where a ClientHello must come. */
static void
test_plain_text_is_no_handshake(void **state)
{
	struct kit *k = *state;
	struct tls_way w = kit_server_way(k);

	kit_join(k);
	conn_secure(k->server.c, &w);
	end_say(&k->client, "MAIL FROM:<evil@example.org>\r\n");
	kit_turn(k);
	assert_string_equal(k->server.log, "B");
	assert_string_equal(k->server.fault,
	    "TLS handshake failed: what came is no TLS");
	assert_int_equal(k->server.n_got, 0);
	kit_hang_up(k);
}

/* Both ways at once, n octets of each direction at a time. */
static void
carry_all(struct kit *k, size_t n)
{
	size_t moved;

	do {
		kit_turn(k);
		moved = kit_carry(&k->client, &k->server, n);
		moved += kit_carry(&k->server, &k->client, n);
	} while (moved != 0);
}

static void
test_any_split_of_the_handshake_will_do(void **state)
{
	static const size_t sizes[] = {1, 2, 5, 7, 64, 511};
	struct kit *k = *state;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		kit_part(k);
		kit_secure(k, "mx.example.org", true);
		carry_all(k, sizes[i]);
		assert_string_equal(k->server.log, "S");
		assert_string_equal(k->client.log, "S");
		end_say(&k->client, "EHLO client.example\r\n");
		end_say(&k->server, "250 hello\r\n");
		carry_all(k, sizes[i]);
		assert_got(&k->server, "EHLO client.example\r\n");
		assert_got(&k->client, "250 hello\r\n");
		conn_kill(&k->client.c);
		carry_all(k, sizes[i]);
		assert_string_equal(k->server.log, "SIE");
		kit_hang_up(k);
	}
}

#define WORD "word.."
#define WORDS 5

/*
 * A session whose octets from one end to the other stop after n: then comes
 * a FIN. How many octets went; n is more than that: all.
 */
static size_t
cut_after(struct kit *k, struct end *from, struct end *to, size_t n)
{
	size_t gone = 0, moved;
	int words = 0;

	kit_part(k);
	kit_secure(k, "mx.example.org", true);
	do {
		kit_turn(k);
		if (from->has_secured && words < WORDS) {
			end_say(from, WORD);
			words++;
			kit_turn(k);
		}
		moved = kit_carry(to, from, ROOM);
		while (gone < n && kit_carry(from, to, 1) == 1) {
			gone++;
			moved++;
			if (gone % 64 == 0)	/* a socket holds few */
				kit_turn(k);
		}
	} while ((moved != 0 || (from->has_secured && words < WORDS)) &&
	    gone < n);
	shutdown(to->far, SHUT_WR);
	kit_turn(k);
	return gone;
}

/*
 * T4: whatever the octet after which the line is cut, the end that reads is
 * told of a broken connection, and has read whole words at the most.
 */
static void
cut_everywhere(struct kit *k, struct end *from, struct end *to)
{
	size_t all = cut_after(k, from, to, ROOM);

	assert_int_equal(to->n_got, WORDS * strlen(WORD));
	assert_string_equal(to->log, "SIB");
	kit_hang_up(k);
	for (size_t n = 0; n < all; n++) {
		cut_after(k, from, to, n);
		assert_int_equal(to->log[to->n_log - 1], 'B');
		assert_null(strchr(to->log, 'E'));
		assert_int_equal(to->n_got % strlen(WORD), 0);
		assert_string_equal(to->fault, to->has_secured ?
		    "TLS failed: cut off without a close_notify" :
		    "TLS handshake failed: the peer hung up");
		kit_hang_up(k);
	}
}

static void
test_a_client_cut_off_at_each_octet(void **state)
{
	struct kit *k = *state;

	cut_everywhere(k, &k->client, &k->server);
}

static void
test_a_server_cut_off_at_each_octet(void **state)
{
	struct kit *k = *state;

	cut_everywhere(k, &k->server, &k->client);
}

/* T4, as the one who goes: an abandoned message has no good bye. */
static void
test_no_good_bye_while_octets_wait(void **state)
{
	struct kit *k = *state;
	size_t n = 600000;

	kit_join(k);
	kit_secure(k, "mx.example.org", true);
	kit_turn(k);
	k->server.is_lazy = true;
	memset(k->client.out.p, 'x', n);
	k->client.out.n = n;
	conn_flush(k->client.c);
	kit_turn(k);
	assert_int_not_equal(k->client.out.n, 0);
	conn_kill(&k->client.c);
	k->server.is_lazy = false;
	buf_drop(&k->server.c->in, k->server.c->in.n);
	conn_used(k->server.c);
	kit_turn(k);
	for (int i = 0; i < 100; i++)
		kit_turn(k);
	assert_int_equal(k->server.log[k->server.n_log - 1], 'B');
	assert_null(strchr(k->server.log, 'E'));
	kit_hang_up(k);
}

/* A record changed on its way is refused, and nothing of it is read. */
static void
test_a_changed_octet_is_found(void **state)
{
	struct kit *k = *state;
	uint8_t octets[256];
	ssize_t n;

	kit_part(k);
	kit_secure(k, "mx.example.org", true);
	carry_all(k, ROOM);
	end_say(&k->client, "QUIT\r\n");
	n = recv(k->client.far, octets, sizeof(octets), 0);
	assert_true(n > 6);
	octets[n - 1] ^= 1;
	assert_int_equal(send(k->server.far, octets, (size_t)n, 0), n);
	kit_turn(k);
	assert_string_equal(k->server.log, "SB");
	assert_int_equal(k->server.n_got, 0);
	assert_string_equal(k->server.fault,
	    "TLS failed: a record was changed on its way");
	kit_hang_up(k);
}

static void
fill(struct end *e, size_t n, unsigned seed)
{
	for (size_t i = 0; i < n; i++)
		e->out.p[i] = (uint8_t)((i * 2654435761U + seed) >> 8);
	e->out.n = n;
	conn_flush(e->c);
}

static void
assert_filled(const struct end *e, size_t n, unsigned seed)
{
	assert_int_equal(e->n_got, n);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(e->got[i],
		    (uint8_t)((i * 2654435761U + seed) >> 8));
}

/* More than the system takes at once, both ways at the same time. */
static void
test_much_goes_both_ways(void **state)
{
	struct kit *k = *state;
	size_t n = 900001;

	kit_part(k);
	kit_secure(k, "mx.example.org", true);
	carry_all(k, ROOM);
	fill(&k->client, n, 1);
	fill(&k->server, n, 2);
	carry_all(k, ROOM);
	assert_filled(&k->server, n, 1);
	assert_filled(&k->client, n, 2);
	/* told once, when all of it was gone */
	assert_string_equal(k->client.log, "SIOI");
	kit_hang_up(k);
}

/* In plain and under TLS: in order, and told once, when all of it is gone. */
static void
test_what_goes_behind_comes_behind(void **state)
{
	static uint8_t octets[500000];
	struct kit *k = *state;

	for (size_t i = 0; i < sizeof(octets); i++)
		octets[i] = (uint8_t)((i * 2654435761U) >> 8);
	for (int is_secure = 0; is_secure < 2; is_secure++) {
		struct conn *c;

		kit_part(k);
		c = k->client.c;
		if (is_secure)
			kit_secure(k, "mx.example.org", true);
		carry_all(k, ROOM);
		k->client.log[0] = '\0';
		k->client.n_log = 0;
		k->server.n_got = 0;
		buf_add(&k->client.out, bytes_first(
		    (struct bytes){octets, sizeof(octets)}, 20000));
		conn_send(c, bytes_skip((struct bytes){octets,
		    sizeof(octets)}, 20000));
		assert_false(conn_is_sent(c));
		carry_all(k, ROOM);
		assert_true(conn_is_sent(c));
		assert_string_equal(k->client.log, "O");
		assert_int_equal(k->server.n_got, sizeof(octets));
		assert_memory_equal(k->server.got, octets, sizeof(octets));
		kit_hang_up(k);
	}
}

/* What one left is still there when others have read. */
static void
test_what_is_left_is_ones_own(void **state)
{
	struct kit *k = *state;

	kit_join(k);
	k->server.is_lazy = true;
	fill(&k->client, 30000, 3);
	kit_turn(k);
	fill(&k->server, 200000, 4);	/* more at once than at first */
	kit_turn(k);
	assert_filled(&k->client, 200000, 4);
	assert_int_equal(k->server.c->in.n, CONN_IN_MAX);
	memcpy(k->server.got, k->server.c->in.p, CONN_IN_MAX);
	k->server.n_got = CONN_IN_MAX;
	assert_filled(&k->server, CONN_IN_MAX, 3);
	kit_hang_up(k);
}

/* Octets stay with the owner until the system has them. */
static void
test_out_is_empty_when_all_is_sent(void **state)
{
	struct kit *k = *state;
	size_t n = 8000, sent;

	kit_part(k);
	kit_secure(k, "mx.example.org", true);
	carry_all(k, ROOM);
	do {
		fill(&k->client, n, 1);
		assert_true((k->client.out.n == 0) ==
		    (k->client.c->tls->wire.n == 0));
	} while (k->client.out.n == 0);
	assert_int_equal(k->client.out.n, n);
	k->client.log[0] = '\0';
	k->client.n_log = 0;
	carry_all(k, ROOM);
	assert_int_equal(k->client.out.n, 0);
	assert_string_equal(k->client.log, "O");
	sent = k->server.n_got;
	assert_int_equal(sent % n, 0);
	kit_hang_up(k);
}

/* An owner that takes little at a time gets all of it, without new octets. */
static void
test_what_is_left_is_read_later(void **state)
{
	struct kit *k = *state;
	struct conn *c;

	kit_join(k);
	kit_secure(k, "mx.example.org", true);
	kit_turn(k);
	k->server.is_lazy = true;
	fill(&k->client, 50000, 7);
	kit_turn(k);
	c = k->server.c;
	while (k->server.n_got < 50000) {
		size_t n = c->in.n < 1000 ? c->in.n : 1000;

		assert_int_not_equal(n, 0);
		memcpy(k->server.got + k->server.n_got, c->in.p, n);
		k->server.n_got += n;
		buf_drop(&c->in, n);
		conn_used(c);
		kit_turn(k);
		assert_int_equal(c->in.n, 50000 - k->server.n_got < c->in.cap ?
		    50000 - k->server.n_got : c->in.cap);
	}
	assert_filled(&k->server, 50000, 7);
	kit_hang_up(k);
}

/* A session that waits has no buffers. */
static void
test_who_waits_costs_little(void **state)
{
	struct kit *k = *state;

	kit_join(k);
	end_say(&k->client, "EHLO x\r\n");
	kit_turn(k);
	assert_int_equal(k->server.n_got, 8);
	assert_null(k->server.c->in.p);
	kit_secure(k, "mx.example.org", true);
	kit_turn(k);
	end_say(&k->client, "EHLO x\r\n");
	kit_turn(k);
	assert_int_equal(k->server.n_got, 16);
	assert_null(k->server.c->in.p);
	assert_null(k->client.c->in.p);
	/* also where it was not read in the callback */
	k->server.is_lazy = true;
	end_say(&k->client, "NOOP\r\n");
	kit_turn(k);
	assert_int_equal(k->server.c->in.n, 6);
	buf_drop(&k->server.c->in, 6);
	conn_used(k->server.c);
	kit_turn(k);
	assert_null(k->server.c->in.p);
	kit_hang_up(k);
}

/* T10: who does not finish the handshake is not waited for. */
static void
test_a_handshake_has_its_deadline(void **state)
{
	struct kit *k = *state;
	struct tls_way w = kit_server_way(k);

	k->listener.tls_timeout_s = 1;
	kit_join(k);
	conn_secure(k->server.c, &w);
	loop_timer_start(k->limit, 10000);
	loop_run(k->loop);	/* until one of both */
	assert_string_equal(k->server.log, "T");
	k->listener.tls_timeout_s = 3600;
	kit_hang_up(k);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_octets_go_both_ways),
		cmocka_unit_test(test_a_close_notify_is_an_end),
		cmocka_unit_test(test_the_220_goes_in_plain),
		cmocka_unit_test(test_octets_in_plain_are_no_part_of_it),
		cmocka_unit_test(test_plain_text_is_no_handshake),
		cmocka_unit_test(test_any_split_of_the_handshake_will_do),
		cmocka_unit_test(test_a_client_cut_off_at_each_octet),
		cmocka_unit_test(test_a_server_cut_off_at_each_octet),
		cmocka_unit_test(test_no_good_bye_while_octets_wait),
		cmocka_unit_test(test_a_changed_octet_is_found),
		cmocka_unit_test(test_much_goes_both_ways),
		cmocka_unit_test(test_what_goes_behind_comes_behind),
		cmocka_unit_test(test_what_is_left_is_ones_own),
		cmocka_unit_test(test_out_is_empty_when_all_is_sent),
		cmocka_unit_test(test_what_is_left_is_read_later),
		cmocka_unit_test(test_who_waits_costs_little),
		cmocka_unit_test(test_a_handshake_has_its_deadline),
	};

	return cmocka_run_group_tests(tests, kit_setup, kit_teardown);
}
