/* Reverse-paths and forward-paths (RFC 5321 4.1.2). */
#ifndef SMTP_PATH_H
#define SMTP_PATH_H

#include "base/bytes.h"

/* A path as accepted. All are views of the octets that were parsed. */
struct smtp_path {
	struct bytes raw;	/* with angle brackets, octets as they came */
	struct bytes local;	/* empty for the null path */
	struct bytes domain;	/* empty for <> and <postmaster>; a literal
				   with its brackets */
	bool is_null;		/* <> */
	bool is_literal;	/* [192.0.2.1], [IPv6:...] */
};

enum smtp_path_fault {
	SMTP_PATH_OK,
	SMTP_PATH_SYNTAX,	/* 501 5.1.3 / 5.1.7 */
	SMTP_PATH_ROUTE,	/* a source route: refused */
	SMTP_PATH_LONG,		/* local part over 64, domain over 255, path over 256 */
	SMTP_PATH_UTF8,		/* 8-bit octets without SMTPUTF8 */
};

/*
 * Reads a path from the front of b, in angle brackets, strictly.
 *
 * is_rcpt  <> is refused, <postmaster> without a domain accepted
 * path     views of b, set on SMTP_PATH_OK
 * rest     what stands behind the closing bracket
 */
enum smtp_path_fault smtp_path_parse(struct bytes b, bool is_rcpt,
    struct smtp_path *path, struct bytes *rest);

#endif
