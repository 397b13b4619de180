/* store_pack — rows of the store as bytes: numbers of variable length, texts with theirs.
 *
 * Numbers in keys are big-endian, so that keys sort as the numbers do. Numbers in values are varints, seven bits a
 * byte, the lowest first. Packing goes into a buffer of fixed size and notices when it is full; unpacking notices
 * when a row ends too early: `bad` stays set then, and what comes is zero or empty. */
#ifndef SHM_STORE_PACK_H
#define SHM_STORE_PACK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct pack {
	uint8_t *begin, *at, *end;
	bool bad;
};

struct unpack {
	const uint8_t *at, *end;
	bool bad;
};

static inline struct pack
pack_into(void *buf, size_t size)
{
	return (struct pack){ buf, buf, (uint8_t *)buf + size, false };
}

static inline struct str
pack_done(const struct pack *p)
{
	return (struct str){ (const char *)p->begin, (size_t)(p->at - p->begin) };
}

static inline struct unpack
unpack_from(const void *at, size_t size)
{
	return (struct unpack){ at, (const uint8_t *)at + size, false };
}

static inline size_t
unpack_left(const struct unpack *u)
{
	return (size_t)(u->end - u->at);
}

void pack_byte(struct pack *, uint8_t);
void pack_be32(struct pack *, uint32_t);
void pack_be64(struct pack *, uint64_t);
void pack_varint(struct pack *, uint64_t);
/* As they are. */
void pack_bytes(struct pack *, const void *, size_t);
/* With their length before them. */
void pack_text(struct pack *, struct str);
/* A text in an array of chars, up to its NUL or the array's end. */
void pack_chars(struct pack *, const char *, size_t size);

uint8_t unpack_byte(struct unpack *);
uint32_t unpack_be32(struct unpack *);
uint64_t unpack_be64(struct unpack *);
uint64_t unpack_varint(struct unpack *);
void unpack_bytes(struct unpack *, void *, size_t);
/* A slice of what is unpacked. */
struct str unpack_text(struct unpack *);
/* Up to the next NUL, which is skipped, or all that is left. */
struct str unpack_until_nul(struct unpack *);
/* Into an array, with a NUL; one that does not fit is `bad`. */
void unpack_chars(struct unpack *, char *, size_t size);

#endif
