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
	if (h->wire.event.buried)
		return;
	h1_relay_stop(h);
	h->active = false;
	h->rx = RX_STOP;
	h->owner->on_close(h);
}

void
h1_close(struct h1 *h)
{
	forget(h);
	wire_close(&h->wire);
}

void
h1_abort(struct h1 *h)
{
	forget(h);
	wire_abort(&h->wire);
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
		if (!h->wire.held.len || error)
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
				wire_timer(&h->wire, clock_ms() + PROBE_MS);
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
			h1_fault(h, error ? FAULT_UPSTREAM_RESET : FAULT_UPSTREAM_CLOSED);
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
	if (h->role == H1_SERVER)
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
		return h->role == H1_CLIENT || !h->wire.held.len;
	case RX_LINGER:
		return true;
	case RX_LENGTH:
	case RX_CHUNKED:
	case RX_CLOSE:
	case RX_TUNNEL:
		return h->credit > 0 || h->discarding || h->relay_to;
	case RX_DONE:
		/* Nothing more is taken in, but the end is noticed. */
		return h->hangup && !h->eof && h->role == H1_SERVER && !h->held_len;
	default:
		return false;
	}
}

static size_t
read_size(const struct h1 *h)
{
	if (h->role == H1_SERVER &&
	    (h->rx == RX_IDLE || h->rx == RX_HEAD || h->rx == RX_DONE))
		return H1_HEAD_READ;
	if (h->rx == RX_HEAD && h->large)
		return H1_LARGE_READ;
	return LOOP_RBUF;
}

static void
h1_read(struct h1 *h)
{
	size_t taken = 0;

	if (h->held_fresh &&
	    (((h->rx == RX_IDLE || h->rx == RX_HEAD) && !h->wire.held.len) ||
	     h->rx == RX_TUNNEL))
		h1_feed_held(h);
	while (!h->wire.event.buried && h->readable && wants(h)) {
		if (h->relay_to) {
			h1_relay_pump(h);
			return;
		}
		size_t size = read_size(h);
		ssize_t n = wire_recv(&h->wire, size);

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
		h1_feed(h, (struct str){ h->wire.loop->rbuf, (size_t)n });
		taken += (size_t)n;
		if (taken >= TURN_BYTES && h->readable) {
			loop_ready(h->wire.loop, &h->wire.event);
			return;
		}
	}
}

static void
connected(struct h1 *h)
{
	int error = 0;
	socklen_t len = sizeof(error);

	getsockopt(h->wire.event.fd, SOL_SOCKET, SO_ERROR, &error, &len);
	h->connecting = false;
	if (!error) {
		h->stream.user->on_connect(&h->stream);
		return;
	}
	errno = error;
	h1_fault(h, error == ECONNREFUSED || error == ENOENT ? FAULT_CONNECT_REFUSED :
		    error == ETIMEDOUT ? FAULT_CONNECT_TIMEOUT : FAULT_CONNECT_FAILED);
}

static void
h1_event(struct wire *w, uint32_t events)
{
	struct h1 *h = (struct h1 *)w;

	if (h->connecting) {
		if (!(events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
			return;
		connected(h);
		if (w->event.buried || h->connecting)
			return;
	}
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		h->readable = true;
	if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		h->hangup = true;
	/* A reset while nobody reads: who is gone frees the upstream at once. */
	if (events & EPOLLERR && h->role == H1_SERVER && h->active && !wants(h)) {
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
	if (h->role == H1_SERVER) {
		h1_fault(h, FAULT_CLIENT_GONE);
		return;
	}
	/* What the target said before it closed is still to be read: an early answer,
	 * perhaps. */
	h->readable = h->hangup = true;
	h1_read(h);
	if (!w->event.buried && h->active &&
	    (h->rx == RX_HEAD || h->rx == RX_DONE || h->tx == TX_TUNNEL))
		h1_fault(h,
			 error == EPIPE ? FAULT_UPSTREAM_CLOSED : FAULT_UPSTREAM_RESET);
}

void
h1_unsendable(struct h1 *h)
{
	if (h->role == H1_CLIENT && h->active && h->rx == RX_DONE && h->wire.error)
		h1_fault(h, FAULT_UPSTREAM_CLOSED);
}

/* ---- time */

static void
server_timer(struct h1 *h)
{
	if (!h->active && h->wire.held.len && h->wire.sent != h->lingered) {
		/* It is slow, but it takes its answer. */
		h->lingered = h->wire.sent;
		wire_timer(&h->wire, clock_ms() + (h->rx == RX_LINGER ?
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
			wire_send(&h->wire, STR("HTTP/1.1 100 Continue\r\n\r\n"));
		}
	} else if (h->rx == RX_HEAD && h->owner->on_request(h)) {
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

	if (h->role == H1_SERVER)
		server_timer(h);
	else if (!h->active)
		h1_close(h);
}

static void
h1_destroy(struct wire *w)
{
	struct h1 *h = (struct h1 *)w;

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

struct h1 *
h1_open(struct loop *loop, int fd, enum h1_role role, const struct h1_owner *owner,
	const struct h1_rules *rules, void *data, bool connecting)
{
	struct h1 *h = calloc(1, sizeof(*h));

	if (!h)
		abort();
	if (wire_open(&h->wire, loop, fd, &wire_ops)) {
		free(h);
		return NULL;
	}
	h->stream.ops = &h1_ops;
	h->role = (uint8_t)role;
	h->owner = owner;
	h->rules = rules;
	h->data = data;
	h->connecting = connecting;
	list_init(&h->link);
	if (role == H1_SERVER)
		wire_timer(&h->wire, clock_ms() + rules->head_ms);
	return h;
}

void
h1_attach(struct h1 *h, const struct stream_user *user, void *owner, struct arena *arena,
	  struct msg *msg)
{
	h->stream.user = user;
	h->stream.owner = owner;
	h->stream.arena = arena;
	h->stream.msg = msg;
	h->active = true;
	h->credit = 0;
	if (h->role == H1_CLIENT)
		timer_clear(&h->wire.timer);
}
