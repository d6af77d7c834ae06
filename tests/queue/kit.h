/* Messages for tests of queue files. */
#ifndef TESTS_QUEUE_KIT_H
#define TESTS_QUEUE_KIT_H

#include "queue/file.h"

#define KIT_DIGEST "\x9f\x86\xd0\x81\x88\x4c\x7d\x65\x9a\x2f\xea\xa0\xc5\x5a\xd0\x15"

/* Two copies, three recipients; each field has something. The caller's. */
struct kit_message {
	struct queue_message m;
	struct queue_copy copies[2];
	struct queue_rcpt rcpts[3];
};

static inline struct queue_rcpt
kit_rcpt(enum queue_status status, const char *path, const char *to,
    const char *reply)
{
	return (struct queue_rcpt){
		.status = status, .tries = 3, .due_s = 1795664097,
		.path = bytes_of(path), .to = bytes_of(to),
		.reply = bytes_of(reply),
	};
}

static inline void
kit_message_init(struct kit_message *k)
{
	*k = (struct kit_message){.m = {
		.id = BYTES_LIT("4fqk2x9a"),
		.listener = BYTES_LIT("lists out"),
		.arrived_s = 1795664000, .signed_s = 1795663990,
		.client = BYTES_LIT("[10.0.8.7]:4321"),
		.mail_from = BYTES_LIT("<owner@one.example>"),
		.ret = BYTES_LIT("HDRS"), .envid = BYTES_LIT("QQ314159"),
		.digest = BYTES_LIT(KIT_DIGEST),
		.is_8bit = true,
		.n_copies = 2, .n_content = 20480,
		.report_to = BYTES_LIT("<alice@one.example>"),
		.report_as = BYTES_LIT("one.example"),
		.n_returned = 512, .body_at = 480,
		.about = BYTES_LIT("4fqk2x8z"),
	}};
	k->m.copies = k->copies;
	k->rcpts[0] = kit_rcpt(QUEUE_WAITING, "<bob@two.example>",
	    "<bob@one.example>", "450 4.2.0 Mailbox busy");
	k->rcpts[0].notify = BYTES_LIT("SUCCESS,FAILURE");
	k->rcpts[0].orcpt = BYTES_LIT("rfc822;bob@one.example");
	k->rcpts[1] = kit_rcpt(QUEUE_UNSURE, "<\"carol x> \\\" y\"@two.example>",
	    "<j\xc3\xb6rg@two.example>", "lost behind the final dot");
	k->rcpts[2] = kit_rcpt(QUEUE_DELIVERED, "<postmaster>",
	    "<dave@[192.0.2.7]>", "");
	k->copies[0] = (struct queue_copy){
		.mail_from = BYTES_LIT("<owner+1@one.example>"),
		.added = {(const uint8_t *)"added one", 9},
		.signed_as = BYTES_LIT("signed=yes d=one.example"),
		.rcpts = k->rcpts, .n_rcpts = 2,
	};
	k->copies[1] = (struct queue_copy){
		.mail_from = BYTES_LIT("<>"),
		.added = {(const uint8_t *)"two", 3},
		.signed_as = BYTES_LIT("signed=no (\"why\")"),
		.rcpts = k->rcpts + 2, .n_rcpts = 1,
	};
}

#endif
