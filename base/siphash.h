/* siphash — a keyed hash for tables whose keys a client chooses (SipHash-1-3).
 *
 * Who does not know the key cannot make two names collide. 128 bits come out: enough that
 * two names are taken for one less often than memory fails. */
#ifndef BASE_SIPHASH_H
#define BASE_SIPHASH_H

#include <stdint.h>

#include "base/str.h"

struct siphash {
	uint64_t low, high;
};

/* `more` is mixed in before the bytes: which table, which window. */
struct siphash siphash(const uint64_t key[2], uint64_t more, struct str bytes);

#endif
