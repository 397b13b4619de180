#include "worker/http/h1_parse.h"
#include "worker/http/h1_lines.h"
#include "worker/http/h1_scan.h"
#include "worker/http/uri.h"

enum { MAX_METHOD = 32 };

static const uint64_t bit_connection = (uint64_t)1 << TOKEN_CONNECTION;
static const uint64_t bits_options =
	(uint64_t)1 << TOKEN_CONNECTION | (uint64_t)1 << TOKEN_TE;
static const uint64_t bit_length = (uint64_t)1 << TOKEN_CONTENT_LENGTH;
static const uint64_t bit_coding = (uint64_t)1 << TOKEN_TRANSFER_ENCODING;
static const uint64_t bit_expect = (uint64_t)1 << TOKEN_EXPECT;

static inline struct str
slice(const char *from, const char *to)
{
	return (struct str){ from, (size_t)(to - from) };
}

static inline bool
digit(char c)
{
	return (unsigned char)(c - '0') < 10;
}

/* ---- the request line */

/* Returns what stands behind the blank after the method, or NULL. */
static const char *
parse_method(const char *p, const char *end, struct msg *m, enum fault *fault)
{
	const char *stop;

	if (end - p >= 8) {
		if (memcmp(p, "GET ", 4) == 0) {
			m->method = METHOD_GET;
			m->method_text = slice(p, p + 3);
			return p + 4;
		}
		if (memcmp(p, "POST ", 5) == 0) {
			m->method = METHOD_POST;
			m->method_text = slice(p, p + 4);
			return p + 5;
		}
	}
	stop = scan_plain(p, end - p > MAX_METHOD ? p + MAX_METHOD : end, SCAN_TOKEN);
	if (stop == end)
		return NULL;
	if (*stop != ' ' || stop == p) {
		*fault = *stop == '\r' || *stop == '\n' ? FAULT_BAD_REQUEST
							: FAULT_BAD_METHOD;
		return NULL;
	}
	m->method_text = slice(p, stop);
	m->method = (uint8_t)method_of(m->method_text);
	return stop + 1;
}

/* "HTTP/1.1" CR LF and its mistakes, as soon as they can be seen. */
static const char *
parse_version(const char *p, const char *end, struct msg *m, enum fault *fault)
{
	size_t n = (size_t)(end - p);

	if (n >= 10 && memcmp(p, "HTTP/1.1\r\n", 10) == 0) {
		m->minor = 1;
		return p + 10;
	}
	for (size_t i = 0; i < n && i < 8; i++) {
		char want = "HTTP/#.#"[i];

		if (want == '#' ? !digit(p[i]) : p[i] != want) {
			*fault = FAULT_BAD_REQUEST;
			return NULL;
		}
	}
	if (n < 8)
		return NULL;
	if (p[5] != '1' || (p[7] != '0' && p[7] != '1')) {
		*fault = FAULT_BAD_VERSION;
		return NULL;
	}
	m->minor = p[7] == '1';
	if (n > 8 && p[8] != '\r')
		*fault = p[8] == '\n' ? FAULT_BAD_LINE_END : FAULT_BAD_REQUEST;
	else if (n > 9 && p[9] != '\n')
		*fault = FAULT_BAD_LINE_END;
	return n > 9 && *fault == FAULT_NONE ? p + 10 : NULL;
}

static const char *
parse_request_line(const char *p, const char *end, uint32_t max_target, struct msg *m,
		   const char **mark, enum fault *fault)
{
	const char *lo = p, *target, *stop;

	if (p == end)
		return NULL;
	if (*p == '\r') {
		if (end - p < 2)
			return NULL;
		if (p[1] == '\n')
			p += 2;
	}
	if (p < end && (*p == '\r' || *p == '\n')) {
		*fault = FAULT_BAD_LINE_END;
		return NULL;
	}
	target = parse_method(p, end, m, fault);
	if (!target)
		return NULL;
	stop = scan_target_mark(target, (size_t)(end - target) > (size_t)max_target + 1 ?
						target + max_target + 1 : end, lo, mark);
	m->target = slice(target, stop);
	if (m->target.len > max_target)
		*fault = FAULT_TARGET_TOO_LONG;
	else if (stop == end)
		return NULL;
	else if (*stop == ' ' && stop > target)
		return parse_version(stop + 1, end, m, fault);
	else if (*stop == '\n')
		*fault = FAULT_BAD_LINE_END;
	else if (*stop == '\r' && stop > target)
		*fault = FAULT_BAD_REQUEST;             /* HTTP/0.9 */
	else
		*fault = FAULT_BAD_TARGET;
	return NULL;
}

/* ---- the target (RFC 9112 §3.2) */

static void
split_query(struct msg *m, const char *at, const char *mark, const char *end)
{
	m->path = slice(at, mark);
	if (mark < end) {
		m->query = slice(mark + 1, end);
		m->has_query = true;
	}
}

static enum fault
absolute_form(struct msg *m, const char *mark)
{
	struct str t = m->target, host, port;
	size_t scheme, n;

	if (t.len > 7 && str_caseeq(str_first(t, 7), STR("http://")))
		scheme = 4;
	else if (t.len > 8 && str_caseeq(str_first(t, 8), STR("https://")))
		scheme = 5;
	else
		return FAULT_BAD_TARGET;
	m->scheme = str_first(t, scheme);
	t = str_from(t, scheme + 3);
	for (n = 0; t.at + n < mark && t.at[n] != '/'; n++)
		;
	m->host = str_first(t, n);
	if (!n || !uri_authority(m->host, &host, &port) || !host.len)
		return FAULT_BAD_TARGET;
	split_query(m, t.at + n, mark, t.at + t.len);
	if (m->path.len == 0)           /* RFC 9112 §3.2.4 */
		m->path = m->method == METHOD_OPTIONS && !m->has_query ? STR("*")
								       : STR("/");
	return FAULT_NONE;
}

/* `mark`: the first "?" of the target, or its end. */
static enum fault
split_target(struct msg *m, const char *mark)
{
	struct str host, port;

	if (m->method == METHOD_CONNECT) {
		m->host = m->target;
		if (!uri_authority(m->target, &host, &port) || !host.len || !port.len)
			return FAULT_BAD_TARGET;
		return FAULT_NONE;
	}
	if (*m->target.at == '/') {
		split_query(m, m->target.at, mark, m->target.at + m->target.len);
		return FAULT_NONE;
	}
	if (str_eq(m->target, STR("*"))) {
		m->path = m->target;
		return m->method == METHOD_OPTIONS ? FAULT_NONE : FAULT_BAD_TARGET;
	}
	return absolute_form(m, mark);
}

/* Whether Host says the same as the target; a port may be left out where it is the
 * scheme's. */
static bool
same_authority(const struct msg *m, struct str host, struct str port)
{
	struct str target_host, target_port, usual;

	uri_authority(m->host, &target_host, &target_port);
	if (!str_caseeq(host, target_host))
		return false;
	usual = m->scheme.len == 4 ? STR("80") : STR("443");
	if (m->scheme.len == 0)
		usual = target_port;    /* CONNECT */
	return str_eq(port.len ? port : usual, target_port.len ? target_port : usual);
}

/* What nearly every Host is: a name or an IPv4 address, and perhaps a port. False: it may
 * still be valid. */
static inline bool
plain_authority(struct str s, const char *lo, struct str *host, struct str *port)
{
	const char *end = s.at + s.len, *colon = scan_host(s.at, end, lo), *p;
	unsigned number = 0;

	*host = slice(s.at, colon);
	*port = STR_NONE;
	if (colon == end)
		return s.len != 0;
	if (*colon != ':' || colon == s.at || end - colon > 6)
		return false;
	for (p = colon + 1; p < end && digit(*p); p++)
		number = number * 10 + (unsigned)(*p - '0');
	*port = slice(colon + 1, end);
	return p == end && number <= 65535;
}

static enum fault
check_host(struct msg *m, const struct h1_lines *l)
{
	struct str value, host, port;

	if (!headers_has(&m->headers, TOKEN_HOST))
		return m->minor ? FAULT_BAD_HOST : FAULT_NONE;
	value = m->headers.at[l->last[TOKEN_HOST]].value;
	if (headers_many(&m->headers, TOKEN_HOST))
		return FAULT_BAD_HOST;
	if (!plain_authority(value, m->target.at, &host, &port) &&
	    (!uri_authority(value, &host, &port) || !host.len))
		return FAULT_BAD_HOST;
	m->hostname = host;
	if (m->host.at)
		return same_authority(m, host, port) ? FAULT_NONE : FAULT_HOST_MISMATCH;
	m->host = value;
	return FAULT_NONE;
}

/* ---- framing (RFC 9112 §6) */

/* At most one blank between colon and value, nothing behind it: what some trim and
 * others do not is no number and no coding. */
static bool
tight(const struct header *h)
{
	const char *colon = h->name.at + h->name.len;

	return h->value.len && h->value.at[h->value.len] == '\r' &&
	       (h->value.at == colon + 1 ||
		(h->value.at == colon + 2 && colon[1] == ' '));
}

static bool
parse_length(struct str s, uint64_t *length)
{
	uint64_t n = 0;

	if (s.len == 0 || s.len > 19)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (!digit(s.at[i]))
			return false;
		n = n * 10 + (uint64_t)(s.at[i] - '0');
	}
	*length = n;
	return n <= INT64_MAX;
}

/* A registered coding that is applied in good order, but that we cannot undo. */
static bool
known_coding(struct str value)
{
	static const struct str names[] = {
		{ "gzip", 4 }, { "x-gzip", 6 }, { "deflate", 7 }, { "compress", 8 },
		{ "x-compress", 10 },
	};
	struct str first, rest = value;
	bool known = false;

	if (!str_split(&rest, ',', &first))
		return false;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		known |= str_caseeq(str_trim(first), names[i]);
	return known && (!rest.at || str_caseeq(str_trim(rest), STR("chunked")));
}

static enum fault
request_framing(struct msg *m, const struct h1_lines *l)
{
	const struct header *h;

	if ((m->headers.known & bit_length) && (m->headers.known & bit_coding))
		return FAULT_LENGTH_AND_CODING;
	if (m->headers.known & bit_coding) {
		h = &m->headers.at[l->last[TOKEN_TRANSFER_ENCODING]];
		if (headers_many(&m->headers, TOKEN_TRANSFER_ENCODING) || !tight(h) ||
		    m->minor == 0)
			return FAULT_BAD_CODING;
		if (!str_caseeq(h->value, STR("chunked")))
			return known_coding(h->value) ? FAULT_UNKNOWN_CODING :
							FAULT_BAD_CODING;
		m->body = BODY_CHUNKED;
		return FAULT_NONE;
	}
	h = &m->headers.at[l->last[TOKEN_CONTENT_LENGTH]];
	if (headers_many(&m->headers, TOKEN_CONTENT_LENGTH) || !tight(h) ||
	    !parse_length(h->value, &m->length))
		return FAULT_BAD_LENGTH;
	m->body = BODY_LENGTH;
	return FAULT_NONE;
}

static enum fault
response_framing(struct msg *m, const struct h1_lines *l, enum method method)
{
	uint64_t known = m->headers.known;
	bool no_body = m->status < 200 || m->status == 204 || m->status == 304 ||
		       method == METHOD_HEAD ||
		       (method == METHOD_CONNECT && m->status < 300);

	m->body = no_body ? BODY_NONE : BODY_CLOSE;
	if (known & bit_coding) {
		if (known & bit_length)
			return FAULT_BAD_RESPONSE_LENGTH;
		if (headers_many(&m->headers, TOKEN_TRANSFER_ENCODING) || m->minor == 0 ||
		    !str_caseeq(m->headers.at[l->last[TOKEN_TRANSFER_ENCODING]].value,
				STR("chunked")))
			return FAULT_RESPONSE_CODING;
		if (!no_body)
			m->body = BODY_CHUNKED;
	} else if (known & bit_length) {
		if (headers_many(&m->headers, TOKEN_CONTENT_LENGTH) ||
		    !parse_length(m->headers.at[l->last[TOKEN_CONTENT_LENGTH]].value,
				  &m->length))
			return FAULT_BAD_RESPONSE_LENGTH;
		if (!no_body)
			m->body = BODY_LENGTH;
	}
	return FAULT_NONE;
}

/* ---- Connection, Upgrade, TE, Expect */

/* Upgrade counts if it is one line of protocol names (RFC 9110 §7.8) and not h2c, by
 * which requests would get past us, nor comes with a body. */
static void
decide_upgrade(struct msg *m, const struct h1_lines *l)
{
	struct str value = m->headers.at[l->last[TOKEN_UPGRADE]].value, rest = value, one;

	if (m->minor == 0 || headers_many(&m->headers, TOKEN_UPGRADE) || !value.len ||
	    m->body == BODY_CHUNKED || m->length)
		return;
	for (size_t i = 0; i < value.len; i++)
		if (!(scan_class[(unsigned char)value.at[i]] & SCAN_TOKEN) &&
		    !strchr("/, \t", value.at[i]))
			return;
	while (str_split(&rest, ',', &one))
		if (str_caseeq(str_first(str_trim(one), 3), STR("h2c")))
			return;
	m->upgrade = true;
	m->upgrade_to = value;
}

static inline bool
read_connection(struct msg *m, const struct h1_lines *l, struct h1_options *o)
{
	struct str value = m->headers.at[l->last[TOKEN_CONNECTION]].value;

	*o = (struct h1_options){ 0 };
	if (!headers_many(&m->headers, TOKEN_CONNECTION)) {     /* the usual ones */
		o->keep_alive = value.len == 10 && token_of(value) == TOKEN_KEEP_ALIVE;
		o->close = value.len == 5 && str_caseeq(value, STR("close"));
		if (o->keep_alive || o->close)
			return true;
	}
	return h1_lines_connection(&m->headers, o);
}

static bool
decide_connection(struct msg *m, const struct h1_lines *l)
{
	struct h1_options o = { 0 };

	if ((m->headers.known & bit_connection) && !read_connection(m, l, &o))
		return false;
	m->keep_alive = !o.close && (m->minor || o.keep_alive);
	if (o.upgrade && headers_has(&m->headers, TOKEN_UPGRADE))
		decide_upgrade(m, l);
	if (headers_has(&m->headers, TOKEN_TE) && m->minor)
		m->te_trailers = headers_list_has(m->headers.at[l->last[TOKEN_TE]].value,
						  STR("trailers"));
	return true;
}

static enum fault
decide_expect(struct msg *m)
{
	const struct header *h;

	for (h = headers_get(&m->headers, TOKEN_EXPECT); h;
	     h = headers_next(&m->headers, h)) {
		struct str rest = h->value, one;

		while (str_split(&rest, ',', &one))
			if (!str_caseeq(str_trim(one), STR("100-continue")))
				return FAULT_BAD_EXPECT;
	}
	/* RFC 9110 §10.1.1: not from HTTP/1.0, and not without a body. */
	m->expect_continue = m->minor && m->body != BODY_NONE &&
			     !(m->body == BODY_LENGTH && m->length == 0);
	return FAULT_NONE;
}

/* ---- heads */

/* memset() of all at once becomes "rep stos", which takes longer to begin than this. */
static inline void
clear(struct msg *m)
{
	memset(m, 0, offsetof(struct msg, method_text));
	m->method_text = m->target = m->scheme = m->host = m->hostname = STR_NONE;
	m->path = m->query = m->reason = m->upgrade_to = STR_NONE;
	m->has_query = false;
	m->headers = (struct headers){ 0 };
}

/* The head is not complete, or not valid. */
static ptrdiff_t
unfinished(struct msg *m, struct arena *arena, enum fault found, bool full,
	   enum fault too_large, enum fault *fault)
{
	if (found == FAULT_NONE && full)
		found = too_large;
	if (found == FAULT_NONE) {
		h1_lines_undo(&m->headers, arena);
		return H1_MORE;
	}
	*fault = found;
	return -1;
}

static enum fault
decide_request(struct msg *m, const struct h1_lines *l)
{
	enum fault f = check_host(m, l);

	if (f == FAULT_NONE && (m->headers.known & (bit_length | bit_coding)))
		f = request_framing(m, l);
	m->keep_alive = m->minor;
	if (f == FAULT_NONE && (m->headers.known & bits_options) &&
	    !decide_connection(m, l))
		f = FAULT_BAD_HEADER;
	if (f == FAULT_NONE && (m->headers.known & bit_expect))
		f = decide_expect(m);
	return f;
}

ptrdiff_t
h1_parse_request(struct str buf, const struct h1_limits *limits, struct arena *arena,
		 struct msg *m, enum fault *fault)
{
	bool full = buf.len >= limits->head;
	const char *end = buf.at + (full ? limits->head : buf.len), *mark, *p;
	struct h1_lines lines;

	lines.fault = FAULT_NONE;
	clear(m);
	p = parse_request_line(buf.at, end, limits->target, m, &mark, &lines.fault);
	if (p && (lines.fault = split_target(m, mark)) == FAULT_NONE)
		p = h1_lines_parse(&lines, &m->headers, p, end, buf.at, false,
				   limits->headers, arena);
	if (!p || lines.fault != FAULT_NONE)
		return unfinished(m, arena, lines.fault, full, FAULT_HEAD_TOO_LARGE,
				  fault);
	lines.fault = decide_request(m, &lines);
	if (lines.fault != FAULT_NONE) {
		*fault = lines.fault;
		return -1;
	}
	m->headers.bytes = (uint32_t)(p - buf.at);
	return p - buf.at;
}

static const char *
parse_status_line(const char *p, const char *end, const char *lo, struct msg *m,
		  enum fault *fault)
{
	size_t n = (size_t)(end - p);
	const char *stop;

	for (size_t i = n > 9 && !memcmp(p, "HTTP/1.1 ", 9) ? 9 : 0; i < n && i < 12;
	     i++) {
		char want = "HTTP/1.# ###"[i];

		if (want == '#' ? !digit(p[i]) : p[i] != want)
			goto bad;
	}
	if (n >= 8 && p[7] > '1')
		goto bad;
	if (n < 13)
		return NULL;
	m->minor = p[7] == '1';
	m->status = (uint16_t)((p[9] - '0') * 100 + (p[10] - '0') * 10 + (p[11] - '0'));
	if (m->status < 100 || (p[12] != ' ' && p[12] != '\r'))
		goto bad;
	p += p[12] == ' ' ? 13 : 12;
	stop = scan_value(p, end, lo);
	m->reason = slice(p, stop);
	if (stop == end)
		return NULL;
	if (*stop == '\r' && end - stop < 2)
		return NULL;
	if (*stop == '\r' && stop[1] == '\n')
		return stop + 2;
bad:
	*fault = FAULT_BAD_RESPONSE;
	return NULL;
}

ptrdiff_t
h1_parse_response(struct str buf, const struct h1_limits *limits, struct arena *arena,
		  enum method method, struct msg *m, enum fault *fault)
{
	bool full = buf.len >= limits->head;
	const char *end = buf.at + (full ? limits->head : buf.len), *p;
	struct h1_lines lines;
	enum fault f;

	lines.fault = FAULT_NONE;
	clear(m);
	p = parse_status_line(buf.at, end, buf.at, m, &lines.fault);
	if (p)
		p = h1_lines_parse(&lines, &m->headers, p, end, buf.at, false,
				   limits->headers, arena);
	if (!p) {
		f = lines.fault;
		if (f == FAULT_TOO_MANY_HEADERS)
			f = FAULT_RESPONSE_HEAD_TOO_LARGE;
		else if (f != FAULT_NONE)
			f = FAULT_BAD_RESPONSE;
		return unfinished(m, arena, f, full, FAULT_RESPONSE_HEAD_TOO_LARGE,
				  fault);
	}
	f = response_framing(m, &lines, method);
	if (f == FAULT_NONE && !decide_connection(m, &lines))
		f = FAULT_BAD_RESPONSE;
	if (f != FAULT_NONE) {
		*fault = f;
		return -1;
	}
	if (m->body == BODY_CLOSE)
		m->keep_alive = false;
	m->headers.bytes = (uint32_t)(p - buf.at);
	return p - buf.at;
}

static inline void
rebase(struct str *s, const char *from, const char *to, size_t len)
{
	size_t offset = (size_t)((uintptr_t)s->at - (uintptr_t)from);

	if (offset <= len)
		s->at = to + offset;
}

void
msg_rebase(struct msg *m, const char *from, const char *to, size_t len)
{
	struct str *slices[] = {
		&m->method_text, &m->target, &m->scheme, &m->host, &m->hostname, &m->path,
		&m->query, &m->reason, &m->upgrade_to,
	};

	for (size_t i = 0; i < sizeof(slices) / sizeof(*slices); i++)
		rebase(slices[i], from, to, len);
	for (uint32_t i = 0; i < m->headers.n; i++) {
		m->headers.at[i].name.at += to - from;
		m->headers.at[i].value.at += to - from;
	}
}
