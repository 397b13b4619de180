#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "worker/http/h1_conn.h"

enum { COPY_FIRST = 2048 };

/* The framing of the message whose head is complete. */
static void
begin_body(struct h1 *h, const struct msg *m, bool *end)
{
	*end = false;
	h->large = m->body == BODY_LENGTH && m->length > LOOP_RBUF;
	switch (m->body) {
	case BODY_LENGTH:
		h->rx_left = m->length;
		*end = m->length == 0;
		h->rx = *end ? RX_DONE : RX_LENGTH;
		break;
	case BODY_CHUNKED:
		memset(&h->chunked, 0, sizeof(h->chunked));
		h->rx = RX_CHUNKED;
		break;
	case BODY_CLOSE:
		h->close = true;
		h->rx = RX_CLOSE;
		break;
	default:
		*end = true;
		h->rx = RX_DONE;
	}
}

static void
got_request(struct h1 *h, struct msg *m)
{
	bool end;

	timer_clear(&h->conn.wire.timer);
	h->method = m->method;
	h->minor0 = m->minor == 0;
	h->expect = m->expect_continue;
	h->close = !m->keep_alive;
	h->used = true;
	begin_body(h, m, &end);
	h->stream.user->on_head(&h->stream, end);
}

static void
got_response(struct h1 *h, struct msg *m)
{
	bool end;

	if (m->status == 101) {
		h->rx = RX_TUNNEL;
		h->tx = TX_TUNNEL;
		h->close = true;
		end = false;
	} else if (m->status < 200) {
		h->rx = RX_HEAD;
		end = true;
	} else {
		if (!m->keep_alive)
			h->close = true;
		begin_body(h, m, &end);
	}
	h->stream.user->on_head(&h->stream, end);
}

static void
bad_head(struct h1 *h, enum fault fault)
{
	h->rx = RX_STOP;
	h->close = true;
	timer_clear(&h->conn.wire.timer);
	h1_fault(h, fault);
}

static ptrdiff_t
parse(struct h1 *h, struct str buf, enum fault *fault)
{
	struct stream *s = &h->stream;
	const struct h1_limits *l = &h->rules->limits;

	if (h->conn.role == CONN_SERVER)
		return h1_parse_request(buf, l, s->arena, s->msg, fault);
	return h1_parse_response(buf, l, s->arena, (enum method)h->method, s->msg, fault);
}

/* The head at the front of `buf`, taken into the arena. Returns its length, H1_MORE when
 * it is not complete, -1 when the connection is done with. */
static ptrdiff_t
take_head(struct h1 *h, struct str buf)
{
	enum fault fault = FAULT_NONE;
	char *copy = NULL;
	struct arena *a;
	ptrdiff_t n;

	if (h->conn.role == CONN_SERVER &&
	    !h->conn.owner->on_request(&h->conn, &h->stream)) {
		h1_close(h);
		return -1;
	}
	a = h->stream.arena;
	if (buf.len <= COPY_FIRST) {
		/* Copying a few bytes too many is cheaper than moving every slice
		 * afterwards. */
		copy = arena_alloc_aligned(a, buf.len, 1);
		memcpy(copy, buf.at, buf.len);
		n = parse(h, (struct str){ copy, buf.len }, &fault);
	} else if ((n = parse(h, buf, &fault)) > 0) {
		copy = arena_alloc_aligned(a, (size_t)n, 1);
		memcpy(copy, buf.at, (size_t)n);
		msg_rebase(h->stream.msg, buf.at, copy, (size_t)n);
	}
	if (n == H1_MORE) {
		if (h->conn.role == CONN_SERVER) {
			h->active = false;
			h->conn.owner->on_cancel(&h->conn, &h->stream);
		} else if (copy && a->at == copy + buf.len) {
			a->at = copy;
		}
		return H1_MORE;
	}
	if (n < 0)
		bad_head(h, fault);
	return n;
}

/* Takes a head from the front of *in; false when all of it was used up or the connection
 * is done with. */
static bool
feed_head(struct h1 *h, struct str *in)
{
	struct str all = *in;
	char *own = NULL;
	ptrdiff_t n;

	if (h->held_len) {
		bool line = h->held_fresh || memchr(in->at, '\n', in->len);

		h1_hold(h, *in, false);
		/* Only the end of a line can complete a head or be an error. */
		if (!line && h->held_len <= h->rules->limits.head)
			return false;
		all = (struct str){ h->held, h->held_len };
	}
	n = take_head(h, all);
	if (n < 0)
		return false;
	if (n == H1_MORE) {
		if (!h->held_len)
			h1_hold(h, all, false);
		if (h->rx == RX_IDLE && h->conn.role == CONN_SERVER)
			wire_timer(&h->conn.wire, clock_ms() + h->rules->head_ms);
		h->rx = RX_HEAD;
		return false;
	}
	if (h->held_len) {
		own = h->held;
		h->held = NULL;
		h->held_len = h->held_room = 0;
		h->held_fresh = false;
	}
	if (h->conn.role == CONN_SERVER)
		got_request(h, h->stream.msg);
	else
		got_response(h, h->stream.msg);
	*in = str_from(all, (size_t)n);
	if (own) {
		/* What follows lies in memory of our own: take it from there before it
		 * goes. */
		if (in->len)
			h1_feed(h, *in);
		free(own);
		return false;
	}
	return true;
}

static void
spend(struct h1 *h, size_t n)
{
	h->credit -= (int64_t)n;
}

static void
feed_length(struct h1 *h, struct str *in)
{
	struct str part = in->len > h->rx_left ? str_first(*in, (size_t)h->rx_left) : *in;

	h->rx_left -= part.len;
	*in = str_from(*in, part.len);
	spend(h, part.len);
	if (!h->rx_left)
		h->rx = RX_DONE;
	if (h->discarding) {
		if (!h->rx_left)
			h1_next_request(h);
		return;
	}
	h->stream.user->on_body(&h->stream, part, h->rx_left == 0);
}

static void
end_chunked(struct h1 *h, struct str raw)
{
	struct headers trailers = { 0 };

	h->rx = RX_DONE;
	if (raw.len && !h1_parse_trailers(raw, h->stream.arena, &trailers)) {
		h->rx = RX_STOP;
		h->close = true;
		h1_fault(h, h->conn.role == CONN_SERVER ? FAULT_BAD_CHUNK
							: FAULT_RESPONSE_CHUNK);
		return;
	}
	if (trailers.n)
		h->stream.user->on_trailers(&h->stream, &trailers);
	else
		h->stream.user->on_body(&h->stream, STR_NONE, true);
}

static void
feed_chunked(struct h1 *h, struct str *in)
{
	struct str data, trailers = STR_NONE;

	switch (h1_chunk_next(&h->chunked, in, &data, h->stream.arena, &trailers)) {
	case H1_CHUNK_DATA:
		spend(h, data.len);
		h->stream.user->on_body(&h->stream, data, false);
		return;
	case H1_CHUNK_END:
		end_chunked(h, trailers);
		return;
	case H1_CHUNK_BAD:
		h->rx = RX_STOP;
		h->close = true;
		*in = STR_NONE;
		h1_fault(h, h->conn.role == CONN_SERVER ? FAULT_BAD_CHUNK
							: FAULT_RESPONSE_CHUNK);
		return;
	default:
		return;
	}
}

/* One step; false when nothing more can be taken from *in. */
static bool
feed_step(struct h1 *h, struct str *in)
{
	if (!in->len)
		return false;
	switch (h->rx) {
	case RX_IDLE:
	case RX_HEAD:
		if (h->conn.role == CONN_CLIENT && !h->active) {
			h1_close(h);                    /* bytes that nobody asked for */
			return false;
		}
		if (h->conn.role == CONN_SERVER && h->conn.wire.held.len) {
			h1_hold(h, *in, true);
			return false;
		}
		return feed_head(h, in);
	case RX_LENGTH:
		feed_length(h, in);
		return true;
	case RX_CHUNKED:
		feed_chunked(h, in);
		return true;
	case RX_CLOSE:
	case RX_TUNNEL: {
		struct str all = *in;

		*in = STR_NONE;
		spend(h, all.len);
		h->stream.user->on_body(&h->stream, all, false);
		return false;
	}
	case RX_DONE:
		if (h->conn.role == CONN_SERVER)
			h1_hold(h, *in, true);
		else
			h->close = true; /* more than was announced: never reused */
		return false;
	default:
		return false;
	}
}

void
h1_feed(struct h1 *h, struct str in)
{
	bool outer = h->feeding;

	h->feeding = true;
	while (!h->conn.wire.event.buried && feed_step(h, &in))
		;
	h->feeding = outer;
	h1_unsendable(h);
}

void
h1_feed_held(struct h1 *h)
{
	char *own = h->held;
	struct str in = { own, h->held_len };

	h->held = NULL;
	h->held_len = h->held_room = 0;
	h->held_fresh = false;
	h1_feed(h, in);
	free(own);
}
