#include "base/str.h"

#include <stdint.h>

#define EACH(n) (0x0101010101010101u * (n))

/* Eight bytes: what differs may differ by 0x20 only, and only where a letter is. */
static inline bool
caseeq8(const char *a, const char *b)
{
	uint64_t x, y, differs, low, from_a, beyond_z;

	memcpy(&x, a, 8);
	memcpy(&y, b, 8);
	differs = x ^ y;
	if (differs & ~EACH(0x20))
		return false;
	low = (x | EACH(0x20)) & EACH(0x7f);
	from_a = low + EACH(0x80 - 'a');
	beyond_z = low + EACH(0x7f - 'z');
	return (((from_a & ~beyond_z & ~x) & EACH(0x80)) >> 2 & differs) == differs;
}

/* Bit 7 of each byte that is an upper-case letter. */
static inline uint64_t
upper8(uint64_t x)
{
	uint64_t low = x & EACH(0x7f);

	return (low + EACH(0x80 - 'A')) & ~(low + EACH(0x7f - 'Z')) & ~x & EACH(0x80);
}

bool
str_has_upper(struct str s)
{
	uint64_t x = 0, any = 0;

	if (s.len >= 8) {
		for (size_t i = 0; i + 8 < s.len; i += 8) {
			memcpy(&x, s.at + i, 8);
			any |= upper8(x);
		}
		memcpy(&x, s.at + s.len - 8, 8);
	} else {
		for (size_t i = 0; i < s.len; i++)
			x = x << 8 | (unsigned char)s.at[i];
	}
	return (any | upper8(x)) != 0;
}

bool
str_caseeq_long(const char *a, const char *b, size_t len)
{
	for (size_t i = 0; i + 8 <= len; i += 8)
		if (!caseeq8(a + i, b + i))
			return false;
	return caseeq8(a + len - 8, b + len - 8);
}

bool
str_split(struct str *rest, char by, struct str *part)
{
	if (!rest->at)
		return false;

	ptrdiff_t i = str_find(*rest, by);

	if (i < 0) {
		*part = *rest;
		*rest = STR_NONE;
	} else {
		*part = str_first(*rest, (size_t)i);
		*rest = str_from(*rest, (size_t)i + 1);
	}
	return true;
}

ptrdiff_t
str_find(struct str s, char c)
{
	const char *p = s.len ? memchr(s.at, c, s.len) : NULL;

	return p ? p - s.at : -1;
}

bool
str_u64(struct str s, unsigned long long max, unsigned long long *value)
{
	unsigned long long n = 0;

	if (!s.len)
		return false;
	if (s.len < 19) {                       /* cannot overflow */
		for (size_t i = 0; i < s.len; i++) {
			unsigned digit = (unsigned)(unsigned char)s.at[i] - '0';

			if (digit > 9)
				return false;
			n = n * 10 + digit;
		}
		if (n <= max)
			*value = n;
		return n <= max;
	}
	for (size_t i = 0; i < s.len; i++) {
		unsigned digit = (unsigned)(unsigned char)s.at[i] - '0';

		if (digit > 9 || digit > max || n > (max - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	*value = n;
	return true;
}

char *
str_put_u64(char *to, unsigned long long n)
{
	unsigned long long power = 10;
	size_t len = 1;
	char *end;

	if (n < 1000) {                         /* most numbers are: statuses, lengths */
		unsigned small = (unsigned)n;

		if (small >= 100)
			*to++ = (char)('0' + small / 100);
		if (small >= 10)
			*to++ = (char)('0' + small / 10 % 10);
		*to++ = (char)('0' + small % 10);
		return to;
	}
	while (len < 20 && n >= power) {
		len++;
		power *= 10;
	}
	end = to + len;
	for (char *at = end; at > to; n /= 10)
		*--at = (char)('0' + n % 10);
	return end;
}

/* FNV-1a over words of eight bytes, mixed at the end so that every bit of the result
 * depends on every bit of the slice. */
unsigned long long
str_hash(struct str s)
{
	unsigned long long h = 0xcbf29ce484222325ULL ^ s.len, word;

	while (s.len >= sizeof(word)) {
		memcpy(&word, s.at, sizeof(word));
		h = (h ^ word) * 0x9fb21c651e98df25ULL;
		h ^= h >> 32;
		s = str_from(s, sizeof(word));
	}
	word = 0;
	if (s.len)
		memcpy(&word, s.at, s.len);
	h = (h ^ word) * 0x9fb21c651e98df25ULL;
	h ^= h >> 29;
	h *= 0xbf58476d1ce4e5b9ULL;
	return h ^ h >> 32;
}
