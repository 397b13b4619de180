#include "worker/http/token.h"

const char token_text[TOKEN_COUNT][24] = {
#define TOKEN(id, name, flags) [TOKEN_##id] = name,
#include "worker/http/tokens.def"
#undef TOKEN
};

const struct str token_name[TOKEN_COUNT] = {
#define TOKEN(id, name, flags)                                                           \
	[TOKEN_##id] = { token_text[TOKEN_##id], sizeof(name) - 1 },
#include "worker/http/tokens.def"
#undef TOKEN
};

enum { HOP = TOKEN_HOP, FRAMING = TOKEN_FRAMING };

const uint8_t token_flags[TOKEN_COUNT] = {
#define TOKEN(id, name, flags) [TOKEN_##id] = (flags),
#include "worker/http/tokens.def"
#undef TOKEN
};

/* A perfect hash of the first letter and the length. Two rows that collide are a
 * compiler warning (-Woverride-init), a missing row fails test_token. */
#define SLOT(first, len, id) [((first) * 7 + (len) * 5) & 127] = TOKEN_##id

const uint8_t token_slot[128] = {
	SLOT('a', 6, ACCEPT), SLOT('a', 15, ACCEPT_ENCODING), SLOT('a', 5, ALLOW),
	SLOT('a', 13, AUTHORIZATION), SLOT('c', 13, CACHE_CONTROL),
	SLOT('c', 10, CONNECTION), SLOT('c', 16, CONTENT_ENCODING),
	SLOT('c', 14, CONTENT_LENGTH), SLOT('c', 12, CONTENT_TYPE), SLOT('c', 6, COOKIE),
	SLOT('d', 4, DATE), SLOT('e', 6, EXPECT), SLOT('f', 9, FORWARDED),
	SLOT('h', 4, HOST), SLOT('h', 14, HTTP2_SETTINGS), SLOT('k', 10, KEEP_ALIVE),
	SLOT('l', 8, LOCATION), SLOT('o', 6, ORIGIN), SLOT('p', 18, PROXY_AUTHENTICATE),
	SLOT('p', 19, PROXY_AUTHORIZATION), SLOT('p', 16, PROXY_CONNECTION),
	SLOT('p', 12, PROXY_STATUS), SLOT('r', 7, REFERER),
	SLOT('s', 17, SEC_WEBSOCKET_KEY), SLOT('s', 6, SERVER), SLOT('t', 2, TE),
	SLOT('t', 11, TRACEPARENT), SLOT('t', 7, TRAILER),
	SLOT('t', 17, TRANSFER_ENCODING), SLOT('u', 7, UPGRADE),
	SLOT('u', 10, USER_AGENT), SLOT('v', 4, VARY), SLOT('v', 3, VIA),
	SLOT('w', 16, WWW_AUTHENTICATE), SLOT('x', 15, X_FORWARDED_FOR),
	SLOT('x', 16, X_FORWARDED_HOST), SLOT('x', 17, X_FORWARDED_PROTO),
	SLOT('x', 9, X_REAL_IP), SLOT('x', 12, X_REQUEST_ID),
};

static inline uint64_t
load8(const char *p)
{
	uint64_t w;

	memcpy(&w, p, 8);
	return w;
}

static inline uint32_t
load4(const char *p)
{
	uint32_t w;

	memcpy(&w, p, 4);
	return w;
}

/* Whether eight bytes of a name in any case are those of a lower-case one. Only
 * letters have bit 0x40 set in there, and only letters may differ by 0x20. */
static inline bool
same8(uint64_t any, uint64_t lower)
{
	return (any | (lower >> 1 & 0x2020202020202020)) == lower;
}

static inline bool
same4(uint32_t any, uint32_t lower)
{
	return (any | (lower >> 1 & 0x20202020)) == lower;
}

enum token
token_of(struct str name)
{
	const char *p = name.at, *q;
	size_t len = name.len;
	unsigned t;

	if (len < 2 || len >= sizeof(token_text[0]))
		return TOKEN_OTHER;
	t = token_guess(*p, len);
	if (token_name[t].len != len)
		return TOKEN_OTHER;
	q = token_text[t];
	if (len >= 8) {
		if (!same8(load8(p), load8(q)) ||
		    !same8(load8(p + len - 8), load8(q + len - 8)) ||
		    (len > 16 && !same8(load8(p + 8), load8(q + 8))))
			return TOKEN_OTHER;
	} else if (len >= 4) {
		if (!same4(load4(p), load4(q)) ||
		    !same4(load4(p + len - 4), load4(q + len - 4)))
			return TOKEN_OTHER;
	} else if (!str_caseeq(name, token_name[t])) {
		return TOKEN_OTHER;
	}
	return (enum token)t;
}
