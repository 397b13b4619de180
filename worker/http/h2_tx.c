#include <stdlib.h>

#include "base/clock.h"
#include "worker/http/h1_scan.h"
#include "worker/http/h2_conn.h"

enum {
	PSEUDO = 6,
	SMALL_HEAD = 64,
	DATE_LEN = 29,
	FRAME_HEAD = 9,
	EXPLAINED_A_FRAME = 4,          /* WINDOW_UPDATEs and PINGs, by one of DATA */
};

/* ---- header blocks */

struct block {
	nghttp2_nv *at;
	size_t n;
	struct arena *arena;
};

static void
put(struct block *b, struct str name, struct str value, uint8_t flags)
{
	b->at[b->n++] = (nghttp2_nv){
		.name = (uint8_t *)(uintptr_t)name.at,
		.namelen = name.len,
		.value = (uint8_t *)(uintptr_t)(value.at ? value.at : ""),
		.valuelen = value.len,
		.flags = flags,
	};
}

#define PUT(b, name, value) put((b), STR(name), (value), NGHTTP2_NV_FLAG_NO_COPY_NAME)

/* What a template let through: a byte that must not be there is written over. */
static struct str
cleaned(struct arena *a, struct str s, uint8_t class, char with)
{
	char *to;

	if (!s.len || scan_plain(s.at, s.at + s.len, class) == s.at + s.len)
		return s;
	to = arena_alloc_aligned(a, s.len, 1);
	for (size_t i = 0; i < s.len; i++)
		to[i] = scan_class[(unsigned char)s.at[i]] & class ? s.at[i] : with;
	return (struct str){ to, s.len };
}

static bool
left_out(const struct header *l)
{
	return l->gone || l->hop || l->token == TOKEN_CONTENT_LENGTH ||
	       l->token == TOKEN_HOST || token_flags[l->token] & TOKEN_HOP;
}

static void
put_lines(struct block *b, const struct headers *hs, bool no_key, bool no_accept)
{
	for (uint32_t i = 0; i < hs->n; i++) {
		const struct header *l = &hs->at[i];
		struct str value = l->value;

		if (left_out(l) || (no_key && l->token == TOKEN_SEC_WEBSOCKET_KEY) ||
		    (no_accept && str_caseeq(l->name, STR("sec-websocket-accept"))))
			continue;
		if (!l->raw)
			value = str_trim(cleaned(b->arena, value, SCAN_VALUE, ' '));
		/* nghttp2 copies, and makes names lower-case while it does. */
		if (l->token)
			put(b, token_name[l->token], value, NGHTTP2_NV_FLAG_NO_COPY_NAME);
		else
			put(b, l->name, value, NGHTTP2_NV_FLAG_NONE);
	}
}

/* ---- DATA */

static int
put_trailers(struct h2 *h, struct h2_stream *s)
{
	struct headers t = s->trailers;
	struct block b = { .arena = NULL };
	int rv;

	s->trailers = (struct headers){ 0 };
	b.at = calloc(t.n + 1, sizeof(*b.at));
	if (!b.at)
		abort();
	for (uint32_t i = 0; i < t.n; i++)
		put(&b, t.at[i].name, t.at[i].value, NGHTTP2_NV_FLAG_NONE);
	rv = nghttp2_submit_trailer(h->session, s->id, b.at, b.n);
	free(b.at);
	free(t.at);
	return rv;
}

static ssize_t
read_data(nghttp2_session *session, int32_t id, uint8_t *buf, size_t len, uint32_t *flags,
	  nghttp2_data_source *source, void *user)
{
	struct h2 *h = user;
	struct h2_stream *s = source->ptr;
	size_t all = s->out.len + s->now.len;
	bool end = s->tx == H2_TX_DONE;

	(void)session, (void)id, (void)buf;
	if (h->conn.wire.held.len)
		return NGHTTP2_ERR_PAUSE;
	if (!all && !end) {
		s->deferred = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	*flags |= NGHTTP2_DATA_FLAG_NO_COPY;
	if (all > len)
		return (ssize_t)len;
	if (!end)
		return (ssize_t)all;
	*flags |= NGHTTP2_DATA_FLAG_EOF;
	if (s->trailers.n) {
		*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
		if (put_trailers(h, s))
			return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	}
	return (ssize_t)all;
}

static char *
put_held(char *to, struct chain *c, size_t n)
{
	struct iovec v;

	while (n && chain_iov(c, &v, 1)) {
		size_t part = v.iov_len < n ? v.iov_len : n;

		to = mempcpy(to, v.iov_base, part);
		chain_drop(c, part);
		n -= part;
	}
	return to;
}

static int
send_data(nghttp2_session *session, nghttp2_frame *f, const uint8_t *head, size_t len,
	  nghttp2_data_source *source, void *user)
{
	struct h2 *h = user;
	struct h2_stream *s = source->ptr;
	struct wire *w = &h->conn.wire;
	size_t old = len < s->out.len ? len : s->out.len, new = len - old;
	char *to;

	(void)session, (void)f;
	if (w->held.len)
		return NGHTTP2_ERR_WOULDBLOCK;
	to = mempcpy(wire_room(w, FRAME_HEAD + len), head, FRAME_HEAD);
	if (old)
		to = put_held(to, &s->out, old);
	if (new) {
		memcpy(to, s->now.at, new);
		s->now = str_from(s->now, new);
	}
	wire_filled(w, FRAME_HEAD + len);
	h->drain_due |= !s->out.len && !list_empty(&s->wait);
	h2_explain(h, EXPLAINED_A_FRAME);
	return 0;
}

static int
on_sent(nghttp2_session *session, const nghttp2_frame *f, void *user)
{
	struct h2_stream *s;

	if ((f->hd.type != NGHTTP2_DATA && f->hd.type != NGHTTP2_HEADERS) ||
	    !(f->hd.flags & NGHTTP2_FLAG_END_STREAM))
		return 0;
	s = nghttp2_session_get_stream_user_data(session, f->hd.stream_id);
	if (!s)
		return 0;
	s->sent_end = true;
	if (s->ending)
		h2_stream_end(user, s);
	return 0;
}

/* A request that could not be sent after all: the peer said GOAWAY meanwhile. */
static int
on_not_sent(nghttp2_session *session, const nghttp2_frame *f, int error, void *user)
{
	struct h2 *h = user;

	(void)session, (void)error;
	if (f->hd.type != NGHTTP2_HEADERS || f->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	for (struct list *l = h->streams.next; l != &h->streams; l = l->next) {
		struct h2_stream *s = list_entry(l, struct h2_stream, link);

		if (s->id != f->hd.stream_id)
			continue;
		s->closed = true;
		if (s->active)
			h2_fault_later(s, FAULT_UPSTREAM_CLOSED);
		else
			h2_stream_drop(s);
		break;
	}
	return 0;
}

void
h2_tx_callbacks(nghttp2_session_callbacks *c)
{
	nghttp2_session_callbacks_set_send_data_callback(c, send_data);
	nghttp2_session_callbacks_set_on_frame_send_callback(c, on_sent);
	nghttp2_session_callbacks_set_on_frame_not_send_callback(c, on_not_sent);
}

void
h2_pump(struct h2 *h)
{
	struct wire *w = &h->conn.wire;
	const uint8_t *at;
	ssize_t n;

	/* Once it is over, nghttp2 knows streams that are no more. */
	if (h->inside || h->over || w->event.buried || w->error || h->lingering)
		return;
	h->inside = h->sending = true;
	while (!w->held.len) {
		n = nghttp2_session_mem_send(h->session, &at);
		if (n <= 0)
			break;
		wire_send(w, (struct str){ (const char *)at, (size_t)n });
	}
	h->inside = h->sending = false;
	if (h->fault_due || h->room_due || (h->drain_due && !w->held.len))
		h2_soon(h);
}

/* ---- what the exchange sends */

static void
resume(struct h2 *h, struct h2_stream *s)
{
	if (!s->deferred)
		return;
	s->deferred = false;
	nghttp2_session_resume_data(h->session, s->id);
}

/* It will leave with this turn, or behind what is being received: no need to wait. */
static bool
leaves_soon(const struct h2 *h, const struct h2_stream *s)
{
	return s->out.len <= H2_SMALL &&
	       nghttp2_session_get_stream_remote_window_size(h->session, s->id) >=
		       (int32_t)s->out.len &&
	       nghttp2_session_get_remote_window_size(h->session) >= (int32_t)s->out.len;
}

size_t
h2_stream_room(const struct stream *st)
{
	const struct h2_stream *s = (const struct h2_stream *)st;
	const struct h2 *h = (const struct h2 *)st->conn;
	int32_t mine = nghttp2_session_get_stream_remote_window_size(h->session, s->id);
	int32_t all = nghttp2_session_get_remote_window_size(h->session);

	if (s->closed || h->conn.wire.held.len || mine <= 0 || all <= 0)
		return 0;
	return (size_t)(mine < all ? mine : all);
}

static size_t
waiting(struct h2 *h, struct h2_stream *s)
{
	size_t held = h->conn.wire.held.len;

	if (!s->out.len && !held)
		return 0;
	if (!held && h->inside && leaves_soon(h, s))
		return 0;
	if (list_empty(&s->wait))
		list_append(&h->waiting, &s->wait);
	if (!s->fair && h2_server(h) && s->out.len) {
		nghttp2_extpri p = { .urgency = NGHTTP2_EXTPRI_DEFAULT_URGENCY,
				     .inc = 1 };

		s->fair = true;
		nghttp2_session_change_extpri_stream_priority(h->session, s->id, &p, 0);
	}
	return s->out.len + held;
}

size_t
h2_send_body(struct stream *st, struct str bytes, bool end)
{
	struct h2_stream *s = h2_stream_of(st);
	struct h2 *h = h2_of(st);

	if (s->tx != H2_TX_BODY || s->closed || h->over)
		return 0;
	if (s->sized) {
		if (bytes.len > s->tx_left)
			bytes.len = (size_t)s->tx_left;
		s->tx_left -= bytes.len;
	}
	if (end)
		s->tx = H2_TX_DONE;
	if (s->id < 0 || s->late) {
		chain_append(&s->out, bytes, WIRE_HELD_MAX);
		return waiting(h, s);
	}
	/* What is small leaves with all that other streams say in this turn, in one
	 * send. */
	if (bytes.len <= H2_SMALL && !h->conn.wire.held.len && !s->out.len) {
		chain_append(&s->out, bytes, WIRE_HELD_MAX);
		resume(h, s);
		if (leaves_soon(h, s)) {
			h2_soon(h);
			return 0;
		}
		h2_pump(h);
		return waiting(h, s);
	}
	if (bytes.len || end) {
		resume(h, s);
		s->now = bytes;
		if (bytes.len + s->out.len <= H2_SMALL)
			h2_soon(h);     /* gathers: one send for all streams */
		else
			h2_pump(h);
		if (s->now.len)
			chain_append(&s->out, s->now, WIRE_HELD_MAX);
		s->now = STR_NONE;
	}
	return waiting(h, s);
}

/* One block on the heap: the table, and the text behind it. */
static struct headers
copied(const struct headers *t)
{
	struct headers to = { 0 };
	size_t size = 0;
	char *text;

	for (uint32_t i = 0; i < t->n; i++)
		size += t->at[i].name.len + t->at[i].value.len;
	to.at = malloc(t->n * sizeof(*to.at) + size + 1);
	if (!to.at)
		abort();
	text = (char *)(to.at + t->n);
	for (uint32_t i = 0; i < t->n; i++) {
		struct header *at = &to.at[to.n];
		const struct header *from = &t->at[i];

		if (left_out(from))
			continue;
		*at = *from;
		at->name.at = text;
		text = mempcpy(text, from->name.at, from->name.len);
		at->value.at = text;
		if (from->value.len)
			text = mempcpy(text, from->value.at, from->value.len);
		for (char *p = (char *)(uintptr_t)at->value.at; p < text; p++)
			if (!(scan_class[(unsigned char)*p] & SCAN_VALUE))
				*p = ' ';
		to.n++;
	}
	if (!to.n) {
		free(to.at);
		to.at = NULL;
	}
	return to;
}

void
h2_send_trailers(struct stream *st, const struct headers *t)
{
	struct h2_stream *s = h2_stream_of(st);

	if (s->tx != H2_TX_BODY || s->closed || h2_of(st)->over)
		return;
	if (!s->connect)
		s->trailers = copied(t);
	h2_send_body(st, STR_NONE, true);
}

/* ---- heads */

static struct str
decimal(char to[20], uint64_t n)
{
	return (struct str){ to, (size_t)(str_put_u64(to, n) - to) };
}

static bool
bodyless(int status)
{
	return status == 204 || status == 304;
}

static void
submit_response(struct h2 *h, struct h2_stream *s, const struct msg *m, struct block *b,
		bool end)
{
	nghttp2_data_provider data = { .source.ptr = s, .read_callback = read_data };
	bool known =
		m->body == BODY_LENGTH || headers_has(&m->headers, TOKEN_CONTENT_LENGTH);
	bool none = bodyless(m->status) || s->method == METHOD_HEAD, length = false;
	bool tunnel = m->status == 101 || (s->connect && s->method == METHOD_CONNECT &&
					   m->status < 300);
	char number[20];
	uint64_t n = m->length;

	if (tunnel) {
		s->rx = H2_RX_TUNNEL;
		end = false;
	} else if (s->connect && s->early_end) {
		s->rx = H2_RX_DONE;
	}
	if (!tunnel && none) {
		length = known && m->status != 204;
	} else if (!tunnel && (end || m->body == BODY_LENGTH)) {
		length = true;
		n = end ? 0 : m->length;
		s->sized = true;
		s->tx_left = n;
	}
	if (length)
		PUT(b, "content-length", decimal(number, n));
	s->tx = none || (end && !tunnel) ? H2_TX_DONE : H2_TX_BODY;
	nghttp2_submit_response(h->session, s->id, b->at, b->n,
				s->tx == H2_TX_DONE ? NULL : &data);
}

static void
send_response(struct h2 *h, struct h2_stream *s, const struct msg *m, bool end)
{
	nghttp2_nv small[SMALL_HEAD];
	struct block b = { .at = small, .arena = s->stream.arena };
	unsigned status = m->status == 101 ? 200 : m->status;
	char digits[3] = { (char)('0' + status / 100 % 10),
			   (char)('0' + status / 10 % 10), (char)('0' + status % 10) };

	if (m->headers.n + PSEUDO > SMALL_HEAD)
		b.at = arena_alloc(b.arena, (m->headers.n + PSEUDO) * sizeof(*b.at));
	PUT(&b, ":status", ((struct str){ digits, 3 }));
	if (status >= 200 && !headers_get(&m->headers, TOKEN_DATE))
		PUT(&b, "date", ((struct str){ clock_date(), DATE_LEN }));
	put_lines(&b, &m->headers, false, m->status == 101);
	if (status < 200)
		nghttp2_submit_headers(h->session, NGHTTP2_FLAG_NONE, s->id, NULL, b.at,
				       b.n, NULL);
	else
		submit_response(h, s, m, &b, end);
}

static struct str
whole_path(struct arena *a, const struct msg *m)
{
	struct str p = m->path;
	char *to;

	if (!m->has_query)
		return cleaned(a, p, SCAN_TARGET, '_');
	if (m->query.at == p.at + p.len + 1 && p.at[p.len] == '?')
		return cleaned(a, (struct str){ p.at, p.len + 1 + m->query.len },
			       SCAN_TARGET, '_');
	to = arena_alloc_aligned(a, p.len + 1 + m->query.len, 1);
	memcpy(to, p.at, p.len);
	to[p.len] = '?';
	if (m->query.len)
		memcpy(to + p.len + 1, m->query.at, m->query.len);
	return cleaned(a, (struct str){ to, p.len + 1 + m->query.len }, SCAN_TARGET, '_');
}

static void
remember_upgrade(struct h2_stream *s, const struct msg *m)
{
	const struct header *key = headers_get(&m->headers, TOKEN_SEC_WEBSOCKET_KEY);
	char *to;

	s->connect = true;
	s->protocol = m->upgrade_to;
	if (!key)
		return;
	to = arena_alloc_aligned(s->stream.arena, H2_ACCEPT_LEN, 1);
	h2_websocket_accept(to, key->value);
	s->accept = (struct str){ to, H2_ACCEPT_LEN };
}

static void
put_pseudo(struct h2 *h, struct block *b, const struct h2_stream *s, const struct msg *m)
{
	bool connect = m->method == METHOD_CONNECT;

	PUT(b, ":method", s->connect ? STR("CONNECT") : m->method_text);
	if (!connect) {
		PUT(b, ":scheme", h->conn.wire.tls ? STR("https") : STR("http"));
		PUT(b, ":path", whole_path(b->arena, m));
	}
	if (m->host.len)
		PUT(b, ":authority", cleaned(b->arena, m->host, SCAN_TARGET, '_'));
	if (s->protocol.len)
		PUT(b, ":protocol", s->protocol);
}

static void
submit_request(struct h2 *h, struct h2_stream *s, const struct msg *m)
{
	nghttp2_data_provider data = { .source.ptr = s, .read_callback = read_data };
	nghttp2_nv small[SMALL_HEAD];
	struct block b = { .at = small, .arena = s->stream.arena };
	char number[20];

	if (m->headers.n + PSEUDO + 2 > SMALL_HEAD)
		b.at = arena_alloc(b.arena, (m->headers.n + PSEUDO + 2) * sizeof(*b.at));
	put_pseudo(h, &b, s, m);
	put_lines(&b, &m->headers, s->protocol.len > 0, false);
	if (s->sized)
		PUT(&b, "content-length", decimal(number, s->tx_left));
	if (m->te_trailers)
		PUT(&b, "te", STR("trailers"));
	s->id = nghttp2_submit_request(h->session, NULL, b.at, b.n,
				       s->tx == H2_TX_DONE ? NULL : &data, s);
	if (s->id < 0) {
		s->closed = true;
		h2_fault_later(s, FAULT_UPSTREAM_CLOSED);
	}
}

/* Whether the peer takes an extended CONNECT; not known before its SETTINGS. */
static void
send_upgrade(struct h2 *h, struct h2_stream *s, const struct msg *m)
{
	uint32_t on;

	if (!h->greeted) {
		s->late = m;
		return;
	}
	s->late = NULL;
	on = nghttp2_session_get_remote_settings(
		h->session, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL);
	if (on == 1)
		submit_request(h, s, m);
	else
		h2_fault_later(s, FAULT_UPGRADE_FAILED);
}

void
h2_send_late(struct h2 *h)
{
	for (struct list *l = h->streams.next; l != &h->streams; l = l->next) {
		struct h2_stream *s = list_entry(l, struct h2_stream, link);

		if (s->late)
			send_upgrade(h, s, s->late);
	}
}

static void
send_request(struct h2 *h, struct h2_stream *s, const struct msg *m, bool end)
{
	s->method = m->method;
	if (m->upgrade || m->method == METHOD_CONNECT) {
		s->tx = H2_TX_BODY;
		if (m->upgrade) {
			remember_upgrade(s, m);
			send_upgrade(h, s, m);
			return;
		}
		s->connect = true;
	} else {
		s->sized = end ? headers_has(&m->headers, TOKEN_CONTENT_LENGTH) :
				 m->body == BODY_LENGTH;
		s->tx_left = end ? 0 : m->length;
		s->tx = end ? H2_TX_DONE : H2_TX_BODY;
	}
	submit_request(h, s, m);
}

void
h2_send_head(struct stream *st, const struct msg *m, bool end, bool close)
{
	struct h2_stream *s = h2_stream_of(st);
	struct h2 *h = h2_of(st);

	(void)close;                    /* a stream ends; the connection by drain() */
	if (s->closed || h->over || s->tx != H2_TX_HEAD)
		return;
	if (!h2_server(h))
		send_request(h, s, m, end);
	else if (m->status >= 200 || m->status == 101 || !h->conn.wire.held.len)
		send_response(h, s, m, end);
	h2_soon(h);
}
