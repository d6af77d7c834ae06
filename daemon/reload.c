#include "daemon/reload.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/metrics.h"

/* What does not fit into the pipe is in the log all the same. */
void
reload_begin(struct reload *r)
{
	int fds[2];

	r->is_running = true;
	r->answers = r->asked;
	r->errors = -1;
	if (pipe2(fds, O_NONBLOCK | O_CLOEXEC) != 0) {
		log_line(LOG_ERROR_, "pipe2: %m");
		return;
	}
	r->errors = fds[0];
	log_copy(fds[1]);
}

/* Whole lines alone. */
static void
take_errors(struct reload *r)
{
	ssize_t n;

	r->n_text = 0;
	while (r->n_text < sizeof(r->text) && (n = read(r->errors,
	    r->text + r->n_text, sizeof(r->text) - r->n_text)) > 0)
		r->n_text += (size_t)n;
	while (r->n_text != 0 && r->text[r->n_text - 1] != '\n')
		r->n_text--;
}

void
reload_end(struct reload *r, bool is_good)
{
	if (!r->is_running)
		return;
	r->is_running = false;
	r->at_s = (int64_t)time(NULL);
	r->is_good = is_good;
	if (is_good)
		r->n_good++;
	else
		r->n_failed++;
	metrics_count(METRIC_RELOADS, is_good ? SUCCESS_OK : SUCCESS_FAILED,
	    0);
	log_copy(-1);
	r->n_text = 0;
	if (r->errors < 0)
		return;
	take_errors(r);
	close(r->errors);
	r->errors = -1;
}
