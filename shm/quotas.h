/* quotas — how much of a calendar window each key has used, exactly, for all workers together.
 *
 * A cell is 16 bytes, {tag, end of the window (minutes since 1970) << 36 | count}, swapped as one word, four a set,
 * as in shm/cells.h and for the same reasons: every write raises the word, a new key takes the smallest cell of its
 * set and only if that window is over, so that no key is ever in two cells. */
#ifndef SHM_QUOTAS_H
#define SHM_QUOTAS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/siphash.h"
#include "shm/region.h"

enum { QUOTAS_SETS = 1 << 16, QUOTAS_A_SET = 4 };       /* 262,144 keys in 4 MiB */
#define QUOTA_MOST ((1ull << 36) - 1)

struct quotas;

struct quotas *quotas_open(struct region *);
const struct quotas *quotas_find(const struct region *);
int quotas_reserve(struct region *, struct quotas *);

enum quota_verdict { QUOTA_ADMITTED, QUOTA_REFUSED, QUOTA_FULL };
struct quota_answer {
	enum quota_verdict verdict;
	uint64_t used;                  /* in this window, this request included where it was admitted */
};

/* `which` tells quotas apart: a policy, a window. */
struct siphash quotas_key(const struct quotas *, uint64_t which, struct str bytes);

/* Takes `n` (0: only looks). `ends`: minutes since 1970 when the window ends; `now`: the minute it is. */
struct quota_answer quotas_take(struct quotas *, struct siphash key, uint32_t ends, uint32_t now, uint64_t limit,
				uint64_t n);
/* An admin's reset: the count of the window, if it is still open, is 0 again. Returns what it was. (Lowering it does
 * no harm to the rule above: a window that is open is nobody's victim.) */
uint64_t quotas_reset(struct quotas *, struct siphash key, uint32_t ends);

/* For checkpoints, by number of the cell, 0 … QUOTAS_SETS * QUOTAS_A_SET - 1: its two words; false: never used. */
bool quotas_cell(const struct quotas *, uint32_t at, uint64_t word[2]);
/* Puts a cell of a checkpoint back; the key of the hash as well. Only before any worker serves. */
void quotas_restore(struct quotas *, uint32_t at, const uint64_t word[2]);
void quotas_hash_key(const struct quotas *, uint64_t key[2]);
void quotas_set_hash_key(struct quotas *, const uint64_t key[2]);

#endif
