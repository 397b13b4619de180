/* keeper — the process for everything that workers must not wait for; the only writer of LMDB.
 *
 * It books what was used (collect), keeps checkpoints of limits, history of revisions and records of failures, and
 * serves the admin API and the metrics (admin, api, expose). Loss of it costs nothing but time: the master starts
 * another, which goes on where the store says that the last one stopped.
 *
 * It is one loop and waits for the disk in it: while a commit is being synced (as long as seconds, on a slow disk) it
 * answers nobody and its heartbeat stands still. Nobody but who asks it waits for it: the master watches only the
 * heartbeats of workers. */
#ifndef MASTER_KEEPER_KEEPER_H
#define MASTER_KEEPER_KEEPER_H

#include "conf/model.h"
#include "shm/shared.h"

struct keeper_start {
	int row;                        /* in slots, of this process */
	int channel;                    /* to the master */
	struct shared shared;
	const struct conf_model *model; /* in force */
	uint64_t generation;
	uint64_t at, size;              /* where its image is mapped */
};

/* Serves until it is told to stop or the master is gone; returns the exit status. */
int keeper_run(const struct keeper_start *);

#endif
