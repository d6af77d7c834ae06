#include "daemon/tls_watch.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>

/* Links are followed: ACME clients turn one to the newest file. */
static void
add_file(crypto_generichash_state *h, const char *path)
{
	struct {
		int error;
		dev_t dev;
		ino_t ino;
		off_t size;
		struct timespec mtime, ctime;
	} f;
	struct stat st;

	memset(&f, 0, sizeof(f));	/* also between the members */
	if (stat(path, &st) != 0) {
		f.error = errno;
	} else {
		f.dev = st.st_dev;
		f.ino = st.st_ino;
		f.size = st.st_size;
		f.mtime = st.st_mtim;
		f.ctime = st.st_ctim;
	}
	crypto_generichash_update(h, (const uint8_t *)&f, sizeof(f));
}

/* A file that landlock let a worker open is that one, not its name. */
static bool
add_system(crypto_generichash_state *h, const struct tls_watch *w,
    const struct config *c)
{
	if (!c->is_sandboxed)
		return false;
	add_file(h, w->hosts != NULL ? w->hosts : "/etc/hosts");
	if (c->n_resolver == 0)
		add_file(h, w->resolvers != NULL ? w->resolvers :
		    "/etc/resolv.conf");
	return true;
}

/* False where there are no files. */
static bool
stamp(const struct tls_watch *w, const struct config *c, struct tls_stamp *s)
{
	crypto_generichash_state h;
	bool has_any = false;

	crypto_generichash_init(&h, NULL, 0, sizeof(s->octets));
	for (size_t k = 0; k < c->n_listeners; k++) {
		const struct config_listener *l = &c->listeners[k];

		for (size_t i = 0; i < l->n_tls; i++) {
			add_file(&h, l->tls[i].cert);
			add_file(&h, l->tls[i].key);
		}
		if (l->tls_ca != NULL)
			add_file(&h, l->tls_ca);
		has_any = has_any || l->n_tls != 0 || l->tls_ca != NULL;
	}
	has_any = add_system(&h, w, c) || has_any;
	crypto_generichash_final(&h, s->octets, sizeof(s->octets));
	return has_any;
}

void
tls_watch_begin(struct tls_watch *w, const struct config *c, int64_t now_ms)
{
	bool has_any = stamp(w, c, &w->tried);

	w->seen = w->tried;
	w->next_ms = has_any ? now_ms + TLS_WATCH_MS : INT64_MAX;
}

bool
tls_watch_look(struct tls_watch *w, const struct config *c, int64_t now_ms)
{
	struct tls_stamp was = w->seen;

	if (now_ms < w->next_ms)
		return false;
	w->next_ms = now_ms + TLS_WATCH_MS;
	stamp(w, c, &w->seen);
	return memcmp(&w->seen, &w->tried, sizeof(was)) != 0 &&
	    memcmp(&w->seen, &was, sizeof(was)) == 0;
}
