/* pace — requests to an upstream go at the pace that it allows: by the rate of its configuration, and by what its
 * responses say of its limits (Retry-After, RateLimit, X-RateLimit-*), for all workers together (shm/pace.h).
 *
 * A request that comes too early is held back, in order, as long as `pace.wait` allows; one that would have to wait
 * longer is answered 503 upstream_paced, with Retry-After. */
#ifndef EXCHANGE_PACE_H
#define EXCHANGE_PACE_H

#include "shm/pace.h"
#include "worker/exchange/steps.h"
#include "worker/http/msg.h"

static inline bool
pace_applies(const struct conf_upstream *u)
{
	return u->pace.learn || u->pace.rate.count;
}

/* Before an attempt: STEP_PICK: it may be made; STEP_STAY: not yet; STEP_ANSWER: refused. */
enum step pace_admit(struct exchange *);

/* The head of a response, whatever it says. */
void pace_heard(struct exchange *);

/* What a response says of its sender's limits, at that wall time (ms since 1970). false: nothing. */
bool pace_read(const struct msg *, int64_t wall_ms, struct pace_said *);

#endif
