/* slots — a row for each process: who it is, how it is. */
#ifndef SHM_SLOTS_H
#define SHM_SLOTS_H

#include <stdatomic.h>
#include <stdint.h>

#include "shm/region.h"

enum { SLOTS_MAX = 256 };               /* processes at a time, those of an upgrade included */

enum slot_role { SLOT_FREE, SLOT_MASTER, SLOT_KEEPER, SLOT_WORKER };
enum slot_state { SLOT_STARTING, SLOT_SERVING, SLOT_DRAINING };

/* One writer (the process itself) but for `pid`, which is claimed by CAS by the master. Two cache
 * lines; plain stores of aligned words, read racily and so only for showing, and by the master for liveness. */
struct slot {
	_Atomic int32_t pid;            /* 0: free */
	_Atomic uint32_t role;          /* enum slot_role */
	_Atomic uint32_t state;         /* enum slot_state */
	_Atomic uint32_t number;        /* of the worker: 0 … workers - 1 */
	_Atomic uint64_t generation;    /* of the configuration it works by */
	_Atomic uint64_t heartbeat;     /* ms, monotonic: its last turn (at least one a second) */
	_Atomic uint64_t started;       /* ms since 1970 */
	_Atomic uint64_t connections;   /* client connections open now */
	_Atomic uint64_t exchanges;     /* requests under way now */
	_Atomic uint64_t upstream_connections;
	_Atomic uint64_t lag;           /* µs: longest turn of the last second */
	_Atomic uint64_t busy;          /* µs spent working, ever */
	uint64_t spare[4];
};
_Static_assert(sizeof(struct slot) == 128, "two cache lines");

struct slots {
	struct slot row[SLOTS_MAX];
};

/* The table of this region, found or made. */
struct slots *slots_open(struct region *);
const struct slots *slots_find(const struct region *);

/* Claims a free row (or one whose process is dead) for a child that is about to be forked or has
 * been: returns its index, or -1. The row's gauges start at zero. */
int slots_claim(struct slots *, enum slot_role, uint32_t number, int32_t pid);
void slots_release(struct slots *, int row);

#endif
