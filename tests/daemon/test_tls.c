#include "tests/daemon/tlskit.h"

#include "daemon/tls_state.h"

/* T5: a handshake of a client that knows `ca` with a server of a pair. */
static void
meet(struct kit *k, const struct cert *server, const char *name,
    bool must_verify)
{
	kit_use(k, server);
	kit_join(k);
	kit_secure(k, name, must_verify);
	kit_turn(k);
}

static void
test_bad_certificates_by_policy(void **state)
{
	struct kit *k = *state;
	const struct {
		const struct cert *cert;
		const char *name;
		const char *why;	/* NULL: it is good */
	} rows[] = {
		{&k->good, "mx.example.org", NULL},
		{&k->good, "MX.EXAMPLE.ORG", NULL},
		{&k->second, "mx.second.example", NULL},
		{&k->second, "127.0.0.1", NULL},
		{&k->second, "127.0.0.2", "it is for other names"},
		{&k->second, "a.b.second.example", "it is for other names"},
		{&k->second, "second.example", "it is for other names"},
		{&k->good, "mx.example.com", "it is for other names"},
		{&k->good, "127.0.0.1", "it is for other names"},
		{&k->other, "mx.example.org", "it is for other names"},
		{&k->expired, "mx.example.org", "certificate has expired"},
		{&k->self, "mx.example.org", "self-signed certificate"},
	};
	struct tls_facts f;
	char text[256];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		/* verify: never with a bad one */
		meet(k, rows[i].cert, rows[i].name, true);
		snprintf(text, sizeof(text), "TLS handshake failed: the "
		    "certificate of %s is not good: %s", rows[i].name,
		    rows[i].why == NULL ? "" : rows[i].why);
		assert_string_equal(k->client.log, rows[i].why == NULL ? "S" :
		    "B");
		if (rows[i].why != NULL)
			assert_string_equal(k->client.fault, text);
		assert_true((rows[i].why == NULL) ==
		    (strchr(k->server.log, 'B') == NULL));
		kit_hang_up(k);
		/* may, encrypt: with any, and one knows why it is bad */
		meet(k, rows[i].cert, rows[i].name, false);
		assert_string_equal(k->client.log, "S");
		assert_true(conn_tls_facts(k->client.c, &f));
		assert_true(f.is_verified == (rows[i].why == NULL));
		if (rows[i].why != NULL)
			assert_string_equal(f.unverified, rows[i].why);
		kit_hang_up(k);
	}
}

/* The server is told what was wrong with it. */
static void
test_the_server_hears_why(void **state)
{
	struct kit *k = *state;

	meet(k, &k->expired, "mx.example.org", true);
	assert_string_equal(k->server.fault,
	    "TLS handshake failed: the peer says: certificate expired");
	kit_hang_up(k);
}

static void
test_the_name_chooses_the_certificate(void **state)
{
	static const struct {
		const char *name;
		bool is_second;
	} rows[] = {
		{"mx.example.org", false}, {"a.second.example", true},
		{"A.Second.Example", true}, {"unknown.example", false},
	};
	struct kit *k = *state;

	kit_use(k, &k->good);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct tls_facts f;

		kit_join(k);
		kit_secure(k, rows[i].name, false);
		kit_turn(k);
		assert_true(conn_tls_facts(k->server.c, &f));
		assert_string_equal(f.name, rows[i].name);
		assert_true(conn_tls_facts(k->client.c, &f));
		assert_true(f.is_verified ==
		    (strcmp(rows[i].name, "unknown.example") != 0));
		kit_hang_up(k);
	}
}

/* One session with the server that stands for name; is it a resumed one? */
static bool
is_resumed(struct kit *k, const char *name, bool must_verify)
{
	struct tls_facts server, client;

	kit_join(k);
	kit_secure(k, name, must_verify);
	kit_turn(k);
	end_say(&k->client, "EHLO x\r\n");
	kit_turn(k);
	assert_true(conn_tls_facts(k->server.c, &server));
	assert_true(conn_tls_facts(k->client.c, &client));
	assert_true(server.is_resumed == client.is_resumed);
	kit_hang_up(k);
	return client.is_resumed;
}

static void
test_sessions_are_resumed(void **state)
{
	struct kit *k = *state;

	kit_use(k, &k->good);
	assert_false(is_resumed(k, "mx.example.org", false));
	assert_true(is_resumed(k, "mx.example.org", false));
	assert_true(is_resumed(k, "mx.example.org", false));
	/* another destination, or another policy, is none of it */
	assert_false(is_resumed(k, "a.second.example", false));
	assert_false(is_resumed(k, "mx.example.org", true));
	assert_true(is_resumed(k, "mx.example.org", true));
}

/* As after a reload: another set of contexts, the same tickets. */
static void
test_tickets_outlive_a_reload(void **state)
{
	struct kit *k = *state;
	struct tls *old;

	kit_use(k, &k->good);
	assert_false(is_resumed(k, "mx.example.org", false));
	old = k->tls;
	k->tls = tls_new(&k->config, (unsigned)-1, kit_complain, NULL);
	assert_non_null(k->tls);
	kit_join(k);
	{
		struct tls_way s = kit_server_way(k);
		struct tls_way c = kit_client_way(k, "mx.example.org", false);
		struct tls_facts f;

		c.tls = old;
		conn_secure(k->server.c, &s);
		conn_secure(k->client.c, &c);
		kit_turn(k);
		assert_true(conn_tls_facts(k->server.c, &f));
		assert_true(f.is_resumed);
	}
	kit_hang_up(k);
	tls_free(&old);
}

/* What is bad stays bad where the session is resumed. */
static void
test_a_resumed_session_knows_its_certificate(void **state)
{
	struct kit *k = *state;
	struct tls_facts f;

	kit_use(k, &k->self);
	assert_false(is_resumed(k, "mx.example.org", false));
	kit_join(k);
	kit_secure(k, "mx.example.org", false);
	kit_turn(k);
	assert_true(conn_tls_facts(k->client.c, &f));
	assert_true(f.is_resumed);
	assert_false(f.is_verified);
	assert_string_equal(f.unverified, "self-signed certificate");
	kit_hang_up(k);
}

static void
test_old_ticket_keys_are_forgotten(void **state)
{
	struct kit *k = *state;
	int64_t now = loop_now_ms(k->loop), step = 6 * 3600 * 1000LL;

	kit_use(k, &k->good);
	assert_false(is_resumed(k, "mx.example.org", false));
	tls_tickets_turn(now + step);
	assert_true(is_resumed(k, "mx.example.org", false));
	/* that one was renewed, but at the clock of the loop: not twice */
	kit_use(k, &k->good);
	assert_false(is_resumed(k, "mx.example.org", false));
	tls_tickets_turn(now + 3 * step);
	assert_false(is_resumed(k, "mx.example.org", false));
}

/* OpenSSL's own client or server at the far end of one of ours. */
static SSL *
raw_new(struct kit *k, struct end *ours, int version)
{
	bool is_server = ours == &k->client;
	SSL_CTX *ctx = SSL_CTX_new(is_server ? TLS_server_method() :
	    TLS_client_method());
	SSL *ssl;

	assert_non_null(ctx);
	SSL_CTX_set_security_level(ctx, 0);
	SSL_CTX_set_min_proto_version(ctx, version);
	SSL_CTX_set_max_proto_version(ctx, version);
	if (is_server) {
		SSL_CTX_use_certificate(ctx, k->good.x);
		SSL_CTX_use_PrivateKey(ctx, k->good.k);
	}
	ssl = SSL_new(ctx);
	SSL_CTX_free(ctx);
	assert_non_null(ssl);
	SSL_set_fd(ssl, ours->far);
	if (is_server)
		SSL_set_accept_state(ssl);
	else
		SSL_set_connect_state(ssl);
	return ssl;
}

/* Makes the handshake; whether it came through. */
static bool
raw_meet(struct kit *k, SSL *ssl)
{
	for (int i = 0; i < 20; i++) {
		int r = SSL_do_handshake(ssl);

		kit_turn(k);
		if (r == 1)
			return true;
		if (SSL_get_error(ssl, r) != SSL_ERROR_WANT_READ)
			return false;
	}
	return false;
}

/* T5: TLS 1.2 is the floor, on both sides. */
static void
test_old_versions_are_refused(void **state)
{
	static const struct {
		int version;
		bool is_good;
	} rows[] = {
		{TLS1_VERSION, false}, {TLS1_1_VERSION, false},
		{TLS1_2_VERSION, true}, {TLS1_3_VERSION, true},
	};
	struct kit *k = *state;

	kit_use(k, &k->good);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct tls_way s = kit_server_way(k);
		struct tls_way c = kit_client_way(k, "mx.example.org", false);
		SSL *ssl;

		kit_part(k);
		conn_secure(k->server.c, &s);
		ssl = raw_new(k, &k->server, rows[i].version);
		assert_true(raw_meet(k, ssl) == rows[i].is_good);
		SSL_free(ssl);
		assert_string_equal(k->server.log, rows[i].is_good ? "S" : "B");
		if (!rows[i].is_good)
			assert_string_equal(k->server.fault, "TLS handshake "
			    "failed: the peer offers nothing above TLS 1.1");
		conn_secure(k->client.c, &c);
		kit_turn(k);
		ssl = raw_new(k, &k->client, rows[i].version);
		assert_true(raw_meet(k, ssl) == rows[i].is_good);
		SSL_free(ssl);
		assert_string_equal(k->client.log, rows[i].is_good ? "S" : "B");
		kit_hang_up(k);
	}
}

/* T5: a second handshake within the first is refused. */
static void
test_renegotiation_is_refused(void **state)
{
	struct kit *k = *state;
	struct tls_way s;
	SSL *ssl;

	kit_use(k, &k->good);
	s = kit_server_way(k);
	kit_part(k);
	conn_secure(k->server.c, &s);
	ssl = raw_new(k, &k->server, TLS1_2_VERSION);
	assert_true(raw_meet(k, ssl));
	assert_int_equal(SSL_renegotiate(ssl), 1);
	assert_false(raw_meet(k, ssl));
	assert_string_equal(k->server.log, "SB");	/* the client goes */
	SSL_free(ssl);
	kit_hang_up(k);
}

/*
 * T10: who asks again and again for new keys, and never reads the answers,
 * waits until it does; nothing grows meanwhile.
 */
static void
test_a_flood_of_key_updates(void **state)
{
	struct kit *k = *state;
	struct tls_way s;
	uint8_t octets[4096];
	int asked = 0;
	SSL *ssl;

	kit_use(k, &k->good);
	s = kit_server_way(k);
	kit_part(k);
	conn_secure(k->server.c, &s);
	ssl = raw_new(k, &k->server, TLS1_3_VERSION);
	assert_true(raw_meet(k, ssl));
	do {
		SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED);
		kit_turn(k);
	} while (SSL_do_handshake(ssl) == 1 && ++asked < 100000);
	assert_in_range(asked, 500, 50000);
	assert_string_equal(k->server.log, "S");
	/* it goes on as soon as there is room again */
	while (SSL_do_handshake(ssl) != 1) {
		assert_true(recv(k->server.far, octets, sizeof(octets), 0) > 0);
		kit_turn(k);
	}
	assert_string_equal(k->server.log, "S");
	SSL_free(ssl);
	kit_hang_up(k);
}

/* The kind of the key that a server shows to a client that verifies alone
   what sigalgs says. */
static int
shown(struct kit *k, int version, const char *sigalgs)
{
	struct tls_way s = kit_server_way(k);
	SSL *ssl;
	int kind;

	kit_part(k);
	conn_secure(k->server.c, &s);
	ssl = raw_new(k, &k->server, version);
	assert_int_equal(SSL_set1_sigalgs_list(ssl, sigalgs), 1);
	assert_true(raw_meet(k, ssl));
	kind = EVP_PKEY_get_base_id(X509_get0_pubkey(
	    SSL_get0_peer_certificate(ssl)));
	SSL_free(ssl);
	kit_hang_up(k);
	return kind;
}

/* Old clients know RSA alone, and are given it where we have both. */
static void
test_two_kinds_of_keys_for_one_name(void **state)
{
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
	struct kit *k = *state;
	struct config_tls second = k->pair[1];
	struct cert rsa;

	cert_make(&rsa, k->folder, "rsa", "DNS:mx.example.org", &k->ca, 30);
	k->pair[1] = (struct config_tls){rsa.cert, rsa.key};
	kit_use(k, &k->good);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(shown(k, versions[i], "RSA-PSS+SHA256"),
		    EVP_PKEY_RSA);
		assert_int_equal(shown(k, versions[i], "ECDSA+SHA256"),
		    EVP_PKEY_EC);
	}
	k->pair[1] = second;
	cert_free(&rsa);
	kit_use(k, &k->good);
}

/* What tls_new() says of a pair. */
struct heard {
	char text[1024];
};

static void
hear(void *arg, const char *text)
{
	struct heard *h = arg;
	size_t n = strlen(h->text);

	snprintf(h->text + n, sizeof(h->text) - n, "%s\n", text);
}

static void
assert_refused(struct kit *k, const char *cert, const char *key,
    const char *file, const char *why)
{
	struct heard h = {""};
	char want[512];

	k->pair[0] = (struct config_tls){cert, key};
	assert_null(tls_new(&k->config, (unsigned)-1, hear, &h));
	snprintf(want, sizeof(want), "%s: %s", file, why);
	assert_memory_equal(h.text, want, strlen(want));
	/* told once */
	assert_ptr_equal(strchr(h.text, '\n'), h.text + strlen(h.text) - 1);
}

static void
write_file(const char *path, const char *text, mode_t mode)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	assert_int_equal(chmod(path, mode), 0);
}

static void
test_a_bad_pair_is_refused(void **state)
{
	static const char no_key[] = "no key of the certificate could be read "
	    "(PEM, without a password)";
	struct kit *k = *state;
	char path[128], none[128], link[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/x.pem", k->folder);
	snprintf(none, sizeof(none), "%s/none.pem", k->folder);
	snprintf(link, sizeof(link), "%s/link.pem", k->folder);
	assert_refused(k, none, k->good.key, none,
	    "no certificate could be read (PEM): No such file or directory");
	assert_refused(k, k->good.cert, none, none,
	    "No such file or directory");
	assert_refused(k, k->good.cert, k->other.key, k->other.key, no_key);
	write_file(path, "rubbish", 0600);
	assert_refused(k, path, k->good.key, path,
	    "no certificate could be read (PEM)");
	assert_refused(k, k->good.cert, path, path, no_key);
	/* P3: a key that others may read */
	chmod(k->good.key, 0644);
	assert_refused(k, k->good.cert, k->good.key, k->good.key,
	    "mode 0644 lets others at the key");
	chmod(k->good.key, 0600);
	/* one that only a password opens is not asked for at a terminal */
	f = fopen(path, "w");
	assert_non_null(f);
	PEM_write_PrivateKey(f, k->good.k, EVP_aes_256_cbc(),
	    (const uint8_t *)"secret", 6, NULL, NULL);
	fclose(f);
	assert_refused(k, k->good.cert, path, path, no_key);
	unlink(path);
	/* as ACME clients do: the name is a link to the newest */
	assert_int_equal(symlink(k->good.key, link), 0);
	k->pair[0].key = link;
	tls_free(&k->tls);
	k->tls = tls_new(&k->config, (unsigned)-1, kit_complain, NULL);
	assert_non_null(k->tls);
	unlink(link);
	k->listener.tls_ca = none;
	assert_refused(k, k->good.cert, k->good.key, none,
	    "no certificate could be read (PEM): No such file or directory");
	k->listener.tls_ca = k->ca.cert;
	kit_use(k, &k->good);
}

static SSL_SESSION *
session_new(void)
{
	SSL_SESSION *s = SSL_SESSION_new();

	assert_non_null(s);
	SSL_SESSION_set1_id(s, (const uint8_t *)"id", 2);
	return s;
}

static void
test_sessions_are_few_and_young(void **state)
{
	struct kit *k = *state;
	struct tls_sessions *s = tls_sessions_new();
	int64_t hour = 3600 * 1000;
	char name[32] = "mx";
	struct tls_way w = kit_client_way(k, name, true);

	tls_session_put(s, &w, 5, false, session_new());
	assert_non_null(tls_session_find(s, &w, 4 + hour));
	/* a resumed one is as old as the handshake it goes back to */
	tls_session_put(s, &w, 4 + hour, true, session_new());
	assert_non_null(tls_session_find(s, &w, 4 + hour));
	assert_null(tls_session_find(s, &w, 5 + hour));
	tls_session_put(s, &w, 6, true, session_new());
	assert_null(tls_session_find(s, &w, 6));
	for (int i = 0; i <= TLS_SESSIONS; i++) {
		snprintf(name, sizeof(name), "mx%d", i);
		tls_session_put(s, &w, 5, false, session_new());
	}
	assert_non_null(tls_session_find(s, &w, 5));
	strcpy(name, "mx0");
	assert_null(tls_session_find(s, &w, 5));
	strcpy(name, "mx1");
	assert_non_null(tls_session_find(s, &w, 5));
	w.port++;
	assert_null(tls_session_find(s, &w, 5));
	w.port--;
	tls_session_drop(s, &w);
	assert_null(tls_session_find(s, &w, 5));
	tls_sessions_free(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_certificates_by_policy),
		cmocka_unit_test(test_the_server_hears_why),
		cmocka_unit_test(test_the_name_chooses_the_certificate),
		cmocka_unit_test(test_sessions_are_resumed),
		cmocka_unit_test(test_tickets_outlive_a_reload),
		cmocka_unit_test(test_a_resumed_session_knows_its_certificate),
		cmocka_unit_test(test_old_ticket_keys_are_forgotten),
		cmocka_unit_test(test_old_versions_are_refused),
		cmocka_unit_test(test_renegotiation_is_refused),
		cmocka_unit_test(test_a_flood_of_key_updates),
		cmocka_unit_test(test_two_kinds_of_keys_for_one_name),
		cmocka_unit_test(test_a_bad_pair_is_refused),
		cmocka_unit_test(test_sessions_are_few_and_young),
	};

	return cmocka_run_group_tests(tests, kit_setup, kit_teardown);
}
