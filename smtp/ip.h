/* Addresses of hosts as text (RFC 5321 4.1.3). */
#ifndef SMTP_IP_H
#define SMTP_IP_H

#include "base/bytes.h"

/*
 * Reads all of b as an IPv4 address: four numbers to 255 of one to three
 * digits.
 *
 * ip       set to its IPv6-mapped form, where it is one
 */
bool smtp_ip_v4(struct bytes b, uint8_t ip[16]);

/*
 * Reads all of b as an IPv6 address. "::" stands for two groups at least; the
 * last two may be written as IPv4.
 */
bool smtp_ip_v6(struct bytes b, uint8_t ip[16]);

#endif
