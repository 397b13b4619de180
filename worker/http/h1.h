/* h1 — HTTP/1.1 on a wire, in either role.
 *
 * One connection is one struct and one stream at a time (http/conn.h). What is
 * received (rx) and what is sent (tx) are two small state machines side by side; a
 * request that follows another (pipelining) waits in `held` until its turn. */
#ifndef HTTP_H1_H
#define HTTP_H1_H

#include "worker/http/conn.h"
#include "worker/http/h1_parse.h"
#include "worker/net/pipe.h"

enum h1_rx { RX_IDLE, RX_HEAD,          /* nothing yet, or a part of a head */
	     RX_LENGTH, RX_CHUNKED, RX_CLOSE, RX_TUNNEL,        /* in a body */
	     RX_DONE,                   /* message complete; what follows waits */
	     RX_LINGER,                 /* reads and drops, so that a close loses no answer */
	     RX_STOP };                 /* reads no more */

enum h1_tx { TX_IDLE, TX_LENGTH, TX_CHUNKED, TX_CLOSE, TX_TUNNEL, TX_DONE };

struct h1;

struct h1_rules {                       /* a worker's, of the configuration in force */
	struct h1_limits limits;
	uint64_t head_ms, idle_ms, linger_ms;
	bool draining;                  /* say Connection: close with the next response */
};

struct h1 {
	struct conn conn;               /* first */
	struct stream stream;
	const struct h1_rules *rules;
	uint8_t rx, tx;
	uint8_t method;                 /* of the request under way */
	bool active;                    /* the stream has a user */
	bool readable;                  /* the kernel has, or may have, something */
	bool hangup;                    /* the peer has shut its side: read up to the end */
	bool eof;                       /* the end was read */
	bool feeding;
	bool close;                     /* not to be used again */
	bool minor0;                    /* the peer speaks HTTP/1.0 */
	bool held_fresh;                /* `held` was not looked at yet */
	bool probed;                    /* a client that half closed was asked whether it lives */
	bool used;                      /* had a message before */
	bool discarding;                /* the rest of a short body that nobody wants any more */
	bool expect;                    /* the request says Expect: 100-continue */
	bool large;                     /* the last message was long: read little with the head */
	struct h1 *relay_to, *relay_from;       /* bodies moved by the kernel: h1_relay.c */
	struct pipe *pipe;              /* with relay_to */
	char *held;                     /* received, not consumed: part of a head, or requests to come */
	uint32_t held_len, held_room;
	int64_t credit;                 /* below 0: more came in one reading than was asked for */
	uint64_t rx_left;               /* RX_LENGTH */
	uint64_t tx_left;               /* TX_LENGTH */
	uint64_t lingered;              /* wire.sent when the timer was set */
	struct h1_chunked chunked;
};

/* Takes a connected socket, its TLS session if it has one, and what was read already. NULL with errno: both are
 * still the caller's. */
struct h1 *h1_open(struct loop *, int fd, enum conn_role, const struct conn_owner *, const struct h1_rules *,
		   void *data, struct tls *, struct str first);

/* Client role, the stream is attached: nothing of HTTP is spoken, bodies are raw bytes both ways (CONNECT). */
void h1_tunnel(struct h1 *);

/* Closes a connection, whatever it is doing. */
void h1_close(struct h1 *);

static inline struct h1 *
h1_of(struct stream *s)
{
	return list_entry(s, struct h1, stream);
}

extern const struct stream_ops h1_ops;

#endif
