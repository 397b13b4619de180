#include "worker/http/uri.h"

#include "worker/net/addr.h"

/* Unreserved (RFC 3986 §2.3) = 1, sub-delims (§2.2) = 2, ":" and "@" = 4: together
 * pchar. */
static const uint8_t uri_class[256] = {
	['-'] = 1, ['.'] = 1, ['_'] = 1, ['~'] = 1,
	['0'] = 1, ['1'] = 1, ['2'] = 1, ['3'] = 1, ['4'] = 1,
	['5'] = 1, ['6'] = 1, ['7'] = 1, ['8'] = 1, ['9'] = 1,
	['A'] = 1, ['B'] = 1, ['C'] = 1, ['D'] = 1, ['E'] = 1, ['F'] = 1, ['G'] = 1,
	['H'] = 1, ['I'] = 1, ['J'] = 1, ['K'] = 1, ['L'] = 1, ['M'] = 1, ['N'] = 1,
	['O'] = 1, ['P'] = 1, ['Q'] = 1, ['R'] = 1, ['S'] = 1, ['T'] = 1, ['U'] = 1,
	['V'] = 1, ['W'] = 1, ['X'] = 1, ['Y'] = 1, ['Z'] = 1,
	['a'] = 1, ['b'] = 1, ['c'] = 1, ['d'] = 1, ['e'] = 1, ['f'] = 1, ['g'] = 1,
	['h'] = 1, ['i'] = 1, ['j'] = 1, ['k'] = 1, ['l'] = 1, ['m'] = 1, ['n'] = 1,
	['o'] = 1, ['p'] = 1, ['q'] = 1, ['r'] = 1, ['s'] = 1, ['t'] = 1, ['u'] = 1,
	['v'] = 1, ['w'] = 1, ['x'] = 1, ['y'] = 1, ['z'] = 1,
	['!'] = 2, ['$'] = 2, ['&'] = 2, ['\''] = 2, ['('] = 2, [')'] = 2, ['*'] = 2,
	['+'] = 2, [','] = 2, [';'] = 2, ['='] = 2,
	[':'] = 4, ['@'] = 4,
};

enum { UNRESERVED = 1, REG_NAME = 1 | 2, PCHAR = 1 | 2 | 4 };

static inline bool
is(char c, uint8_t class)
{
	return uri_class[(unsigned char)c] & class;
}

static inline int
hex(char c)
{
	if ((unsigned char)(c - '0') < 10)
		return c - '0';
	c |= 0x20;
	if ((unsigned char)(c - 'a') < 6)
		return c - 'a' + 10;
	return -1;
}

/* The byte that the escape at `at` stands for, or -1. */
static int
unescape(const char *at, const char *end)
{
	int high, low;

	if (end - at < 3 || (high = hex(at[1])) < 0 || (low = hex(at[2])) < 0)
		return -1;
	return high << 4 | low;
}

#define EACH(byte) (0x0101010101010101ull * (byte))

/* 0x80 in every byte of `w` that is zero. */
static inline uint64_t
zeros(uint64_t w)
{
	return ~(((w & EACH(0x7f)) + EACH(0x7f)) | w | EACH(0x7f));
}

/* Passes over what is as it should be, seven bytes at a time: each word looks at one byte
 * more, for what may follow a slash. */
static const char *
skip_plain(const char *p, const char *end)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	for (; end - p >= 8; p += 7) {
		uint64_t w, slash, after;

		memcpy(&w, p, 8);
		slash = zeros(w ^ EACH('/'));
		after = slash | zeros(w ^ EACH('.'));
		if (zeros(w ^ EACH('%')) | ((slash << 8) & after))
			break;
	}
#endif
	return p;
}

/* Where the first thing stands that may have to change; the end when there is none. */
static const char *
first_odd(struct str path, bool merge)
{
	const char *end = path.at + path.len;

	for (const char *p = skip_plain(path.at, end); p < end; p++) {
		if (*p > '/')           /* most bytes */
			continue;
		if (*p == '%')
			return p;
		if (*p == '/' && p + 1 < end && (p[1] == '.' || (p[1] == '/' && merge)))
			return p;
	}
	return end;
}

/* A segment ends at `to` (after its last byte): resolves it if it is "." or "..".
 * Returns the new end, after a slash if it was one of these, or NULL above the root. */
static char *
end_segment(const char *front, char *to)
{
	if (to - front >= 2 && to[-1] == '.' && to[-2] == '/')
		return to - 1;
	if (to - front >= 3 && to[-1] == '.' && to[-2] == '.' && to[-3] == '/') {
		to -= 3;
		if (to == front)
			return NULL;
		while (*--to != '/')
			;
		return to + 1;
	}
	return to;
}

static char *
put_slash(const char *front, char *to, bool merge)
{
	char *end = end_segment(front, to);

	if (!end)
		return NULL;
	if (end != to || (merge && end > front && end[-1] == '/'))
		return end;             /* it ends in one already */
	*end++ = '/';
	return end;
}

enum fault
uri_normalise(struct str path, struct uri_rules rules, struct arena *arena,
	      struct str *out)
{
	const char *end = path.at + path.len, *from;
	char *front, *to;

	/* No URI has a backslash (RFC 3986 §3.3), but some origins take it for a
	 * slash. */
	if (!path.len || *path.at != '/' || memchr(path.at, '\\', path.len))
		return FAULT_BAD_TARGET;
	from = first_odd(path, rules.merge_slashes);
	if (from == end) {
		*out = path;
		return FAULT_NONE;
	}
	front = to = arena_alloc_aligned(arena, path.len, 1);
	memcpy(to, path.at, (size_t)(from - path.at));
	to += from - path.at;
	while (from < end) {
		char c = *from;

		if (c == '%') {
			int byte = unescape(from, end);

			if (byte <= 0)
				return FAULT_BAD_TARGET;
			if (byte == '/' && rules.encoded_slash == URI_SLASH_REJECT)
				return FAULT_ENCODED_SLASH;
			if (byte == '/' && rules.encoded_slash == URI_SLASH_DECODE) {
				c = '/';
			} else if (is((char)byte, UNRESERVED)) {
				c = (char)byte;
			} else {
				*to++ = '%';
				*to++ = "0123456789ABCDEF"[byte >> 4];
				*to++ = "0123456789ABCDEF"[byte & 15];
				from += 3;
				continue;
			}
			from += 2;
		}
		from++;
		if (c != '/')
			*to++ = c;
		else if (!(to = put_slash(front, to, rules.merge_slashes)))
			return FAULT_BAD_TARGET;
	}
	if (!(to = end_segment(front, to)))
		return FAULT_BAD_TARGET;
	*out = (struct str){ front, (size_t)(to - front) };
	return FAULT_NONE;
}

bool
uri_authority(struct str authority, struct str *host, struct str *port)
{
	size_t n = 0;
	unsigned long long number;

	*port = STR_NONE;
	if (authority.len && *authority.at == '[') {
		ptrdiff_t close = str_find(authority, ']');
		struct addr addr;

		if (close < 0 ||
		    !addr_parse(&addr, (struct str){ authority.at, (size_t)close + 1 }))
			return false;
		n = (size_t)close + 1;
	} else {
		while (n < authority.len && is(authority.at[n], REG_NAME))
			n++;
	}
	*host = str_first(authority, n);
	if (n == 0)
		return false;
	if (n == authority.len)
		return true;
	if (authority.at[n] != ':')
		return false;
	*port = str_from(authority, n + 1);
	return port->len == 0 || str_u64(*port, 65535, &number);
}

/* Whether `text`, as it stands in a query, is `plain` when decoded. */
static bool
query_is(struct str text, struct str plain)
{
	const char *p = text.at, *end = p + text.len;
	size_t n = 0;

	for (; p < end; p++, n++) {
		int c = (unsigned char)*p;

		if (n == plain.len)
			return false;
		if (c == '+') {
			c = ' ';
		} else if (c == '%') {
			int byte = unescape(p, end);

			if (byte >= 0) {
				c = byte;
				p += 2;
			}
		}
		if ((unsigned char)plain.at[n] != c)
			return false;
	}
	return n == plain.len;
}

static struct str
query_decode(struct str text, struct arena *arena)
{
	const char *end = text.at + text.len;
	char *front, *to;

	if (str_find(text, '%') < 0 && str_find(text, '+') < 0)
		return text;
	front = to = arena_alloc_aligned(arena, text.len, 1);
	for (const char *p = text.at; p < end; p++) {
		int byte = *p == '%' ? unescape(p, end) : -1;

		if (byte >= 0) {
			*to++ = (char)byte;
			p += 2;
		} else {
			*to++ = *p == '+' ? ' ' : *p;
		}
	}
	return (struct str){ front, (size_t)(to - front) };
}

bool
uri_query(struct str query, struct str name, struct arena *arena, struct str *value)
{
	struct str part;

	while (query.len && str_split(&query, '&', &part)) {
		ptrdiff_t is_at = str_find(part, '=');
		struct str key = is_at < 0 ? part : str_first(part, (size_t)is_at);

		if (!query_is(key, name))
			continue;
		*value = is_at < 0
				 ? STR("")
				 : query_decode(str_from(part, (size_t)is_at + 1), arena);
		return true;
	}
	return false;
}
