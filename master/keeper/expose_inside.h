/* expose_inside — what the files of the metrics share: expose.c begins, expose_series.c has those with labels,
 * expose_consumers.c the consumers with most requests, expose_process.c what the kernel says of our processes. */
#ifndef KEEPER_EXPOSE_INSIDE_H
#define KEEPER_EXPOSE_INSIDE_H

#include "master/keeper/expose_text.h"
#include "shm/shared.h"

/* The most samples that one answer has: beyond, labels fold into "other". */
enum { EXPOSE_BUDGET = 20000, EXPOSE_CONSUMERS = 20 };

void expose_series(struct text *, const struct shared *);
void expose_consumers(struct text *, const struct shared *);
void expose_process(struct text *, const struct slots *);

#endif
