/* arena — memory that is given back all at once.
 *
 * Lifetimes are arenas: one for each configuration image, one for each exchange.
 * An arena either grows by blocks from the heap, up to a maximum, or lies in one
 * fixed piece of memory (an image). Destructors can be hung on it. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/str.h"

struct arena_block {
	struct arena_block *next;
	size_t size;                    /* of the whole block, this head included */
};

struct arena_undo {
	struct arena_undo *next;
	void (*fn)(void *arg);
	void *arg;
};

struct arena {
	char *at, *end;                 /* free bytes of the newest block */
	char *home, *home_end;          /* the first piece: never given back to the heap */
	struct arena_block *blocks;     /* further blocks, newest first */
	struct arena_undo *undo;        /* newest first */
	size_t used;                    /* bytes in further blocks */
	size_t max;                     /* of `used`; above it, `full` is called */
	void (*full)(struct arena *, size_t wanted);    /* must not return; NULL aborts */
};

/* An arena whose first piece is `home` (may be NULL, 0), growing from the heap up to
 * `max` further bytes. With max = 0 it is fixed: an image. */
void arena_init(struct arena *, void *home, size_t size, size_t max);

/* Runs the destructors, newest first, frees all further blocks, starts anew. */
void arena_reset(struct arena *);

/* Slow path of arena_alloc(). */
void *arena_grow(struct arena *, size_t size, size_t align);

/* Not zeroed. Never NULL: the sum of what an input may cause is bounded, so that
 * exceeding it is a defect (or a configuration too large: `full`). */
static inline void *
arena_alloc_aligned(struct arena *a, size_t size, size_t align)
{
	char *p = (char *)(((uintptr_t)a->at + (align - 1)) & ~(uintptr_t)(align - 1));

	if (p >= a->end || size > (size_t)(a->end - p))
		return arena_grow(a, size, align);
	a->at = p + size;
	return p;
}

static inline void *
arena_alloc(struct arena *a, size_t size)
{
	return arena_alloc_aligned(a, size, 8);
}

static inline void *
arena_zalloc(struct arena *a, size_t size)
{
	return memset(arena_alloc(a, size), 0, size);
}

#define ARENA_NEW(a, type) ((type *)arena_zalloc((a), sizeof(type)))
#define ARENA_NEWS(a, type, n) ((type *)arena_zalloc((a), sizeof(type) * (size_t)(n)))

/* A copy, terminated by a NUL that the length does not count. */
struct str arena_str(struct arena *, struct str);

/* As printf, into the arena. */
struct str arena_printf(struct arena *, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Grows an array of `n` items to hold one more: doubles at powers of two. Returns the
 * array, moved if it had to. The item is zeroed. */
void *arena_push(struct arena *, void *array, size_t n, size_t item);

/* Calls fn(arg) when the arena is reset. */
void arena_defer(struct arena *, void (*fn)(void *), void *arg);

#endif
