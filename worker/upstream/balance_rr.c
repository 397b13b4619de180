/* balance_rr — smooth weighted round robin: each pick, every member gains its weight and
 * the richest pays the total. Over `total` picks each was taken `weight` times, evenly
 * spread. */
#include "worker/upstream/upstream.h"

struct member *
cluster_pick(struct cluster *c, uint64_t tried)
{
	struct member *best = NULL;
	int64_t total = 0;

	if (c->n == 1 && !tried)
		return c->members[0].weight ? c->members : NULL;
	for (uint32_t i = 0; i < c->n; i++) {
		struct member *m = &c->members[i];

		if (!m->weight || (tried & cluster_bit(c, m)))
			continue;
		m->current += m->weight;
		total += m->weight;
		if (!best || m->current > best->current)
			best = m;
	}
	if (best)
		best->current -= total;
	return best;
}
