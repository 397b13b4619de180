#include "base/siphash.h"

struct state {
	uint64_t v0, v1, v2, v3;
};

static inline uint64_t
rotate(uint64_t x, int by)
{
	return x << by | x >> (64 - by);
}

static inline void
mix(struct state *s)
{
	s->v0 += s->v1;
	s->v2 += s->v3;
	s->v1 = rotate(s->v1, 13) ^ s->v0;
	s->v3 = rotate(s->v3, 16) ^ s->v2;
	s->v0 = rotate(s->v0, 32);
	s->v2 += s->v1;
	s->v0 += s->v3;
	s->v1 = rotate(s->v1, 17) ^ s->v2;
	s->v3 = rotate(s->v3, 21) ^ s->v0;
	s->v2 = rotate(s->v2, 32);
}

static inline void
take(struct state *s, uint64_t word)
{
	s->v3 ^= word;
	mix(s);
	s->v0 ^= word;
}

static inline uint64_t
finish(struct state *s)
{
	mix(s);
	mix(s);
	mix(s);
	return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

struct siphash
siphash(const uint64_t key[2], uint64_t more, struct str bytes)
{
	struct state s = {
		key[0] ^ 0x736f6d6570736575,
		key[1] ^ 0x646f72616e646f6d ^ 0xee,     /* 128 bits wanted */
		key[0] ^ 0x6c7967656e657261,
		key[1] ^ 0x7465646279746573,
	};
	uint64_t word, last = (uint64_t)(bytes.len + sizeof(more)) << 56;
	struct siphash out;
	const char *at = bytes.at ? bytes.at : "", *end = at + bytes.len;
	size_t rest = bytes.len % sizeof(word);

	take(&s, more);
	for (; at < end - rest; at += sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		take(&s, word);
	}
	/* The last eight bytes at once, where there are eight. */
	if (rest && bytes.len > sizeof(word)) {
		memcpy(&word, end - sizeof(word), sizeof(word));
		last |= word >> (64 - 8 * rest);
	} else {
		for (size_t i = 0; i < rest; i++)
			last |= (uint64_t)(unsigned char)at[i] << 8 * i;
	}
	take(&s, last);
	s.v2 ^= 0xee;
	out.low = finish(&s);
	s.v1 ^= 0xdd;
	out.high = finish(&s);
	return out;
}
