/* wire — a connected byte stream: a socket with what it could not send yet.
 *
 * Words: *outbox*, the loop's one buffer for what the wire whose turn it is has to say;
 * whole heads and small bodies gather there and leave in one send. *held*, the bytes that
 * a socket did not take: they belong to the wire, and whoever fills it is to stop until
 * `on_drained`. A wire that nobody writes to owns no memory beyond this struct. */
#ifndef NET_WIRE_H
#define NET_WIRE_H

#include <sys/types.h>

#include "base/chain.h"
#include "worker/net/addr.h"
#include "worker/net/loop.h"

enum {
	OUTBOX = 64 * 1024,
	OUTBOX_COPY = 4096,
	WIRE_HELD_MAX = 4 * 1024 * 1024,
	WIRE_SEALED = 144 * 1024,       /* ciphertext in one send */
	WIRE_OWED_MAX = 16 * 1024       /* answers of TLS itself that are held */
};

/* WIRE_HELD_MAX is never reached: credit lets two heads (a MiB each, at most) and one
 * reading pile up. */

struct wire;

struct wire_ops {
	/* Something may be read, the peer has shut its side down (EPOLLRDHUP), or is gone
	 * (EPOLLHUP, EPOLLERR); 0: it had asked for a turn. Held bytes have been sent on
	 * before. */
	void (*on_event)(struct wire *, uint32_t events);
	/* What was held has left. */
	void (*on_drained)(struct wire *);
	/* A send failed: comes in a turn of its own, never from within wire_send(). */
	void (*on_error)(struct wire *, int error);
	void (*on_timer)(struct wire *);
	void (*destroy)(struct wire *);
};

struct wire {
	struct event event;           /* first */
	const struct wire_ops *ops;
	struct loop *loop;
	struct timer timer;
	struct chain held;
	uint32_t error;                 /* errno of a failed send; reported in the next turn */
	bool told;                      /* … and it has been */
	bool shut_after;                /* SHUT_WR once all has left */
	bool shut;                      /* done */
	uint64_t sent;                  /* bytes that the kernel took, ever */
	struct tls *tls;                /* NULL: none. Ours from wire_tls() on */
	uint32_t owed;                  /* of what is held, answers of TLS itself */
	uint32_t again;                 /* EPOLL* bits for the next turn, besides the socket's */
};

/* From now on by TLS, whose handshake is done: what is read is decrypted, what is sent
 * encrypted; held bytes are encrypted ones. wire_close() frees it. What it has read ahead
 * comes as an event. */
void wire_tls(struct wire *, struct tls *);

/* Takes a connected (or connecting) non-blocking socket, which may have been in the loop
 * as another event (hello). -1 with errno: the socket is still the caller's. */
int wire_open(struct wire *, struct loop *, int fd, const struct wire_ops *);
/* Sends what the outbox has, closes, drops what is held; destroy() comes after the
 * turn. */
void wire_close(struct wire *);
/* The same so that the peer sees a reset: nothing more is sent. */
void wire_abort(struct wire *);

/* Room of `n` bytes (at most OUTBOX) at the end of the outbox, to be filled and then
 * counted by wire_filled(). What another wire had there has been sent. */
char *wire_room(struct wire *, size_t n);
void wire_filled(struct wire *, size_t n);

/* Sends: small pieces are copied to the outbox, large ones leave at once, together with
 * what is in the outbox. Bytes not taken are held; errors come by on_error. */
void wire_send(struct wire *, struct str bytes);
/* With a few more bytes behind them, in the same send. */
void wire_send_tail(struct wire *, struct str bytes, struct str tail);

/* Sends what is in the outbox, whosever it is. Before each use of loop->rbuf and at each
 * end of a turn. */
void wire_flush(struct loop *);

/* A send that was not made through wire_send() failed: on_error() comes. */
void wire_fail(struct wire *, int error);

/* SHUT_WR once everything has left. */
void wire_shut(struct wire *);

/* Reads into loop->rbuf, at most `max` bytes, having flushed the outbox. As recv(2): 0 at
 * the end, -1 with errno. Fewer than `max`: there is nothing more for now, with TLS as
 * without. */
ssize_t wire_recv(struct wire *, size_t max);
/* Whether nothing at all can be read now, not even the end. If there was something, it
 * may be lost. */
bool wire_silent(struct wire *);

/* Bytes not yet taken by the kernel. */
static inline size_t
wire_unsent(const struct wire *w)
{
	return w->held.len + (w->loop->out.wire == w ? w->loop->out.len : 0);
}

static inline void
wire_timer(struct wire *w, uint64_t due)
{
	if (due)
		timer_set(&w->loop->wheel, &w->timer, due);
	else
		timer_clear(&w->timer);
}

#endif
