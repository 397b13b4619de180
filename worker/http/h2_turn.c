#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "worker/http/h2_conn.h"

enum {
	TURN_BYTES = 4 * LOOP_RBUF,
	QUEUE_MAX = 256, /* frames of ours that wait: then no more is read */
	LINGER_BYTES = 1 << 20,
};

/* ---- the end */

void
h2_close(struct conn *c)
{
	struct h2 *h = (struct h2 *)c;

	if (c->wire.event.buried)
		return;
	h->over = true;
	c->owner->on_close(c);
	wire_close(&c->wire);
}

/* So many in a turn: others are not to wait until a hundred upstream connections are
 * closed. */
static void
tell_faults(struct h2 *h)
{
	bool again;
	int told = 0;

	h->fault_due = false;
	do {
		again = false;
		for (struct list *l = h->streams.next; l != &h->streams; l = l->next) {
			struct h2_stream *s = list_entry(l, struct h2_stream, link);
			enum fault f = (enum fault)s->fault;

			if (!f)
				continue;
			if (s->active && told++ == H2_A_TURN) {
				h->fault_due = true;
				h2_soon(h);
				return;
			}
			s->fault = FAULT_NONE;
			if (!s->active)
				continue;
			s->stream.user->on_fault(&s->stream, f);
			again = true;           /* the list is another one now */
			break;
		}
	} while (again && !h->conn.wire.event.buried);
}

static enum fault
lost(const struct h2 *h, const struct h2_stream *s, int error)
{
	if (h2_server(h))
		return FAULT_CLIENT_GONE;
	if (s->rx == H2_RX_HEAD)
		return conn_lost(&h->conn, error);
	return s->rx == H2_RX_DONE ? FAULT_UPSTREAM_CLOSED : FAULT_RESPONSE_INCOMPLETE;
}

/* Nothing is received or sent any more: users are told. */
static void
session_over(struct h2 *h, int error)
{
	if (h->over)
		return;
	h->over = true;
	for (struct list *l = h->streams.next, *next; l != &h->streams; l = next) {
		struct h2_stream *s = list_entry(l, struct h2_stream, link);
		bool whole = s->rx == H2_RX_DONE && s->sent_end;

		next = l->next;
		s->closed = true;
		if (!s->active)
			h2_stream_drop(s);
		else if (!whole && !s->fault)
			s->fault = (uint8_t)lost(h, s, error);
	}
	tell_faults(h);
}

/* What was said last is to arrive, and a close with bytes unread would prevent that. */
static void
end_connection(struct h2 *h)
{
	struct wire *w = &h->conn.wire;

	if (h->lingering)
		return;
	wire_flush(w->loop);
	if (!h2_server(h) || w->error || (h->eof && !w->held.len)) {
		h2_close(&h->conn);
		return;
	}
	h->lingering = true;
	h->readable = !h->eof;
	wire_shut(w);
	wire_timer(w, clock_ms() + h->rules->linger_ms);
	loop_ready(w->loop, &w->event);
}

/* ---- turns */

void
h2_soon(struct h2 *h)
{
	loop_ready(h->conn.wire.loop, &h->conn.wire.event);
}

static void
tell_drained(struct h2 *h)
{
	struct list due;

	h->drain_due = false;
	list_init(&due);
	for (struct list *l = h->waiting.next, *next; l != &h->waiting; l = next) {
		struct h2_stream *s = list_entry(l, struct h2_stream, wait);

		next = l->next;
		if (s->out.len)
			continue;
		list_remove(&s->wait);
		list_append(&due, &s->wait);
	}
	while (!list_empty(&due)) {
		struct h2_stream *s = list_entry(due.next, struct h2_stream, wait);

		list_remove(&s->wait);
		if (!h->conn.wire.event.buried)
			s->stream.user->on_drain(&s->stream);
	}
}

static void
tell_early(struct h2 *h)
{
	h->early_due = false;
	for (struct list *l = h->streams.next, *next; l != &h->streams; l = next) {
		struct h2_stream *s = list_entry(l, struct h2_stream, link);

		next = l->next;
		if (s->active && s->rx == H2_RX_TUNNEL &&
		    (s->early.len || s->early_end)) {
			/* One a turn: its user may end others. */
			h2_deliver_early(s);
			h->early_due = true;
			h2_soon(h);
			return;
		}
	}
}

static void
now_idle(struct h2 *h)
{
	h->idle_due = false;
	if (h2_server(h) && !h->draining)
		wire_timer(&h->conn.wire, clock_ms() + h->rules->idle_ms);
	h->conn.owner->on_idle(&h->conn);
}

static bool
through(const struct h2 *h)
{
	if (nghttp2_session_want_write(h->session))
		return h->wire_gone;
	return !nghttp2_session_want_read(h->session) || (h->last_said && !h->nstreams);
}

/* All that had to wait until nghttp2 was not at work. */
static void
h2_settle(struct h2 *h)
{
	struct wire *w = &h->conn.wire;

	if (h->fault_due)
		tell_faults(h);
	if (h->early_due && !w->event.buried)
		tell_early(h);
	if (!w->event.buried && !list_empty(&h->waiting) && !w->held.len)
		tell_drained(h);
	if (w->event.buried)
		return;
	h2_pump(h);
	if (!h->over && through(h))
		session_over(h, 0);
	if (w->event.buried)
		return;
	if (h->over) {
		if (!h->nactive)
			end_connection(h);
		return;
	}
	if (h->idle_due && !h->nactive)
		now_idle(h);
	if (!w->event.buried && h->room_due) {
		h->room_due = false;
		if (h->conn.owner->on_room)
			h->conn.owner->on_room(&h->conn);
	}
}

/* ---- reading */

static bool
wants(const struct h2 *h)
{
	if (h->lingering)
		return true;
	return !h->over && list_empty(&h->untold) &&
	       !(h->conn.wire.held.len &&
		 nghttp2_session_get_outbound_queue_size(h->session) > QUEUE_MAX);
}

static void
take(struct h2 *h, struct str in)
{
	if (h->lingering) {
		h->dropped += in.len;
		if (h->dropped > LINGER_BYTES)
			h2_close(&h->conn);
		return;
	}
	if (!h2_feed(h, in) && !h->conn.wire.event.buried) {
		h2_pump(h);
		session_over(h, 0);
		return;
	}
	h2_tell_requests(h);
	h2_pump(h);
}

static void
ended(struct h2 *h, int error)
{
	h->eof = true;
	h->readable = false;
	if (h->lingering) {
		if (!h->conn.wire.held.len || error)
			h2_close(&h->conn);
		return;
	}
	h->wire_gone = error != 0;
	if (!error)
		h2_pump(h);             /* what there is, for who only sends no more */
	session_over(h, error);
}

static void
h2_read(struct h2 *h)
{
	struct wire *w = &h->conn.wire;
	size_t taken = 0;

	if (!list_empty(&h->untold))
		h2_tell_requests(h);
	if (h->first && !w->event.buried) {
		char *first = h->first;

		h->first = NULL;
		take(h, (struct str){ first, h->first_len });
		free(first);
	}
	while (!w->event.buried && h->readable && wants(h)) {
		ssize_t n = wire_recv(w, LOOP_RBUF);

		if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
			h->readable = errno == EINTR;
			continue;
		}
		if (n <= 0) {
			ended(h, n < 0 ? errno : 0);
			return;
		}
		if (n < LOOP_RBUF && !h->hangup)
			h->readable = false;
		take(h, (struct str){ w->loop->rbuf, (size_t)n });
		taken += (size_t)n;
		if (taken >= TURN_BYTES && h->readable) {
			h2_soon(h);
			return;
		}
	}
}

static void
h2_event(struct wire *w, uint32_t events)
{
	struct h2 *h = (struct h2 *)w;

	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		h->readable = true;
	if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		h->hangup = true;
	if (events & EPOLLERR && !wants(h) && !h->over)
		ended(h, ECONNRESET);
	else
		h2_read(h);
	if (!w->event.buried)
		h2_settle(h);
}

static void
h2_drained(struct wire *w)
{
	struct h2 *h = (struct h2 *)w;

	if (h->lingering && h->eof) {
		h2_close(&h->conn);
		return;
	}
	h2_pump(h);
	h2_soon(h);
}

static void
h2_error(struct wire *w, int error)
{
	struct h2 *h = (struct h2 *)w;

	if (!h2_server(h)) {
		/* What the peer said before it closed is still to be read. */
		h->readable = h->hangup = true;
		h2_read(h);
	}
	if (!w->event.buried) {
		h->wire_gone = true;
		session_over(h, error);
		h2_soon(h);
	}
}

static void
h2_timer(struct wire *w)
{
	struct h2 *h = (struct h2 *)w;
	uint64_t now = clock_ms(), due = h->idle_since + h->rules->idle_ms;

	if (h->lingering || h->over) {
		h2_close(&h->conn);
	} else if (h->draining) {
		h2_last_goaway(h);
	} else if (!h2_server(h)) {
		if (!h->nactive)
			h2_close(&h->conn);
	} else if (!h->greeted || h->head_timed) {
		nghttp2_session_terminate_session(h->session, NGHTTP2_NO_ERROR);
		h2_soon(h);
	} else if (!h->nactive && now < due) {
		wire_timer(w, due);
	} else if (!h->nactive) {
		nghttp2_session_terminate_session(h->session, NGHTTP2_NO_ERROR);
		h->last_said = true;
		if (w->held.len || h->nstreams)
			h2_close(&h->conn);     /* it takes nothing */
		else
			h2_soon(h);
	}
}

static void
h2_destroy(struct wire *w)
{
	struct h2 *h = (struct h2 *)w;

	timer_remove(&w->loop->wheel, &h->ending_timer);
	nghttp2_session_del(h->session);
	while (!list_empty(&h->streams))
		h2_stream_free(list_entry(h->streams.next, struct h2_stream, link));
	h2_head_free(&h->head);
	hello_facts_free(h->conn.facts);
	free(h->first);
	free(h);
}

const struct wire_ops h2_wire_ops = {
	.on_event = h2_event,
	.on_drained = h2_drained,
	.on_error = h2_error,
	.on_timer = h2_timer,
	.destroy = h2_destroy,
};
