#include "daemon/status.h"

#include <time.h>
#include <unistd.h>

#include "base/version.h"
#include "daemon/metrics.h"

void
status_pair(struct buf *out, const char *name, struct bytes value)
{
	buf_printf(out, " %s=", name);
	for (size_t k = 0; k < value.n; k++) {
		uint8_t c = value.p[k];

		if (c <= ' ' || c > '~' || c == '%')
			buf_printf(out, "%%%02X", c);
		else
			buf_add_octet(out, c);
	}
}

void
status_number(struct buf *out, const char *name, int64_t value)
{
	buf_printf(out, " %s:%lld", name, (long long)value);
}

/* In seconds of 1970. */
static int64_t
since(const struct status_facts *f, int64_t started_ms)
{
	return (int64_t)time(NULL) - (f->now_ms - started_ms) / 1000;
}

static void
write_process(const struct status_facts *f, struct buf *out, const char *name,
    size_t number, pid_t pid, int64_t started_ms, unsigned n_restarts)
{
	if (pid == 0 && n_restarts == 0)
		return;
	buf_add_str(out, "process");
	buf_printf(out, number == 0 ? " name=%s" : " name=%s/%zu", name,
	    number);
	status_number(out, "pid", pid);
	status_number(out, "since", since(f, started_ms));
	status_number(out, "restarts", n_restarts);
	buf_add_octet(out, '\n');
}

static void
write_child(const struct status_facts *f, struct buf *out, const char *name,
    const struct child *c)
{
	write_process(f, out, name, 0, c->pid, c->started_ms, c->n_restarts);
}

static void
write_generation(const struct status_facts *f, struct buf *out,
    const struct generation *g)
{
	for (size_t k = 0; k < g->n_workers; k++) {
		const struct worker_process *c = g->workers + k;

		if (g->is_leaving && c->pid == 0)
			continue;
		write_process(f, out, g->is_leaving ? "leaving" : "worker",
		    k + 1, c->pid, c->started_ms, c->n_restarts);
	}
	for (unsigned k = 0; k < g->signers.n; k++)
		if (g->signers.each[k].pid != 0)
			write_process(f, out, g->is_leaving ?
			    "leaving-signer" : "signer", k + 1,
			    g->signers.each[k].pid, g->started_ms, 0);
}

static void
write_reload(const struct status_facts *f, struct buf *out)
{
	const struct reload *r = f->reload;
	struct bytes rest = reload_text(r);

	buf_add_str(out, "reload");
	status_number(out, "good", r->n_good);
	status_number(out, "failed", r->n_failed);
	if (r->at_s != 0) {
		status_number(out, "last", r->at_s);
		status_pair(out, "outcome", r->is_good ? BYTES_LIT("good") :
		    BYTES_LIT("failed"));
	}
	buf_add_octet(out, '\n');
	while (rest.n != 0 && !r->is_good) {
		buf_add_str(out, "reload-error");
		status_pair(out, "text", bytes_cut(&rest, '\n'));
		buf_add_octet(out, '\n');
	}
}

void
status_write_processes(const struct status_facts *f, struct buf *out)
{
	buf_add_str(out, "hopseald");
	status_pair(out, "version", bytes_of(HOPSEAL_VERSION));
	status_number(out, "pid", getpid());
	status_number(out, "since", f->since_s);
	status_pair(out, "config", bytes_of(f->path));
	if (f->serving != NULL) {
		status_number(out, "generation", f->serving->number);
		status_number(out, "generation-since", since(f,
		    f->serving->started_ms));
	}
	status_pair(out, "state", f->is_stopping ? BYTES_LIT("stopping") :
	    BYTES_LIT("running"));
	buf_add_octet(out, '\n');
	write_reload(f, out);
	for (const struct generation *g = f->newest; g != NULL; g = g->next)
		write_generation(f, out, g);
	write_child(f, out, "keeper", &f->keeper->child);
	write_child(f, out, "queue", &f->queue->child);
	write_child(f, out, "control", &f->control->child);
}

void
status_write_sentence(const struct status_facts *f,
    char text[STATUS_SENTENCE_MAX])
{
	struct buf b = {(uint8_t *)text, 0, STATUS_SENTENCE_MAX - 1, false};
	uint64_t open = 0;

	for (unsigned role = 0; role <= ROLE_APPLIANCE; role++)
		open += metrics_get(METRIC_SESSIONS_OPEN, role, 0);
	if (f->is_stopping)
		buf_add_str(&b, "Stopping");
	else if (f->serving == NULL)
		buf_add_str(&b, "Starting");
	else
		buf_printf(&b, "Configuration %u serves with %zu worker%s",
		    f->serving->number, f->serving->n_workers,
		    f->serving->n_workers == 1 ? "" : "s");
	buf_printf(&b, ", %llu session%s open", (unsigned long long)open,
	    open == 1 ? "" : "s");
	if (f->reload->at_s != 0 && !f->reload->is_good)
		buf_add_str(&b, "; the last reload failed, see the log");
	text[b.n] = '\0';
}
