#include "shm/tally.h"

#include <stdlib.h>

#include "shm/slots.h"

/* The end of the table is kept for keys of series 0, so that these find room when the
 * rest is taken; when not even they do, the last entries count each kind as a whole. */
enum { OTHERS = 1024, LAST = 8, MAIN = TALLY_ENTRIES - OTHERS, PROBES = 32 };

static const struct region_shape shape =
	{ "tally", 1, sizeof(struct tally), SLOTS_MAX };

_Static_assert(sizeof(struct tally) % 4096 == 0, "a row is whole pages");

struct tally *
tallies_open(struct region *r)
{
	return region_segment(r, &shape, NULL);
}

const struct tally *
tallies_find(const struct region *r)
{
	return region_find(r, &shape);
}

int
tally_reserve(struct region *r, struct tally *rows, int row)
{
	return region_reserve(r, &rows[row], sizeof(rows[row]));
}

/* The reader sees a key before its count. */
static inline void
count(struct tally_entry *e, uint64_t key)
{
	if (!e->key)
		__atomic_store_n(&e->key, key, __ATOMIC_RELEASE);
	__atomic_store_n(&e->count, e->count + 1, __ATOMIC_RELEASE);
}

static inline bool
add(struct tally_entry *part, uint32_t size, uint64_t key)
{
	uint64_t hash = key * 0x9e3779b97f4a7c15ull;
	uint32_t at = (uint32_t)(((hash >> 32) * size) >> 32);

	for (int i = 0; i < PROBES; i++) {
		struct tally_entry *e = &part[at];

		if (e->key == key || !e->key) {
			count(e, key);
			return true;
		}
		if (++at == size)
			at = 0;
	}
	return false;
}

void
tally_add(struct tally *t, uint64_t key)
{
	enum tally_kind kind = tally_kind(key);

	if (add(t->entry, MAIN, key))
		return;
	key &= ~(0xffffffull << 32);
	if (!add(t->entry + MAIN, OTHERS - LAST, key))
		count(&t->entry[TALLY_ENTRIES - LAST + kind % LAST],
		      tally_key(kind, 0, 0, 0));
}

static int
by_key(const void *a, const void *b)
{
	const struct tally_entry *x = a, *y = b;

	return x->key < y->key ? -1 : x->key > y->key;
}

static size_t
merge(struct tally_entry *all, size_t n)
{
	size_t out = 0;

	if (n)
		qsort(all, n, sizeof(*all), by_key);
	for (size_t i = 0; i < n; i++)
		if (out && all[out - 1].key == all[i].key)
			all[out - 1].count += all[i].count;
		else
			all[out++] = all[i];
	return out;
}

size_t
tally_sum(const struct tally *rows, const struct region *r, struct tally_entry **out)
{
	size_t n = 0, room = 0;
	struct tally_entry *all = NULL, *more;

	for (int row = 0; row < SLOTS_MAX; row++) {
		if (!region_touched(r, &rows[row], sizeof(rows[row])))
			continue;
		if (room - n < TALLY_ENTRIES) {
			n = merge(all, n);
			room = n + 2 * TALLY_ENTRIES;
			more = realloc(all, room * sizeof(*all));
			if (!more)
				break;
			all = more;
		}
		for (int i = 0; i < TALLY_ENTRIES; i++) {
			const struct tally_entry *e = &rows[row].entry[i];
			uint64_t key = __atomic_load_n(&e->key, __ATOMIC_ACQUIRE);
			uint64_t sum = __atomic_load_n(&e->count, __ATOMIC_RELAXED);

			if (key)
				all[n++] = (struct tally_entry){ key, sum };
		}
	}
	*out = all;
	return merge(all, n);
}
