#include "master/window.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define MIB ((size_t)1 << 20)

static const struct {
	size_t slice;
	unsigned count;
} sizes[] = {
	{ 1024 * MIB, WINDOW_SLICES }, { 1024 * MIB, 128 }, { 1024 * MIB, 16 },
	{ 256 * MIB, 32 }, { 64 * MIB, 16 },
};

static void *
reserve(void *at, size_t size, int flags)
{
	return mmap(at, size, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | flags, -1, 0);
}

int
window_reserve(struct window *w)
{
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		void *at = reserve(NULL, sizes[i].slice * sizes[i].count, 0);

		if (at == MAP_FAILED)
			continue;
		/* No madvise(): slices that were cleared must look as those that were
		 * never used, to be one mapping with them. */
		*w = (struct window){ .base = at,
				      .slice = sizes[i].slice,
				      .count = sizes[i].count };
		return 0;
	}
	return -1;
}

bool
window_taken(const struct window *w, int slice)
{
	return w->taken[slice / 64] >> (slice % 64) & 1;
}

int
window_take(struct window *w)
{
	for (unsigned i = 0; i < w->count; i++) {
		int slice = (int)((w->next + i) % w->count);

		if (window_taken(w, slice))
			continue;
		w->taken[slice / 64] |= (uint64_t)1 << (slice % 64);
		w->next = ((unsigned)slice + 1) % w->count;
		return slice;
	}
	errno = ENOMEM;
	return -1;
}

void
window_give(struct window *w, int slice)
{
	w->taken[slice / 64] &= ~((uint64_t)1 << (slice % 64));
}

void *
window_at(const struct window *w, int slice)
{
	return w->base + (size_t)slice * w->slice;
}

int
window_map(const struct window *w, int slice, int fd, size_t size, bool writable)
{
	void *at = mmap(window_at(w, slice), size,
			writable ? PROT_READ | PROT_WRITE : PROT_READ,
			MAP_SHARED | MAP_FIXED | MAP_NORESERVE, fd, 0);

	if (at == MAP_FAILED)
		return -1;
	/* Keys of certificates and secrets lie there: a core file is not to have them. */
	madvise(at, size, MADV_DONTDUMP);
	return 0;
}

void
window_clear(const struct window *w, int slice)
{
	reserve(window_at(w, slice), w->slice, MAP_FIXED);
}
