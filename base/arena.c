#include "base/arena.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { BLOCK_MIN = 4096, BLOCK_MAX = 256 * 1024 };

void
arena_init(struct arena *a, void *home, size_t size, size_t max)
{
	*a = (struct arena){
		.at = home,
		.end = home ? (char *)home + size : NULL,
		.home = home,
		.home_end = home ? (char *)home + size : NULL,
		.max = max,
	};
}

void
arena_reset(struct arena *a)
{
	while (a->undo) {
		struct arena_undo *u = a->undo;

		a->undo = u->next;
		u->fn(u->arg);
	}
	while (a->blocks) {
		struct arena_block *b = a->blocks;

		a->blocks = b->next;
		free(b);
	}
	a->at = a->home;
	a->end = a->home_end;
	a->used = 0;
}

static _Noreturn void
arena_full(struct arena *a, size_t wanted)
{
	if (a->full)
		a->full(a, wanted);
	abort();
}

/* Blocks double, so that an arena of n bytes has about log n of them. */
static size_t
block_size(const struct arena *a, size_t wanted)
{
	size_t size = a->blocks ? a->blocks->size * 2 : BLOCK_MIN;

	if (size > BLOCK_MAX)
		size = BLOCK_MAX;
	if (size < wanted)
		size = wanted;
	if (size > a->max - a->used)
		size = a->max - a->used;
	return size;
}

void *
arena_grow(struct arena *a, size_t size, size_t align)
{
	size_t head = sizeof(struct arena_block);
	size_t wanted = head + size + align;

	assert(align && (align & (align - 1)) == 0);
	if (wanted < size || a->used > a->max || wanted > a->max - a->used)
		arena_full(a, size);

	size_t total = block_size(a, wanted);
	struct arena_block *b = malloc(total);

	if (!b)
		arena_full(a, size);
	b->next = a->blocks;
	b->size = total;
	a->blocks = b;
	a->used += total;
	a->at = (char *)b + head;
	a->end = (char *)b + total;
	return arena_alloc_aligned(a, size, align);
}

struct str
arena_str(struct arena *a, struct str s)
{
	char *p = arena_alloc_aligned(a, s.len + 1, 1);

	if (s.len)
		memcpy(p, s.at, s.len);
	p[s.len] = '\0';
	return (struct str){ p, s.len };
}

struct str
arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list args, again;

	va_start(args, fmt);
	va_copy(again, args);

	int n = vsnprintf(NULL, 0, fmt, args);

	va_end(args);
	if (n < 0)
		abort();

	char *p = arena_alloc_aligned(a, (size_t)n + 1, 1);

	vsnprintf(p, (size_t)n + 1, fmt, again);
	va_end(again);
	return (struct str){ p, (size_t)n };
}

void *
arena_push(struct arena *a, void *array, size_t n, size_t item)
{
	if ((n & (n - 1)) == 0) {
		size_t room = n ? n * 2 : 1;

		if (room < n || room > SIZE_MAX / item)
			arena_full(a, SIZE_MAX);

		void *moved = arena_alloc_aligned(a, room * item, 16);

		if (n)
			memcpy(moved, array, n * item);
		array = moved;
	}
	memset((char *)array + n * item, 0, item);
	return array;
}

void
arena_defer(struct arena *a, void (*fn)(void *), void *arg)
{
	struct arena_undo *u = ARENA_NEW(a, struct arena_undo);

	u->fn = fn;
	u->arg = arg;
	u->next = a->undo;
	a->undo = u;
}
