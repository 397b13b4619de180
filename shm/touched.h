/* touched — which blocks of a table have ever held anything: a bit each.
 *
 * Who walks through a table once a second looks at those only; looking at the others would cost it time,
 * and the machine the memory that they do not have yet. The bit is set before the first write into a block and
 * never taken back, so that a process that is killed in between has touched too much, never too little. */
#ifndef SHM_TOUCHED_H
#define SHM_TOUCHED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Words that so many blocks need. */
#define TOUCHED_WORDS(blocks) (((blocks) + 63) / 64)

static inline bool
touched(const _Atomic uint64_t *words, uint64_t block)
{
	return atomic_load_explicit(&words[block / 64], memory_order_acquire) >> block % 64 & 1;
}

static inline void
touch(_Atomic uint64_t *words, uint64_t block)
{
	if (!touched(words, block))
		atomic_fetch_or(&words[block / 64], (uint64_t)1 << block % 64);
}

#endif
