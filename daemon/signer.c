#include "daemon/signer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "daemon/log.h"
#include "daemon/metrics.h"
#include "daemon/passfd.h"
#include "daemon/signer_wire.h"
#include "dkim2/crypto.h"

#define PEERS_MAX 1024		/* workers of one generation, restarts too */
#define PEM_MAX 65536
#define ARENA_MAX (64U << 20)
#define BATCH 16		/* questions of a worker that are read at once */

struct signer_keys {
	struct arena *arena;
	struct keydir dir;
	struct dkim2_private_key **keys;	/* dir.n of them */
	struct signer_entry *retired;		/* nothing secret */
	size_t n_retired;
};

static void
complain_of(config_complain *complain, void *arg, const char *path,
    const char *what)
{
	char text[1024];
	struct buf b = BUF_ON(text);

	b.cap--;
	buf_add_escaped(&b, bytes_of(path), 700);
	buf_add_str(&b, ": ");
	buf_add_str(&b, what);
	text[b.n] = '\0';
	complain(arg, text);
}

/* Reads a file of at most out->cap - 1 octets. 0, -E_SYSTEM or -E_LIMIT. */
static int
read_file(const char *path, struct buf *out)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t n = 0;

	if (fd < 0)
		return -E_SYSTEM;
	while (out->n < out->cap) {
		n = read(fd, out->p + out->n, out->cap - out->n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		out->n += (size_t)n;
	}
	close(fd);
	if (n < 0)
		return -E_SYSTEM;
	return out->n == out->cap ? -E_LIMIT : 0;
}

static int
load_key(struct dkim2_private_key **k, const char *path,
    config_complain *complain, void *arg)
{
	uint8_t pem[PEM_MAX];
	struct buf b = BUF_ON(pem);
	const char *why = NULL;
	int r = read_file(path, &b);

	if (r == -E_SYSTEM)
		why = strerror(errno);
	else if (r == 0)
		r = dkim2_private_key_load(k, buf_bytes(&b), &why);
	explicit_bzero(pem, sizeof(pem));
	if (r != 0)
		complain_of(complain, arg, path, why != NULL ? why :
		    r == -E_LIMIT ? "too long for a private key" : err_text(r));
	return r;
}

/* What is said of one key; its public half is what the DNS has. */
static int
describe(const struct keydir_entry *e, const struct dkim2_private_key *key,
    size_t n, struct signer_entry *m)
{
	struct buf record = BUF_ON(m->record);
	int r = dkim2_private_key_record(key, &record);

	m->number = (uint32_t)n;
	m->n_domain = (uint32_t)e->domain.n;
	m->n_selector = (uint32_t)e->selector.n;
	m->n_record = (uint32_t)record.n;
	m->algorithm = dkim2_private_key_algorithm(key);
	memcpy(m->domain, e->domain.p, e->domain.n);
	memcpy(m->selector, e->selector.p, e->selector.n);
	return r;
}

/* The private half of a retired key does not stay. */
static bool
load_retired(struct signer_keys *k, const struct keydir_entry *e,
    config_complain *complain, void *arg)
{
	struct dkim2_private_key *key = NULL;
	int r;

	if (e->domain.n > 255 || e->selector.n > 255) {
		complain_of(complain, arg, e->path,
		    "name too long for the DNS");
		return false;
	}
	if (load_key(&key, e->path, complain, arg) != 0)
		return false;
	r = describe(e, key, UINT32_MAX, &k->retired[k->n_retired]);
	dkim2_private_key_free(&key);
	if (r == 0)
		k->n_retired++;
	else
		complain_of(complain, arg, e->path, err_text(r));
	return r == 0;
}

/* Those that sign, and of the retired ones what they signed with. */
static int
split(struct signer_keys *k, const struct keydir_key *all, size_t n,
    config_complain *complain, void *arg)
{
	struct keydir_entry *active = arena_array(k->arena, n,
	    sizeof(*active));
	size_t n_active = 0, n_retired = 0;
	bool good = true;

	for (size_t i = 0; i < n; i++)
		n_retired += all[i].state == KEYSTATE_RETIRED;
	k->retired = arena_array(k->arena, n_retired, sizeof(*k->retired));
	if (active == NULL || k->retired == NULL)
		return -E_NOMEM;
	for (size_t i = 0; i < n; i++)
		if (all[i].state == KEYSTATE_ACTIVE)
			active[n_active++] = all[i].entry;
		else if (all[i].state == KEYSTATE_RETIRED)
			good = load_retired(k, &all[i].entry, complain, arg) &&
			    good;
	k->dir = (struct keydir){active, n_active};
	return good ? 0 : -E_UNSAFE;
}

static bool
load_all(struct signer_keys *k, config_complain *complain, void *arg)
{
	bool good = true;

	k->keys = arena_array(k->arena, k->dir.n, sizeof(*k->keys));
	if (k->keys == NULL) {
		complain(arg, err_text(-E_NOMEM));
		return false;
	}
	for (size_t n = 0; n < k->dir.n; n++) {
		const struct keydir_entry *e = k->dir.entries + n;

		if (e->domain.n > 255 || e->selector.n > 255) {
			complain_of(complain, arg, e->path,
			    "name too long for the DNS");
			good = false;
		} else if (load_key(&k->keys[n], e->path, complain, arg) != 0) {
			good = false;
		}
	}
	return good;
}

struct signer_keys *
signer_keys_load(const char *folder, unsigned gid, config_complain *complain,
    void *arg)
{
	struct arena *a = arena_new(ARENA_MAX);
	struct signer_keys *k = a == NULL ? NULL : arena_alloc(a, sizeof(*k));
	const struct keydir_key *all;
	size_t n;
	int r;

	if (k == NULL) {
		complain(arg, err_text(-E_NOMEM));
		arena_free(&a);
		return NULL;
	}
	k->arena = a;
	r = keydir_list(&all, &n, folder, gid, a, complain, arg);
	if (r == 0)
		r = split(k, all, n, complain, arg);
	if (r == -E_NOMEM)
		complain(arg, err_text(r));
	if (r != 0)
		k->dir.n = 0;
	if (r != 0 || !load_all(k, complain, arg))
		signer_keys_free(&k);
	return k;
}

void
signer_keys_free(struct signer_keys **kp)
{
	struct signer_keys *k = *kp;
	struct arena *a;

	if (k == NULL)
		return;
	for (size_t n = 0; k->keys != NULL && n < k->dir.n; n++)
		dkim2_private_key_free(&k->keys[n]);
	a = k->arena;	/* k itself is in it */
	arena_free(&a);
	*kp = NULL;
}

const struct keydir *
signer_keys_dir(const struct signer_keys *k)
{
	return &k->dir;
}

size_t
signer_keys_count(const struct signer_keys *k)
{
	return k->dir.n;
}

/* The entry of one key, retired ones behind the others. 0 or negative. */
static int
entry_of(const struct signer_keys *k, size_t n, struct signer_entry *m)
{
	if (n >= k->dir.n) {
		*m = k->retired[n - k->dir.n];
		return 0;
	}
	memset(m, 0, sizeof(*m));
	return describe(k->dir.entries + n, k->keys[n], n, m);
}

static int
digest_all(const struct signer_keys *k, uint8_t *digest)
{
	struct dkim2_hasher h;
	struct signer_entry m;
	int r = dkim2_hasher_init(&h, DKIM2_SHA256);

	if (r != 0)
		return r;
	for (size_t n = 0; n < k->dir.n + k->n_retired && r == 0; n++) {
		r = entry_of(k, n, &m);
		if (r == 0)
			r = dkim2_hasher_add(&h, (struct bytes){
			    (const uint8_t *)&m, sizeof(m)});
	}
	if (r == 0)
		r = dkim2_hasher_end(&h, digest);
	dkim2_hasher_fini(&h);
	return r;
}

int
signer_keys_announce(const struct signer_keys *k, int control, bool is_whole)
{
	struct signer_hello hello = {.n_keys = (uint32_t)k->dir.n,
	    .n_retired = (uint32_t)k->n_retired};
	struct signer_entry m;
	int r = digest_all(k, hello.digest);

	if (r == 0 && send(control, &hello, sizeof(hello), MSG_NOSIGNAL) < 0)
		r = -E_SYSTEM;
	for (size_t n = 0; is_whole && r == 0 &&
	    n < k->dir.n + k->n_retired; n++) {
		r = entry_of(k, n, &m);
		if (r == 0 && send(control, &m, sizeof(m), MSG_NOSIGNAL) < 0)
			r = -E_SYSTEM;
	}
	return r;
}

struct signer {
	const struct signer_keys *keys;
	struct pollfd fds[1 + PEERS_MAX];	/* the control socket first */
	nfds_t n;
};

static void
on_control(struct signer *s)
{
	bool is_over;
	int fd = passfd_take(s->fds[0].fd, &is_over);

	if (is_over) {
		close(s->fds[0].fd);
		s->fds[0].fd = -1;
	} else if (fd >= 0 && s->n == 1 + PEERS_MAX) {
		log_line(LOG_ERROR_, "more than %d workers at once", PEERS_MAX);
		close(fd);
	} else if (fd >= 0) {
		s->fds[s->n++] = (struct pollfd){fd, POLLIN, 0};
	}
}

static void
sign(const struct signer_keys *k, const struct signer_request *q,
    struct signer_reply *a)
{
	struct buf out = BUF_ON(a->signature);

	*a = (struct signer_reply){.tag = q->tag, .status = -E_ABSENT};
	if (q->key >= k->dir.n)
		return;
	a->status = dkim2_private_key_sign(k->keys[q->key], q->digest, &out);
	a->n = a->status == 0 ? (uint32_t)out.n : 0;
}

/* So slow that answers must not wait for it. */
static bool
is_slow(const struct signer_keys *k, const struct signer_request *q)
{
	return q->key < k->dir.n && dkim2_private_key_algorithm(
	    k->keys[q->key]) == DKIM2_RSA_SHA256;
}

/* Messages of one size, as the calls for several want them. */
struct batch {
	struct mmsghdr heads[BATCH];
	struct iovec parts[BATCH];
};

static void
lay_out(struct batch *b, void *messages, size_t size)
{
	memset(b, 0, sizeof(*b));
	for (size_t k = 0; k < BATCH; k++) {
		b->parts[k] = (struct iovec){(uint8_t *)messages + k * size,
		    size};
		b->heads[k].msg_hdr.msg_iov = &b->parts[k];
		b->heads[k].msg_hdr.msg_iovlen = 1;
	}
}

/* Sends n answers. Returns false where this peer is to be closed. */
static bool
answer(int fd, struct signer_reply *answers, unsigned n)
{
	struct batch b;
	unsigned sent = 0;
	int r;

	lay_out(&b, answers, sizeof(*answers));
	while (sent < n) {
		/* a worker has no more under way than its socket holds answers
		 * for; one that does not read must not hold up the others */
		r = sendmmsg(fd, b.heads + sent, n - sent,
		    MSG_DONTWAIT | MSG_NOSIGNAL);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0) {
			if (errno != EPIPE)	/* it left before they came */
				log_line(LOG_ERROR_,
				    "cannot answer a worker: %m");
			return false;
		}
		sent += (unsigned)r;
	}
	return true;
}

/* Answers what waits, BATCH questions at most, the quick ones in one call.
 * Returns false where this peer is to be closed. */
static bool
on_peer(struct signer *s, int fd)
{
	struct signer_request q[BATCH];
	struct signer_reply a[BATCH];
	struct batch b;
	unsigned n_ready = 0;
	int n;

	lay_out(&b, q, sizeof(q[0]));
	n = recvmmsg(fd, b.heads, BATCH, MSG_DONTWAIT | MSG_TRUNC, NULL);
	if (n < 0)
		return errno == EINTR || errno == EAGAIN;
	for (int k = 0; k < n; k++) {
		if (b.heads[k].msg_len != sizeof(q[k])) {
			if (b.heads[k].msg_len != 0)	/* it is not closed */
				log_line(LOG_ERROR_, "a request of %u octets; "
				    "that worker is not served any more",
				    b.heads[k].msg_len);
			(void)answer(fd, a, n_ready);
			return false;
		}
		if (is_slow(s->keys, &q[k])) {
			if (!answer(fd, a, n_ready))
				return false;
			n_ready = 0;
		}
		sign(s->keys, &q[k], &a[n_ready++]);
	}
	return answer(fd, a, n_ready);
}

static int64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void
signer_serve(const struct signer_keys *k, int control, int beat_ms)
{
	struct signer s = {.keys = k, .n = 1};

	s.fds[0] = (struct pollfd){control, POLLIN, 0};
	metrics_ready(true);
	while (s.fds[0].fd >= 0 || s.n > 1) {
		metrics_beat(now_ms());
		if (poll(s.fds, s.n, beat_ms) < 0) {
			if (errno == EINTR)
				continue;
			log_line(LOG_ERROR_, "poll: %m");
			break;
		}
		for (nfds_t p = s.n; p-- > 1;) {
			if (s.fds[p].revents == 0 || on_peer(&s, s.fds[p].fd))
				continue;
			close(s.fds[p].fd);
			s.fds[p] = s.fds[--s.n];
		}
		if (s.fds[0].fd >= 0 && s.fds[0].revents != 0)
			on_control(&s);
	}
	while (s.n > 1)
		close(s.fds[--s.n].fd);
	if (s.fds[0].fd >= 0)
		close(s.fds[0].fd);
}
