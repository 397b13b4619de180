#include "worker/http/h1.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "worker/http/h1_conn.h"

/* What one connection may read in one turn before others have theirs. */
enum { TURN_BYTES = 4 * LOOP_RBUF, PROBE_MS = 1000 };

static void
forget(struct h1 *h)
{
	if (h->conn.wire.event.buried)
		return;
	h1_relay_stop(h);
	h->active = false;
	h->rx = RX_STOP;
	h->conn.owner->on_close(&h->conn);
}

void
h1_close(struct h1 *h)
{
	forget(h);
	wire_close(&h->conn.wire);
}

void
h1_abort(struct h1 *h)
{
	forget(h);
	wire_abort(&h->conn.wire);
}

void
h1_fault(struct h1 *h, enum fault fault)
{
	if (h->active)
		h->stream.user->on_fault(&h->stream, fault);
	else
		h1_close(h);
}

void
h1_hold(struct h1 *h, struct str bytes, bool fresh)
{
	size_t need = h->held_len + bytes.len;

	if (need > h->held_room) {
		size_t room = h->held_room ? h->held_room : 512;

		while (room < need)
			room *= 2;
		h->held = realloc(h->held, room);
		if (!h->held)
			abort();
		h->held_room = (uint32_t)room;
	}
	memcpy(h->held + h->held_len, bytes.at, bytes.len);
	h->held_len += (uint32_t)bytes.len;
	h->held_fresh = fresh;
}

/* ---- the end of what comes in */

static void
server_ended(struct h1 *h, int error)
{
	switch (h->rx) {
	case RX_IDLE:
	case RX_HEAD:
	case RX_LINGER:
		if (!h->conn.wire.held.len || error)
			h1_close(h);
		else if (h->rx != RX_LINGER)
			h1_linger(h);           /* it still takes an answer */
		return;
	case RX_TUNNEL:
		if (!error) {
			h->rx = RX_DONE;
			h->stream.user->on_body(&h->stream, STR_NONE, true);
			return;
		}
		break;
	case RX_DONE:
		if (!error) {
			/* Half closed, or gone: TCP does not say. If the answer takes
			 * long, ask. */
			h->close = true;
			if (h->active && h->tx == TX_IDLE && !h->probed)
				wire_timer(&h->conn.wire, clock_ms() + PROBE_MS);
			return;
		}
		break;
	default:
		break;
	}
	h1_fault(h, FAULT_CLIENT_GONE);
}

static void
client_ended(struct h1 *h, int error)
{
	if (!h->active) {
		h1_close(h);
		return;
	}
	switch (h->rx) {
	case RX_HEAD:
		if (h->held_len)
			h1_fault(h, FAULT_RESPONSE_INCOMPLETE);
		else
			h1_fault(h, conn_lost(&h->conn, error));
		return;
	case RX_CLOSE:
	case RX_TUNNEL:
		if (!error) {
			h->rx = RX_DONE;
			h->stream.user->on_body(&h->stream, STR_NONE, true);
			return;
		}
		break;
	case RX_DONE:
		h->close = true;
		return;
	default:
		break;
	}
	h1_fault(h, FAULT_RESPONSE_INCOMPLETE);
}

void
h1_ended(struct h1 *h, int error)
{
	h->eof = true;
	h->readable = false;
	h->close = true;
	if (h->conn.role == CONN_SERVER)
		server_ended(h, error);
	else
		client_ended(h, error);
}

/* ---- reading */

static bool
wants(const struct h1 *h)
{
	switch (h->rx) {
	case RX_IDLE:
	case RX_HEAD:
		/* A client that takes no answers gets no further requests read. */
		return h->conn.role == CONN_CLIENT || !h->conn.wire.held.len;
	case RX_LINGER:
		return true;
	case RX_LENGTH:
	case RX_CHUNKED:
	case RX_CLOSE:
	case RX_TUNNEL:
		return h->credit > 0 || h->discarding || h->relay_to;
	case RX_DONE:
		/* Nothing more is taken in, but the end is noticed. */
		return h->hangup && !h->eof && h->conn.role == CONN_SERVER &&
		       !h->held_len;
	default:
		return false;
	}
}

static size_t
read_size(const struct h1 *h)
{
	size_t most = LOOP_RBUF;

	if (h->rx == RX_HEAD && h->large)
		return H1_LARGE_READ;
	if (h->rx == RX_IDLE || h->rx == RX_HEAD || h->rx == RX_DONE)
		most = H1_HEAD_READ;
	if (h->credit <= 0 || h->credit >= (int64_t)most)
		return most;
	/* No more than is wanted; but not in pieces that cost more than they hold. */
	return h->credit > H1_LEAST_READ ? (size_t)h->credit : H1_LEAST_READ;
}

static void
h1_read(struct h1 *h)
{
	size_t taken = 0;

	if (h->held_fresh &&
	    (((h->rx == RX_IDLE || h->rx == RX_HEAD) && !h->conn.wire.held.len) ||
	     h->rx == RX_TUNNEL))
		h1_feed_held(h);
	while (!h->conn.wire.event.buried && h->readable && wants(h)) {
		if (h->relay_to) {
			h1_relay_pump(h);
			return;
		}
		size_t size = read_size(h);
		ssize_t n = wire_recv(&h->conn.wire, size);

		if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
			h->readable = errno == EINTR;
			continue;
		}
		if (n <= 0) {
			h1_ended(h, n < 0 ? errno : 0);
			return;
		}
		if ((size_t)n < size && !h->hangup)
			h->readable = false;
		h1_feed(h, (struct str){ h->conn.wire.loop->rbuf, (size_t)n });
		taken += (size_t)n;
		if (taken >= TURN_BYTES && h->readable) {
			loop_ready(h->conn.wire.loop, &h->conn.wire.event);
			return;
		}
	}
}

static void
h1_event(struct wire *w, uint32_t events)
{
	struct h1 *h = (struct h1 *)w;

	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		h->readable = true;
	if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		h->hangup = true;
	/* A reset while nobody reads: who is gone frees the upstream at once. */
	if (events & EPOLLERR && h->conn.role == CONN_SERVER && h->active && !wants(h)) {
		h1_fault(h, FAULT_CLIENT_GONE);
		return;
	}
	if (h->relay_from && events & EPOLLOUT) {
		struct h1 *from = h->relay_from;

		if (from->pipe->held || from->readable)
			h1_relay_pump(from);
		if (w->event.buried)
			return;
	}
	h1_read(h);
}

static void
h1_drained(struct wire *w)
{
	struct h1 *h = (struct h1 *)w;

	if (h->relay_from)
		h1_relay_pump(h->relay_from);
	else if (h->active)
		h->stream.user->on_drain(&h->stream);
	else if (h->rx == RX_LINGER && h->eof)
		h1_close(h);
	else if ((h->rx == RX_IDLE || h->rx == RX_HEAD) && (h->held_fresh || h->readable))
		loop_ready(w->loop, &w->event);
}

static void
h1_send_error(struct wire *w, int error)
{
	struct h1 *h = (struct h1 *)w;

	h->close = true;
	if (h->conn.role == CONN_SERVER) {
		h1_fault(h, FAULT_CLIENT_GONE);
		return;
	}
	/* What the target said before it closed is still to be read: an early answer,
	 * perhaps. */
	h->readable = h->hangup = true;
	h1_read(h);
	if (!w->event.buried && h->active &&
	    (h->rx == RX_HEAD || h->rx == RX_DONE || h->tx == TX_TUNNEL))
		h1_fault(h, conn_lost(&h->conn, error));
}

void
h1_unsendable(struct h1 *h)
{
	if (h->conn.role == CONN_CLIENT && h->active && h->rx == RX_DONE &&
	    h->conn.wire.error)
		h1_fault(h, FAULT_UPSTREAM_CLOSED);
}

/* ---- time */

static void
server_timer(struct h1 *h)
{
	if (!h->active && h->conn.wire.held.len && h->conn.wire.sent != h->lingered) {
		/* It is slow, but it takes its answer. */
		h->lingered = h->conn.wire.sent;
		wire_timer(&h->conn.wire, clock_ms() + (h->rx == RX_LINGER ?
						   h->rules->linger_ms :
						   h->rules->idle_ms));
	} else if (h->rx == RX_LINGER) {
		h1_close(h);
	} else if (h->active) {
		if (h->rx == RX_DONE && h->tx == TX_IDLE && h->eof && !h->probed &&
		    !h->minor0) {
			/* Any client must understand a 100 (RFC 9110 §15.2); one that is
			 * gone answers with a reset. */
			h->probed = true;
			wire_send(&h->conn.wire, STR("HTTP/1.1 100 Continue\r\n\r\n"));
		}
	} else if (h->rx == RX_HEAD && h->conn.owner->on_request(&h->conn, &h->stream)) {
		h->rx = RX_STOP;
		memset(h->stream.msg, 0, sizeof(*h->stream.msg));
		h1_fault(h, FAULT_HEAD_TIMEOUT);
	} else {
		h1_close(h);
	}
}

static void
h1_timer(struct wire *w)
{
	struct h1 *h = (struct h1 *)w;

	if (h->conn.role == CONN_SERVER)
		server_timer(h);
	else if (!h->active)
		h1_close(h);
}

static void
h1_destroy(struct wire *w)
{
	struct h1 *h = (struct h1 *)w;

	hello_facts_free(h->conn.facts);
	free(h->held);
	free(h);
}

static const struct wire_ops wire_ops = {
	.on_event = h1_event,
	.on_drained = h1_drained,
	.on_error = h1_send_error,
	.on_timer = h1_timer,
	.destroy = h1_destroy,
};

/* ---- as a connection */

static struct stream *
conn_open(struct conn *c)
{
	struct h1 *h = (struct h1 *)c;

	return h->active || h->close ? NULL : &h->stream;
}

static uint32_t
conn_room(const struct conn *c)
{
	const struct h1 *h = (const struct h1 *)c;

	return !h->active && !h->close;
}

static void
conn_close(struct conn *c)
{
	h1_close((struct h1 *)c);
}

/* A request may be on its way. Whoever is busy with a connection gets one more answer,
 * which says that it is the last. */
static void
conn_drain(struct conn *c, uint64_t grace_ms)
{
	const struct h1 *h = (const struct h1 *)c;

	if (!h->active && h->rx == RX_IDLE && !h->held_len)
		wire_timer(&c->wire, clock_ms() + grace_ms);
}

static const struct conn_ops conn_ops = {
	.name = "1.1",
	.open = conn_open,
	.room = conn_room,
	.close = conn_close,
	.drain = conn_drain,
};

struct h1 *
h1_open(struct loop *loop, int fd, enum conn_role role, const struct conn_owner *owner,
	const struct h1_rules *rules, void *data, struct tls *tls, struct str first)
{
	struct h1 *h = calloc(1, sizeof(*h));

	if (!h)
		abort();
	if (wire_open(&h->conn.wire, loop, fd, &wire_ops)) {
		free(h);
		return NULL;
	}
	if (tls)
		wire_tls(&h->conn.wire, tls);
	h->conn.ops = &conn_ops;
	h->conn.role = (uint8_t)role;
	h->conn.owner = owner;
	h->conn.data = data;
	list_init(&h->conn.link);
	h->stream.ops = &h1_ops;
	h->stream.conn = &h->conn;
	h->rules = rules;
	if (role == CONN_SERVER)
		wire_timer(&h->conn.wire, clock_ms() + rules->head_ms);
	if (first.len) {
		h1_hold(h, first, true);
		loop_ready(loop, &h->conn.wire.event);
	}
	return h;
}

void
h1_tunnel(struct h1 *h)
{
	h->rx = RX_TUNNEL;
	h->tx = TX_TUNNEL;
	h->close = true;
}

void
h1_attach(struct stream *s)
{
	struct h1 *h = h1_of(s);

	h->active = true;
	h->credit = 0;
	if (h->conn.role == CONN_CLIENT)
		timer_clear(&h->conn.wire.timer);
}
