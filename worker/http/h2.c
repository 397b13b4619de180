#include "worker/http/h2.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "worker/http/h2_conn.h"

enum {
	ROOM_MAX = 1000,                /* streams of ours on one connection */
	ROOM_FIRST = 100,               /* before the peer has said */
	IDS_END = 0x7fff0000,
};

/* What h2.h states: both bodies of each stream, wide windows, heads. */
_Static_assert(2 * H2_STREAMS * H2_WINDOW + H2_OPEN_MOST * H2_WINDOW_OPEN + (4 << 20) <
		       H2_MEMORY_MOST,
	       "a client's connection holds less");

/* ---- streams */

struct h2_stream *
h2_stream_new(struct h2 *h, int32_t id)
{
	struct h2_stream *s = calloc(1, sizeof(*s));

	if (!s)
		abort();
	s->stream.ops = &h2_ops;
	s->stream.conn = &h->conn;
	s->id = id;
	list_init(&s->wait);
	list_append(&h->streams, &s->link);
	h->nstreams++;
	return s;
}

void
h2_stream_free(struct h2_stream *s)
{
	list_remove(&s->wait);
	list_remove(&s->link);
	chain_free(&s->out);
	chain_free(&s->early);
	free(s->trailers.at);
	free(s);
}

void
h2_stream_drop(struct h2_stream *s)
{
	struct h2 *h = h2_of(&s->stream);

	if (s->active || (s->id >= 0 && !s->closed))
		return;
	h->nstreams--;
	if (h->head.stream == s)
		h->head.stream = NULL;
	h2_stream_free(s);
}

void
h2_stream_attach(struct stream *st)
{
	struct h2_stream *s = h2_stream_of(st);
	struct h2 *h = h2_of(st);

	s->active = true;
	s->credit = 0;
	h->nactive++;
	h->idle_due = false;
	if (!h2_server(h))
		timer_clear(&h->conn.wire.timer);
}

void
h2_fault_later(struct h2_stream *s, enum fault f)
{
	struct h2 *h = h2_of(&s->stream);

	if (!s->fault)
		s->fault = (uint8_t)f;
	h->fault_due = true;
	h2_soon(h);
}

void
h2_fault(struct h2_stream *s, enum fault f)
{
	if (h2_of(&s->stream)->sending)
		h2_fault_later(s, f);
	else
		s->stream.user->on_fault(&s->stream, f);
}

static uint32_t
reset_code(const struct h2 *h, enum fault f)
{
	if (!h2_server(h))
		return NGHTTP2_CANCEL;
	switch (f) {
	case FAULT_NONE:
		return NGHTTP2_NO_ERROR;
	case FAULT_CLIENT_GONE:
	case FAULT_CLIENT_STALLED:
	case FAULT_BODY_TIMEOUT:
	case FAULT_TOTAL_TIMEOUT:
		return NGHTTP2_CANCEL;
	default:
		return NGHTTP2_INTERNAL_ERROR;
	}
}

static void
reset_ending(struct h2 *h, struct h2_stream *s)
{
	list_remove(&s->wait);
	nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_NO_ERROR);
}

static void
ending_timer(struct timer *t)
{
	struct h2 *h = list_entry(t, struct h2, ending_timer);

	while (!h->over && !list_empty(&h->ending)) {
		struct h2_stream *s = list_entry(h->ending.next, struct h2_stream, wait);

		if (s->ends_at > clock_ms()) {
			timer_set(&h->conn.wire.loop->wheel, t, s->ends_at);
			break;
		}
		reset_ending(h, s);
	}
	if (!h->conn.wire.event.buried)
		h2_soon(h);
}

void
h2_stream_end(struct h2 *h, struct h2_stream *s)
{
	if (h->draining) {
		reset_ending(h, s);
		return;
	}
	s->ends_at = clock_ms() + h->rules->linger_ms;
	if (list_empty(&h->ending))
		timer_set(&h->conn.wire.loop->wheel, &h->ending_timer, s->ends_at);
	list_append(&h->ending, &s->wait);
}

static void
end_stream(struct h2 *h, struct h2_stream *s, enum fault f)
{
	if (!f && s->tx == H2_TX_DONE && s->rx == H2_RX_DONE)
		return;
	if (!f && s->tx == H2_TX_DONE && h2_server(h)) {
		s->ending = true;
		if (s->sent_end)
			h2_stream_end(h, s);
		return;
	}
	chain_free(&s->out);
	nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, s->id, reset_code(h, f));
}

void
h2_stream_release(struct stream *st, enum fault f)
{
	struct h2_stream *s = h2_stream_of(st);
	struct h2 *h = h2_of(st);

	if (!s->active)
		return;
	if (f && s->tx == H2_TX_BODY && !s->closed)
		h2_pump(h);             /* what there was before it was cut */
	s->active = false;
	h->nactive--;
	list_remove(&s->wait);
	chain_free(&s->early);
	s->late = NULL;
	if (h->conn.wire.event.buried)
		return;                         /* h2_destroy() frees it */
	if (!h->nactive) {
		h->idle_due = true;
		h->idle_since = clock_ms();
	}
	if (s->id >= 0 && !s->closed)
		end_stream(h, s, f);
	else
		h2_stream_drop(s);
	h2_soon(h);
}

/* ---- floods */

void
h2_condemn(struct h2 *h, uint32_t code)
{
	if (h->condemned)
		return;
	h->condemned = true;
	nghttp2_session_terminate_session(h->session, code);
}

bool
h2_spend(struct h2 *h, unsigned n)
{
	uint64_t now = clock_ms();

	if (now > h->budget_at) {
		uint64_t got = (now - h->budget_at) * H2_IDLE_FRAMES +
			       (uint64_t)(h->budget + H2_IDLE_FRAMES * 1000);

		h->budget = got < 2 * H2_IDLE_FRAMES * 1000 ?
				    (int32_t)got - H2_IDLE_FRAMES * 1000 :
				    H2_IDLE_FRAMES * 1000;
		h->budget_at = now;
	}
	h->budget -= (int32_t)n * 1000;
	if (h->budget >= 0 || !h2_server(h))
		return true;
	h2_condemn(h, NGHTTP2_ENHANCE_YOUR_CALM);
	return false;
}

/* ---- conn_ops */

static uint32_t
h2_room(const struct conn *c)
{
	const struct h2 *h = (const struct h2 *)c;
	uint32_t max = ROOM_FIRST;

	if (c->wire.event.buried || h->over || h->goaway || h->draining ||
	    c->wire.error || h->eof || h->hangup ||
	    nghttp2_session_get_next_stream_id(h->session) > IDS_END)
		return 0;
	if (h->greeted)
		max = nghttp2_session_get_remote_settings(
			h->session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
	if (max > ROOM_MAX)
		max = ROOM_MAX;
	return h->nstreams < max ? max - h->nstreams : 0;
}

static struct stream *
h2_open_stream(struct conn *c)
{
	struct h2 *h = (struct h2 *)c;

	return h2_room(c) ? &h2_stream_new(h, -1)->stream : NULL;
}

void
h2_last_goaway(struct h2 *h)
{
	if (h->last_said)
		return;
	h->last_said = true;
	nghttp2_submit_goaway(h->session, NGHTTP2_FLAG_NONE,
			      nghttp2_session_get_last_proc_stream_id(h->session),
			      NGHTTP2_NO_ERROR, NULL, 0);
	h2_soon(h);
}

/* RFC 9113 §6.8: first "no more, please", then, when that has arrived for sure, "no more". */
void
h2_drain(struct conn *c, uint64_t grace_ms)
{
	static const uint8_t opaque[8] = "draining";
	struct h2 *h = (struct h2 *)c;

	if (h->draining || h->over || c->wire.event.buried)
		return;
	h->draining = true;
	if (!h2_server(h)) {
		h2_last_goaway(h);
		return;
	}
	while (!list_empty(&h->ending))
		reset_ending(h, list_entry(h->ending.next, struct h2_stream, wait));
	nghttp2_submit_shutdown_notice(h->session);
	nghttp2_submit_ping(h->session, NGHTTP2_FLAG_NONE, opaque);
	wire_timer(&c->wire, clock_ms() + grace_ms);
	h2_soon(h);
}

static const struct conn_ops conn_ops = {
	.name = "h2",
	.many = true,
	.open = h2_open_stream,
	.room = h2_room,
	.close = h2_close,
	.drain = h2_drain,
};

/* ---- begin */

static int
make_session(struct h2 *h)
{
	nghttp2_session_callbacks *c;
	nghttp2_option *o;
	int rv;

	if (nghttp2_session_callbacks_new(&c) || nghttp2_option_new(&o))
		abort();
	h2_rx_callbacks(c);
	h2_tx_callbacks(c);
	nghttp2_option_set_no_auto_window_update(o, 1);
	nghttp2_option_set_no_closed_streams(o, 1);
	nghttp2_option_set_max_outbound_ack(o, 2 * H2_IDLE_FRAMES);
	nghttp2_option_set_stream_reset_rate_limit(o, 1000, H2_IDLE_FRAMES);
	nghttp2_option_set_max_continuations(o, 8 + h->rules->limits.head / 16384);
	nghttp2_option_set_max_reserved_remote_streams(o, 0);
	rv = h2_server(h) ? nghttp2_session_server_new2(&h->session, c, h, o) :
			    nghttp2_session_client_new2(&h->session, c, h, o);
	nghttp2_option_del(o);
	nghttp2_session_callbacks_del(c);
	return rv;
}

static void
greet(struct h2 *h)
{
	const nghttp2_settings_entry server[] = {
		{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, H2_STREAMS },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, h->rules->limits.head },
		{ NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1 },
		{ NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1 },
	};
	const nghttp2_settings_entry client[] = {
		{ NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, h->rules->limits.head },
	};

	if (h2_server(h))
		nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, server,
					sizeof(server) / sizeof(*server));
	else
		nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, client,
					sizeof(client) / sizeof(*client));
	nghttp2_session_set_local_window_size(h->session, NGHTTP2_FLAG_NONE, 0,
					      h2_server(h) ? H2_WINDOW_CONN
							   : 4 * H2_WINDOW_CONN);
}

struct h2 *
h2_open(struct loop *loop, int fd, enum conn_role role, const struct conn_owner *owner,
	const struct h1_rules *rules, void *data, struct tls *tls, struct str first)
{
	struct h2 *h = calloc(1, sizeof(*h));

	if (!h)
		abort();
	if (wire_open(&h->conn.wire, loop, fd, &h2_wire_ops)) {
		free(h);
		return NULL;
	}
	h->conn.ops = &conn_ops;
	h->conn.owner = owner;
	h->conn.data = data;
	h->conn.role = (uint8_t)role;
	h->rules = rules;
	h->budget = H2_IDLE_FRAMES * 1000;
	h->budget_at = h->idle_since = clock_ms();
	list_init(&h->conn.link);
	list_init(&h->streams);
	list_init(&h->waiting);
	list_init(&h->untold);
	list_init(&h->ending);
	h->ending_timer.fire = ending_timer;
	if (make_session(h))
		abort();
	if (tls)
		wire_tls(&h->conn.wire, tls);
	greet(h);
	if (first.len) {
		h->first = malloc(first.len);
		if (!h->first)
			abort();
		memcpy(h->first, first.at, first.len);
		h->first_len = first.len;
	}
	h->readable = true;
	if (h2_server(h))
		wire_timer(&h->conn.wire, clock_ms() + rules->head_ms);
	h2_soon(h);
	return h;
}

const struct stream_ops h2_ops = {
	.name = "h2",
	.send_head = h2_send_head,
	.send_body = h2_send_body,
	.send_trailers = h2_send_trailers,
	.want = h2_want,
	.room = h2_stream_room,
	.release = h2_stream_release,
	.attach = h2_stream_attach,
};
