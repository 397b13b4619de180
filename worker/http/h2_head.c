#include <stdlib.h>

#include "worker/http/h1_scan.h"
#include "worker/http/h2_conn.h"
#include "worker/http/uri.h"

/* Room for lines that policies add. */
enum { FIRST_TEXT = 1024, FIRST_LINES = 32, SPARE_LINES = 16, KEPT_TEXT = 4096 };

static const uint64_t bit_cookie = (uint64_t)1 << TOKEN_COOKIE;

void
h2_head_free(struct h2_head *k)
{
	free(k->text);
	free(k->at);
	*k = (struct h2_head){ 0 };
}

void
h2_head_begin(struct h2 *h, struct h2_stream *s, bool trailer)
{
	struct h2_head *k = &h->head, old = *k;

	if (old.room > KEPT_TEXT) {
		h2_head_free(k);
		old = *k;
	}
	*k = (struct h2_head){
		.stream = s,
		.text = old.text,
		.room = old.room,
		.at = old.at,
		.nroom = old.nroom,
		.trailer = trailer,
	};
	h->head_open = true;
}

static void *
grown(void *p, size_t size)
{
	p = realloc(p, size);
	if (!p)
		abort();
	return p;
}

static char *
text_room(struct h2_head *k, size_t n)
{
	if (k->len + n > k->room) {
		uint32_t room = k->room ? k->room : FIRST_TEXT;

		while (room < k->len + n)
			room *= 2;
		k->text = grown(k->text, room);
		k->room = room;
	}
	return k->text + k->len;
}

static const char *
offset(uint32_t n)
{
	return (const char *)(uintptr_t)n;
}

static void
add_line(struct h2_head *k, enum token t, struct str name, struct str value)
{
	char *to = text_room(k, name.len + value.len + 4);
	struct header *at;
	uint64_t bit = (uint64_t)1 << t;

	if (k->n == k->nroom) {
		k->nroom = k->nroom ? 2 * k->nroom : FIRST_LINES;
		k->at = grown(k->at, k->nroom * sizeof(*k->at));
	}
	at = &k->at[k->n++];
	*at = (struct header){
		.name = { offset(k->len), name.len },
		.value = { offset(k->len + (uint32_t)name.len + 2), value.len },
		.token = (uint8_t)t,
		.hop = token_flags[t] & TOKEN_HOP,
		.raw = true,
	};
	to = mempcpy(to, name.at, name.len);
	*to++ = ':';
	*to++ = ' ';
	to = mempcpy(to, value.at, value.len);
	*to++ = '\r';
	*to++ = '\n';
	k->len += (uint32_t)(name.len + value.len + 4);
	k->twice |= k->known & bit;
	k->known |= bit;
}

static struct str
add_text(struct h2_head *k, struct str s)
{
	struct str at = { offset(k->len), s.len };

	memcpy(text_room(k, s.len + 1), s.at, s.len);
	k->len += (uint32_t)s.len;
	/* "Not there" is NULL: the first byte of the text is never a value's. */
	return at;
}

static void
pseudo(struct h2_head *k, struct str name, struct str value)
{
	if (!k->len) {
		*text_room(k, 1) = ' ';
		k->len = 1;
	}
	if (str_eq(name, STR(":method")))
		k->method = add_text(k, value);
	else if (str_eq(name, STR(":path")))
		k->path = add_text(k, value);
	else if (str_eq(name, STR(":authority")))
		k->authority = add_text(k, value);
	else if (str_eq(name, STR(":scheme")))
		k->scheme = add_text(k, value);
	else if (str_eq(name, STR(":protocol")))
		k->protocol = add_text(k, value);
	else if (str_eq(name, STR(":status")) && value.len == 3)
		k->status = (uint16_t)((value.at[0] - '0') * 100 +
				       (value.at[1] - '0') * 10 + value.at[2] - '0');
}

/* Above the limit lines are decoded, for the table must stay in step, but not kept. */
static enum fault
too_much(const struct h2 *h, const struct h2_head *k, struct str name, struct str value)
{
	const struct h1_limits *l = &h->rules->limits;
	uint32_t max = k->trailer ? H1_CHUNK_TRAILER : l->head;

	if (h2_server(h) && str_eq(name, STR(":path")) && value.len > l->target)
		return FAULT_TARGET_TOO_LONG;
	if (k->bytes + name.len + value.len + 4 > max)
		return FAULT_HEAD_TOO_LARGE;
	return k->n >= l->headers ? FAULT_TOO_MANY_HEADERS : FAULT_NONE;
}

int
h2_head_line(struct h2 *h, struct str name, struct str value)
{
	struct h2_head *k = &h->head;
	enum token t;

	if (!k->stream && !h2_server(h))
		return 0;
	if (!k->fault)
		k->fault = (uint8_t)too_much(h, k, name, value);
	k->bytes += (uint32_t)(name.len + value.len + 4);
	if (k->fault) {
		/* Who goes on and on means no good: a head costs no more decoding than
		 * this. */
		if (k->bytes > 4 * h->rules->limits.head + 64 * 1024) {
			h2_condemn(h, NGHTTP2_ENHANCE_YOUR_CALM);
			return NGHTTP2_ERR_CALLBACK_FAILURE;
		}
		return 0;
	}
	if (name.at[0] == ':') {
		pseudo(k, name, value);
		return 0;
	}
	t = token_of(name);
	add_line(k, t, t ? token_name[t] : name, value);
	return 0;
}

/* ---- into the arena */

static struct str
in_text(const struct h2_head *k, struct str s)
{
	return s.at ? (struct str){ k->text + (uintptr_t)s.at, s.len } : STR_NONE;
}

/* RFC 9113 §8.2.3: cookie crumbs become one line. */
static size_t
cookie_len(const struct h2_head *k)
{
	size_t n = 0;

	for (uint32_t i = 0; i < k->n; i++)
		if (k->at[i].token == TOKEN_COOKIE)
			n += k->at[i].value.len + 2;
	return n;
}

static char *
put_cookies(char *to, const struct h2_head *k)
{
	bool first = true;

	for (uint32_t i = 0; i < k->n; i++) {
		const struct header *l = &k->at[i];

		if (l->token != TOKEN_COOKIE)
			continue;
		if (!first)
			to = mempcpy(to, "; ", 2);
		to = mempcpy(to, k->text + (uintptr_t)l->value.at, l->value.len);
		first = false;
	}
	return to;
}

static char *
put_line(char *to, struct headers *hs, enum token t, struct str name, struct str value)
{
	struct header *at = &hs->at[hs->n++];
	uint64_t bit = (uint64_t)1 << t;

	*at = (struct header){
		.name = { to, name.len },
		.value = { to + name.len + 2, value.len },
		.token = (uint8_t)t,
		.hop = token_flags[t] & TOKEN_HOP,
		.raw = true,
	};
	to = mempcpy(to, name.at, name.len);
	to = mempcpy(to, ": ", 2);
	if (value.at)
		to = mempcpy(to, value.at, value.len);
	to = mempcpy(to, "\r\n", 2);
	hs->twice |= hs->known & bit;
	hs->known |= bit;
	return to;
}

/* All lines as one text behind `to`; the Host line is that of the authority, and is
 * written by who calls. */
static char *
put_lines(char *to, const struct h2_head *k, struct headers *hs, bool host)
{
	bool join = k->twice & bit_cookie, joined = false;

	for (uint32_t i = 0; i < k->n; i++) {
		const struct header *l = &k->at[i];
		struct str value = in_text(k, l->value), name;

		if (l->token == TOKEN_HOST && !host)
			continue;
		if (l->token == TOKEN_COOKIE && join) {
			char *end;

			if (joined)
				continue;
			joined = true;
			to = put_line(to, hs, TOKEN_COOKIE, token_name[TOKEN_COOKIE],
				      STR_NONE);
			end = put_cookies(to - 2, k);
			hs->at[hs->n - 1].value.len = (size_t)(end - (to - 2));
			to = mempcpy(end, "\r\n", 2);
			continue;
		}
		name = (struct str){ k->text + (uintptr_t)l->name.at, l->name.len };
		to = put_line(to, hs, (enum token)l->token, name, value);
	}
	return to;
}

static void
table(struct headers *hs, struct arena *a, uint32_t n)
{
	*hs = (struct headers){ .room = n + SPARE_LINES };
	hs->at = arena_alloc(a, hs->room * sizeof(*hs->at));
}

static void
clear(struct msg *m)
{
	memset(m, 0, sizeof(*m));
	m->minor = 1;
	m->keep_alive = true;
}

static bool
number(struct str s, uint64_t *to)
{
	unsigned long long n;

	if (!str_u64(s, INT64_MAX, &n))
		return false;
	*to = n;
	return true;
}

/* ---- requests */

/* As h1_parse does for Host beside an absolute target. */
static bool
same_authority(struct str a, struct str b, struct str scheme)
{
	struct str host[2], port[2], usual = str_eq(scheme, STR("http")) ? STR("80") : STR("443");

	if (!uri_authority(a, &host[0], &port[0]) ||
	    !uri_authority(b, &host[1], &port[1]))
		return false;
	return str_caseeq(host[0], host[1]) &&
	       str_eq(port[0].len ? port[0] : usual, port[1].len ? port[1] : usual);
}

static enum fault
authority(const struct h2_head *k, struct str *host, struct str *hostname)
{
	struct str name = STR_NONE, port, line = STR_NONE, scheme = in_text(k, k->scheme);

	for (uint32_t i = 0; i < k->n; i++)
		if (k->at[i].token == TOKEN_HOST)
			line = in_text(k, k->at[i].value);
	*host = in_text(k, k->authority);
	if (k->twice >> TOKEN_HOST & 1)
		return FAULT_BAD_HOST;
	if (!host->at)
		*host = line;
	if (!host->len || !uri_authority(*host, &name, &port) || !name.len)
		return FAULT_BAD_HOST;
	*hostname = name;
	if (!k->path.at && !port.len)
		return FAULT_BAD_TARGET;        /* CONNECT goes to a port */
	if (line.at && line.at != host->at && !same_authority(*host, line, scheme))
		return FAULT_HOST_MISMATCH;
	return FAULT_NONE;
}

static bool
is_target(struct str s)
{
	return scan_plain(s.at, s.at + s.len, SCAN_TARGET) == s.at + s.len;
}

static bool
is_token(struct str s)
{
	return s.len && scan_plain(s.at, s.at + s.len, SCAN_TOKEN) == s.at + s.len;
}

static enum fault
set_target(struct msg *m, struct str scheme, bool tunnel)
{
	ptrdiff_t mark = str_find(m->target, '?');

	if (m->method == METHOD_CONNECT && !tunnel)
		return FAULT_NONE;
	if (!str_caseeq(scheme, STR("http")) && !str_caseeq(scheme, STR("https")))
		return FAULT_BAD_TARGET;
	if (!m->target.len || !is_target(m->target))
		return FAULT_BAD_TARGET;
	if (*m->target.at != '/' &&
	    !(str_eq(m->target, STR("*")) && m->method == METHOD_OPTIONS))
		return FAULT_BAD_TARGET;
	m->path = m->target;
	if (mark >= 0) {
		m->path = str_first(m->target, (size_t)mark);
		m->query = str_from(m->target, (size_t)mark + 1);
		m->has_query = true;
	}
	return FAULT_NONE;
}

static enum fault
set_framing(struct msg *m, bool end)
{
	const struct header *l = headers_get(&m->headers, TOKEN_CONTENT_LENGTH);

	m->body = end ? BODY_NONE : BODY_CHUNKED;
	if (!l)
		return FAULT_NONE;
	if (headers_many(&m->headers, TOKEN_CONTENT_LENGTH) ||
	    !number(l->value, &m->length))
		return FAULT_BAD_LENGTH;
	m->body = BODY_LENGTH;
	return end && m->length ? FAULT_BAD_LENGTH : FAULT_NONE;
}

static enum fault
set_options(struct msg *m)
{
	const struct header *l;

	if (headers_has(&m->headers, TOKEN_TE))
		m->te_trailers = true;          /* nghttp2 lets nothing else through */
	for (l = headers_get(&m->headers, TOKEN_EXPECT); l;
	     l = headers_next(&m->headers, l)) {
		struct str rest = l->value, one;

		while (str_split(&rest, ',', &one))
			if (!str_caseeq(str_trim(one), STR("100-continue")))
				return FAULT_BAD_EXPECT;
		m->expect_continue = m->body != BODY_NONE &&
				     !(m->body == BODY_LENGTH && m->length == 0);
	}
	return FAULT_NONE;
}

/* RFC 8441: shown as what HTTP/1.1 would have sent. */
static void
set_upgrade(struct msg *m, struct arena *a, struct str protocol)
{
	struct headers *hs = &m->headers;
	char *key;

	m->upgrade = m->upgrade_only = true;
	m->upgrade_to = protocol;
	if (!str_caseeq(protocol, STR("websocket")))
		return;
	if (!headers_find(hs, STR("sec-websocket-version")))
		headers_add(hs, a, STR("sec-websocket-version"), STR("13"));
	if (headers_has(hs, TOKEN_SEC_WEBSOCKET_KEY))
		return;
	key = arena_alloc_aligned(a, H2_KEY_LEN, 1);
	h2_websocket_key(key);
	headers_add_token(hs, a, TOKEN_SEC_WEBSOCKET_KEY,
			  (struct str){ key, H2_KEY_LEN });
}

enum fault
h2_head_request(struct h2 *h, struct h2_head *k, struct arena *a, struct msg *m, bool end)
{
	struct str method = in_text(k, k->method), host = STR_NONE, name = STR_NONE;
	struct str protocol = in_text(k, k->protocol);
	struct str scheme = in_text(k, k->scheme), target = in_text(k, k->path);
	bool tunnel = protocol.at != NULL;
	enum fault f = (enum fault)k->fault, bad;
	char *text, *to;
	size_t room;

	(void)h;
	clear(m);
	bad = f ? FAULT_NONE : authority(k, &host, &name);
	if (tunnel)
		method = STR("GET");
	else if (!target.at)
		target = host;                  /* CONNECT */
	room = method.len + target.len + host.len + protocol.len + scheme.len;
	to = text = arena_alloc_aligned(a, room + k->len + cookie_len(k) + 64, 1);
	table(&m->headers, a, k->n + 1);
	/* It looks as it would have by HTTP/1.1: exchange/signature.c reads it. */
	m->method_text = (struct str){ to, method.len };
	to = mempcpy(to, method.at ? method.at : "", method.len);
	*to++ = ' ';
	m->target = (struct str){ to, target.len };
	to = mempcpy(to, target.at ? target.at : "", target.len);
	to = mempcpy(to, " HTTP/2\r\n", 9);
	m->method = (uint8_t)method_of(m->method_text);
	if (host.at) {
		to = put_line(to, &m->headers, TOKEN_HOST, token_name[TOKEN_HOST], host);
		m->host = m->headers.at[0].value;
		m->hostname = m->host;
		if (name.len)
			m->hostname.at += name.at - host.at;
		m->hostname.len = name.len;
	}
	to = put_lines(to, k, &m->headers, false);
	to = mempcpy(to, "\r\n", 2);
	m->headers.bytes = (uint32_t)(to - text);
	m->scheme = (struct str){ to, scheme.len };
	to = mempcpy(to, scheme.at ? scheme.at : "", scheme.len);
	if (f || bad)
		return f ? f : bad;
	if (!is_token(m->method_text))
		return FAULT_BAD_METHOD;
	f = set_target(m, m->scheme, tunnel);
	if (!f)
		f = set_framing(m, end);
	if (!f)
		f = set_options(m);
	if (tunnel && !f) {
		if (!is_token(protocol) || str_caseeq(str_first(protocol, 3), STR("h2c")))
			return FAULT_BAD_HEADER;
		m->body = BODY_NONE;
		memcpy(to, protocol.at, protocol.len);
		set_upgrade(m, a, (struct str){ to, protocol.len });
	}
	if (m->method == METHOD_CONNECT)
		m->body = BODY_NONE;
	return f;
}

/* ---- responses, trailers */

enum fault
h2_head_response(struct h2 *h, struct h2_head *k, struct arena *a, struct msg *m,
		 uint8_t method, bool end)
{
	const struct header *l;
	char *text = arena_alloc_aligned(a, k->len + cookie_len(k) + 8, 1), *to;
	bool no_body;

	(void)h;
	clear(m);
	m->status = k->status;
	table(&m->headers, a, k->n);
	to = put_lines(text, k, &m->headers, true);
	m->headers.bytes = (uint32_t)(to - text) + 8;
	if (k->fault)
		return FAULT_RESPONSE_HEAD_TOO_LARGE;
	if (m->status < 100)
		return FAULT_BAD_RESPONSE;
	no_body = m->status < 200 || m->status == 204 || m->status == 304 ||
		  method == METHOD_HEAD;
	l = headers_get(&m->headers, TOKEN_CONTENT_LENGTH);
	if (l && (headers_many(&m->headers, TOKEN_CONTENT_LENGTH) ||
		  !number(l->value, &m->length)))
		return FAULT_BAD_RESPONSE_LENGTH;
	if (no_body)
		m->body = BODY_NONE;
	else
		m->body = l || end ? BODY_LENGTH : BODY_CHUNKED;
	return FAULT_NONE;
}

void
h2_head_trailers(struct h2_head *k, struct arena *a, struct headers *hs)
{
	char *text = arena_alloc_aligned(a, k->len + cookie_len(k) + 8, 1);

	table(hs, a, k->n);
	hs->bytes = (uint32_t)(put_lines(text, k, hs, true) - text) + 8;
	for (uint32_t i = 0; i < hs->n; i++)
		hs->at[i].gone = h1_not_in_trailers(&hs->at[i]);
}
