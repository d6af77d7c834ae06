#include "tests/daemon/tlskit.h"

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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_octets_go_both_ways),
		cmocka_unit_test(test_a_close_notify_is_an_end),
		cmocka_unit_test(test_the_220_goes_in_plain),
		cmocka_unit_test(test_octets_in_plain_are_no_part_of_it),
		cmocka_unit_test(test_plain_text_is_no_handshake),
	};

	return cmocka_run_group_tests(tests, kit_setup, kit_teardown);
}
