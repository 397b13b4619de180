#include "master/backoff.h"

uint64_t
backoff_died(struct backoff *b, uint64_t started, uint64_t now)
{
	unsigned doublings;

	b->young = now - started < BACKOFF_YOUNG ? b->young + 1 : 0;
	if (!backoff_loops(b))
		return 0;
	doublings = b->young - BACKOFF_FREE - 1;
	if (doublings > 6)
		return BACKOFF_MOST;
	return BACKOFF_FIRST << doublings;
}

bool
backoff_loops(const struct backoff *b)
{
	return b->young > BACKOFF_FREE;
}
