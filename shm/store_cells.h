/* store_cells — checkpoints of rate cells and quotas: what limits remember of a machine that went down.
 *
 * A checkpoint is the words of cells by their number, and the key of the table's hash. The times of rate cells
 * are monotonic in the region and since 1970 in the store. Restoring is done by the builder, before any worker of
 * a new region serves. */
#ifndef SHM_STORE_CELLS_H
#define SHM_STORE_CELLS_H

#include "shm/cells.h"
#include "shm/quotas.h"
#include "shm/store.h"

struct checkpoint;                      /* the keeper's: what the store has already */

/* NULL: out of memory. Either table may be NULL (not in use). */
struct checkpoint *checkpoint_new(const struct cells *, const struct quotas *);
void checkpoint_free(struct checkpoint *);

/* Writes what has changed since, within the caller's transaction: quotas all; rate cells that will have
 * recovered within `horizon` ns are not worth it and are forgotten there. After a failed or aborted transaction call
 * checkpoint_undo(). Returns how many cells were written, -1. */
int64_t checkpoint_save(struct checkpoint *, struct store *, uint64_t mono_ns, int64_t wall_ns, uint64_t horizon);
void checkpoint_undo(struct checkpoint *);
/* The transaction was kept. */
void checkpoint_done(struct checkpoint *);

/* Loads what the store has into tables that nobody uses yet; looks first whether the file can be trusted. Returns
 * how many cells, -1 (some of them may have been loaded). */
int64_t checkpoint_restore(struct store *, struct cells *, struct quotas *, uint64_t mono_ns, int64_t wall_ns);

#endif
