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
	int deaf;		/* an address that never answers */
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
	else if (begins(name, "formerr"))
		dns_begin(b, id, 1, name, 0);
	else if (begins(name, "lame")) {
		/* a referral, and neither answer nor refusal */
		dns_begin(b, id, 0, name, 0);
		b->p[9] = 1;
		dns_put_rr(b, "example", 2, 60, BYTES_LIT("\2ns\0"));
	} else if (begins(name, "extra")) {
		/* what stands beside the answer is nobody's */
		dns_begin(b, id, 0, name, 0);
		b->p[11] = 1;
		dns_put_txt(b, name, 300, "forged");
	} else if (begins(name, "host")) {
		dns_begin(b, id, 0, name, 1);
		if (q.p[15 + strlen(name)] == DNS_A)
			dns_put_rr(b, name, DNS_A, 300,
			    BYTES_LIT("\300\0\2\1"));
		else
			dns_put_rr(b, name, DNS_AAAA, 300,
			    BYTES_LIT("\x20\1\x0d\xb8\0\0\0\0"
			    "\0\0\0\0\0\0\0\1"));
	} else if (begins(name, "mail")) {
		dns_begin(b, id, 0, name, 2);
		dns_put_mx(b, name, 300, 258, "MX.example");
		dns_put_mx(b, name, 300, 10, "");
	} else if (begins(name, "empty"))
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
	} else if ((begins(name, "large") || begins(name, "slow") ||
	    begins(name, "short")) && !is_tcp) {
		dns_begin(b, id, DNS_TC, name, 0);
	} else if (begins(name, "slow")) {
		return false;
	} else if (begins(name, "large") || begins(name, "short")) {
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
	int stranger;

	(void)what;
	assert_true(n > 12);
	s->n_udp++;
	question_name((struct bytes){in, (size_t)n}, name, sizeof(name));
	if (begins(name, "spoofed")) {
		/* D4: another id first, then another question */
		dns_begin(&wrong, ((unsigned)in[0] << 8 | in[1]) ^ 0x0101, 0,
		    name, 1);
		dns_put_txt(&wrong, name, 300, "forged");
		sendto(s->udp, other, wrong.n, 0, (struct sockaddr *)&from,
		    size);
		wrong.n = 0;
		dns_begin(&wrong, (unsigned)in[0] << 8 | in[1], 0, "x.example",
		    1);
		dns_put_txt(&wrong, name, 300, "forged");
		sendto(s->udp, other, wrong.n, 0, (struct sockaddr *)&from,
		    size);
		/* and what is right, but from another port */
		wrong.n = 0;
		dns_begin(&wrong, (unsigned)in[0] << 8 | in[1], 0, name, 1);
		dns_put_txt(&wrong, name, 300, "forged");
		stranger = socket(AF_INET, SOCK_DGRAM, 0);
		sendto(stranger, other, wrong.n, 0, (struct sockaddr *)&from,
		    size);
		close(stranger);
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
	char name[300];

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
	question_name((struct bytes){in + 2, (size_t)n - 2}, name,
	    sizeof(name));
	if (begins(name, "short")) {	/* half of it, and the end */
		assert_int_equal(write(s->stream, out, b.n / 2), b.n / 2);
		loop_unwatch(&s->stream_watch);
		close(s->stream);
		return;
	}
	assert_int_equal(write(s->stream, out, b.n + 2), b.n + 2);
}

static void
on_accept(void *arg, unsigned what)
{
	struct fixture *f = arg;
	struct server *s = &f->server;

	(void)what;
	if (s->stream_watch != NULL) {
		loop_unwatch(&s->stream_watch);
		close(s->stream);
	}
	s->stream = accept(s->tcp, NULL, NULL);
	s->stream_watch = loop_watch(f->loop, s->stream, on_stream, s);
	loop_want(s->stream_watch, LOOP_READ);
}

static bool
bind_at(int fd, in_addr_t ip, in_port_t port)
{
	const int one = 1;
	const struct sockaddr_in sin = {.sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(ip), .sin_port = htons(port)};

	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	return bind(fd, (const struct sockaddr *)&sin, sizeof(sin)) == 0;
}

/* port 0: one that is free for both */
static void
server_start_at(struct fixture *f, in_addr_t ip, in_port_t port)
{
	struct server *s = &f->server;
	struct sockaddr_in sin = {.sin_port = 0};
	socklen_t n = sizeof(sin);

	do {
		s->udp = socket(AF_INET, SOCK_DGRAM, 0);
		assert_true(bind_at(s->udp, ip, port));
		getsockname(s->udp, (struct sockaddr *)&sin, &n);
		s->tcp = socket(AF_INET, SOCK_STREAM, 0);
	} while (!bind_at(s->tcp, ip, ntohs(sin.sin_port)) && port == 0);
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
on_records(void *arg, uint64_t tag, const struct dnsanswer_records *t)
{
	static const char *const names[] = {"THERE", "ABSENT", "TEMPFAIL"};
	char text[400];
	struct buf b = BUF_ON(text);

	b.cap--;
	buf_add_str(&b, names[t->found]);
	for (size_t k = 0; k < t->n; k++) {
		buf_add_str(&b, k == 0 ? " " : ";");
		buf_add_escaped(&b, t->records[k], 40);
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

static const struct resolve_calls calls = {on_txt, on_records, on_addrs};
static const struct resolve_from from = {.keys = NULL};

static int
start(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	f->loop = loop_new();
	server_start_at(f, INADDR_LOOPBACK, 0);
	f->config.resolver = &f->addr;
	f->config.n_resolver = 1;
	f->config.resolver_timeout_ms = 1000;
	f->resolve = resolve_new(f->loop, &f->config, &from, &calls, f);
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
	{"formerr.example", "TEMPFAIL"},
	{"lame.example", "ABSENT"},
	{"extra.example", "ABSENT"},		/* D4 */
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

static void
ask_type(struct fixture *f, enum resolve_type type, const char *name,
    uint64_t tag)
{
	f->n_calls++;
	resolve_ask(f->resolve, type, bytes_of(name), tag);
	f->n_calls--;
	f->n_wanted++;
}

/* Of each type, each once; one type's answer is not another's. */
static void
test_types(void **state)
{
	struct fixture *f = *state;

	for (uint64_t k = 0; k < 6; k += 3) {
		ask_type(f, RESOLVE_MX, "mail.example", k);
		ask_type(f, RESOLVE_A, "Host.example.", k + 1);
		ask_type(f, RESOLVE_AAAA, "host.example", k + 2);
		wait_all(f);
	}
	assert_int_equal(f->server.n_udp, 3);
	ask_type(f, RESOLVE_A, "nxdomain.example", 6);
	ask_type(f, RESOLVE_MX, "servfail.example", 7);
	ask_type(f, RESOLVE_MX, "a..b", 8);
	wait_all(f);
	for (uint64_t k = 0; k < 6; k += 3) {
		assert_string_equal(f->txt[k],
		    "THERE \\001\\002mx.example;\\000\\012");
		assert_string_equal(f->txt[k + 1], "THERE \\000\\000\\000\\000"
		    "\\000\\000\\000\\000\\000\\000\\377\\377\\300\\000\\002\\001");
		assert_true(begins(f->txt[k + 2], "THERE  \\001\\015\\270"));
	}
	assert_string_equal(f->txt[6], "ABSENT");
	assert_string_equal(f->txt[7], "TEMPFAIL");
	assert_string_equal(f->txt[8], "ABSENT");
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

static void
start_again(struct fixture *f, uint32_t timeout_ms)
{
	resolve_free(&f->resolve);
	f->config.resolver_timeout_ms = timeout_ms;
	f->resolve = resolve_new(f->loop, &f->config, &from, &calls, f);
	assert_non_null(f->resolve);
}

/* D3: TCP that says nothing, or only half of it. */
static void
test_truncated_bad_tcp(void **state)
{
	struct fixture *f = *state;

	start_again(f, 50);
	ask(f, "slow.example", 0);
	wait_all(f);
	assert_string_equal(f->txt[0], "TEMPFAIL");
	assert_true(f->server.n_tcp >= 1);
	f->server.n_tcp = 0;
	ask(f, "short.example", 1);
	wait_all(f);
	assert_string_equal(f->txt[1], "TEMPFAIL");
	assert_true(f->server.n_tcp >= 1);
	ask(f, "large.example", 2);
	wait_all(f);
	assert_true(begins(f->txt[2], "TXT x"));
}

/* D7: silence. The next try is heard. */
static void
test_late(void **state)
{
	struct fixture *f = *state;

	start_again(f, 50);
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
	f->resolve = resolve_new(f->loop, &f->config, &from, &calls, f);
	ask(f, "silent.example", 0);
	ask_addrs(f, "silent.example", 1);
	wait_all(f);
	assert_string_equal(f->txt[0], "TEMPFAIL");
	assert_string_equal(f->txt[1], "TEMPORARY");
	/* TXT, A and AAAA, each asked of the first two */
	assert_int_equal(f->server.n_udp, 6);
}

static void
server_stop(struct fixture *f)
{
	struct server *s = &f->server;

	loop_unwatch(&s->udp_watch);
	loop_unwatch(&s->tcp_watch);
	close(s->udp);
	close(s->tcp);
}

/* D9: nobody there; then somebody is, and nothing was started again. */
static void
test_no_server(void **state)
{
	struct fixture *f = *state;

	ask(f, "a.example", 0);
	wait_all(f);
	server_stop(f);
	ask(f, "b.example", 1);
	ask(f, "a.example", 2);
	wait_all(f);
	assert_string_equal(f->txt[1], "TEMPFAIL");
	assert_string_equal(f->txt[2], "TXT v=DKIM1; p=x");
	server_start_at(f, INADDR_LOOPBACK, f->addr.port);
	ask(f, "c.example", 3);
	wait_all(f);
	assert_string_equal(f->txt[3], "TXT v=DKIM1; p=x");
}

/* Gives the system's file another server. */
static void
name_server(const char *path, const char *address)
{
	char other[64];
	FILE *out;

	(void)snprintf(other, sizeof(other), "%s.new", path);
	out = fopen(other, "w");
	assert_non_null(out);
	assert_true(fprintf(out, "nameserver %s\n", address) > 0);
	assert_int_equal(fclose(out), 0);
	assert_int_equal(rename(other, path), 0);
}

/*
 * D9: the system's resolver becomes another one. It is asked from then on,
 * and also what the old one had no answer for yet.
 */
static void
test_system_changes(void **state)
{
	struct fixture *f = *state;
	char path[] = "/tmp/hopseal-resolv-XXXXXX";
	const struct resolve_from mine = {.system = {path, f->addr.port}};
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	name_server(path, "127.0.0.1");
	resolve_free(&f->resolve);
	f->config.n_resolver = 0;
	f->config.resolver_timeout_ms = 10000;
	f->resolve = resolve_new(f->loop, &f->config, &mine, &calls, f);
	ask(f, "a.example", 0);
	wait_all(f);
	assert_string_equal(f->txt[0], "TXT v=DKIM1; p=x");
	assert_int_equal(f->server.n_udp, 1);
	server_stop(f);
	server_start_at(f, INADDR_LOOPBACK + 1, f->addr.port);
	/* the one asked before is deaf now: nothing is even refused */
	f->server.deaf = socket(AF_INET, SOCK_DGRAM, 0);
	assert_true(bind_at(f->server.deaf, INADDR_LOOPBACK, f->addr.port));
	ask(f, "late.example", 1);
	ask_addrs(f, "late.example", 2);
	name_server(path, "127.0.0.2");
	f->server.n_udp = 1;
	ask(f, "b.example", 3);
	wait_all(f);
	assert_string_equal(f->txt[1], "TXT v=DKIM1; p=x");
	assert_string_equal(f->txt[3], "TXT v=DKIM1; p=x");
	assert_int_equal(f->server.n_udp, 5);
	close(f->server.deaf);
	(void)unlink(path);
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
	f->resolve = resolve_new(f->loop, &f->config,
	    &(struct resolve_from){.keys = k}, &calls, f);
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
		TEST(test_cases), TEST(test_types), TEST(test_truncated),
		TEST(test_truncated_bad_tcp), TEST(test_system_changes),
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
