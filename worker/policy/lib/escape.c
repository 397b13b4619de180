#include "worker/policy/lib/escape.h"

#include <stdint.h>

static const char hex[] = "0123456789abcdef";

#define EACH(n) (0x0101010101010101u * (n))

/* Whether any of eight bytes is a control, a quote, a backslash or not ASCII. The borrow
 * of a lower byte may raise a false alarm, never hide one. */
static inline bool
needs_care(uint64_t w)
{
	uint64_t quote = w ^ EACH('"'), slash = w ^ EACH('\\'), del = w ^ EACH(0x7f);

	return ((w - EACH(0x20)) | (quote - EACH(1)) | (slash - EACH(1)) |
		(del - EACH(1)) | w) &
	       EACH(0x80);
}

static inline bool
is_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

/* The rest of a piece, 1 to 7 bytes; `before` bytes ahead of it were copied as they are.
 * False: it is to be looked at one by one. */
static inline bool
copy_rest(char *out, const char *at, size_t n, size_t before)
{
	uint32_t low, high;
	uint64_t w;

	if (before >= 8 - n) {
		memcpy(&w, at + n - 8, 8);
		if (needs_care(w))
			return false;
		memcpy(out + n - 8, &w, 8);
		return true;
	}
	if (n < 4) {
		char c[8] = { at[0], at[n / 2], at[n - 1], ' ', ' ', ' ', ' ', ' ' };

		memcpy(&w, c, 8);
		if (needs_care(w))
			return false;
		out[0] = c[0];
		out[n / 2] = c[1];
		out[n - 1] = c[2];
		return true;
	}
	memcpy(&low, at, 4);
	memcpy(&high, at + n - 4, 4);
	if (needs_care(low | (uint64_t)high << 32))
		return false;
	memcpy(out, &low, 4);
	memcpy(out + n - 4, &high, 4);
	return true;
}

/* Copies what needs no escape from *s to *to; false when it did not fit. */
static bool
copy_plain(char **to, char *end, const char **s, const char *stop)
{
	const char *at = *s;
	char *out = *to;
	bool fits = true;
	uint64_t w;

	while (stop - at >= 8 && end - out >= 8) {
		memcpy(&w, at, 8);
		if (needs_care(w))
			break;
		memcpy(out, &w, 8);
		at += 8;
		out += 8;
	}
	if (at < stop && stop - at < 8 && end - out >= stop - at &&
	    copy_rest(out, at, (size_t)(stop - at), (size_t)(at - *s))) {
		out += stop - at;
		at = stop;
	}
	while (at < stop && is_plain((unsigned char)*at)) {
		if (out == end) {
			fits = false;
			break;
		}
		*out++ = *at++;
	}
	*s = at;
	*to = out;
	return fits;
}

/* Decodes one character beyond ASCII; returns how many bytes it has, 0 when it is no
 * UTF-8. */
static size_t
decode(const char *at, const char *stop, uint32_t *c)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned char first = (unsigned char)*at;
	size_t n = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;

	if (first < 0xc2 || first > 0xf4 || (size_t)(stop - at) < n)
		return 0;
	*c = first & (0xffu >> (n + 1));
	for (size_t i = 1; i < n; i++) {
		if (((unsigned char)at[i] & 0xc0) != 0x80)
			return 0;
		*c = *c << 6 | ((unsigned char)at[i] & 0x3f);
	}
	return *c < least[n] || (*c >= 0xd800 && *c < 0xe000) || *c > 0x10ffff ? 0 : n;
}

static char *
put_u(char *to, uint32_t c)
{
	to = mempcpy(to, "\\u", 2);
	for (int shift = 12; shift >= 0; shift -= 4)
		*to++ = hex[c >> shift & 15];
	return to;
}

char *
escape_json(char *to, char *end, struct str s)
{
	const char *at = s.at ? s.at : "", *stop = at + s.len;
	uint32_t c;
	size_t n;

	if (!s.len)
		return to;
	for (;;) {
		if (!copy_plain(&to, end, &at, stop))
			return NULL;
		if (at == stop)
			return to;
		if (end - to < 6)
			return NULL;
		if (*at == '"' || *at == '\\') {
			*to++ = '\\';
			*to++ = *at++;
		} else if ((unsigned char)*at < 0x80) {
			to = put_u(to, (unsigned char)*at++);
		} else if (!(n = decode(at, stop, &c))) {
			to = mempcpy(to, "\xef\xbf\xbd", 3);
			at++;
		} else if (c < 0xa0 || c == 0x2028 || c == 0x2029) {
			to = put_u(to, c);
			at += n;
		} else {
			to = mempcpy(to, at, n);
			at += n;
		}
	}
}

char *
escape_field(char *to, char *end, struct str s)
{
	const char *at = s.at ? s.at : "", *stop = at + s.len;

	if (!s.len)
		return to;
	for (;;) {
		if (!copy_plain(&to, end, &at, stop))
			return NULL;
		if (at == stop)
			return to;
		if (end - to < 4)
			return NULL;
		to = mempcpy(to, "\\x", 2);
		*to++ = hex[(unsigned char)*at >> 4];
		*to++ = hex[*at++ & 15];
	}
}
