/* str — a slice of bytes: where it begins and how long it is.
 *
 * A slice owns nothing and is rarely terminated by a NUL. Slices of a request
 * live as long as its exchange, slices of a configuration as long as its image. */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct str {
	const char *at;
	size_t len;
};

/* A slice of a string literal. */
#define STR(lit) ((struct str){ "" lit, sizeof(lit) - 1 })
#define STR_NONE ((struct str){ NULL, 0 })

/* For printf: "%.*s", STR_ARG(s). */
#define STR_ARG(s) (int)(s).len, (s).at ? (s).at : ""

static inline struct str
str_of(const char *z)
{
	return (struct str){ z, z ? strlen(z) : 0 };
}

static inline bool
str_eq(struct str a, struct str b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

static inline unsigned char
char_lower(unsigned char c)
{
	return (unsigned char)(c - 'A') < 26 ? c | 0x20 : c;
}

bool str_caseeq_long(const char *a, const char *b, size_t len);

/* Equal but for the case of ASCII letters. */
static inline bool
str_caseeq(struct str a, struct str b)
{
	if (a.len != b.len)
		return false;
	if (a.len >= 8)
		return str_caseeq_long(a.at, b.at, a.len);
	for (size_t i = 0; i < a.len; i++)
		if (char_lower((unsigned char)a.at[i]) != char_lower((unsigned char)b.at[i]))
			return false;
	return true;
}

static inline bool
str_starts(struct str s, struct str prefix)
{
	return s.len >= prefix.len && (!prefix.len || memcmp(s.at, prefix.at, prefix.len) == 0);
}

static inline bool
str_ends(struct str s, struct str suffix)
{
	return s.len >= suffix.len &&
	       (!suffix.len || memcmp(s.at + s.len - suffix.len, suffix.at, suffix.len) == 0);
}

/* The part from `from` on; empty when there is none. */
static inline struct str
str_from(struct str s, size_t from)
{
	if (from > s.len)
		from = s.len;
	return (struct str){ s.at ? s.at + from : NULL, s.len - from };
}

/* The first `n` bytes, or all. */
static inline struct str
str_first(struct str s, size_t n)
{
	return (struct str){ s.at, n < s.len ? n : s.len };
}

/* Without blanks and tabs at both ends (OWS of RFC 9110 §5.6.3). */
static inline struct str
str_trim(struct str s)
{
	while (s.len && (*s.at == ' ' || *s.at == '\t'))
		s.at++, s.len--;
	while (s.len && (s.at[s.len - 1] == ' ' || s.at[s.len - 1] == '\t'))
		s.len--;
	return s;
}

/* Takes what stands before the first `by` (or all) off the front of `*rest`;
 * false when `*rest` was used up (its `at` is NULL then). */
bool str_split(struct str *rest, char by, struct str *part);

/* Position of `c`, or -1. */
ptrdiff_t str_find(struct str s, char c);

/* Decimal digits only, the whole slice; false when empty, odd or above `max`. */
bool str_u64(struct str s, unsigned long long max, unsigned long long *value);

/* Whether one of A to Z is in it. */
bool str_has_upper(struct str s);

/* Writes `n` in decimal at `to` (20 bytes suffice) and returns the end. */
char *str_put_u64(char *to, unsigned long long n);

/* 64-bit hash for tables of our own names; not for keys that a client chooses. */
unsigned long long str_hash(struct str s);

#endif
