/* cells — how much of a limit each key has used, for all workers together.
 *
 * Limits are GCRA: a key has one *theoretical arrival time* (TAT), the moment at which it
 * would have used nothing. Each request moves it on by the emission interval (period / count);
 * one that would move it further ahead of now than the burst allows is refused and writes
 * nothing. A cell is 16 bytes, {tag, TAT}, replaced as one word by compare-and-swap, so that
 * to insert, to update and to evict are the same operation; four cells are a cache line, a set.
 *
 * No key is ever in two cells: a new key always takes the cell of its set whose TAT is
 * smallest, and only if that lies in the past (evicting it loses nothing, for a key that
 * has recovered is as one never seen). Every write raises the TAT of its cell, so that who
 * looked at an older state fails to swap and looks again. */
#ifndef SHM_CELLS_H
#define SHM_CELLS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/siphash.h"
#include "shm/region.h"

enum { CELLS_SETS = 1 << 18, CELLS_A_SET = 4 };         /* 1,048,576 keys in 16 MiB */

struct cells;

/* The table of this region, found or made. NULL if the region is full. */
struct cells *cells_open(struct region *);
const struct cells *cells_find(const struct region *);  /* read-only */
/* Reserves its memory: before the first limit is in force. -1 with errno. */
int cells_reserve(struct region *, struct cells *);

struct cell_limit {
	uint64_t interval;              /* ns between two requests at the rate, rounded up */
	uint64_t burst;                 /* requests at once, at least 1 */
};

enum cell_verdict { CELL_ADMITTED, CELL_REFUSED, CELL_FULL };  /* FULL: no room for a new key */

struct cell_answer {
	enum cell_verdict verdict;
	uint64_t remaining;             /* requests that would be admitted now */
	uint64_t retry;                 /* ns until one will be; 0 if admitted */
	uint64_t reset;                 /* ns until nothing is used any more */
};

/* The place of a key: `which` tells limits apart (a policy, a window). Bytes are hashed with a key that only
 * this region knows. */
struct siphash cells_key(const struct cells *, uint64_t which, struct str bytes);

/* Takes one request, or says why not. `now`: ns, monotonic, read just now, not at the begin of the turn. */
struct cell_answer cells_take(struct cells *, struct siphash key, struct cell_limit, uint64_t now);
/* The same without taking. */
struct cell_answer cells_peek(struct cells *, struct siphash key, struct cell_limit, uint64_t now);

/* Takes a place in the queue: as cells_take() with `queue` more requests of burst; `wait` says for how many ns the
 * request is to be held back until the rate allows it (0: it may go on). CELL_REFUSED: the queue is full. Places are
 * given in order, to all workers together. */
struct cell_answer cells_queue(struct cells *, struct siphash key, struct cell_limit, uint64_t queue, uint64_t now,
			       uint64_t *wait);

/* For checkpoints. Cells have numbers, and as many of them as are a page are a block: false if none of it
 * was ever used. */
enum { CELLS_A_BLOCK = 256, CELLS_BLOCKS = CELLS_SETS * CELLS_A_SET / CELLS_A_BLOCK };
bool cells_touched(const struct cells *, uint32_t block);
/* The tag and TAT of a cell; false: never used. */
bool cells_cell(const struct cells *, uint32_t at, uint64_t word[2]);
/* Puts a cell of a checkpoint back; the key of the hash as well. Only before any worker serves. */
void cells_restore(struct cells *, uint32_t at, const uint64_t word[2]);
void cells_hash_key(const struct cells *, uint64_t key[2]);
void cells_set_hash_key(struct cells *, const uint64_t key[2]);

#endif
