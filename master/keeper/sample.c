#include "master/keeper/sample.h"

#include <stdlib.h>

#include "shm/stats.h"

struct sample_bin {
	uint32_t bucket, count;
};

/* The bin of a bucket, at its end or one place further up each time it is used. */
static struct sample_bin *
bin_of(struct sample *s, uint32_t bucket)
{
	struct sample_bin *b = s->bins;
	uint32_t i;

	for (i = 0; i < s->nbins; i++)
		if (b[i].bucket == bucket)
			break;
	if (i == s->nbins) {
		if (s->nbins == s->room) {
			s->room = s->room ? 2 * s->room : 4;
			b = s->bins = realloc(b, s->room * sizeof(*b));
			if (!b)
				abort();
		}
		b[s->nbins++] = (struct sample_bin){ .bucket = bucket };
	} else if (i && b[i - 1].count <= b[i].count) {
		struct sample_bin other = b[i - 1];

		b[i - 1] = b[i];
		b[i] = other;
		i--;
	}
	return &b[i];
}

void
sample_add(struct sample *s, uint64_t us, uint64_t in, uint64_t out)
{
	s->looked++;
	s->us += us;
	s->in += in;
	s->out += out;
	bin_of(s, histogram_bucket(us))->count++;
}

void
sample_spread(const struct sample *s, uint32_t *histogram)
{
	for (uint32_t i = 0; i < s->nbins; i++)
		histogram[s->bins[i].bucket] += s->bins[i].count;
}

void
sample_reset(struct sample *s)
{
	free(s->bins);
	*s = (struct sample){ 0 };
}
