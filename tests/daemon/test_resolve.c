/* The resolver against a name server that follows a script, in one loop. */
#include "daemon/resolve.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <signal.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/ascii.h"
#include "daemon/log.h"
#include "tests/daemon/dnsanswer.h"

#define TAGS 16

struct server {
	int udp, tcp, stream;	/* stream: the connection accepted last */
	struct loop_watch *udp_watch, *tcp_watch, *stream_watch;
	unsigned n_udp, n_tcp;	/* questions */
};

struct fixture {
	struct loop *loop;
	struct server server;
	struct config config;
	struct config_addr addr;
	struct resolve *resolve;
	char txt[TAGS][512];	/* what each tag was told */
	unsigned n_told, n_wanted;
	unsigned n_calls;	/* into the resolver that have not returned */
};

/* ---- the name server ----------------------------------------------------- */

/* The name a question asks for, with dots, in lower case. */
static void
question_name(struct bytes m, char *name, size_t cap)
{
	size_t at = 12, n = 0;

	while (at < m.n && m.p[at] != 0 && n + m.p[at] + 2 < cap) {
		if (n != 0)
			name[n++] = '.';
		for (unsigned k = 1; k <= m.p[at]; k++)
			name[n++] = (char)ascii_lower(m.p[at + k]);
		at += m.p[at] + 1U;
	}
	name[n] = '\0';
}

static bool
begins(const char *name, const char *with)
{
	return strncmp(name, with, strlen(with)) == 0;
}

/* The script: the first label says what happens. False: silence. */
static bool
answer(struct server *s, struct bytes q, bool is_tcp, struct buf *b)
{
	unsigned id = (unsigned)q.p[0] << 8 | q.p[1];
	char name[300], text[256];

	question_name(q, name, sizeof(name));
	if (begins(name, "silent"))
		return false;
	if (begins(name, "late") && s->n_udp == 1)
		return false;
	if (begins(name, "servfail"))
		dns_begin(b, id, 2, name, 0);
	else if (begins(name, "refused"))
		dns_begin(b, id, 5, name, 0);
	else if (begins(name, "nxdomain"))
		dns_begin(b, id, 3, name, 0);
	else if (begins(name, "empty"))
		dns_begin(b, id, 0, name, 0);
	else if (begins(name, "broken")) {
		dns_begin(b, id, 0, name, 1);
		buf_add_str(b, "no record");
	} else if (begins(name, "cname")) {
		dns_begin(b, id, 0, name, 2);
		dns_put_cname(b, name, 60, "elsewhere.example");
		dns_put_txt(b, "elsewhere.example", 300, "found");
	} else if (begins(name, "two")) {
		dns_begin(b, id, 0, name, 2);
		dns_put_txt(b, name, 300, "a");
		dns_put_txt(b, name, 300, "a");
	} else if (begins(name, "large") && !is_tcp) {
		dns_begin(b, id, DNS_TC, name, 0);
	} else if (begins(name, "large")) {
		dns_begin(b, id, 0, name, 10);
		memset(text, 'x', sizeof(text));
		text[250] = '\0';
		for (int k = 0; k < 10; k++)
			dns_put_txt(b, name, 300, text);
	} else {
		dns_begin(b, id, 0, name, 1);
		dns_put_txt(b, name, begins(name, "brief") ? 0 : 300,
		    "v=DKIM1;| p=x");
	}
	/* the type that was asked for, in the question section */
	memcpy(b->p + 14 + strlen(name), q.p + 14 + strlen(name), 2);
	return true;
}

static void
on_udp(void *arg, unsigned what)
{
	struct server *s = arg;
	uint8_t in[2000], out[2000], other[2000];
	struct buf b = BUF_ON(out), wrong = BUF_ON(other);
	struct sockaddr_in from;
	socklen_t size = sizeof(from);
	ssize_t n = recvfrom(s->udp, in, sizeof(in), 0,
	    (struct sockaddr *)&from, &size);
	char name[300];

	(void)what;
	assert_true(n > 12);
	s->n_udp++;
	question_name((struct bytes){in, (size_t)n}, name, sizeof(name));
	if (begins(name, "spoofed")) {
		/* D4: another id first, then another question */
		dns_begin(&wrong, (unsigned)in[1] << 8 | in[0], 0, name, 1);
		dns_put_txt(&wrong, name, 300, "forged");
		sendto(s->udp, other, wrong.n, 0, (struct sockaddr *)&from,
		    size);
		wrong.n = 0;
		dns_begin(&wrong, (unsigned)in[0] << 8 | in[1], 0, "x.example",
		    1);
		dns_put_txt(&wrong, name, 300, "forged");
		sendto(s->udp, other, wrong.n, 0, (struct sockaddr *)&from,
		    size);
	}
	if (begins(name, "nothing"))	/* D11: a datagram of no octets */
		sendto(s->udp, other, 0, 0, (struct sockaddr *)&from, size);
	if (answer(s, (struct bytes){in, (size_t)n}, false, &b))
		sendto(s->udp, out, b.n, 0, (struct sockaddr *)&from, size);
}

static void
on_stream(void *arg, unsigned what)
{
	struct server *s = arg;
	uint8_t in[2000], out[8000];
	struct buf b = {out + 2, 0, sizeof(out) - 2, false};
	ssize_t n = read(s->stream, in, sizeof(in));

	(void)what;
	if (n < 14) {	/* a question comes in one write from c-ares */
		loop_unwatch(&s->stream_watch);
		close(s->stream);
		return;
	}
	s->n_tcp++;
	if (!answer(s, (struct bytes){in + 2, (size_t)n - 2}, true, &b))
		return;
	assert_false(b.full);
	out[0] = (uint8_t)(b.n >> 8);
	out[1] = (uint8_t)b.n;
	assert_int_equal(write(s->stream, out, b.n + 2), b.n + 2);
}

static void
on_accept(void *arg, unsigned what)
{
	struct fixture *f = arg;
	struct server *s = &f->server;

	(void)what;
	s->stream = accept(s->tcp, NULL, NULL);
	s->stream_watch = loop_watch(f->loop, s->stream, on_stream, s);
	loop_want(s->stream_watch, LOOP_READ);
}

static void
server_start(struct fixture *f)
{
	struct server *s = &f->server;
	struct sockaddr_in sin = {.sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(sin);

	do {	/* a port that is free for both */
		sin.sin_port = 0;
		s->udp = socket(AF_INET, SOCK_DGRAM, 0);
		assert_int_equal(bind(s->udp, (struct sockaddr *)&sin,
		    sizeof(sin)), 0);
		getsockname(s->udp, (struct sockaddr *)&sin, &n);
		s->tcp = socket(AF_INET, SOCK_STREAM, 0);
	} while (bind(s->tcp, (struct sockaddr *)&sin, sizeof(sin)) != 0);
	assert_int_equal(listen(s->tcp, 5), 0);
	s->udp_watch = loop_watch(f->loop, s->udp, on_udp, s);
	s->tcp_watch = loop_watch(f->loop, s->tcp, on_accept, f);
	loop_want(s->udp_watch, LOOP_READ);
	loop_want(s->tcp_watch, LOOP_READ);
	f->addr = (struct config_addr){.port = ntohs(sin.sin_port)};
	memcpy(f->addr.ip, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\1", 16);
}

/* ---- the asker ----------------------------------------------------------- */

static void
told(struct fixture *f, uint64_t tag, const char *text)
{
	assert_int_equal(f->n_calls, 0);	/* later, not before */
	assert_true(tag < TAGS);
	assert_string_equal(f->txt[tag], "");	/* once */
	snprintf(f->txt[tag], sizeof(f->txt[tag]), "%s", text);
	if (++f->n_told == f->n_wanted)
		loop_stop(f->loop);
}

static void
on_txt(void *arg, uint64_t tag, const struct resolve_txt *t)
{
	static const char *const names[] = {"TXT", "ABSENT", "TEMPFAIL"};
	char text[400];
	struct buf b = BUF_ON(text);

	b.cap--;
	buf_add_str(&b, names[t->found]);
	for (size_t k = 0; k < t->n; k++) {
		buf_add_str(&b, k == 0 ? " " : ";");
		buf_add_escaped(&b, t->records[k], 20);
	}
	text[b.n] = '\0';
	told(arg, tag, text);
}

static void
on_addrs(void *arg, uint64_t tag, const struct resolve_addrs *t)
{
	char text[400], one[INET6_ADDRSTRLEN];
	struct buf b = BUF_ON(text);

	b.cap--;
	if (t->n == 0)
		buf_add_str(&b, t->is_temporary ? "TEMPORARY" : "NONE");
	for (size_t k = 0; k < t->n; k++) {
		inet_ntop(AF_INET6, t->addrs[k].ip, one, sizeof(one));
		buf_printf(&b, "%s%s %u", k == 0 ? "" : ";", one,
		    t->addrs[k].port);
	}
	text[b.n] = '\0';
	told(arg, tag, text);
}

static int
start(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	f->loop = loop_new();
	server_start(f);
	f->config.resolver = &f->addr;
	f->config.n_resolver = 1;
	f->config.resolver_timeout_ms = 1000;
	f->resolve = resolve_new(f->loop, &f->config, NULL, on_txt, on_addrs,
	    f);
	assert_non_null(f->resolve);
	return 0;
}

static int
finish(void **state)
{
	struct fixture *f = *state;
	struct server *s = &f->server;

	resolve_free(&f->resolve);
	assert_null(f->resolve);
	if (s->stream_watch != NULL) {
		loop_unwatch(&s->stream_watch);
		close(s->stream);
	}
	loop_unwatch(&s->udp_watch);
	loop_unwatch(&s->tcp_watch);
	loop_free(&f->loop);
	if (s->udp >= 0)
		close(s->udp);
	if (s->tcp >= 0)
		close(s->tcp);
	free(f);
	return 0;
}

static void
ask(struct fixture *f, const char *name, uint64_t tag)
{
	f->n_calls++;
	resolve_ask_txt(f->resolve, bytes_of(name), tag);
	f->n_calls--;
	f->n_wanted++;
}

static void
ask_addrs(struct fixture *f, const char *host, uint64_t tag)
{
	f->n_calls++;
	resolve_ask_addrs(f->resolve, host, 2525, tag);
	f->n_calls--;
	f->n_wanted++;
}

static void
wait_all(struct fixture *f)
{
	if (f->n_told < f->n_wanted)
		loop_run(f->loop);
	assert_int_equal(f->n_told, f->n_wanted);
}

static const struct {
	const char *name, *want;
} cases[] = {
	{"s._domainkey.a.example", "TXT v=DKIM1; p=x"},
	{"S._DomainKey.B.example.", "TXT v=DKIM1; p=x"},
	{"cname.example", "TXT found"},
	{"two.example", "TXT a;a"},		/* D6 */
	{"nxdomain.example", "ABSENT"},		/* D7 ... */
	{"empty.example", "ABSENT"},
	{"servfail.example", "TEMPFAIL"},
	{"refused.example", "TEMPFAIL"},
	{"broken.example", "TEMPFAIL"},
	{"spoofed.example", "TXT v=DKIM1; p=x"},	/* D4 */
	{"a..b", "ABSENT"},			/* D10: can not exist */
	{"a\\.b.example", "ABSENT"},
};

static void
test_cases(void **state)
{
	struct fixture *f = *state;
	size_t n = sizeof(cases) / sizeof(*cases);

	assert_true(n <= TAGS);
	for (size_t k = 0; k < n; k++)
		ask(f, cases[k].name, k);
	wait_all(f);
	for (size_t k = 0; k < n; k++)
		if (strcmp(f->txt[k], cases[k].want) != 0)
			fail_msg("%s: \"%s\", not \"%s\"", cases[k].name,
			    f->txt[k], cases[k].want);
}

/* D3: what does not fit a datagram comes by TCP. */
static void
test_truncated(void **state)
{
	struct fixture *f = *state;

	ask(f, "large.example", 0);
	wait_all(f);
	assert_true(begins(f->txt[0], "TXT xxxxxxxxxxxxxxxxxxxx...;xx"));
	assert_int_equal(f->server.n_tcp, 1);
}

/* D3: and where TCP is refused it is a temporary failure. */
static void
test_truncated_no_tcp(void **state)
{
	struct fixture *f = *state;

	loop_unwatch(&f->server.tcp_watch);
	close(f->server.tcp);
	f->server.tcp = -1;
	ask(f, "large.example", 0);
	wait_all(f);
	assert_string_equal(f->txt[0], "TEMPFAIL");
}

/* D7: silence. The next try is heard. */
static void
test_late(void **state)
{
	struct fixture *f = *state;

	resolve_free(&f->resolve);
	f->config.resolver_timeout_ms = 50;
	f->resolve = resolve_new(f->loop, &f->config, NULL, on_txt, on_addrs,
	    f);
	ask(f, "late.example", 0);
	wait_all(f);
	assert_string_equal(f->txt[0], "TXT v=DKIM1; p=x");
	ask(f, "silent.example", 1);
	wait_all(f);
	assert_string_equal(f->txt[1], "TEMPFAIL");
}

/*
 * All tries end within 20 s, however many servers are silent: the third is
 * never asked. Only with LONG set, since it waits for them.
 */
static void
test_all_tries(void **state)
{
	struct fixture *f = *state;
	struct config_addr three[3] = {f->addr, f->addr, f->addr};

	if (getenv("LONG") == NULL) {
		print_message("SKIP test_all_tries: it waits for 20 s; "
		    "make check-long does\n");
		skip();
	}
	resolve_free(&f->resolve);
	f->config.resolver = three;
	f->config.n_resolver = 3;
	f->config.resolver_timeout_ms = 12000;
	f->resolve = resolve_new(f->loop, &f->config, NULL, on_txt, on_addrs,
	    f);
	ask(f, "silent.example", 0);
	ask_addrs(f, "silent.example", 1);
	wait_all(f);
	assert_string_equal(f->txt[0], "TEMPFAIL");
	assert_string_equal(f->txt[1], "TEMPORARY");
	/* TXT, A and AAAA, each asked of the first two */
	assert_int_equal(f->server.n_udp, 6);
}

/* D9: nobody there; then somebody is, and nothing was started again. */
static void
test_no_server(void **state)
{
	struct fixture *f = *state;

	loop_unwatch(&f->server.udp_watch);
	close(f->server.udp);
	f->server.udp = -1;
	ask(f, "a.example", 0);
	wait_all(f);
	assert_string_equal(f->txt[0], "TEMPFAIL");
	loop_unwatch(&f->server.tcp_watch);
	close(f->server.tcp);
	server_start(f);
}

/* One name is asked once, while it is asked and as long as it lives. */
static void
test_asked_once(void **state)
{
	struct fixture *f = *state;

	for (uint64_t k = 0; k < 4; k++)
		ask(f, k % 2 == 0 ? "a.example" : "A.Example.", k);
	wait_all(f);
	assert_int_equal(f->server.n_udp, 1);
	ask(f, "a.example", 4);
	wait_all(f);
	assert_int_equal(f->server.n_udp, 1);
	for (int k = 0; k < 5; k++)
		assert_string_equal(f->txt[k], "TXT v=DKIM1; p=x");
	ask(f, "brief.example", 5);	/* TTL 0: not kept */
	wait_all(f);
	ask(f, "brief.example", 6);
	wait_all(f);
	assert_int_equal(f->server.n_udp, 3);
}

/* D11: c-ares once took it for the end of the connection. */
static void
test_empty_datagram(void **state)
{
	struct fixture *f = *state;

	ask(f, "nothing.example", 0);
	wait_all(f);
	assert_string_equal(f->txt[0], "TXT v=DKIM1; p=x");
}

/* Freed with questions under way, asked and answered: nobody is told. */
static void
test_free_while_asking(void **state)
{
	struct fixture *f = *state;

	ask(f, "silent.example", 0);
	ask(f, "silent.example", 1);
	ask(f, "a..b", 2);
	ask_addrs(f, "silent.example", 3);
	ask_addrs(f, "192.0.2.1", 4);
	resolve_free(&f->resolve);
	loop_unwatch(&f->server.udp_watch);
	loop_unwatch(&f->server.tcp_watch);
	loop_run(f->loop);
	assert_int_equal(f->n_told, 0);
}

static void
test_addresses(void **state)
{
	struct fixture *f = *state;

	ask_addrs(f, "192.0.2.1", 0);
	ask_addrs(f, "2001:db8::1", 1);
	ask_addrs(f, "nxdomain.example", 2);
	ask_addrs(f, "servfail.example", 3);
	ask_addrs(f, "localhost", 4);
	wait_all(f);
	assert_string_equal(f->txt[0], "::ffff:192.0.2.1 2525");
	assert_string_equal(f->txt[1], "2001:db8::1 2525");
	assert_string_equal(f->txt[2], "NONE");
	assert_string_equal(f->txt[3], "TEMPORARY");
	assert_non_null(strstr(f->txt[4], "::ffff:127.0.0.1 2525"));
}

/* The keys-file stands for the DNS: nothing is asked. */
static void
test_keys_file(void **state)
{
	struct fixture *f = *state;
	struct arena *a = arena_new(1 << 20);
	char why[200];
	struct buf fault = BUF_ON(why);
	struct keysfile *k;

	assert_int_equal(keysfile_parse(&k, BYTES_LIT(
	    "{\"a.example\": [\"one\", \"two\"], \"b.example\": [],"
	    " \"c.example\": \"TEMPERROR\"}"), a, &fault), 0);
	resolve_free(&f->resolve);
	f->resolve = resolve_new(f->loop, &f->config, k, on_txt, on_addrs, f);
	ask(f, "A.example", 0);
	ask(f, "b.example", 1);
	ask(f, "c.example", 2);
	ask(f, "d.example", 3);
	wait_all(f);
	assert_string_equal(f->txt[0], "TXT one;two");
	assert_string_equal(f->txt[1], "ABSENT");
	assert_string_equal(f->txt[2], "TEMPFAIL");
	assert_string_equal(f->txt[3], "ABSENT");
	assert_int_equal(f->server.n_udp, 0);
	resolve_free(&f->resolve);
	f->resolve = NULL;
	arena_free(&a);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, finish)
	const struct CMUnitTest tests[] = {
		TEST(test_cases), TEST(test_truncated),
		TEST(test_truncated_no_tcp), TEST(test_late), TEST(test_all_tries),
		TEST(test_no_server), TEST(test_asked_once),
		TEST(test_empty_datagram), TEST(test_free_while_asking),
		TEST(test_addresses), TEST(test_keys_file),
	};

	if (sodium_init() < 0)
		return 1;
	signal(SIGPIPE, SIG_IGN);
	log_open("test");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
