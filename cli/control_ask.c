#include "cli/control_ask.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "config/config.h"

#define DEFAULT_CONFIG "/etc/hopseal/hopseal.yaml"
#define REQUEST_MAX 512U
#define PACKET_MAX 8192U
#define TEXT_MAX (8U << 20)
#define WAIT_S 150		/* the daemon gives up before that */
#define TRIES 50		/* while one process follows another */
#define TRY_NS (100 * 1000 * 1000)

/* ---- STATE ---------------------------------------------------------------- */

static void
ignore(void *arg, const char *text)
{
	(void)arg;
	(void)text;
}

static void
complain(void *arg, const char *text)
{
	(void)arg;
	(void)cli_fail(0, "%s", text);
}

int
control_state(const char **state, const struct args *args, struct arena *a)
{
	const char *path = args_get(args, "c");
	struct config *c;
	struct buf out;
	bool is_good;

	*state = args_get(args, "state");
	if (*state != NULL && path != NULL)
		return cli_fail(CLI_USAGE, "--state or -c, not both");
	if (*state != NULL)
		return 0;
	if (path == NULL)
		path = DEFAULT_CONFIG;
	c = config_load_all(path, &is_good, ignore, NULL);
	if (c == NULL) {	/* once more, for its mistakes */
		c = config_load(path, complain, NULL);
		config_free(&c);
		(void)cli_fail(0, "where hopseald can be asked is not known; "
		    "give --state DIR");
		return access(path, R_OK) != 0 ? CLI_UNREADABLE : CLI_CONFIG;
	}
	if (arena_buf(a, strlen(c->state) + 1, &out) == 0) {
		buf_add_str(&out, c->state);
		buf_add_octet(&out, '\0');
	}
	config_free(&c);
	*state = (const char *)out.p;
	return out.p == NULL ? cli_fail(CLI_CANNOT, "out of memory") : 0;
}

/* ---- one request ----------------------------------------------------------- */

static int
join(struct buf *out, const char *const *words, size_t n)
{
	for (size_t k = 0; k < n; k++) {
		const char *w = words[k];

		for (const char *c = w; *c != '\0'; c++)
			if (*c <= ' ' || *c > '~')
				return cli_fail(CLI_USAGE, "\"%s\" can not be "
				    "asked for: it has a space, or what is no "
				    "ASCII", w);
		if (*w == '\0')
			return cli_fail(CLI_USAGE, "an empty word can not be "
			    "asked for");
		if (k != 0)
			buf_add_octet(out, ' ');
		buf_add_str(out, w);
	}
	if (out->full)
		return cli_fail(CLI_USAGE, "that is too long to be asked for");
	return 0;
}

static int
meet(int *fd, const char *state)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct timeval wait = {.tv_sec = WAIT_S};
	int folder = open(state, O_PATH | O_DIRECTORY | O_CLOEXEC), was;

	*fd = -1;
	if (folder < 0)
		return cli_fail(errno == EACCES ? CLI_UNREADABLE : CLI_LATER,
		    "hopseald is not running: %s: %s", state, strerror(errno));
	/* by the folder that is open: paths of sockets are short */
	snprintf(sun.sun_path, sizeof(sun.sun_path),
	    "/proc/self/fd/%d/control", folder);
	*fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (*fd >= 0 &&
	    setsockopt(*fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) == 0 &&
	    connect(*fd, (struct sockaddr *)&sun, sizeof(sun)) == 0) {
		close(folder);
		return 0;
	}
	was = errno;
	close(folder);
	if (*fd >= 0)
		close(*fd);
	if (was == EACCES || was == EPERM)
		return cli_fail(CLI_UNREADABLE, "%s/control: %s (root and the "
		    "user of hopseald may ask)", state, strerror(was));
	return cli_fail(CLI_LATER, "hopseald is not running (no answer at "
	    "%s/control)", state);
}

/* 1: it ended, 0: ask again, also where one that left for another has hung
 * up on us; -1: nothing comes. */
static int
listen_to(struct control_answer *answer, int fd, struct buf *text,
    struct buf *what)
{
	uint8_t packet[PACKET_MAX];
	struct bytes b;
	ssize_t n;

	for (;;) {
		n = recv(fd, packet, sizeof(packet), 0);
		/* what was said before the reset comes behind it */
		if (n < 0 && (errno == EINTR || errno == ECONNRESET))
			continue;
		if (n < 0 && errno == EAGAIN)
			return -1;
		if (n <= 0)
			return 0;
		b = (struct bytes){packet, (size_t)n};
		if (packet[0] != '=')
			break;
		buf_add(text, bytes_skip(b, 1));
	}
	if (bytes_eq(b, BYTES_LIT("again")))
		return 0;
	answer->text = buf_bytes(text);
	answer->is_ok = bytes_eq(b, BYTES_LIT("ok"));
	if (bytes_starts(b, BYTES_LIT("error ")))
		b = bytes_skip(b, 6);
	buf_add(what, bytes_first(b, what->cap));
	answer->what = buf_bytes(what);
	return 1;
}

static int
ask_once(struct control_answer *answer, const char *state,
    struct bytes request, struct buf *text, struct buf *what, int *said)
{
	int fd;
	int r = meet(&fd, state);

	if (r != 0)
		return r;
	text->n = 0;
	/* who is turned away can not send, but hears why */
	(void)!send(fd, request.p, request.n, MSG_NOSIGNAL);
	*said = listen_to(answer, fd, text, what);
	close(fd);
	return 0;
}

int
control_ask(struct control_answer *answer, const char *state,
    const char *const *words, size_t n, struct arena *a)
{
	const struct timespec rest = {0, TRY_NS};
	char octets[REQUEST_MAX];
	struct buf request = BUF_ON(octets), text, what;
	int r = join(&request, words, n), said = 0;

	if (r != 0)
		return r;
	if (arena_buf(a, TEXT_MAX, &text) != 0 ||
	    arena_buf(a, REQUEST_MAX, &what) != 0)
		return cli_fail(CLI_CANNOT, "out of memory");
	for (int k = 0; r == 0 && said == 0 && k < TRIES; k++) {
		if (k != 0)
			nanosleep(&rest, NULL);
		r = ask_once(answer, state, buf_bytes(&request), &text, &what,
		    &said);
	}
	if (r == 0 && said <= 0)
		return cli_fail(CLI_LATER, "%s: hopseald gives no answer",
		    words[0]);
	return r;
}

/* ---- for people ------------------------------------------------------------- */

void
control_put(FILE *f, struct bytes text)
{
	for (size_t k = 0; k < text.n; k++) {
		uint8_t c = text.p[k];

		putc((c < ' ' && c != '\n') || c == 0x7f ? '?' : c, f);
	}
}

int
control_refused(const char *verb, struct bytes what)
{
	fprintf(stderr, "hopseal: %s: ", verb);
	control_put(stderr, what);
	putc('\n', stderr);
	return CONTROL_REFUSED;
}

int
control_pass_on(const struct args *args, const char *const *words, size_t n,
    struct arena *a)
{
	struct control_answer answer;
	const char *state;
	int r = control_state(&state, args, a);

	if (r == 0)
		r = control_ask(&answer, state, words, n, a);
	if (r != 0)
		return r;
	control_put(stdout, answer.text);
	return answer.is_ok ? 0 : control_refused(words[0], answer.what);
}
