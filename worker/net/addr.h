/* addr — an address of a peer or a socket, and prefixes of them. */
#ifndef NET_ADDR_H
#define NET_ADDR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/str.h"

/* 20 bytes: IPv4 is kept as IPv4-mapped IPv6 (RFC 4291 §2.5.5.2). */
struct addr {
	uint8_t ip[16];
	uint16_t port;                  /* host order */
	uint16_t family;                /* AF_INET, AF_INET6, AF_UNIX (no ip) or 0: none */
};

enum { ADDR_TEXT = 64 };                /* suffices for addr_text() */

/* "10.0.0.1", "[::1]:80", "10.0.0.1:80"; names are not resolved. */
bool addr_parse(struct addr *, struct str text);
void addr_from_sockaddr(struct addr *, const struct sockaddr *);
/* Returns the length of what it wrote. */
socklen_t addr_to_sockaddr(const struct addr *, struct sockaddr_storage *);

/* Without the port: "10.0.0.1", "::1", "unix"; at least ADDR_TEXT bytes at `to`. Returns the end. */
char *addr_put_ip(char *to, const struct addr *);
/* With it: "10.0.0.1:80", "[::1]:80". */
char *addr_put(char *to, const struct addr *);
bool addr_same_ip(const struct addr *, const struct addr *);

struct prefix {
	uint8_t ip[16];
	uint8_t bits;                   /* 0 … 128 of the mapped form */
	bool any_unix;                  /* "unix": peers on a unix socket */
};

/* "10.0.0.0/8", "fd00::/8", one address, or "unix". */
bool prefix_parse(struct prefix *, struct str text);
bool prefix_has(const struct prefix *, const struct addr *);

#endif
