/* conn — one connection of HTTP, whatever codec speaks on it.
 *
 * struct h1 and struct h2 begin with it. Whoever accepts or dials owns it (`owner`, `data`, `link`); what is asked
 * on it are streams. The *server role* receives requests, the *client role* sends them: an h1 connection has one
 * stream at a time, an h2 connection as many as the peer allows. */
#ifndef HTTP_CONN_H
#define HTTP_CONN_H

#include <errno.h>

#include "worker/http/stream.h"
#include "worker/net/hello.h"
#include "worker/net/tls.h"
#include "worker/net/wire.h"

enum conn_role { CONN_SERVER, CONN_CLIENT };

struct conn;

struct conn_owner {
	/* Server role: a request begins: stream_attach() is to be called. false: refuse it (h1 closes). */
	bool (*on_request)(struct conn *, struct stream *);
	/* Server role: the head was not complete after all; comes again with more bytes. */
	void (*on_cancel)(struct conn *, struct stream *);
	/* No stream is under way any more, and the connection can be used again. */
	void (*on_idle)(struct conn *);
	/* Client role: a stream has ended, another one has room (h2). May be NULL. */
	void (*on_room)(struct conn *);
	/* The connection is closed: forget it (once; its memory goes after the turn). */
	void (*on_close)(struct conn *);
};

struct conn_ops {
	const char *name;               /* "1.1", "h2" */
	bool many;                      /* streams at a time: no answer can say that it is the last one */
	/* Client role: a stream to send a request on, or NULL: there is no room (h1: it has one; h2: as many as
	 * the peer allows, none after its GOAWAY). */
	struct stream *(*open)(struct conn *);
	/* Client role: how many more streams there is room for. */
	uint32_t (*room)(const struct conn *);
	/* Closes it, whatever it is doing: streams that have users are told nothing. */
	void (*close)(struct conn *);
	/* Ends it in order: no request is lost that was sent before the peer can know. What is idle closes after
	 * grace_ms, what is busy with its last answer (h1: Connection: close; h2: GOAWAY). */
	void (*drain)(struct conn *, uint64_t grace_ms);
};

struct conn {
	struct wire wire;               /* first */
	const struct conn_ops *ops;
	const struct conn_owner *owner;
	void *data;                     /* the owner's */
	struct list link;               /* the owner's */
	struct addr peer;               /* whom it comes from: of the kernel, or of the PROXY protocol */
	struct hello_facts *facts;      /* what was found out before the first byte of HTTP; NULL: nothing. Ours. */
	uint8_t role;                   /* enum conn_role */
	bool pooled;                    /* the owner's: it is idle in a pool */
};

/* Client role: why no answer came on a connection that has ended (`error` of the socket; 0: closed). A target of TLS
 * 1.3 that wants another certificate says so only after the handshake (RFC 8446 §4.4.2.4). */
static inline enum fault
conn_lost(const struct conn *c, int error)
{
	if (c->wire.tls && tls_fault(c->wire.tls) == TLS_CERT_REFUSED)
		return FAULT_UPSTREAM_TLS_CLIENT_CERT;
	return error && error != EPIPE ? FAULT_UPSTREAM_RESET : FAULT_UPSTREAM_CLOSED;
}

#endif
