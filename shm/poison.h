/* poison — requests that killed workers.
 *
 * The signature of a request is a hash of its route and head. A worker that crashes
 * leaves the signature of what it was doing (struct ring, ring_crashed()); the master
 * counts it here; the second death by the same one makes every worker refuse it for a while. */
#ifndef SHM_POISON_H
#define SHM_POISON_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "shm/region.h"

enum { POISON_ROWS = 64, POISON_DEATHS = 2 };

struct poison_row {
	_Atomic uint64_t signature;     /* 0: free */
	_Atomic uint64_t until;         /* ms, monotonic; 0: not refused (yet) */
	_Atomic uint64_t seen;          /* ms, monotonic: the last death */
	_Atomic uint32_t deaths;
	_Atomic uint32_t route;         /* series */
};

struct poison {
	_Atomic uint32_t active;        /* rows that are refused, perhaps fewer by now; 0: nothing to look for */
	uint32_t spare[15];
	struct poison_row row[POISON_ROWS];
};

struct poison *poison_open(struct region *);
const struct poison *poison_find(const struct region *);

/* By the master: one death. Returns how many this signature has caused (forgotten after an hour); from POISON_DEATHS on
 * it is refused for `ms`. The row that was seen longest ago gives way. */
unsigned poison_died(struct poison *, uint64_t signature, uint32_t route, uint64_t now_ms, uint64_t ms);
/* By workers: is it refused? Only to be asked when `active` is not 0. */
bool poison_refuses(const struct poison *, uint64_t signature, uint64_t now_ms);
/* By the master, now and then: lowers `active` when time has run out. */
void poison_tick(struct poison *, uint64_t now_ms);
/* An admin's word: nothing is refused any more. */
void poison_clear(struct poison *);

#endif
