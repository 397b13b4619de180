#include "worker/http/h1_parse.h"
#include "worker/http/h1_lines.h"
#include "worker/http/h1_scan.h"

enum { MAX_DIGITS = 16, MAX_TRAILERS = 100, FIRST_KEPT = 256 };

enum state {
	SIZE_FIRST, /* at least one digit is to come */
	SIZE,
	BLANK, /* blanks between size and ";" (RFC 9112 §7.1.1: BWS) */
	EXTENSION,
	SIZE_LF,
	DATA,
	DATA_CR,
	DATA_LF,
	LINE_FIRST, /* of the trailer section */
	LINE,
	LINE_LF,
	LAST_LF,
	BAD,
};

static inline int
hex(unsigned char c)
{
	if ((unsigned)(c - '0') < 10)
		return c - '0';
	c |= 0x20;
	return (unsigned)(c - 'a') < 6 ? c - 'a' + 10 : -1;
}

static enum state
after_size(struct h1_chunked *c, unsigned char byte)
{
	int digit = hex(byte);

	if (digit >= 0) {
		if (c->line > MAX_DIGITS || c->left >> 59)
			return BAD;
		c->left = c->left << 4 | (unsigned)digit;
		return SIZE;
	}
	if (c->state == SIZE_FIRST)
		return BAD;
	if (byte == '\r')
		return SIZE_LF;
	if (byte == ';')
		return EXTENSION;
	return byte == ' ' || byte == '\t' ? BLANK : BAD;
}

static enum state
step(struct h1_chunked *c, unsigned char byte)
{
	switch ((enum state)c->state) {
	case SIZE_FIRST:
	case SIZE:
		return after_size(c, byte);
	case BLANK:
		if (byte == ';')
			return EXTENSION;
		return byte == ' ' || byte == '\t' ? BLANK : BAD;
	case EXTENSION:
		if (byte == '\r')
			return SIZE_LF;
		return scan_class[byte] & SCAN_VALUE ? EXTENSION : BAD;
	case SIZE_LF:
		if (byte != '\n')
			return BAD;
		return c->left ? DATA : LINE_FIRST;
	case DATA_CR:
		return byte == '\r' ? DATA_LF : BAD;
	case DATA_LF:
		return byte == '\n' ? SIZE_FIRST : BAD;
	case LINE_FIRST:
		if (byte == '\r')
			return LAST_LF;
		return scan_class[byte] & SCAN_TOKEN ? LINE : BAD;
	case LINE:
		if (byte == '\r')
			return LINE_LF;
		return scan_class[byte] & SCAN_VALUE ? LINE : BAD;
	case LINE_LF:
		return byte == '\n' ? LINE_FIRST : BAD;
	case LAST_LF:                   /* its end is seen by who calls */
	case DATA:
	case BAD:
		break;
	}
	return BAD;
}

/* Room for trailer lines doubles, so that drops cost no more than lines. */
static bool
keep_trailer(struct h1_chunked *c, struct arena *a, char byte)
{
	uint32_t n = c->trailer;

	if (n == H1_CHUNK_TRAILER)
		return false;
	if (n == 0 || (n >= FIRST_KEPT && (n & (n - 1)) == 0)) {
		char *kept = arena_alloc(a, n ? n * 2 : FIRST_KEPT);

		if (n)
			memcpy(kept, c->kept, n);
		c->kept = kept;
	}
	c->kept[c->trailer++] = byte;
	return true;
}

static enum h1_chunk
take_data(struct h1_chunked *c, struct str *in, struct str *data)
{
	*data = str_first(*in, c->left < in->len ? (size_t)c->left : in->len);
	*in = str_from(*in, data->len);
	c->left -= data->len;
	if (c->left == 0)
		c->state = DATA_CR;
	return H1_CHUNK_DATA;
}

enum h1_chunk
h1_chunk_next(struct h1_chunked *c, struct str *in, struct str *data, struct arena *a,
	      struct str *trailers)
{
	while (in->len) {
		unsigned char byte = (unsigned char)*in->at;
		enum state next;

		if (c->state == DATA)
			return take_data(c, in, data);
		if (c->state == LAST_LF && byte == '\n') {
			*in = str_from(*in, 1);
			*trailers = (struct str){ c->kept, c->trailer };
			*c = (struct h1_chunked){ 0 };
			return H1_CHUNK_END;
		}
		if (c->state <= SIZE_LF && ++c->line > H1_CHUNK_LINE)
			c->state = BAD;
		next = step(c, byte);
		if ((next == LINE || next == LINE_LF || c->state == LINE_LF) &&
		    !keep_trailer(c, a, (char)byte))
			next = BAD;
		if (next == DATA || next == SIZE_FIRST || next == LINE_FIRST)
			c->line = 0;
		c->state = (uint8_t)next;
		if (next == BAD)
			return H1_CHUNK_BAD;
		*in = str_from(*in, 1);
	}
	return c->state == BAD ? H1_CHUNK_BAD : H1_CHUNK_MORE;
}

bool
h1_not_in_trailers(const struct header *h)
{
	switch ((enum token)h->token) {
	case TOKEN_AUTHORIZATION:
	case TOKEN_CACHE_CONTROL:
	case TOKEN_CONTENT_ENCODING:
	case TOKEN_CONTENT_LENGTH:
	case TOKEN_CONTENT_TYPE:
	case TOKEN_COOKIE:
	case TOKEN_DATE:
	case TOKEN_EXPECT:
	case TOKEN_FORWARDED:
	case TOKEN_HOST:
	case TOKEN_LOCATION:
	case TOKEN_ORIGIN:
	case TOKEN_TRACEPARENT:
	case TOKEN_VARY:
	case TOKEN_WWW_AUTHENTICATE:
	case TOKEN_X_FORWARDED_FOR:
	case TOKEN_X_FORWARDED_HOST:
	case TOKEN_X_FORWARDED_PROTO:
	case TOKEN_X_REAL_IP:
	case TOKEN_X_REQUEST_ID:
		return true;
	default:
		break;
	}
	return h->hop || str_caseeq(h->name, STR("set-cookie")) ||
	       str_caseeq(h->name, STR("content-range"));
}

bool
h1_parse_trailers(struct str raw, struct arena *a, struct headers *h)
{
	struct h1_lines lines;

	*h = (struct headers){ 0 };
	if (raw.len == 0)
		return true;
	if (!h1_lines_parse(&lines, h, raw.at, raw.at + raw.len, raw.at, true,
			    MAX_TRAILERS, a))
		return false;
	for (uint32_t i = 0; i < h->n; i++)
		h->at[i].gone = h1_not_in_trailers(&h->at[i]);
	return true;
}
