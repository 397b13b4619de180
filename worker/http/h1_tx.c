#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "worker/http/h1_conn.h"
#include "worker/http/h1_write.h"

enum { DISCARD_MAX = 64 * 1024 };

static void
put_head(struct h1 *h, const struct msg *m, const struct h1_head *head)
{
	size_t size = h1_head_size(m, head);
	bool large = size > OUTBOX / 2;
	char *to = large ? malloc(size) : wire_room(&h->conn.wire, size);
	char *end = h->conn.role == CONN_SERVER ? h1_put_response(to, m, head) :
					   h1_put_request(to, m, head);

	if (large) {
		wire_send(&h->conn.wire, (struct str){ to, (size_t)(end - to) });
		free(to);
	} else {
		wire_filled(&h->conn.wire, (size_t)(end - to));
	}
}

static bool
bodyless(int status)
{
	return status < 200 || status == 204 || status == 304;
}

static void
send_request(struct h1 *h, const struct msg *m, bool end, bool close)
{
	struct h1_head head = { .close = close };

	if (end && !headers_has(&m->headers, TOKEN_CONTENT_LENGTH)) {
		head.framing = H1_NO_FRAMING;
		h->tx = TX_DONE;
	} else if (end || m->body == BODY_LENGTH) {
		head.framing = H1_LENGTH;
		head.length = h->tx_left = end ? 0 : m->length;
		h->tx = end ? TX_DONE : TX_LENGTH;
	} else {
		head.framing = H1_CHUNKED;
		h->tx = TX_CHUNKED;
	}
	if (m->upgrade)
		head.upgrade = m->upgrade_to;
	h->method = m->method;
	h->rx = RX_HEAD;
	h->used = true;
	put_head(h, m, &head);
}

static void
send_interim(struct h1 *h, const struct msg *m)
{
	struct h1_head head = { .framing = H1_NO_FRAMING };

	if (m->status == 101) {
		head.upgrade = m->upgrade_to;
		h->tx = TX_TUNNEL;
		h->rx = RX_TUNNEL;
		h->close = true;
	} else if (h->minor0 || h->conn.wire.held.len > OUTBOX) {
		return; /* it would not be understood, or not in time */
	}
	put_head(h, m, &head);
}

/* So little of the request is missing that reading it is cheaper than another connection.
 * A client that waits for 100 Continue may send it or not: nobody knows where its next
 * request begins. */
static bool
worth_discarding(const struct h1 *h)
{
	return h->rx == RX_LENGTH && h->rx_left <= DISCARD_MAX && !h->expect;
}

static void
send_response(struct h1 *h, const struct msg *m, bool end, bool close)
{
	struct h1_head head = { .framing = H1_LENGTH };
	bool known =
		m->body == BODY_LENGTH || headers_has(&m->headers, TOKEN_CONTENT_LENGTH);

	if (h->method == METHOD_CONNECT && m->body == BODY_NONE && !end) {
		head.framing = H1_NO_FRAMING;   /* RFC 9110 §9.3.6 */
		h1_tunnel(h);
		put_head(h, m, &head);
		return;
	}
	if (bodyless(m->status) || h->method == METHOD_HEAD) {
		head.framing = known && m->status >= 200 && m->status != 204
				       ? H1_LENGTH
				       : H1_NO_FRAMING;
		head.length = m->length;
		h->tx = TX_DONE;
	} else if (end || m->body == BODY_LENGTH) {
		head.length = h->tx_left = end ? 0 : m->length;
		h->tx = end ? TX_DONE : TX_LENGTH;
	} else if (!h->minor0) {
		head.framing = H1_CHUNKED;
		h->tx = TX_CHUNKED;
	} else {
		head.framing = H1_UNTIL_CLOSE;
		h->tx = TX_CLOSE;
		close = true;
	}
	if (close || h->rules->draining)
		h->close = true;
	head.close = h->close;
	head.keep_alive = !h->close && h->minor0;
	put_head(h, m, &head);
}

static void
h1_send_head(struct stream *s, const struct msg *m, bool end, bool close)
{
	struct h1 *h = h1_of(s);

	if (h->conn.role == CONN_CLIENT)
		send_request(h, m, end, close);
	else if (m->status < 200)
		send_interim(h, m);
	else
		send_response(h, m, end, close);
}

static void
put_chunk(struct h1 *h, struct str bytes)
{
	static const char digits[] = "0123456789abcdef";
	char *to = wire_room(&h->conn.wire, 24), *at = to;
	int shift = 60;

	while (shift && !(bytes.len >> shift))
		shift -= 4;
	for (; shift >= 0; shift -= 4)
		*at++ = digits[bytes.len >> shift & 15];
	*at++ = '\r';
	*at++ = '\n';
	wire_filled(&h->conn.wire, (size_t)(at - to));
	wire_send_tail(&h->conn.wire, bytes, STR("\r\n"));
}

static size_t
h1_send_body(struct stream *s, struct str bytes, bool end)
{
	struct h1 *h = h1_of(s);

	switch (h->tx) {
	case TX_LENGTH:
		if (bytes.len > h->tx_left)
			bytes.len = (size_t)h->tx_left;
		h->tx_left -= bytes.len;
		wire_send(&h->conn.wire, bytes);
		break;
	case TX_CHUNKED:
		if (bytes.len)
			put_chunk(h, bytes);
		if (end)
			wire_send(&h->conn.wire, STR("0\r\n\r\n"));
		break;
	case TX_CLOSE:
		wire_send(&h->conn.wire, bytes);
		break;
	case TX_TUNNEL:
		wire_send(&h->conn.wire, bytes);
		if (end) {
			wire_shut(&h->conn.wire);
			wire_flush(
				h->conn.wire.loop); /* what is left is held: it counts */
		}
		break;
	default:
		break;                          /* a body to HEAD: not sent */
	}
	if (end && h->tx != TX_IDLE)
		h->tx = TX_DONE;
	return h->conn.wire.held.len;
}

static void
h1_send_trailers(struct stream *s, const struct headers *t)
{
	struct h1 *h = h1_of(s);

	if (h->tx != TX_CHUNKED) {
		h1_send_body(s, STR_NONE, true);
		return;
	}
	wire_send(&h->conn.wire, STR("0\r\n"));
	for (uint32_t i = 0; i < t->n; i++) {
		const struct header *f = &t->at[i];

		if (f->gone)
			continue;
		wire_send(&h->conn.wire, f->name);
		wire_send(&h->conn.wire, STR(": "));
		wire_send(&h->conn.wire, f->value);
		wire_send(&h->conn.wire, STR("\r\n"));
	}
	wire_send(&h->conn.wire, STR("\r\n"));
	h->tx = TX_DONE;
}

static void
h1_want(struct stream *s, size_t credit)
{
	struct h1 *h = h1_of(s);
	bool stopped = h->credit <= 0;

	if (!credit && !stopped)
		h->credit = 0;
	h->credit += (int64_t)credit;
	if (stopped && (h->readable || h->held_fresh) && !h->feeding)
		loop_ready(h->conn.wire.loop, &h->conn.wire.event);
}

/* ---- the end of a message */

void
h1_next_request(struct h1 *h)
{
	h->discarding = false;
	h->rx = RX_IDLE;
	h->tx = TX_IDLE;
	h->probed = false;
	wire_timer(&h->conn.wire, clock_ms() + h->rules->idle_ms);
	if (!h->feeding && (h->held_len || h->readable))
		loop_ready(h->conn.wire.loop, &h->conn.wire.event);
	h->conn.owner->on_idle(&h->conn);
}

void
h1_linger(struct h1 *h)
{
	wire_flush(h->conn.wire.loop);
	if (h->eof && !h->conn.wire.held.len) {
		h1_close(h);
		return;
	}
	h->rx = RX_LINGER;
	h->readable = !h->eof;
	h->held_len = 0;
	h->held_fresh = false;
	h->lingered = h->conn.wire.sent;
	wire_shut(&h->conn.wire);
	wire_timer(&h->conn.wire, clock_ms() + h->rules->linger_ms);
	loop_ready(h->conn.wire.loop, &h->conn.wire.event);
}

static void
discard(struct h1 *h)
{
	h->discarding = true;
	wire_timer(&h->conn.wire, clock_ms() + h->rules->head_ms);
	if (!h->feeding)
		loop_ready(h->conn.wire.loop, &h->conn.wire.event);
}

static void
release_server(struct h1 *h, enum fault fault)
{
	if (h->conn.wire.error)
		h1_close(h);
	else if (!fault && h->tx == TX_DONE && h->rx == RX_DONE && !h->close)
		h1_next_request(h);
	else if (!fault && h->tx == TX_DONE && !h->close && worth_discarding(h))
		discard(h);
	else if (h->tx == TX_DONE)
		h1_linger(h);
	else if (h->tx == TX_CLOSE || h->tx == TX_TUNNEL)
		h1_abort(h);
	else
		h1_close(h);
}

/* After a response nothing may come: it would be taken for the next one. */
static bool
silent(struct h1 *h)
{
	if (!wire_silent(&h->conn.wire))
		return false;
	h->readable = false;
	return true;
}

static void
release_client(struct h1 *h, enum fault fault)
{
	if (fault || h->close || h->hangup || h->rx != RX_DONE || h->tx != TX_DONE ||
	    h->conn.wire.held.len || h->conn.wire.error || (h->readable && !silent(h))) {
		h1_close(h);
		return;
	}
	h->rx = RX_IDLE;
	h->tx = TX_IDLE;
	h->conn.owner->on_idle(&h->conn);
}

static void
h1_release(struct stream *s, enum fault fault)
{
	struct h1 *h = h1_of(s);

	if (!h->active)
		return;
	h1_relay_stop(h);
	h->active = false;
	if (h->conn.role == CONN_SERVER)
		release_server(h, fault);
	else
		release_client(h, fault);
}

const struct stream_ops h1_ops = {
	.name = "http/1.1",
	.send_head = h1_send_head,
	.send_body = h1_send_body,
	.send_trailers = h1_send_trailers,
	.want = h1_want,
	.release = h1_release,
	.relay = h1_relay,
	.attach = h1_attach,
};
