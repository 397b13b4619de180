/* shared — all that lies in the region, as one process sees it. Opened by the master (or its builder) before the
 * first fork, inherited by all; the command line attaches it read-only. */
#ifndef SHM_SHARED_H
#define SHM_SHARED_H

#include "shm/cells.h"
#include "shm/control.h"
#include "shm/inflight.h"
#include "shm/meters.h"
#include "shm/pace.h"
#include "shm/poison.h"
#include "shm/quotas.h"
#include "shm/records.h"
#include "shm/slots.h"
#include "shm/stats.h"
#include "shm/tally.h"
#include "shm/tickets.h"
#include "shm/tokens.h"

struct shared {
	struct region *region;
	struct control *control;
	struct slots *slots;
	struct stats stats;
	struct tally *tallies;          /* by row */
	struct ring *rings;             /* by row */
	struct cells *cells;            /* memory is reserved when a configuration needs them, as of the next three */
	struct quotas *quotas;
	struct ledger meters;
	struct inflight inflight;
	struct poison *poison;
	struct tickets *tickets;        /* of TLS sessions */
	struct pace *pace;
	struct tokens *tokens;          /* for upstreams */
};

/* -1 with errno: the region is full. */
int shared_open(struct shared *, struct region *);
/* Read-only: nothing it points to may be written. -1: it is not that of this version. */
int shared_find(struct shared *, const struct region *);

/* The memory of a worker's row, before it starts: counters, rings, tally; what a process before it had
 * under way is forgotten. -1 with errno. */
int shared_reserve_row(struct shared *, int row);

/* Rows of processes that are gone without anybody having noticed, because their master was killed before them, are
 * free; what those had under way is void. By a master (its pid is `me`), once a second. */
void shared_bury(struct shared *, int32_t me);

#endif
