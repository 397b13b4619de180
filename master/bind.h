/* bind — one listening socket: from the text of an address to a bound descriptor. */
#ifndef MASTER_BIND_H
#define MASTER_BIND_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/str.h"

struct bind_address {
	union {
		struct sockaddr any;
		struct sockaddr_storage storage;
		struct sockaddr_un un;
	} u;
	socklen_t len;
	uint16_t port;                  /* 0: unix */
};

/* "0.0.0.0:80", "[::]:80", "*:80" or "unix:/path"; false if it is none of them. */
bool bind_parse(struct bind_address *, struct str text);

/* Non-blocking, close-on-exec, bound, not yet listening. -1 with errno. A unix socket that nobody listens
 * on any more is replaced. */
int bind_socket(const struct bind_address *);

/* EADDRINUSE if another service has the address, which SO_REUSEPORT would hide; else 0. */
int bind_probe(const struct bind_address *);

#endif
