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

/* What a socket is bound to. -1 with errno. */
int bind_of(struct bind_address *, int fd);
bool bind_same(const struct bind_address *, const struct bind_address *);
/* 0.0.0.0 or [::]. */
bool bind_is_any(const struct bind_address *);
/* As bind_parse() reads it, at `to`; "unix:@name" for an abstract one. Returns `to`. */
enum { BIND_TEXT = 128 };
const char *bind_text(const struct bind_address *, char to[static BIND_TEXT]);

/* Non-blocking, close-on-exec, bound, not yet listening. -1 with errno. A unix socket that nobody listens
 * on any more is replaced. */
int bind_socket(const struct bind_address *);

/* EADDRINUSE if another service has the address, which SO_REUSEPORT would hide; else 0. */
int bind_probe(const struct bind_address *);

#endif
