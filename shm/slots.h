/* slots — a row for each process: who it is, how it is. */
#ifndef SHM_SLOTS_H
#define SHM_SLOTS_H

#include <stdatomic.h>
#include <stdbool.h>
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
	uint64_t spare[6];
};
_Static_assert(sizeof(struct slot) == 128, "two cache lines");

struct slots {
	struct slot row[SLOTS_MAX];
};

/* The table of this region, found or made. */
struct slots *slots_open(struct region *);
const struct slots *slots_find(const struct region *);

/* Claims a row for a child that has been forked, or is about to be (`pid` is the claimer's then, and the child stores
 * its own): the row that this role and number had last if its process is gone, else one never used, else any whose
 * process is gone. Returns its index, or -1. Gauges start at zero; counters go on. A row that has the same role, number
 * and pid already was left by a process of another life (pids start anew in a container) and is taken. */
int slots_claim(struct slots *, enum slot_role, uint32_t number, int32_t pid);
/* The row is free; role and number stay, so that the same worker gets it again. */
void slots_release(struct slots *, int row);

/* Whether the row belongs to a process that lives. */
bool slot_alive(const struct slot *);

#endif
