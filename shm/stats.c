#include "shm/stats.h"

#include <stdatomic.h>
#include <string.h>

#include "shm/slots.h"

const struct metric_info metric_info[METRIC_COUNT] = {
#define METRIC(id, n, h) [METRIC_##id] = { n, h },
#include "shm/metrics.def"
#undef METRIC
};

enum { INDEX_SLOTS = 2 * SERIES_MAX, NAMES_RESERVED = 512 };   /* names at a time */

/* From a name to its number. An entry of `slot` stands before the count covers it; one
 * that a killed process left names a row that is free or another's, and is passed over
 * because the name there is compared. */
struct series_index {
	_Atomic uint32_t count;
	uint32_t spare[15];
	_Atomic uint32_t slot[INDEX_SLOTS];
};

_Static_assert(sizeof(struct stats_page) % 64 == 0, "no line has two writers");
_Static_assert(sizeof(struct series_name) == 128, "names lie in the region");
_Static_assert((INDEX_SLOTS & (INDEX_SLOTS - 1)) == 0, "masked");
_Static_assert(SERIES_MAX % NAMES_RESERVED == 0, "the last ones are reserved as well");
_Static_assert(METRIC_COUNT < 256, "one page of counters");
_Static_assert(sizeof(struct stats_page) % 4096 == 0, "whole pages");
_Static_assert(SLOTS_MAX == 256, "bits of struct stats_rows");

/* Counters are known by their place: other names or another order are another meaning. */
static uint32_t
pages_version(void)
{
	uint64_t hash = HISTOGRAM_SUB;

	for (unsigned i = 0; i < METRIC_COUNT; i++) {
		hash *= 0x9e3779b97f4a7c15ull;
		hash += str_hash(str_of(metric_info[i].name));
	}
	return (uint32_t)(hash >> 32);
}

static const struct region_shape series_shape =
	{ "stats.series", 2, sizeof(struct stats_series) * SERIES_MAX, SLOTS_MAX };
static const struct region_shape names_shape =
	{ "stats.names", 2, sizeof(struct series_name), SERIES_MAX };
static const struct region_shape index_shape =
	{ "stats.index", 2, sizeof(struct series_index), 1 };

static struct region_shape
pages_shape(void)
{
	return (struct region_shape){ "stats.pages", pages_version(),
				      sizeof(struct stats_page), SLOTS_MAX };
}

uint64_t
histogram_floor(unsigned bucket)
{
	unsigned e = bucket / HISTOGRAM_SUB;

	if (bucket < HISTOGRAM_SUB)
		return bucket;
	return (uint64_t)(HISTOGRAM_SUB + bucket % HISTOGRAM_SUB) << (e - 1);
}

static bool
stats_whole(const struct stats *s)
{
	return s->pages && s->series && s->names && s->index;
}

int
stats_open(struct stats *s, struct region *r)
{
	struct region_shape pages = pages_shape();

	s->region = r;
	s->pages = region_segment(r, &pages, NULL);
	s->series = region_segment(r, &series_shape, NULL);
	s->names = region_segment(r, &names_shape, NULL);
	s->index = region_segment(r, &index_shape, NULL);
	if (!stats_whole(s) || region_reserve(r, s->index, sizeof(*s->index)) < 0)
		return -1;
	if (s->index->count == 0 && series_intern(s, SERIES_OTHER, STR("other")) != 0)
		return -1;
	return s->index->count ? 0 : -1;
}

int
stats_find(struct stats *s, const struct region *region)
{
	struct region *r = (struct region *)(uintptr_t)region;
	struct region_shape pages = pages_shape();

	s->region = r;
	s->pages = (void *)(uintptr_t)region_find(r, &pages);
	s->series = (void *)(uintptr_t)region_find(r, &series_shape);
	s->names = (void *)(uintptr_t)region_find(r, &names_shape);
	s->index = (void *)(uintptr_t)region_find(r, &index_shape);
	return stats_whole(s) ? 0 : -1;
}

int
stats_reserve(struct stats *s, int row)
{
	struct stats_series *series = s->series + (size_t)row * SERIES_MAX;

	if (region_reserve(s->region, &s->pages[row], sizeof(s->pages[row])) < 0)
		return -1;
	return region_reserve(s->region, series, SERIES_MAX * sizeof(*series));
}

/* The name as it is kept: cut, if it must be, so that two long ones still differ. */
static struct str
kept_name(struct str name, char buf[static 120])
{
	static const char hex[16] = "0123456789abcdef";
	uint64_t hash;

	if (name.len <= 120)
		return name;
	hash = str_hash(name);
	memcpy(buf, name.at, 103);
	buf[103] = '~';
	for (int i = 0; i < 16; i++)
		buf[104 + i] = hex[hash >> (60 - 4 * i) & 15];
	return (struct str){ buf, 120 };
}

uint32_t
series_intern(struct stats *s, enum series_kind kind, struct str name)
{
	char buf[120];
	struct str kept = kept_name(name, buf);
	uint32_t count = s->index->count;
	uint32_t at = (uint32_t)str_hash(kept) * 2654435761u + (uint32_t)kind;
	struct series_name *n;

	for (;; at++) {
		uint32_t i = s->index->slot[at % INDEX_SLOTS];

		if (i == 0)
			break;
		n = &s->names[--i];
		if (i < count && n->kind == (uint32_t)kind &&
		    str_eq(kept, (struct str){ n->name, n->len }))
			return i;
	}
	if (count == SERIES_MAX)
		return 0;
	n = &s->names[count];
	if (count % NAMES_RESERVED == 0 &&
	    region_reserve(s->region, n, NAMES_RESERVED * sizeof(*n)) < 0)
		return 0;
	n->len = (uint32_t)kept.len;
	memcpy(n->name, kept.at, kept.len);
	__atomic_store_n(&n->kind, kind, __ATOMIC_RELEASE);
	s->index->slot[at % INDEX_SLOTS] = count + 1;
	s->index->count = count + 1;
	return count;
}

uint32_t
series_count(const struct stats *s)
{
	uint32_t n = s->index->count;

	return n < SERIES_MAX ? n : SERIES_MAX;
}

struct stats_rows
stats_rows(const struct stats *s)
{
	struct stats_rows rows = { { 0 } };

	for (unsigned i = 0; i < SLOTS_MAX; i++)
		if (region_touched(s->region, &s->pages[i], sizeof(s->pages[i])))
			rows.bits[i / 64] |= 1ull << i % 64;
	return rows;
}

/* Their writers use plain stores: a word is read whole, and may be an instant old. */
static void
add_words(uint64_t *sum, const uint64_t *from, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sum[i] += __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

void
stats_sum(const struct stats *s, struct stats_page *sum)
{
	struct stats_rows rows = stats_rows(s);

	memset(sum, 0, sizeof(*sum));
	for (unsigned i = 0; i < SLOTS_MAX; i++)
		if (rows.bits[i / 64] >> i % 64 & 1)
			add_words((uint64_t *)sum, (const uint64_t *)&s->pages[i],
				  sizeof(*sum) / sizeof(uint64_t));
}

void
series_sum(const struct stats *s, const struct stats_rows *rows, uint32_t index,
	   struct stats_series *sum)
{
	memset(sum, 0, sizeof(*sum));
	for (unsigned w = 0; w < 4; w++)
		for (uint64_t bits = rows->bits[w]; bits; bits &= bits - 1) {
			size_t row = w * 64 + (unsigned)__builtin_ctzll(bits);

			add_words((uint64_t *)sum,
				  (const uint64_t *)&s->series[row * SERIES_MAX + index],
				  sizeof(*sum) / sizeof(uint64_t));
		}
}

uint64_t
stats_quantile(const struct stats_page *p, double share)
{
	uint64_t total = 0, seen = 0, wanted;

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		total += p->latency[i];
	if (!total)
		return 0;
	wanted = (uint64_t)(share * (double)total);
	if ((double)wanted < share * (double)total || !wanted)
		wanted++;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += p->latency[i];
		if (seen >= wanted)
			return histogram_floor(i + 1);
	}
	return histogram_floor(HISTOGRAM_BUCKETS);
}
