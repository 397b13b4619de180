#include <stdlib.h>
#include <string.h>

#include "master/cli/record_text.h"
#include "master/cli/stat.h"

struct kept {
	uint64_t order; /* as read: records of a ring are in order */
	union {
		struct record record;
		char bytes[RECORD_SIZE_MAX];
	};
};

/* The last `n` of a ring, into slots[0 … n - 1] in any order. Returns how many. */
static size_t
keep_last(const struct ring *ring, struct kept *slots, size_t n, uint64_t *order)
{
	uint64_t cursor = 0, lost;
	size_t seen = 0;

	for (;;) {
		struct kept *k = &slots[seen % n];
		struct kept fresh;
		int size = ring_read(ring, RING_ALL, &cursor, fresh.bytes,
				     sizeof(fresh.bytes), &lost);

		if (size == 0)
			break;
		if (size < 0)
			continue;
		memcpy(k->bytes, fresh.bytes, (size_t)size);
		k->order = (*order)++;
		/* A ring that is written faster than it is read has no end. */
		if (++seen == RING_BYTES / sizeof(struct record))
			break;
	}
	return seen < n ? seen : n;
}

static int
by_time(const void *a, const void *b)
{
	const struct kept *x = a, *y = b;

	if (x->record.at != y->record.at)
		return x->record.at < y->record.at ? -1 : 1;
	return (x->order > y->order) - (x->order < y->order);
}

void
stat_records(const struct stat_view *v, size_t n, FILE *out)
{
	struct kept *kept = calloc(2 * n, sizeof(*kept));
	const struct ring *rings = v->shared.rings;
	uint64_t order = 0;
	size_t have = 0;

	if (!kept || !rings) {
		free(kept);
		return;
	}
	for (int i = 0; i < SLOTS_MAX; i++) {
		const struct ring *ring = ring_of_const(rings, i);

		if (!region_touched(v->shared.region, ring, RING_BYTES))
			continue;
		have += keep_last(ring, kept + have, n, &order);
		qsort(kept, have, sizeof(*kept), by_time);
		if (have > n) {
			memmove(kept, kept + (have - n), n * sizeof(*kept));
			have = n;
		}
	}
	for (size_t i = 0; i < have; i++) {
		struct record_view view = record_view(&kept[i].record, &v->shared.stats);

		record_json(&view, out);
	}
	free(kept);
}
