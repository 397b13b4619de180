#include "base/clock.h"
#include "worker/http/h2_conn.h"

/* ---- credit */

/* The peer's window opens by what was wanted and has come. */
static void
take_off(struct h2 *h, struct h2_stream *s)
{
	size_t n;

	if (!s->unconsumed || s->credit <= 0)
		return;
	n = (uint64_t)s->credit < s->unconsumed ? (size_t)s->credit
						: (size_t)s->unconsumed;
	s->credit -= (int64_t)n;
	s->unconsumed -= n;
	if (!s->closed && s->rx != H2_RX_DONE)
		nghttp2_session_consume_stream(h->session, s->id, n);
}

void
h2_want(struct stream *st, size_t credit)
{
	struct h2_stream *s = h2_stream_of(st);
	struct h2 *h = h2_of(st);

	if (!credit) {
		s->credit = 0;
		return;
	}
	s->credit += (int64_t)credit;
	if (s->rx == H2_RX_TUNNEL && (s->early.len || s->early_end)) {
		h->early_due = true;
		h2_soon(h);
	}
	if (s->id < 0 || h->over)
		return;
	take_off(h, s);
	if (!h->inside && nghttp2_session_want_write(h->session))
		h2_soon(h);
}

/* Who brings much, to someone who takes it, may have more of it under way. */
static void
open_window(struct h2 *h, struct h2_stream *s)
{
	if (s->opened || s->received < H2_WINDOW / 2 || s->credit < H2_WINDOW_OPEN / 2 ||
	    (h2_server(h) && h->nopened >= H2_OPEN_MOST))
		return;
	s->opened = true;
	h->nopened++;
	nghttp2_session_set_local_window_size(h->session, NGHTTP2_FLAG_NONE, s->id,
					      H2_WINDOW_OPEN);
}

/* ---- heads of requests */

static void
tell(struct h2_stream *s)
{
	list_remove(&s->wait);
	s->untold = false;
	if (s->active)
		s->stream.user->on_head(&s->stream, s->head_end);
}

static void
owe_head(struct h2 *h, struct h2_stream *s, bool end)
{
	s->untold = true;
	s->head_end = end;
	list_append(&h->untold, &s->wait);
}

void
h2_tell_requests(struct h2 *h)
{
	h->inside = true;               /* no need to send in between */
	for (int i = 0; i < H2_A_TURN && !list_empty(&h->untold) && !h->condemned &&
			!h->conn.wire.event.buried; i++)
		tell(list_entry(h->untold.next, struct h2_stream, wait));
	h->inside = false;
	if (!list_empty(&h->untold))
		h2_soon(h);
}

/* ---- bodies */

static struct h2_stream *
find(struct h2 *h, int32_t id)
{
	return nghttp2_session_get_stream_user_data(h->session, id);
}

static void
body_end(struct h2_stream *s)
{
	s->rx = H2_RX_DONE;
	s->stream.user->on_body(&s->stream, STR_NONE, true);
}

void
h2_deliver_early(struct h2_stream *s)
{
	struct iovec v;

	while (s->active && s->credit > 0 && chain_iov(&s->early, &v, 1)) {
		size_t n = v.iov_len;

		s->unconsumed += n;
		take_off(h2_of(&s->stream), s);
		s->stream.user->on_body(&s->stream, (struct str){ v.iov_base, n }, false);
		chain_drop(&s->early, n);
	}
	if (s->active && !s->early.len && s->early_end && s->rx == H2_RX_TUNNEL)
		body_end(s);
}

static void
deliver(struct h2 *h, struct h2_stream *s, struct str bytes, bool end)
{
	s->received += bytes.len;
	s->unconsumed += bytes.len;
	if (s->limited)
		s->rx_left -= bytes.len < s->rx_left ? bytes.len : s->rx_left;
	if (end)
		s->rx = H2_RX_DONE;
	take_off(h, s);
	open_window(h, s);
	s->stream.user->on_body(&s->stream, bytes, end);
}

static int
on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *at,
	size_t len, void *user)
{
	struct h2 *h = user;
	struct h2_stream *s = find(h, id);
	struct str bytes = { (const char *)at, len };
	bool end;

	(void)flags;
	if (h->conn.wire.event.buried)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	/* A slow stream stalls itself: the connection's window is open to the others. */
	nghttp2_session_consume_connection(session, len);
	end = h->data_left == len;
	h->data_left -= len < h->data_left ? (uint32_t)len : h->data_left;
	if (s && s->untold)
		tell(s);
	if (!s || !s->active)
		return 0;
	if (s->rx == H2_RX_EARLY || (s->rx == H2_RX_TUNNEL && s->early.len)) {
		chain_append(&s->early, bytes, 2 * H2_EARLY_MAX);
		return 0;
	}
	if (s->rx != H2_RX_BODY && s->rx != H2_RX_TUNNEL)
		return 0;
	/* nghttp2 compares with Content-Length behind this: the end is only told when it
	 * will agree. */
	end = end && h->data_end && (!s->limited || s->rx_left == len);
	deliver(h, s, bytes, end);
	return 0;
}

static void
got_end(struct h2_stream *s)
{
	if (s->untold)
		tell(s);
	if (!s->active)
		return;
	if (s->rx == H2_RX_EARLY || (s->rx == H2_RX_TUNNEL && s->early.len))
		s->early_end = true;
	else if (s->rx == H2_RX_BODY || s->rx == H2_RX_TUNNEL)
		body_end(s);
}

/* ---- heads */

static void
begin_body(struct h2_stream *s, const struct msg *m, bool end)
{
	s->limited = m->body == BODY_LENGTH;
	s->rx_left = m->length;
	s->rx = end ? H2_RX_DONE : H2_RX_BODY;
}

static void
got_request(struct h2 *h, struct h2_stream *s, bool end)
{
	struct msg *m;
	enum fault f;

	if (!h->conn.owner->on_request(&h->conn, &s->stream) || !s->active) {
		s->rx = H2_RX_DONE;
		nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, s->id,
					  NGHTTP2_REFUSED_STREAM);
		return;
	}
	m = s->stream.msg;
	f = h2_head_request(h, &h->head, s->stream.arena, m, end);
	s->method = m->method;
	if (f) {
		s->rx = H2_RX_DONE;
		s->stream.user->on_fault(&s->stream, f);
		return;
	}
	begin_body(s, m, end);
	if (m->upgrade || m->method == METHOD_CONNECT) {
		s->connect = true;
		s->early_end = end;
		s->rx = H2_RX_EARLY;
		s->limited = false;
		end = true;
	}
	owe_head(h, s, end);
}

/* Our extended CONNECT was accepted: what HTTP/1.1 would have said. */
static void
show_switch(struct h2_stream *s, struct msg *m)
{
	m->status = 101;
	m->body = BODY_NONE;
	m->upgrade = true;
	m->upgrade_to = s->protocol;
	if (s->accept.len)
		headers_add(&m->headers, s->stream.arena, STR("sec-websocket-accept"),
			    s->accept);
}

static void
got_response(struct h2 *h, struct h2_stream *s, bool end)
{
	struct msg *m = s->stream.msg;
	enum fault f = h2_head_response(h, &h->head, s->stream.arena, m, s->method, end);

	if (!f && m->status == 101)
		f = FAULT_BAD_RESPONSE;         /* RFC 9113 §8.6 */
	if (f) {
		s->rx = H2_RX_DONE;
		s->stream.user->on_fault(&s->stream, f);
		return;
	}
	if (m->status < 200) {
		s->stream.user->on_head(&s->stream, true);
		return;
	}
	if (s->connect && m->status < 300) {
		s->rx = end ? H2_RX_DONE : H2_RX_TUNNEL;
		if (s->protocol.len)
			show_switch(s, m);
		s->stream.user->on_head(&s->stream, end);
		return;
	}
	begin_body(s, m, end);
	s->stream.user->on_head(&s->stream, end);
}

static void
got_trailers(struct h2 *h, struct h2_stream *s)
{
	struct headers t;

	if (h->head.fault) {
		h2_fault(s, h2_server(h) ? FAULT_HEAD_TOO_LARGE :
					   FAULT_RESPONSE_HEAD_TOO_LARGE);
		return;
	}
	s->rx = H2_RX_DONE;
	h2_head_trailers(&h->head, s->stream.arena, &t);
	if (t.n)
		s->stream.user->on_trailers(&s->stream, &t);
	else
		s->stream.user->on_body(&s->stream, STR_NONE, true);
}

static void
got_headers(struct h2 *h, struct h2_stream *s, bool end)
{
	bool trailer = h->head.trailer;

	h->head_open = h->head_timed = false;
	if (!s || h->head.stream != s)
		return;
	if (s->untold)
		tell(s);
	if (h2_server(h) && !trailer)
		got_request(h, s, end);
	else if (!s->active)
		return;
	else if (!trailer)
		got_response(h, s, end);
	else if (s->rx == H2_RX_BODY)
		got_trailers(h, s);
	else if (end)
		got_end(s);
}

static int
on_begin_headers(nghttp2_session *session, const nghttp2_frame *f, void *user)
{
	struct h2 *h = user;
	struct h2_stream *s;

	if (h->conn.wire.event.buried)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	if (f->hd.type != NGHTTP2_HEADERS)
		return 0;
	if (f->headers.cat == NGHTTP2_HCAT_REQUEST && h2_server(h)) {
		s = h2_stream_new(h, f->hd.stream_id);
		nghttp2_session_set_stream_user_data(session, s->id, s);
		if (h->rules->draining && !h->draining)
			h2_drain(&h->conn, h->rules->head_ms);
		h2_head_begin(h, s, false);
		return 0;
	}
	s = find(h, f->hd.stream_id);
	h2_head_begin(h, s, h2_server(h) || (s && s->rx != H2_RX_HEAD));
	return 0;
}

static int
on_header(nghttp2_session *session, const nghttp2_frame *f, const uint8_t *name,
	  size_t namelen, const uint8_t *value, size_t len, uint8_t flags, void *user)
{
	(void)session, (void)f, (void)flags;
	return h2_head_line(user, (struct str){ (const char *)name, namelen },
			    (struct str){ (const char *)value, len });
}

/* Anything that nghttp2 would only leave out: upper case, control characters. */
static int
on_invalid_header(nghttp2_session *session, const nghttp2_frame *f, const uint8_t *name,
		  size_t namelen, const uint8_t *value, size_t len, uint8_t flags,
		  void *user)
{
	(void)session, (void)f, (void)name, (void)namelen, (void)value, (void)len;
	(void)flags, (void)user;
	return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

/* ---- other frames */

static void
got_settings(struct h2 *h, const nghttp2_frame *f)
{
	if (f->hd.flags & NGHTTP2_FLAG_ACK)
		return;
	h->greeted = true;
	h->room_due = !h2_server(h);
	h2_send_late(h);
}

static int
on_frame(nghttp2_session *session, const nghttp2_frame *f, void *user)
{
	struct h2 *h = user;
	struct h2_stream *s;

	(void)session;
	if (h->conn.wire.event.buried || h->condemned)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	switch (f->hd.type) {
	case NGHTTP2_DATA:
		if (!(f->hd.flags & NGHTTP2_FLAG_END_STREAM))
			break;
		s = find(h, f->hd.stream_id);
		if (s && s->rx != H2_RX_DONE)
			got_end(s);
		break;
	case NGHTTP2_HEADERS:
		s = find(h, f->hd.stream_id);
		got_headers(h, s, f->hd.flags & NGHTTP2_FLAG_END_STREAM);
		break;
	case NGHTTP2_SETTINGS:
		got_settings(h, f);
		break;
	case NGHTTP2_PING:
		if (f->hd.flags & NGHTTP2_FLAG_ACK && h->draining)
			h2_last_goaway(h);
		break;
	case NGHTTP2_GOAWAY:
		h->goaway = true;
		break;
	default:
		break;
	}
	return 0;
}

/* Identifiers grow (RFC 9113 §5.1.1). One that was passed over can not come any more;
 * what comes for one that was closed may have been under way. */
static bool
in_order(struct h2 *h, int32_t id)
{
	if (!h2_server(h) || !(id & 1))
		return true;
	if (id > h->last_id) {
		if (id > h->last_id + 2) {
			h->skipped = h->last_id + 1;
			h->skipped_to = id - 1;
		}
		h->last_id = id;
		return true;
	}
	return id < h->skipped || id > h->skipped_to;
}

/* What frames cost that bring nothing. */
static int
on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *user)
{
	struct h2 *h = user;
	unsigned cost = 0;

	(void)session;
	switch (hd->type) {
	case NGHTTP2_DATA:
		h->data_left = hd->flags & NGHTTP2_FLAG_PADDED ? 0 : (uint32_t)hd->length;
		h->data_end = hd->flags & NGHTTP2_FLAG_END_STREAM;
		cost = !hd->length && !h->data_end;
		break;
	case NGHTTP2_SETTINGS:
		cost = !(hd->flags & NGHTTP2_FLAG_ACK);
		break;
	case NGHTTP2_PING:
	case NGHTTP2_WINDOW_UPDATE:
		/* Who receives much opens windows and measures the way (grpc-go: a
		 * PING each round trip). */
		cost = !(hd->type == NGHTTP2_PING && hd->flags & NGHTTP2_FLAG_ACK);
		if (cost && h->explained > 0) {
			h->explained--;
			cost = 0;
		}
		break;
	case NGHTTP2_HEADERS:
		if (!in_order(h, hd->stream_id)) {
			h2_condemn(h, NGHTTP2_PROTOCOL_ERROR);
			return NGHTTP2_ERR_CALLBACK_FAILURE;
		}
		/* gRPC opens both windows with each call that it begins. */
		h2_explain(h, 2);
		break;
	case NGHTTP2_PRIORITY:
		cost = 1;
		if (hd->stream_id)
			break;
		h2_condemn(h, NGHTTP2_PROTOCOL_ERROR);
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	default:
		cost = 1;
	}
	return !cost || h2_spend(h, cost) ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

/* Each makes us answer: streams above the limit, frames on closed ones. */
static int
on_invalid_frame(nghttp2_session *session, const nghttp2_frame *f, int error, void *user)
{
	(void)session, (void)f, (void)error;
	return h2_spend(user, 1) ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

/* ---- the end of a stream */

static enum fault
closed_server(const struct h2_stream *s, uint32_t code)
{
	if (code == NGHTTP2_PROTOCOL_ERROR && s->limited && s->rx == H2_RX_BODY)
		return FAULT_BAD_LENGTH;
	return FAULT_CLIENT_GONE;
}

static enum fault
closed_client(const struct h2_stream *s, uint32_t code)
{
	if (s->rx != H2_RX_HEAD)
		return s->rx == H2_RX_DONE ? FAULT_UPSTREAM_CLOSED
					   : FAULT_RESPONSE_INCOMPLETE;
	if (code == NGHTTP2_REFUSED_STREAM)
		return FAULT_UPSTREAM_CLOSED;   /* nobody has looked at it */
	if (code == NGHTTP2_PROTOCOL_ERROR)
		return FAULT_BAD_RESPONSE;
	return FAULT_UPSTREAM_RESET;
}

static int
on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *user)
{
	struct h2 *h = user;
	struct h2_stream *s = find(h, id);
	bool whole;

	(void)session;
	h->room_due = !h2_server(h);
	if (!s)
		return 0;
	s->closed = true;
	h->nopened -= s->opened;
	if (s->untold)
		list_remove(&s->wait);
	s->untold = false;
	if (h->head.stream == s)
		h->head.stream = NULL;
	whole = s->rx == H2_RX_DONE && s->sent_end;
	if (whole && h->budget < H2_IDLE_FRAMES * 1000)
		h->budget += 1000;
	if (s->active && !whole)
		h2_fault(s,
			 h2_server(h) ? closed_server(s, code) : closed_client(s, code));
	else if (!s->active)
		h2_stream_drop(s);
	return 0;
}

void
h2_rx_callbacks(nghttp2_session_callbacks *c)
{
	nghttp2_session_callbacks_set_on_begin_frame_callback(c, on_begin_frame);
	nghttp2_session_callbacks_set_on_begin_headers_callback(c, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(c, on_header);
	nghttp2_session_callbacks_set_on_invalid_header_callback(c, on_invalid_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame);
	nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(c, on_invalid_frame);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(c, on_stream_close);
}

bool
h2_feed(struct h2 *h, struct str in)
{
	ssize_t n;

	h->inside = true;
	n = nghttp2_session_mem_recv(h->session, (const uint8_t *)in.at, in.len);
	h->inside = false;
	if (h->conn.wire.event.buried)
		return false;
	if (h2_server(h) && h->head_open && !h->head_timed) {
		h->head_timed = true;
		wire_timer(&h->conn.wire, clock_ms() + h->rules->head_ms);
	}
	if (n >= 0)
		return true;
	h2_condemn(h, n == NGHTTP2_ERR_FLOODED	       ? NGHTTP2_ENHANCE_YOUR_CALM :
		      n == NGHTTP2_ERR_BAD_CLIENT_MAGIC ? NGHTTP2_PROTOCOL_ERROR :
							  NGHTTP2_INTERNAL_ERROR);
	return false;
}
