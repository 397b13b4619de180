/* heritage — what a child gets from the master, all of it.
 *
 * A worker or the keeper reads nothing else from before the fork. Every process entry has
 * the same lines in the same order (heritage_enter): signals, name, descriptors, clock,
 * limits, rights. */
#ifndef MASTER_HERITAGE_H
#define MASTER_HERITAGE_H

#include "master/privs.h"
#include "master/window.h"
#include "shm/shared.h"
#include "worker/worker.h"

struct heritage {
	enum slot_role role;
	uint32_t number;                /* of the worker */
	int row;                        /* in slots, of the process */
	int channel;                    /* its end */
	int cpu;                        /* to run on; -1: any */
	const struct window *window;    /* all slices but its own are cleared */
	int slice;                      /* where the image lies */
	const struct image *image;
	const struct identity *identity;
	const struct shared *shared;
	struct worker_socket *sockets;  /* of a worker */
	size_t nsockets;
};

/* Runs a child to its end. */
_Noreturn void heritage_enter(const struct heritage *);

/* The same entry for the builder, which keeps the rights of the master (it reads keys) and gets nothing
 * but descriptors. */
void heritage_enter_builder(void);

/* Signals as a program expects them: defaults, none blocked. Also before an exec. */
void heritage_signals(void);

#endif
