/* generation — a worker's side of an image: what cannot lie in it is made here. */
#ifndef WORKER_GENERATION_H
#define WORKER_GENERATION_H

#include "worker/exchange/context.h"
#include "worker/worker.h"

/* Binds a mapped image: clusters, machine code of regexes, what policies keep. NULL and *error (static or image
 * text) when a policy cannot: nothing is left of it then, but the mapping. refs is 1. */
struct generation *generation_bind(struct worker *, const struct image *, uintptr_t at, size_t size,
				   const char **error);

/* Lets go of a mapped image; its place in the window stays reserved. */
void generation_unmap(uintptr_t at, size_t size);

/* New exchanges use it from now on. */
void generation_commit(struct worker *, struct generation *);

/* The bound generation of this number, or NULL. */
struct generation *generation_find(struct worker *, uint64_t number);

/* Calls policy.tick of all that is bound. */
void generation_tick(struct worker *, bool reopen);

#endif
