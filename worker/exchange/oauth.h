/* oauth — access tokens by client credentials (RFC 6749 §4.4), for upstreams that want one.
 *
 * There is one token for each client of each token endpoint, whatever the number of workers, over reloads, restarts of
 * workers and upgrades: it lies sealed in the region (shm/tokens.h), and each worker has a copy that it uses until
 * another is published. It is fetched when it is first wanted, by one request of one worker whoever waits for it,
 * through the pools of the upstream that has the endpoint; and again some time before it expires, while the old one
 * still serves. When a worker dies that fetches, another does. After a failure nobody asks again for a second.
 *
 * Where the region has no room for it (shm/tokens.h), a worker fetches a token of its own, in the same way. */
#ifndef EXCHANGE_OAUTH_H
#define EXCHANGE_OAUTH_H

#include "worker/exchange/context.h"

struct oauth;

enum oauth_state { OAUTH_READY, OAUTH_WAIT, OAUTH_FAILED };

/* The tokens of a model, by upstream index; NULL where none is needed. On the heap. */
struct oauth **oauth_bind(struct worker *, const struct conf_model *);
void oauth_unbind(struct oauth **, size_t nupstreams);

/* Whether there is a token. If not it is being fetched, here or by another worker (exchanges that wait in STEP_PICK are
 * woken), or *fault says why there is none. The generation is that of the credential. */
enum oauth_state oauth_ask(struct oauth *, struct generation *, const struct conf_credential *, enum fault *);

/* "Bearer …": after OAUTH_READY, in the same turn. */
struct str oauth_value(const struct oauth *);

/* It was refused by whom it was meant for: unless it is new, no worker uses it again. */
void oauth_doubt(struct oauth *);

/* What a token endpoint answered: json. Returns 0 and the token (in the arena, "Bearer …") with its seconds to live (0:
 * it does not say); or -1 and a word why not. */
int oauth_read(struct arena *, int status, struct str json, struct str *value, uint64_t *seconds, struct str *why);

#endif
