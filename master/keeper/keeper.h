/* keeper — the process for everything that workers must not wait for; the only writer of LMDB.
 *
 * In this version it keeps the history of configuration revisions. Loss of it costs nothing
 * but time: the master starts another. */
#ifndef MASTER_KEEPER_KEEPER_H
#define MASTER_KEEPER_KEEPER_H

#include "conf/model.h"
#include "shm/slots.h"
#include "shm/stats.h"

struct keeper_start {
	int row;                        /* in slots, of this process */
	int channel;                    /* to the master */
	struct slots *slots;
	struct stats stats;
	const struct conf_model *model; /* in force */
	uint64_t generation;
	uint64_t at, size;              /* where its image is mapped */
};

/* Serves until it is told to stop or the master is gone; returns the exit status. */
int keeper_run(const struct keeper_start *);

#endif
