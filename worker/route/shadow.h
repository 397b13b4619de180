/* shadow — routes that can never match, because earlier ones take all their requests. */
#ifndef ROUTE_SHADOW_H
#define ROUTE_SHADOW_H

#include "worker/route/trie.h"

/* Warns of each. `leaf`: the node of each route. Costs the depth of the paths, not the square of the routes. */
void shadow_check(struct diag *, const struct service *, const uint32_t *leaf);

#endif
