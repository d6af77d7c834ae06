#include "tests/delivery/site.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <sys/stat.h>

#include "config/keysfile.h"
#include "tests/scenario/memory.h"

#define BODY "Subject: x\r\n\r\nhello\r\n"

struct talk {
	struct wire *wire;	/* NULL: none */
	bool is_content;
	bool is_mute;
	bool was_closed;
	unsigned n_rcpts;
};

struct queue_hop queue_hop[QUEUE_HOPS];
struct queue_run *queue_site_run;
bool queue_site_is_idle;
int queue_site_write_error;

static struct talk talks[QUEUE_HOPS][QUEUE_HOP_CONNECTIONS];

static struct {
	char folder[64];
	int state;
	struct config *config;
	struct worker_env env;
	struct signer_inventory inventory;
	struct hub hub;
	struct spool *spool;
	struct spool_file looked;
	bool is_looked;
} site;

ssize_t __real_pwrite(int fd, const void *p, size_t n, off_t at);
ssize_t __wrap_pwrite(int fd, const void *p, size_t n, off_t at);

ssize_t
__wrap_pwrite(int fd, const void *p, size_t n, off_t at)
{
	if (queue_site_write_error == 0)
		return __real_pwrite(fd, p, n, at);
	errno = queue_site_write_error;
	return -1;
}

/* ---- next hops ----------------------------------------------------------- */

static struct config_addr
address(unsigned n)
{
	return (struct config_addr){.ip = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff,
	    0xff, 10, 0, 0, (uint8_t)(2 + n)}, .port = 25};
}

void
queue_hop_outcome(unsigned n, int outcome)
{
	const struct config_addr at = address(n);

	world_listen(&at, outcome);
}

/* Says a reply, or what stands in its place. */
static void
say(struct talk *t, const char *reply, const char *yes)
{
	if (reply == NULL)
		reply = yes;
	if (strcmp(reply, "hangup") == 0) {
		t->wire->has_fin = true;
	} else if (strcmp(reply, "silence") == 0) {
		t->is_mute = true;
	} else {
		wire_send(t->wire, bytes_of(reply));
		wire_send(t->wire, BYTES_LIT("\r\n"));
		if (strncmp(reply, "421", 3) == 0)
			t->wire->has_fin = true;
	}
}

static bool
is_yes(const char *reply)
{
	return reply == NULL || *reply == '2' || *reply == '3';
}

static void
copy(struct bytes from, char *to, size_t n)
{
	struct buf b = {(uint8_t *)to, 0, n - 1, false};

	buf_add(&b, bytes_first(from, buf_room(&b)));
	to[b.n] = '\0';
}

static void
hear_rcpt(struct queue_hop *h, struct talk *t, struct bytes line)
{
	struct bytes path = bytes_trim(bytes_first(bytes_skip(line, 8),
	    line.n - 10));
	const char *reply = h->rcpt;

	h->n_rcpts++;
	copy(path, h->last_path, sizeof(h->last_path));
	copy(bytes_first(line, line.n - 2), h->last_rcpt,
	    sizeof(h->last_rcpt));
	if (h->refused_rcpt != NULL && !bytes_eq(bytes_of(h->refused_rcpt),
	        path))
		reply = NULL;
	if (t->n_rcpts < h->max_rcpts)
		reply = NULL;
	t->n_rcpts += is_yes(reply);
	say(t, reply, "250 2.1.5 Ok");
}

static void
hear_content(struct queue_hop *h, struct talk *t, struct bytes line)
{
	if (!bytes_eq(line, BYTES_LIT(".\r\n"))) {
		size_t n = sizeof(h->content) - h->n_content;

		n = n < line.n ? n : line.n;
		memcpy(h->content + h->n_content, line.p, n);
		h->n_content += n;
		return;
	}
	t->is_content = false;
	h->n_taken += is_yes(h->dot);
	say(t, h->dot, "250 2.0.0 Ok: taken");
	for (unsigned k = 1; h->is_lmtp && k < t->n_rcpts; k++)
		say(t, NULL, "250 2.0.0 Ok: taken");
}

static void
hear_command(struct queue_hop *h, struct talk *t, struct bytes line)
{
	static const char offers[] = "250-PIPELINING\r\n250-8BITMIME\r\n"
	    "250-SMTPUTF8\r\n250-SIZE 0\r\n250-ENHANCEDSTATUSCODES\r\n";
	char hello[400];

	if (bytes_case_starts(line, BYTES_LIT("EHLO ")) ||
	    bytes_case_starts(line, BYTES_LIT("LHLO "))) {
		snprintf(hello, sizeof(hello), "250-hop\r\n%s250 HELP",
		    h->can != NULL ? h->can : offers);
		say(t, h->ehlo, hello);
	} else if (bytes_case_starts(line, BYTES_LIT("HELO "))) {
		say(t, h->ehlo, "250 hop");
	} else if (bytes_case_starts(line, BYTES_LIT("MAIL FROM:"))) {
		h->n_mails++;
		t->n_rcpts = 0;
		copy(bytes_first(line, line.n - 2), h->last_mail,
		    sizeof(h->last_mail));
		say(t, h->mail, "250 2.1.0 Ok");
	} else if (bytes_case_starts(line, BYTES_LIT("RCPT TO:"))) {
		hear_rcpt(h, t, line);
	} else if (bytes_case_starts(line, BYTES_LIT("DATA"))) {
		if (t->n_rcpts == 0) {
			say(t, NULL, "503 5.5.1 no recipients");
			return;
		}
		t->is_content = is_yes(h->data);
		h->n_content = 0;
		say(t, h->data, "354 go on");
	} else {
		say(t, NULL, "250 2.0.0 Ok");
	}
}

static bool
serve(struct queue_hop *h, struct talk *t)
{
	bool any = false;
	struct bytes line;

	while (!t->is_mute && !t->wire->has_fin && !t->wire->is_closed &&
	    (line = wire_line(t->wire)).n != 0) {
		char octets[2000];
		struct buf b = BUF_ON(octets);

		buf_add(&b, bytes_first(line, sizeof(octets)));
		wire_drop(t->wire, line.n);
		if (t->is_content)
			hear_content(h, t, buf_bytes(&b));
		else
			hear_command(h, t, buf_bytes(&b));
		any = true;
	}
	if (t->wire->is_closed) {
		world_forget(t->wire);
		t->wire = NULL;
		h->n_open--;
		any = true;
	}
	return any;
}

static bool
welcome(unsigned n)
{
	const struct config_addr at = address(n);
	struct queue_hop *h = &queue_hop[n];
	struct wire *w = world_accept(&at);
	struct talk *t = talks[n];

	if (w == NULL)
		return false;
	while (t->wire != NULL)
		t++;
	assert(t < talks[n] + QUEUE_HOP_CONNECTIONS);
	*t = (struct talk){.wire = w};
	h->n_connections++;
	h->n_open++;
	if (h->n_open > h->most_open)
		h->most_open = h->n_open;
	say(t, h->banner, "220 hop ESMTP");
	return true;
}

static bool
serve_all(void)
{
	bool any = false;

	for (unsigned n = 0; n < QUEUE_HOPS; n++) {
		while (welcome(n))
			any = true;
		for (size_t k = 0; k < QUEUE_HOP_CONNECTIONS; k++)
			if (talks[n][k].wire != NULL)
				any |= serve(&queue_hop[n], &talks[n][k]);
	}
	return any;
}

void
queue_site_work(void)
{
	do
		world_run();
	while (serve_all());
}

void
queue_site_pass(int64_t ms)
{
	int64_t step = ms > 100000 ? 10000 : ms / 10 + 1;

	queue_site_work();
	for (; ms > 0; ms -= step) {
		world_pass(ms < step ? ms : step);
		queue_site_work();
	}
}

/* ---- the queue process --------------------------------------------------- */

static void
complain(void *arg, const char *text)
{
	(void)arg;
	fprintf(stdout, "# %s\n", text);
}

static void
write_config(const char *top, const char *listeners)
{
	char path[100];
	FILE *f;

	snprintf(path, sizeof(path), "%s/hopseal.yaml", site.folder);
	f = fopen(path, "w");
	assert(f != NULL);
	fprintf(f, "hostname: hop.example\nstate: %s\n%slisteners:\n%s",
	    site.folder, top, listeners);
	fclose(f);
	site.config = config_load(path, complain, NULL);
	assert(site.config != NULL);
}

static void
make_folders(void)
{
	static const char *const names[] = {"queue", "queue/new",
	    "queue/mail", "queue/corrupt"};
	const char *temporary = getenv("TMPDIR");

	snprintf(site.folder, sizeof(site.folder), "%.40s/queue-XXXXXX",
	    temporary == NULL ? "/tmp" : temporary);
	assert(mkdtemp(site.folder) != NULL);
	site.state = open(site.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++)
		assert(mkdirat(site.state, names[k], 0700) == 0);
}

static void
on_idle(void *arg)
{
	(void)arg;
	queue_site_is_idle = true;
}

static void
start_process(void)
{
	static const struct hub_calls none = {.txt = NULL};

	site.env.loop = world_loop != NULL ? world_loop : loop_new();
	assert(hub_init(&site.hub, &site.env, &none));
	assert(spool_open(&site.spool, site.folder) == 0);
	queue_site_is_idle = false;
	queue_site_run = queue_run_new(&site.hub, site.spool, on_idle, NULL);
	assert(queue_site_run != NULL);
}

static void
stop_process(void)
{
	queue_run_free(&queue_site_run);
	hub_fini(&site.hub);
	spool_close(&site.spool);
	world_run();
}

void
queue_site_begin(const char *top, const char *listeners)
{
	memset(&site, 0, sizeof(site));
	memset(queue_hop, 0, sizeof(queue_hop));
	memset(talks, 0, sizeof(talks));
	make_folders();
	write_config(top, listeners);
	world_begin();
	scenario_memory_begin();
	for (unsigned n = 0; n < QUEUE_HOPS; n++)
		queue_hop_outcome(n, 0);
	site.env.config = site.config;
	site.env.inventory = &site.inventory;
	site.env.state_fd = site.state;
	site.env.keeper_fd = site.env.spool_fd =
	    site.env.copies_fd = site.env.queue_fd = -1;
	start_process();
}

void
queue_site_restart(void)
{
	stop_process();
	queue_site_work();
	start_process();
}

static void
forget_looked(void)
{
	if (site.is_looked)
		spool_file_close(&site.looked);
	site.is_looked = false;
}

void
queue_site_end(void)
{
	char command[100];

	forget_looked();
	stop_process();
	queue_site_work();
	assert(world_net_open() == 0);
	loop_free(&site.env.loop);
	config_free(&site.config);
	close(site.state);
	snprintf(command, sizeof(command), "rm -r %s", site.folder);
	assert(system(command) == 0);
}

/* ---- messages ------------------------------------------------------------ */

static void
add_rcpt(struct queue_message *m, struct queue_rcpt *rcpts, size_t at,
    struct bytes to, bool is_shared)
{
	struct queue_copy *c = &m->copies[is_shared ? 0 : at];

	rcpts[at] = (struct queue_rcpt){.due_s = m->arrived_s, .path = to,
	    .to = to};
	if (c->n_rcpts++ == 0) {
		c->rcpts = &rcpts[at];
		c->mail_from = BYTES_LIT("<alice@one.example>");
		c->added = BYTES_LIT("Received: by hop.example\r\n");
		c->signed_as = BYTES_LIT("signed=yes d=one.example");
		m->n_copies++;
	}
}

static struct bytes
of(const char *text)
{
	return text == NULL ? (struct bytes){NULL, 0} : bytes_of(text);
}

void
queue_site_put(const struct queue_site_mail *mail)
{
	static struct queue_rcpt rcpts[1000];
	static struct queue_copy copies[1000];
	static char names[1000][40];
	int64_t now = loop_time_s(world_loop);
	struct queue_message m = {
	    .id = bytes_of(mail->id),
	    .listener = bytes_of(mail->listener != NULL ? mail->listener
							: "l"),
	    .arrived_s = now,
	    .signed_s = mail->signed_s != 0 ? mail->signed_s : now,
	    .client = BYTES_LIT("[10.0.8.7]:4321"),
	    .mail_from = BYTES_LIT("<alice@one.example>"),
	    .digest = BYTES_LIT("0123456789abcdef0123456789abcdef"),
	    .is_8bit = mail->is_8bit,
	    .is_utf8 = mail->is_utf8,
	    .is_held = mail->is_held,
	    .copies = copies,
	    .n_content = sizeof(BODY) - 1,
	    .body_at = sizeof("Subject: x\r\n\r\n") - 1,
	    .report_to = of(mail->report_to),
	    .report_as = of(mail->report_as),
	    .ret = of(mail->ret),
	    .envid = of(mail->envid),
	    .about = of(mail->about),
	};
	struct spool_commit c = {.result = 0};
	struct bytes pieces[1002];
	struct buf head;
	size_t n = 0, n_pieces = 0;

	memset(copies, 0, sizeof(copies));
	if (mail->n_to == 0) {
		for (; n < 8 && mail->to[n] != NULL; n++)
			add_rcpt(&m, rcpts, n, bytes_of(mail->to[n]),
			    mail->is_shared);
	}
	for (; n < mail->n_to; n++) {
		snprintf(names[n], sizeof(names[n]), "<r%zu@two.example>", n);
		add_rcpt(&m, rcpts, n, bytes_of(names[n]), mail->is_shared);
	}
	for (size_t k = 0; k < n; k++) {
		rcpts[k].notify = of(mail->notify);
		rcpts[k].orcpt = of(mail->orcpt);
		if (mail->said != NULL)
			rcpts[k].to = bytes_of(mail->said);
	}
	head = (struct buf){world_alloc(1, queue_file_room(&m)), 0,
	    queue_file_room(&m), false};
	assert(queue_file_write(&m, &head) == 0);
	pieces[n_pieces++] = buf_bytes(&head);
	for (size_t k = 0; k < m.n_copies; k++)
		pieces[n_pieces++] = copies[k].added;
	pieces[n_pieces++] = BYTES_LIT(BODY);
	assert(spool_write(site.state, mail->id, pieces, n_pieces) == 0);
	snprintf(c.id, sizeof(c.id), "%s", mail->id);
	spool_commit(site.spool, &c, 1);
	assert(c.result == 0);
	free(head.p);
}

const struct queue_rcpt *
queue_site_rcpt(const char *id, size_t c, size_t rcpt)
{
	forget_looked();
	if (spool_file_open(&site.looked, site.spool, id, false) != 0)
		return NULL;
	site.is_looked = true;
	assert(c < site.looked.m.n_copies &&
	    rcpt < site.looked.m.copies[c].n_rcpts);
	return &site.looked.m.copies[c].rcpts[rcpt];
}

char
queue_site_status(const char *id, size_t c, size_t rcpt)
{
	const struct queue_rcpt *r = queue_site_rcpt(id, c, rcpt);

	return r == NULL ? '-' : queue_status_octet(r->status);
}

void
queue_site_patch(const char *id, size_t c, size_t rcpt,
    enum queue_status status)
{
	struct queue_rcpt r = *queue_site_rcpt(id, c, rcpt);
	struct queue_patch p;

	r.status = status;
	queue_file_patch_rcpt(&r, &p);
	assert(spool_file_patch(&site.looked, &p) == 0);
}

void
queue_site_answer(unsigned n, const char *reply)
{
	for (size_t k = 0; k < QUEUE_HOP_CONNECTIONS; k++) {
		struct talk *t = &talks[n][k];

		if (t->wire == NULL || !t->is_mute)
			continue;
		t->is_mute = false;
		say(t, reply, NULL);
	}
}

bool
queue_site_says(const char *request, const char *answer)
{
	char octets[QUEUE_COMMAND_MAX];
	struct buf out = BUF_ON(octets);

	queue_run_command(queue_site_run, bytes_of(request), &out);
	if (bytes_eq(buf_bytes(&out), bytes_of(answer)))
		return true;
	printf("# %s: %.*s\n", request, BYTES_FMT(buf_bytes(&out)));
	return false;
}

size_t
queue_site_logged(const char *text)
{
	struct bytes log = world_log(), line;
	size_t n = 0;

	while (log.n != 0) {
		line = bytes_cut(&log, '\n');
		n += bytes_find(line, bytes_of(text)) != line.n;
	}
	return n;
}

void
queue_site_show_log(void)
{
	struct bytes log = world_log();

	printf("%.*s", BYTES_FMT(log));
}
