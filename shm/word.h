/* word — 16 bytes that are swapped as one: what cells, quotas and ledgers are made of.
 *
 * A word is {tag, value}. Reading is two loads; writing is one compare-and-swap of both. */
#ifndef SHM_WORD_H
#define SHM_WORD_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/step.h"

union word {
	struct {
		uint64_t tag, value;
	};
	unsigned __int128 both;
};
_Static_assert(sizeof(union word) == 16, "one compare-and-swap");

static inline uint64_t
word_tag(const union word *at)
{
	SHM_STEP();
	return __atomic_load_n(&at->tag, __ATOMIC_ACQUIRE);
}

static inline uint64_t
word_value(const union word *at)
{
	SHM_STEP();
	return __atomic_load_n(&at->value, __ATOMIC_ACQUIRE);
}

/* Both halves of one moment, as far as the tag goes: with another value a swap fails. */
static inline union word
word_look(const union word *at)
{
	union word w;

	do {
		w.tag = word_tag(at);
		w.value = word_value(at);
	} while (w.tag != word_tag(at));
	return w;
}

static inline bool
word_swap(union word *at, union word old, union word new)
{
	SHM_STEP();
	return __sync_bool_compare_and_swap(&at->both, old.both, new.both);
}

/* The same where the tag stays: for who knows that with the same value it is the same tag. */
static inline bool
word_raise(union word *at, union word old, union word new)
{
	SHM_STEP();
	return __sync_bool_compare_and_swap(&at->value, old.value, new.value);
}

#endif
