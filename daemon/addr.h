/*
 * Addresses of the system as config_addr, and back. IPv4 is held in its
 * IPv6-mapped form everywhere but at the system's door, which is here.
 */
#ifndef DAEMON_ADDR_H
#define DAEMON_ADDR_H

#include <sys/socket.h>

#include "base/buf.h"
#include "config/config.h"

/* Octets of the text of an address, with a NUL. */
#define ADDR_TEXT_MAX 48

/* Whether it is an IPv4 address in its mapped form. */
bool addr_is_v4(const struct config_addr *a);

/* "192.0.2.1" or "2001:db8::1", with a NUL. */
void addr_text(const struct config_addr *a, char text[ADDR_TEXT_MAX]);

/* Adds it with its port: "192.0.2.1:25", "[2001:db8::1]:25", "*:25". */
void addr_add(const struct config_addr *a, struct buf *out);

/* Reads what addr_text() writes; the port stays. False: it is no address. */
bool addr_from_text(const char *text, struct config_addr *out);

/*
 * As the system has it: IPv4 as itself, any ("*") as the IPv6 wildcard.
 * Returns how many octets of ss count.
 */
socklen_t addr_to_system(const struct config_addr *a,
    struct sockaddr_storage *ss);

/* This end of a connected socket; all zero where the system does not say. */
void addr_of_socket(int fd, struct config_addr *out);

/* From the system; false where it is neither IPv4 nor IPv6. */
bool addr_from_system(const struct sockaddr *sa, struct config_addr *out);

#endif
