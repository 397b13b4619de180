/* tally — counters with labels: a worker's own table from a packed key to a count.
 *
 * For what has too many combinations for a row each: requests by route, method and
 * status; errors by route and reason; decisions of policies. One writer, plain stores;
 * the reader sums over all rows. A table that is full counts under the same key with
 * series 0 ("other"). A row's counts go on when its next process gets it. */
#ifndef SHM_TALLY_H
#define SHM_TALLY_H

#include <stdint.h>

#include "shm/region.h"

enum tally_kind {
	TALLY_REQUESTS = 1,             /* series of a route, method (enum method of worker/http/token.h), status */
	TALLY_ERRORS,                   /* series of a route, enum fault, 0: the gateway's, 1: of an upstream */
	TALLY_DECISIONS,                /* series of a policy, enum decision, enum fault or 0 */
	TALLY_GRPC,                     /* series of a route, grpc-status, 0 */
};

static inline uint64_t
tally_key(enum tally_kind kind, uint32_t series, unsigned b, unsigned c)
{
	return (uint64_t)kind << 56 | (uint64_t)(series & 0xffffff) << 32 | (uint64_t)(b & 0xffff) << 16 | (c & 0xffff);
}
static inline enum tally_kind tally_kind(uint64_t k) { return (enum tally_kind)(k >> 56); }
static inline uint32_t tally_series(uint64_t k) { return (uint32_t)(k >> 32) & 0xffffff; }
static inline unsigned tally_b(uint64_t k) { return (unsigned)(k >> 16) & 0xffff; }
static inline unsigned tally_c(uint64_t k) { return (unsigned)k & 0xffff; }

enum { TALLY_ENTRIES = 1 << 15 };       /* 512 KiB a worker */

struct tally_entry {
	uint64_t key;                   /* 0: free; written before its count */
	uint64_t count;
};

struct tally {                          /* one worker's, in the region */
	struct tally_entry entry[TALLY_ENTRIES];
};

/* Those of all rows; NULL: the region is full. */
struct tally *tallies_open(struct region *);
const struct tally *tallies_find(const struct region *);
/* The memory of a row, before its worker starts. -1 with errno. */
int tally_reserve(struct region *, struct tally *rows, int row);

void tally_add(struct tally *, uint64_t key);

/* Sums over all rows into a table of the caller's (malloc), sorted by key; rows that memory does not suffice for are
 * left out. The caller frees *out. Returns how many. */
size_t tally_sum(const struct tally *rows, const struct region *, struct tally_entry **out);

#endif
