#include "base/base64.h"

#include <stdint.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
			       "0123456789+/";

char *
base64_put(char *to, struct str bytes)
{
	const unsigned char *at = (const unsigned char *)bytes.at;
	size_t n = bytes.len;

	for (; n >= 3; n -= 3, at += 3) {
		uint32_t w = (uint32_t)at[0] << 16 | (uint32_t)at[1] << 8 | at[2];

		*to++ = alphabet[w >> 18];
		*to++ = alphabet[w >> 12 & 63];
		*to++ = alphabet[w >> 6 & 63];
		*to++ = alphabet[w & 63];
	}
	if (n) {
		uint32_t w = (uint32_t)at[0] << 16 | (n > 1 ? (uint32_t)at[1] << 8 : 0);

		*to++ = alphabet[w >> 18];
		*to++ = alphabet[w >> 12 & 63];
		*to++ = n > 1 ? alphabet[w >> 6 & 63] : '=';
		*to++ = '=';
	}
	return to;
}

/* 0 … 63; above: it is none. */
static uint32_t
value_of(unsigned char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26u;
	if (c >= '0' && c <= '9')
		return c - '0' + 52u;
	return c == '+' ? 62 : c == '/' ? 63 : 1u << 24;
}

ssize_t
base64_get(char *to, struct str text)
{
	const unsigned char *at = (const unsigned char *)text.at;
	char *begin = to;
	size_t pad = 0;

	if (text.len % 4)
		return -1;
	while (pad < 2 && pad < text.len && at[text.len - 1 - pad] == '=')
		pad++;
	for (size_t left = text.len; left; left -= 4, at += 4) {
		size_t missing = left == 4 ? pad : 0;
		uint32_t c = missing > 1 ? 0 : value_of(at[2]);
		uint32_t d = missing > 0 ? 0 : value_of(at[3]);
		uint32_t a = value_of(at[0]), b = value_of(at[1]);
		uint32_t w = a << 18 | b << 12 | c << 6 | d;

		if ((a | b | c | d) > 63 || w & ((1u << 8 * missing) - 1))
			return -1;
		*to++ = (char)(w >> 16);
		if (missing < 2)
			*to++ = (char)(w >> 8);
		if (missing < 1)
			*to++ = (char)w;
	}
	return to - begin;
}
