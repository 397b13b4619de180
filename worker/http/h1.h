/* h1 — HTTP/1.1 on a wire, in either role. */
#ifndef HTTP_H1_H
#define HTTP_H1_H

#include "worker/http/h1_parse.h"
#include "worker/http/stream.h"
#include "worker/net/wire.h"

struct h1;

/* What a connection's owner does: serve.c for the server role, upstream/ for the client role. */
struct h1_owner {
	/* Server role: a request begins; sets stream.user, .owner, .arena. NULL arena: no. */
	bool (*on_request)(struct h1 *);
	/* Server role: the head was not valid; the owner answers through the stream (it may set user as above). */
	void (*on_bad_request)(struct h1 *, enum fault, const struct msg *so_far);
	/* Client role: connected. */
	void (*on_connect)(struct h1 *);
	/* The stream was released in order and the connection can be used again (client role: pool it). */
	void (*on_idle)(struct h1 *);
	/* An idle connection is to be closed, or any is gone: forget it. */
	void (*on_close)(struct h1 *);
};

#endif
