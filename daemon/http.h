/*
 * Pages over HTTP for who looks after the daemon: all of evhttp. GET and HEAD
 * alone; a connection has one request, HTTP_CONNECTIONS at a time, and
 * HTTP_DEADLINE_MS from its beginning to its end, however slow it is.
 */
#ifndef DAEMON_HTTP_H
#define DAEMON_HTTP_H

#include "base/buf.h"
#include "daemon/loop.h"

#define HTTP_CONNECTIONS 10U
#define HTTP_DEADLINE_MS (5 * 1000)
#define HTTP_LEAVE_MS 1000	/* for who was let in before http_leave() */
#define HTTP_HEADER_MAX 8192U	/* octets of a request's lines: 431 */
#define HTTP_PAGE_MAX (512U << 10)

/*
 * Writes a page.
 *
 * path     of the request, without a query
 * out      its text; HTTP_PAGE_MAX octets of room
 * Returns  200, 404 where there is no such page, 503
 */
typedef int http_page(void *arg, const char *path, struct buf *out);

struct http;

/*
 * hostname one that a request may be for, beside addresses and localhost: a
 *          page of a browser's that was led here by a name of its own is
 *          not let in (421)
 * Returns  NULL without memory
 */
struct http *http_new(struct loop *l, const char *hostname, http_page *page,
    void *arg);

/* Takes connections from a listening socket, which is its own then. 0 or
 * -E_NOMEM. */
int http_listen(struct http *h, int fd);

/*
 * Takes no more connections: those that wait are left for whoever has the
 * socket, too. Who was let in has his answer if he asks within HTTP_LEAVE_MS.
 *
 * left     called once nobody is here any more, never from within this
 */
void http_leave(struct http *h, loop_call *left, void *arg);

/* Ends every connection. *h becomes NULL; it may be NULL. */
void http_free(struct http **h);

#endif
