/* One SMTP connection of `hopseal test`: lines out, replies in, TLS between. */
#ifndef CLI_TEST_WIRE_H
#define CLI_TEST_WIRE_H

#include <openssl/ssl.h>

#include "base/buf.h"
#include "config/config.h"

#define TEST_REPLY_MAX 8192U	/* octets of a reply, its lines with LF */

struct test_wire {
	int fd;				/* -1: none */
	SSL_CTX *ctx;
	SSL *ssl;			/* NULL: in clear */
	uint8_t in[4096];
	size_t n_in;
	char fault[300];		/* why it failed */
};

struct test_reply {
	int code;			/* 0: there was none, see the fault */
	uint8_t octets[TEST_REPLY_MAX];
	struct bytes text;		/* lines without their code, LF between */
};

#define TEST_WIRE_NONE ((struct test_wire){.fd = -1})

/* Connects; timeout_s goes for each step from here on. */
bool test_wire_open(struct test_wire *w, const struct config_addr *to,
    unsigned timeout_s);

/* TLS from here on; any certificate is good enough for a look. */
bool test_wire_secure(struct test_wire *w);

/* Sends octets. */
bool test_wire_send(struct test_wire *w, struct bytes octets);

/* Takes a reply; its code is 0 where none came. */
void test_wire_reply(struct test_wire *w, struct test_reply *r);

void test_wire_close(struct test_wire *w);

#endif
