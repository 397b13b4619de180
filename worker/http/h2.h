/* h2 — HTTP/2 (RFC 9113) on a wire, in either role, on nghttp2.
 *
 * One connection is one struct h2 with an nghttp2 session; each request is a struct h2_stream, a struct stream like
 * any other. Flow control is credit: a stream's window is opened by what its reader wants, the connection's by what its
 * streams have taken, so that a slow reader stalls its own stream only. What nghttp2 frames goes to the wire's
 * outbox; nothing is framed while the wire holds unsent bytes.
 *
 * Translation leaves no hole (RFC 9113 §8): pseudo-headers become method, target, host; `cookie` lines are joined; Host
 * must agree with :authority; connection-specific lines, upper case, control characters are refused; content-length
 * must equal what DATA brings. Heads go through the same limits as those of h1 (h1_limits).
 *
 * Upgrade: websocket and extended CONNECT (RFC 8441) are shown as each other. To send one the peer's SETTINGS must be
 * there: until then the head (send_head()) is kept by reference.
 *
 * Against floods: what brings nothing (SETTINGS, PING, PRIORITY, empty DATA, resets by the peer …) has a budget of
 * H2_IDLE_FRAMES a second, above which comes GOAWAY ENHANCE_YOUR_CALM. What a client's connection can hold is bounded,
 * whatever it does: by H2_STREAMS streams, for each of which 64 KiB of its response wait at most when the client takes
 * nothing (8 MiB in all), and 64 KiB of its request when the target takes nothing, 256 KiB of at most 32 of them (14
 * MiB); and a head of at most rules->limits.head for each (4 MiB by default). Together less than H2_MEMORY_MOST. */
#ifndef HTTP_H2_H
#define HTTP_H2_H

#include "worker/http/conn.h"
#include "worker/http/h1.h"

enum {
	H2_STREAMS = 128,               /* of a client at a time: SETTINGS_MAX_CONCURRENT_STREAMS */
	H2_WINDOW = 65535,              /* a stream's first; opened by want() */
	H2_WINDOW_CONN = 1 << 20,
	H2_IDLE_FRAMES = 200,
	H2_MEMORY_MOST = 32 << 20,      /* of one client; a quiet connection has some 12 KiB */
};

struct h2;

/* Takes a socket, with what was read of it already (the preface, perhaps; may be empty). NULL with errno: the socket is
 * still the caller's. `rules` as for h1. Server role: the client's preface is expected. Client role: connected;
 * ours is sent. `tls` becomes the wire's. */
struct h2 *h2_open(struct loop *, int fd, enum conn_role, const struct conn_owner *, const struct h1_rules *,
		   void *data, struct tls *, struct str first);

static inline struct conn *
h2_conn(struct h2 *h)
{
	return (struct conn *)h;
}

extern const struct stream_ops h2_ops;

#endif
