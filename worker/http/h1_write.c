#include "worker/http/h1_write.h"
#include "base/clock.h"
#include "worker/http/h1_scan.h"

#define PUT(to, lit) (memcpy((to), "" lit, sizeof(lit) - 1), (to) + (sizeof(lit) - 1))

/* Status line, Date, framing and Connection lines at their longest; reason phrases
 * apart. */
enum { FIXED = 320, DATE_LEN = 29 };

static inline char *
put(char *to, struct str s)
{
	if (s.len > 32)
		return (char *)memcpy(to, s.at, s.len) + s.len;
	if (s.len >= 16) {
		memcpy(to, s.at, 16);
		memcpy(to + s.len - 16, s.at + s.len - 16, 16);
	} else if (s.len >= 8) {
		memcpy(to, s.at, 8);
		memcpy(to + s.len - 8, s.at + s.len - 8, 8);
	} else if (s.len >= 4) {
		memcpy(to, s.at, 4);
		memcpy(to + s.len - 4, s.at + s.len - 4, 4);
	} else {
		for (size_t i = 0; i < s.len; i++)
			to[i] = s.at[i];
	}
	return to + s.len;
}

/* Values and targets that did not come from the parser may hold anything that a
 * template let through: a byte that would end the line, or the target, is
 * overwritten. 16 bytes behind `end` may be read: h1_head_size() leaves more. */
#ifdef SCAN_SSE2
static inline __attribute__((always_inline)) void
clean(char *p, char *end, unsigned (*ends_of)(__m128i), uint8_t class, char with)
{
	(void)class;
	for (; p < end; p += 16) {
		unsigned odd = ends_of(scan_load(p));

		if (end - p < 16)
			odd &= (1U << (end - p)) - 1;
		for (; odd; odd &= odd - 1)
			p[__builtin_ctz(odd)] = with;
	}
}
#else
enum { scan_ends_value, scan_ends_target };

static inline void
clean(char *p, char *end, int ends_of, uint8_t class, char with)
{
	(void)ends_of;
	for (; p < end; p++)
		if (!(scan_class[(unsigned char)*p] & class))
			*p = with;
}
#endif

static inline char *
put_value(char *to, struct str s)
{
	char *end = put(to, s);

	clean(to, end, scan_ends_value, SCAN_VALUE, ' ');
	return end;
}

static inline char *
put_target(char *to, struct str s)
{
	char *end = put(to, s);

	clean(to, end, scan_ends_target, SCAN_TARGET, '_');
	return end;
}

static inline bool
left_out(const struct header *h)
{
	return h->gone || h->hop || h->token == TOKEN_CONTENT_LENGTH ||
	       h->token == TOKEN_TRANSFER_ENCODING;
}

static char *
put_line(char *to, struct str name, struct str value)
{
	to = put(to, name);
	to = PUT(to, ": ");
	to = put_value(to, value);
	return PUT(to, "\r\n");
}

/* Untouched lines that lie one behind the other in memory are one run. */
static char *
put_lines(char *to, const struct headers *hs, enum token but)
{
	const char *run = NULL, *run_end = NULL;

	for (const struct header *h = hs->at, *end = h + hs->n; h < end; h++) {
		if (left_out(h) || h->token == (uint8_t)but)
			continue;
		if (h->raw && h->name.at == run_end) {
			run_end = h->value.at + h->value.len + 2;
			continue;
		}
		if (run)
			to = put(to, (struct str){ run, (size_t)(run_end - run) });
		run = run_end = NULL;
		if (h->raw) {
			run = h->name.at;
			run_end = h->value.at + h->value.len + 2;
		} else {
			to = put_line(to, h->name, h->value);
		}
	}
	if (run)
		to = put(to, (struct str){ run, (size_t)(run_end - run) });
	return to;
}

static char *
put_connection(char *to, const struct h1_head *head)
{
	const char *comma = "Connection: ";
	bool close = head->close || head->framing == H1_UNTIL_CLOSE;

	if (head->upgrade.len) {
		to = PUT(to, "Upgrade: ");
		to = put_value(to, head->upgrade);
		to = PUT(to, "\r\nConnection: upgrade");
		comma = ", ";
	}
	if (close || head->keep_alive) {
		to = put(to, str_of(comma));
		to = put(to, close ? STR("close") : STR("keep-alive"));
		comma = ", ";
	}
	if (head->te_trailers) {
		to = put(to, str_of(comma));
		to = PUT(to, "TE\r\nTE: trailers");
	}
	return PUT(to, "\r\n");
}

static inline char *
put_end(char *to, const struct h1_head *head)
{
	if (head->framing == H1_LENGTH) {
		to = PUT(to, "Content-Length: ");
		to = str_put_u64(to, head->length);
		to = PUT(to, "\r\n");
	} else if (head->framing == H1_CHUNKED) {
		to = PUT(to, "Transfer-Encoding: chunked\r\n");
	}
	if (head->close || head->keep_alive || head->te_trailers || head->upgrade.len ||
	    head->framing == H1_UNTIL_CLOSE)
		to = put_connection(to, head);
	return PUT(to, "\r\n");
}

size_t
h1_head_size(const struct msg *m, const struct h1_head *head)
{
	size_t n = FIXED + m->method_text.len + m->host.len + m->path.len + m->query.len +
		   m->reason.len + head->upgrade.len;

	return n + m->headers.bytes;
}

char *
h1_put_request(char *to, const struct msg *m, const struct h1_head *head)
{
	if (m->method == METHOD_GET) {
		to = PUT(to, "GET ");
	} else {
		to = put(to, m->method_text);
		*to++ = ' ';
	}
	to = put_target(to, m->method == METHOD_CONNECT ? m->host : m->path);
	if (m->has_query) {
		*to++ = '?';
		to = put_target(to, m->query);
	}
	to = PUT(to, " HTTP/1.1\r\nHost: ");
	to = put_value(to, m->host);
	to = PUT(to, "\r\n");
	to = put_lines(to, &m->headers, TOKEN_HOST);
	return put_end(to, head);
}

char *
h1_put_response(char *to, const struct msg *m, const struct h1_head *head)
{
	if (m->status == 200 && !m->reason.len) {
		to = PUT(to, "HTTP/1.1 200 OK\r\n");
	} else {
		to = PUT(to, "HTTP/1.1 ");
		*to++ = (char)('0' + m->status / 100 % 10);
		*to++ = (char)('0' + m->status / 10 % 10);
		*to++ = (char)('0' + m->status % 10);
		*to++ = ' ';
		to = put_value(to, m->reason.len ? m->reason : h1_reason(m->status));
		to = PUT(to, "\r\n");
	}
	if (m->status >= 200 && !headers_get(&m->headers, TOKEN_DATE)) {
		to = PUT(to, "Date: ");
		to = put(to, (struct str){ clock_date(), DATE_LEN });
		to = PUT(to, "\r\n");
	}
	to = put_lines(to, &m->headers, TOKEN_CONTENT_LENGTH);
	return put_end(to, head);
}

struct str
h1_reason(int status)
{
	switch (status) {
	case 100: return STR("Continue");
	case 101: return STR("Switching Protocols");
	case 102: return STR("Processing");
	case 103: return STR("Early Hints");
	case 200: return STR("OK");
	case 201: return STR("Created");
	case 202: return STR("Accepted");
	case 203: return STR("Non-Authoritative Information");
	case 204: return STR("No Content");
	case 205: return STR("Reset Content");
	case 206: return STR("Partial Content");
	case 207: return STR("Multi-Status");
	case 208: return STR("Already Reported");
	case 226: return STR("IM Used");
	case 300: return STR("Multiple Choices");
	case 301: return STR("Moved Permanently");
	case 302: return STR("Found");
	case 303: return STR("See Other");
	case 304: return STR("Not Modified");
	case 305: return STR("Use Proxy");
	case 307: return STR("Temporary Redirect");
	case 308: return STR("Permanent Redirect");
	case 400: return STR("Bad Request");
	case 401: return STR("Unauthorized");
	case 402: return STR("Payment Required");
	case 403: return STR("Forbidden");
	case 404: return STR("Not Found");
	case 405: return STR("Method Not Allowed");
	case 406: return STR("Not Acceptable");
	case 407: return STR("Proxy Authentication Required");
	case 408: return STR("Request Timeout");
	case 409: return STR("Conflict");
	case 410: return STR("Gone");
	case 411: return STR("Length Required");
	case 412: return STR("Precondition Failed");
	case 413: return STR("Content Too Large");
	case 414: return STR("URI Too Long");
	case 415: return STR("Unsupported Media Type");
	case 416: return STR("Range Not Satisfiable");
	case 417: return STR("Expectation Failed");
	case 418: return STR("I'm a teapot");
	case 421: return STR("Misdirected Request");
	case 422: return STR("Unprocessable Content");
	case 423: return STR("Locked");
	case 424: return STR("Failed Dependency");
	case 425: return STR("Too Early");
	case 426: return STR("Upgrade Required");
	case 428: return STR("Precondition Required");
	case 429: return STR("Too Many Requests");
	case 431: return STR("Request Header Fields Too Large");
	case 451: return STR("Unavailable For Legal Reasons");
	case 500: return STR("Internal Server Error");
	case 501: return STR("Not Implemented");
	case 502: return STR("Bad Gateway");
	case 503: return STR("Service Unavailable");
	case 504: return STR("Gateway Timeout");
	case 505: return STR("HTTP Version Not Supported");
	case 506: return STR("Variant Also Negotiates");
	case 507: return STR("Insufficient Storage");
	case 508: return STR("Loop Detected");
	case 511: return STR("Network Authentication Required");
	default: return STR_NONE;
	}
}
