/* sample — how long some of the requests of one thing took, of those that were looked at: a histogram that takes
 * memory only for the buckets that something fell into, since there is one for each route and consumer. */
#ifndef MASTER_KEEPER_SAMPLE_H
#define MASTER_KEEPER_SAMPLE_H

#include <stdint.h>

struct sample {                         /* zeroed: empty */
	uint64_t looked, us;            /* requests; sum */
	uint64_t in, out;               /* bytes of bodies */
	struct sample_bin *bins;        /* in no order, more or less the fullest first */
	uint32_t nbins, room;
};

void sample_add(struct sample *, uint64_t us, uint64_t in, uint64_t out);
/* Adds it to a histogram of HISTOGRAM_BUCKETS. */
void sample_spread(const struct sample *, uint32_t *histogram);
/* Empty again, its memory given back. */
void sample_reset(struct sample *);

#endif
