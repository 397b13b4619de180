/* quotas — how much of a calendar window each key has used, exactly, for all workers together.
 *
 * A cell is 16 bytes, {tag, end of the window (minutes since 1970) << 36 | count}, swapped as one word. As nothing
 * recovers before its window ends, there are more cells to a set than for rates: with 500,000 keys one of 2,000 finds
 * its set full, with 250,000 none. Otherwise it is as in shm/cells.h and for the same reasons: no write lowers the end
 * of a cell's window, a new key takes the cell of its set whose window ends first and only if that is over, so that no
 * key is ever in two cells. */
#ifndef SHM_QUOTAS_H
#define SHM_QUOTAS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/siphash.h"
#include "shm/region.h"

enum { QUOTAS_SETS = 1 << 16 };
#ifndef QUOTAS_A_SET                    /* fewer in a test */
#define QUOTAS_A_SET 16                 /* 1,048,576 keys in 16 MiB */
#endif
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

/* The `which` of a window (enum conf_window) of a quota policy, of its own or of a plan's: the same for the policy that
 * counts and for the admin who looks and resets. `policy`: its name as in its series, without the type: "by-day", or
 * "FILE:LINE" of an inline one. */
static inline uint64_t
quotas_which(struct str policy, unsigned window)
{
	return str_hash(policy) * 31 + window;
}

/* Takes `n`, all or nothing (0: only looks whether there is any left). `ends`: minutes since 1970 when the window ends,
 * later than `now`, the minute it is. Where another process whose clock is ahead has begun the next window, that one
 * counts. */
struct quota_answer quotas_take(struct quotas *, struct siphash key, uint32_t ends, uint32_t now, uint64_t limit,
				uint64_t n);
/* An admin's reset: the count of the window, if it is still open, is 0 again. Returns what it was. */
uint64_t quotas_reset(struct quotas *, struct siphash key, uint32_t ends);

/* For checkpoints. Cells have numbers, and as many of them as are a page are a block: false if none of it
 * was ever used. */
enum { QUOTAS_A_BLOCK = 256, QUOTAS_BLOCKS = QUOTAS_SETS * QUOTAS_A_SET / QUOTAS_A_BLOCK };
bool quotas_touched(const struct quotas *, uint32_t block);
/* The two words of a cell; false: never used. */
bool quotas_cell(const struct quotas *, uint32_t at, uint64_t word[2]);
/* Puts a cell of a checkpoint back; the key of the hash as well. Only before any worker serves. */
void quotas_restore(struct quotas *, uint32_t at, const uint64_t word[2]);
void quotas_hash_key(const struct quotas *, uint64_t key[2]);
void quotas_set_hash_key(struct quotas *, const uint64_t key[2]);

#endif
