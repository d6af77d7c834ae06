/*
 * hopseal test: a real message through a listener, from this machine, and what
 * was said at each step.
 */
#include "cli/cli.h"
#include "cli/control_ask.h"
#include "cli/test_wire.h"
#include "config/config.h"
#include "config/value.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <netinet/in.h>
#include <sodium.h>
#include <sys/socket.h>

#define ARENA ((size_t)1 << 20)
#define STEP_S 60U		/* but for the answer to the dot */
#define DEFAULT_CONFIG "/etc/hopseal/hopseal.yaml"
#define TEST_REFUSED 1		/* exit code: for good */
#define SHOWN 1000U

static const struct args_known known[] = {
	{"c", false}, {"to", false}, {"from", false}, {NULL, false},
};

struct test {
	const struct config *config;
	const struct config_listener *listener;
	struct config_addr at;		/* where it is connected to */
	struct bytes from, to;		/* without brackets */
	char from_octets[300];
	struct test_wire wire;
	struct test_reply reply;
	const char *step;
	bool can_tls;
};

/* ---- words --------------------------------------------------------------- */

static void
put(const char *step, const char *before, struct bytes text)
{
	char shown[4 * SHOWN + 8];
	struct buf b = BUF_ON(shown);

	buf_add_escaped(&b, text, SHOWN);
	printf("%-9s %s%.*s\n", step, before, BYTES_FMT(buf_bytes(&b)));
	fflush(stdout);
}

/* A reply, its lines one behind the other. */
static void
put_reply(const struct test *t)
{
	struct bytes rest = t->reply.text;
	char octets[TEST_REPLY_MAX + 200], code[8];
	struct buf b = BUF_ON(octets);

	for (bool is_first = true; rest.p != NULL; is_first = false) {
		struct bytes line = bytes_cut(&rest, '\n');

		buf_add_str(&b, is_first ? "" : ", ");
		buf_add(&b, line);
	}
	snprintf(code, sizeof(code), "%d ", t->reply.code);
	put(t->step, code, buf_bytes(&b));
}

/* ---- what is wrong ------------------------------------------------------- */

static const uint8_t *
own_ip(const struct test *t)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	static uint8_t ip[16];
	struct sockaddr_storage ss = {.ss_family = AF_UNSPEC};
	socklen_t n = sizeof(ss);

	(void)getsockname(t->wire.fd, (struct sockaddr *)&ss, &n);
	if (ss.ss_family == AF_INET6) {
		memcpy(ip, &((struct sockaddr_in6 *)&ss)->sin6_addr, 16);
	} else {
		memcpy(ip, mapped, sizeof(mapped));
		memcpy(ip + 12, &((struct sockaddr_in *)&ss)->sin_addr, 4);
	}
	return ip;
}

static bool
is_client(const struct test *t)
{
	const struct config_listener *l = t->listener;

	return config_nets_hold(l->clients, l->n_clients, own_ip(t));
}

/* What would help; NULL: the reply says all there is to say. */
static const char *
advice(const struct test *t)
{
	const struct config_listener *l = t->listener;
	struct bytes domain = bytes_skip(t->to, bytes_index(t->to, '@') + 1);
	int code = t->reply.code;

	if (strcmp(t->step, "RCPT") == 0 && code == 554 && !is_client(t) &&
	    !config_domains_hold(l->domains, l->n_domains, domain))
		return config_role_originates(l->role)
		    ? "this machine is none of the listener's `clients`"
		    : "the domain of --to is none of the listener's "
		      "`domains`, and this machine none of its `clients`";
	if (strcmp(t->step, "MAIL") == 0 && code == 550 &&
	    config_role_originates(l->role))
		return "--from is to be an address of the listener's `senders`";
	if (strcmp(t->step, "answer") == 0 && code == 550 &&
	    l->unsigned_mail == UNSIGNED_REFUSE)
		return "the message of this test has no DKIM2 signature, and "
		    "the listener has `unsigned: refuse`";
	return NULL;
}

/* The step was not taken. */
static int
end_refused(const struct test *t)
{
	bool is_final = t->reply.code / 100 == 5;
	const char *help = advice(t);

	fprintf(stderr, "hopseal: test: %s at %s%s%s\n", is_final ? "refused"
	    : "not now", t->step, help == NULL ? "" : ": ", help == NULL
	    ? "" : help);
	return is_final ? TEST_REFUSED : CLI_LATER;
}

static int
end_broken(const struct test *t)
{
	fprintf(stderr, "hopseal: test: no %s: ", t->step);
	control_put(stderr, bytes_of(t->wire.fault));
	fputs("\n", stderr);
	return CLI_LATER;
}

/* ---- steps --------------------------------------------------------------- */

/* Takes the reply to a step, and shows it. 0 where its class is the wanted
 * one. */
static int
hear(struct test *t, const char *step, int class)
{
	t->step = step;
	test_wire_reply(&t->wire, &t->reply);
	if (t->reply.code == 0)
		return end_broken(t);
	put_reply(t);
	return t->reply.code / 100 == class ? 0 : end_refused(t);
}

static int
say(struct test *t, const char *step, int class, struct bytes line)
{
	t->step = step;
	if (!test_wire_send(&t->wire, line) ||
	    !test_wire_send(&t->wire, BYTES_LIT("\r\n")))
		return end_broken(t);
	return hear(t, step, class);
}

static int
say_text(struct test *t, const char *step, int class, const char *before,
    struct bytes text, const char *behind)
{
	char octets[600];
	struct buf b = BUF_ON(octets);

	buf_add_str(&b, before);
	buf_add(&b, text);
	buf_add_str(&b, behind);
	return say(t, step, class, buf_bytes(&b));
}

static int
connect_to(struct test *t)
{
	char text[80];
	struct buf b = BUF_ON(text);

	t->step = "connect";
	config_value_put_addr(&b, &t->at);
	if (!test_wire_open(&t->wire, &t->at, STEP_S)) {
		put("connect", "", buf_bytes(&b));
		return end_broken(t);
	}
	put("connect", "", buf_bytes(&b));
	/* who is to begin with a PROXY header: that it is no proxy */
	if (config_nets_hold(t->listener->proxy, t->listener->n_proxy,
	    own_ip(t)) && !test_wire_send(&t->wire,
	    BYTES_LIT("PROXY UNKNOWN\r\n")))
		return end_broken(t);
	return 0;
}

static int
secure(struct test *t)
{
	char text[300];

	t->step = "TLS";
	if (!test_wire_secure(&t->wire))
		return end_broken(t);
	snprintf(text, sizeof(text), "%s, %s; the certificate was not checked",
	    SSL_get_version(t->wire.ssl), SSL_get_cipher_name(t->wire.ssl));
	put("TLS", "", bytes_of(text));
	return 0;
}

static int
greet(struct test *t)
{
	const char *verb = t->at.is_lmtp ? "LHLO" : "EHLO";
	struct bytes rest;
	int r = say_text(t, verb, 2, t->at.is_lmtp ? "LHLO " : "EHLO ",
	    bytes_of(t->config->hostname), "");

	rest = t->reply.text;
	t->can_tls = false;
	while (r == 0 && rest.p != NULL)
		if (bytes_case_eq(bytes_cut(&rest, '\n'),
		    BYTES_LIT("STARTTLS")))
			t->can_tls = true;
	return r;
}

static int
begin(struct test *t)
{
	int r = connect_to(t);

	if (r == 0 && t->at.is_tls)
		r = secure(t);
	if (r == 0)
		r = hear(t, "banner", 2);
	if (r == 0)
		r = greet(t);
	if (r != 0 || !t->can_tls || t->at.is_tls)
		return r;
	r = say(t, "STARTTLS", 2, BYTES_LIT("STARTTLS"));
	if (r == 0)
		r = secure(t);
	return r == 0 ? greet(t) : r;
}

/* A small message that says what it is. */
static void
write_message(const struct test *t, struct buf *out)
{
	time_t now = time(NULL);
	char date[64], id[33];
	uint8_t random[16];
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S +0000", &tm);
	randombytes_buf(random, sizeof(random));
	sodium_bin2hex(id, sizeof(id), random, sizeof(random));
	buf_printf(out, "Date: %s\r\nFrom: <%.*s>\r\nTo: <%.*s>\r\n"
	    "Subject: hopseal test of listener %s\r\n"
	    "Message-ID: <%s@%s>\r\nAuto-Submitted: auto-generated\r\n"
	    "MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n"
	    "`hopseal test %s` on %s sent this.\r\n.\r\n", date,
	    BYTES_FMT(t->from), BYTES_FMT(t->to), t->listener->name, id,
	    t->config->hostname, t->listener->name, t->config->hostname);
}

static int
send_message(struct test *t)
{
	char octets[4096];
	struct buf b = BUF_ON(octets);
	const struct timeval wait = {.tv_sec =
	    (time_t)t->listener->through_wait_s + STEP_S};
	int r = say(t, "DATA", 3, BYTES_LIT("DATA"));

	if (r != 0)
		return r;
	write_message(t, &b);
	(void)setsockopt(t->wire.fd, SOL_SOCKET, SO_RCVTIMEO, &wait,
	    sizeof(wait));
	t->step = "answer";
	if (!test_wire_send(&t->wire, buf_bytes(&b)))
		return end_broken(t);
	return hear(t, "answer", 2);
}

/* "... (id X)" */
static void
put_id(const struct test *t)
{
	static const char mark[] = "(id ";
	size_t at = bytes_find(t->reply.text, bytes_of(mark));
	struct bytes id = bytes_skip(t->reply.text, at + strlen(mark));

	if (at == t->reply.text.n)
		return;
	id = bytes_first(id, bytes_index(id, ')'));
	put("taken", "see what became of it: hopseal trace ", id);
}

static int
run_steps(struct test *t)
{
	int r = begin(t);

	if (r == 0)
		r = say_text(t, "MAIL", 2, "MAIL FROM:<", t->from, ">");
	if (r == 0)
		r = say_text(t, "RCPT", 2, "RCPT TO:<", t->to, ">");
	if (r == 0)
		r = send_message(t);
	if (r == 0)
		put_id(t);
	if (t->wire.fd >= 0)
		(void)test_wire_send(&t->wire, BYTES_LIT("QUIT\r\n"));
	test_wire_close(&t->wire);
	return r;
}

/* ---- what is asked for --------------------------------------------------- */

static int
find_listener(struct test *t, const char *name)
{
	const struct config *c = t->config;

	for (size_t k = 0; k < c->n_listeners; k++)
		if (strcmp(c->listeners[k].name, name) == 0)
			t->listener = &c->listeners[k];
	if (t->listener == NULL)
		return cli_fail(CLI_USAGE, "test: there is no listener `%s` "
		    "in this configuration", name);
	t->at = t->listener->listen[0];
	/* of an address for all the loopback is one */
	if (t->at.is_any || memcmp(t->at.ip, (uint8_t[16]){0}, 16) == 0)
		(void)config_value_ip(t->at.is_any ? BYTES_LIT("127.0.0.1") :
		    BYTES_LIT("::1"), t->at.ip);
	else if (memcmp(t->at.ip, (uint8_t[16]){[10] = 0xff, [11] = 0xff},
	    16) == 0)
		(void)config_value_ip(BYTES_LIT("127.0.0.1"), t->at.ip);
	t->at.is_any = false;
	return 0;
}

/* An address without brackets, that can stand in a command. */
static int
read_address(const char *option, const char *said, struct bytes *out)
{
	struct bytes local, domain, text = bytes_of(said);
	const char *why;

	if (text.n >= 2 && text.p[0] == '<' && text.p[text.n - 1] == '>')
		text = (struct bytes){text.p + 1, text.n - 2};
	why = text.n > 254 ? "is too long" :
	    config_value_address(text, &local, &domain);
	if (why != NULL)
		return cli_fail(CLI_USAGE, "test: %s: `%s` %s", option, said,
		    why);
	*out = text;
	return 0;
}

/* Who sends it, unless that is said: somebody who may. */
static int
find_sender(struct test *t, const char *said)
{
	const struct config_listener *l = t->listener;
	struct buf b = BUF_ON(t->from_octets);

	if (said != NULL)
		return read_address("--from", said, &t->from);
	buf_add_str(&b, "postmaster@");
	if (config_role_originates(l->role) && l->n_senders != 0)
		buf_add(&b, l->senders[0]);
	else
		buf_add_str(&b, t->config->hostname);
	t->from = buf_bytes(&b);
	return 0;
}

/* config_complain */
static void
complain(void *arg, const char *text)
{
	(void)arg;
	(void)cli_fail(0, "%s", text);
}

static int
run(const struct args *args)
{
	static struct test t;
	const char *path = args_get(args, "c"), *to = args_get(args, "to");
	struct config *c;
	int r;

	if (args->n_words != 1 || to == NULL)
		return cli_fail(CLI_USAGE, "it is test LISTENER --to ADDRESS "
		    "[--from ADDRESS] [-c FILE]");
	c = config_load(path == NULL ? DEFAULT_CONFIG : path, complain, NULL);
	if (c == NULL)
		return CLI_CONFIG;
	t = (struct test){.config = c, .wire = TEST_WIRE_NONE};
	r = find_listener(&t, args->words[0]);
	if (r == 0)
		r = read_address("--to", to, &t.to);
	if (r == 0)
		r = find_sender(&t, args_get(args, "from"));
	if (r == 0)
		r = run_steps(&t);
	config_free(&c);
	return r;
}

int
cli_test(int argc, char **argv)
{
	struct arena *a = arena_new(ARENA);
	struct args args;
	int r;

	if (a == NULL)
		return cli_fail(CLI_CANNOT, "out of memory");
	signal(SIGPIPE, SIG_IGN);
	r = args_parse(&args, argc, argv, known, 1, a);
	if (r == 0)
		r = run(&args);
	arena_free(&a);
	return r;
}
