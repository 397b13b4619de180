#include "shm/store_pack.h"

void
pack_bytes(struct pack *p, const void *from, size_t n)
{
	if ((size_t)(p->end - p->at) < n) {
		p->bad = true;
		return;
	}
	if (n)
		memcpy(p->at, from, n);
	p->at += n;
}

void
pack_byte(struct pack *p, uint8_t byte)
{
	pack_bytes(p, &byte, 1);
}

void
pack_be32(struct pack *p, uint32_t n)
{
	n = __builtin_bswap32(n);
	pack_bytes(p, &n, sizeof(n));
}

void
pack_be64(struct pack *p, uint64_t n)
{
	n = __builtin_bswap64(n);
	pack_bytes(p, &n, sizeof(n));
}

void
pack_varint(struct pack *p, uint64_t n)
{
	uint8_t bytes[10];
	size_t len = 0;

	for (; n > 127; n >>= 7)
		bytes[len++] = (uint8_t)(n | 128);
	bytes[len++] = (uint8_t)n;
	pack_bytes(p, bytes, len);
}

void
pack_text(struct pack *p, struct str s)
{
	pack_varint(p, s.len);
	pack_bytes(p, s.at, s.len);
}

void
pack_chars(struct pack *p, const char *from, size_t size)
{
	pack_text(p, (struct str){ from, strnlen(from, size) });
}

/* `n` bytes, or NULL. */
static const uint8_t *
take(struct unpack *u, size_t n)
{
	const uint8_t *at = u->at;

	if (u->bad || unpack_left(u) < n) {
		u->bad = true;
		return NULL;
	}
	u->at += n;
	return at;
}

void
unpack_bytes(struct unpack *u, void *to, size_t n)
{
	const uint8_t *from = take(u, n);

	if (from)
		memcpy(to, from, n);
	else
		memset(to, 0, n);
}

uint8_t
unpack_byte(struct unpack *u)
{
	uint8_t byte;

	unpack_bytes(u, &byte, 1);
	return byte;
}

uint32_t
unpack_be32(struct unpack *u)
{
	uint32_t n;

	unpack_bytes(u, &n, sizeof(n));
	return __builtin_bswap32(n);
}

uint64_t
unpack_be64(struct unpack *u)
{
	uint64_t n;

	unpack_bytes(u, &n, sizeof(n));
	return __builtin_bswap64(n);
}

uint64_t
unpack_varint(struct unpack *u)
{
	uint64_t n = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		const uint8_t *at = take(u, 1);

		if (!at)
			return 0;
		n |= (uint64_t)(*at & 127) << shift;
		if (*at < 128)
			return n;
	}
	u->bad = true;
	return 0;
}

struct str
unpack_text(struct unpack *u)
{
	uint64_t len = unpack_varint(u);
	const uint8_t *at = take(u, len);

	return at ? (struct str){ (const char *)at, len } : STR_NONE;
}

struct str
unpack_until_nul(struct unpack *u)
{
	size_t len = strnlen((const char *)u->at, unpack_left(u));
	struct str s = { (const char *)u->at, len };

	u->at += len < unpack_left(u) ? len + 1 : len;
	return s;
}

void
unpack_chars(struct unpack *u, char *to, size_t size)
{
	struct str s = unpack_text(u);

	memset(to, 0, size);
	if (s.len >= size)
		u->bad = true;
	else if (s.len)
		memcpy(to, s.at, s.len);
}
