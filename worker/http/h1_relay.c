/* h1_relay — long bodies of known length, moved by the kernel from one connection to the
 * other. */
#include <errno.h>

#include "worker/http/h1_conn.h"

/* Below this a copy is cheaper than two more system calls. */
enum { RELAY_MIN = 64 * 1024, RELAY_TURN = 4 * 1024 * 1024 };

bool
h1_relay(struct stream *from, struct stream *to)
{
	struct h1 *a = h1_of(from), *b;

	if (to->ops != &h1_ops)
		return false;
	b = h1_of(to);
	/* The kernel would move what is encrypted. */
	if (a->conn.wire.tls || b->conn.wire.tls)
		return false;
	if (a->relay_to || a->rx != RX_LENGTH || a->rx_left < RELAY_MIN ||
	    b->tx != TX_LENGTH || b->tx_left != a->rx_left || b->conn.wire.error)
		return false;
	a->pipe = pipe_take(&a->conn.wire.loop->pipes);
	if (!a->pipe)
		return false;
	a->relay_to = b;
	b->relay_from = a;
	a->large = true;
	if (a->readable && !a->feeding)
		loop_ready(a->conn.wire.loop, &a->conn.wire.event);
	return true;
}

/* Bodies may go both ways at once: this ends one of them. */
static void
stop(struct h1 *from)
{
	pipe_give(&from->conn.wire.loop->pipes, from->pipe);
	from->pipe = NULL;
	from->relay_to->relay_from = NULL;
	from->relay_to = NULL;
}

void
h1_relay_stop(struct h1 *h)
{
	if (h->relay_from)
		stop(h->relay_from);
	if (h->relay_to)
		stop(h);
}

/* What is in the pipe goes on. 1: all of it, 0: the other side is full, -1: it failed. */
static int
empty(struct h1 *a, size_t *moved)
{
	struct h1 *b = a->relay_to;

	while (a->pipe->held) {
		ssize_t n = pipe_drain(a->pipe, b->conn.wire.event.fd);

		if (n <= 0) {
			if (n < 0 && errno == EAGAIN)
				return 0;
			wire_fail(&b->conn.wire, n < 0 ? errno : EPIPE);
			return -1;
		}
		*moved += (size_t)n;
		b->tx_left -= (uint64_t)n;
		b->conn.wire.sent += (uint64_t)n;
	}
	return 1;
}

static void
finish(struct h1 *a)
{
	stop(a);
	a->rx = RX_DONE;
	a->stream.user->on_body(&a->stream, STR_NONE, true);
	h1_unsendable(a);
}

void
h1_relay_pump(struct h1 *a)
{
	size_t moved = 0;
	int left = 1;
	ssize_t n;

	wire_flush(a->conn.wire.loop);
	if (a->relay_to->conn.wire.held.len)
		return;                         /* the head is still on its way */
	while (moved < RELAY_TURN) {
		left = empty(a, &moved);
		if (left <= 0 || !a->rx_left || !a->readable)
			break;
		n = pipe_fill(a->pipe, a->conn.wire.event.fd,
			      a->rx_left < PIPE_ROOM * 4 ? (size_t)a->rx_left
							 : PIPE_ROOM * 4);
		if (n < 0 && errno == EAGAIN) {
			a->readable = a->hangup;
			break;
		}
		if (n <= 0) {
			int error = n < 0 ? errno : 0;

			stop(a);
			h1_ended(a, error);
			return;
		}
		a->rx_left -= (uint64_t)n;
	}
	if (left < 0) {
		/* Nobody takes it any more: it is read and dropped. */
		stop(a);
		a->credit = a->credit > 0 ? a->credit : 1;
		loop_ready(a->conn.wire.loop, &a->conn.wire.event);
		return;
	}
	if (moved || !left)
		a->stream.user->on_relay(&a->stream, moved, left == 0);
	if (left && !a->rx_left && !a->pipe->held)
		finish(a);
	else if (moved >= RELAY_TURN)
		loop_ready(a->conn.wire.loop, &a->conn.wire.event);
}
