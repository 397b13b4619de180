/* backoff — when a child that died is started again.
 *
 * At once, unless it keeps dying young: then after 50 ms, 100 ms, 200 ms … 5 s. One for
 * each slot, so that a crash loop stays in its slot. Times are ms, monotonic. */
#ifndef MASTER_BACKOFF_H
#define MASTER_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

enum {
	BACKOFF_YOUNG = 1000,           /* a child that dies before this age died young */
	BACKOFF_FREE = 2,               /* young deaths in a row that are not yet a loop */
	BACKOFF_FIRST = 50,
	BACKOFF_MOST = 5000,
};

struct backoff {
	unsigned young;                 /* young deaths in a row */
};

/* A child started at `started` died at `now`: returns the ms to wait. */
uint64_t backoff_died(struct backoff *, uint64_t started, uint64_t now);

/* It is a crash loop. */
bool backoff_loops(const struct backoff *);

#endif
