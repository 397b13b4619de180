/* oauth_fetch — one request for an access token, over the pools of the upstream that has the endpoint. */
#ifndef EXCHANGE_OAUTH_FETCH_H
#define EXCHANGE_OAUTH_FETCH_H

#include "worker/exchange/context.h"

struct oauth;

/* Asks, and calls `done` once, in a turn of its own or at once: with a fault when there was no whole answer in time
 * (timeout.connect and timeout.response of that upstream together). The generation is pinned meanwhile. */
void oauth_fetch(struct generation *, const struct conf_credential *,
		 void (*done)(struct oauth *, const struct conf_credential *, enum fault, int status, struct str body),
		 struct oauth *);

/* ms that it takes at most. */
uint64_t oauth_fetch_most(const struct conf_credential *);

/* Ends what is under way with FAULT_DRAINING, which is no other's: the worker has to go. */
void oauth_fetch_stop(struct worker *);

#endif
