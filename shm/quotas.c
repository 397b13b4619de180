#include "shm/quotas.h"

#include <stddef.h>
#include <string.h>
#include <sys/random.h>

#include "shm/touched.h"
#include "shm/word.h"

struct set {
	union word
		cell[QUOTAS_A_SET]; /* value: end of its window << COUNT_BITS | count */
};

struct quotas {
	uint64_t key[2]; /* of the hash; random, lives as long as the region */
	uint64_t spare[6];
	_Atomic uint64_t touched[TOUCHED_WORDS(QUOTAS_BLOCKS)];
	struct set set[QUOTAS_SETS];
};

enum { COUNT_BITS = 36 };

_Static_assert(sizeof(struct set) % 64 == 0, "whole cache lines");
_Static_assert(QUOTA_MOST == (1ull << COUNT_BITS) - 1, "what fits");

static const struct region_shape shape = { "quota.cells", 1, sizeof(struct quotas), 1 };

struct quotas *
quotas_open(struct region *r)
{
	struct quotas *q = region_segment(r, &shape, NULL);

	if (!q || (q->key[0] | q->key[1]))
		return q;
	if (region_reserve(r, q, offsetof(struct quotas, set)) < 0 ||
	    getrandom(q->key, sizeof(q->key), 0) != sizeof(q->key))
		return NULL;
	return q;
}

const struct quotas *
quotas_find(const struct region *r)
{
	return region_find(r, &shape);
}

int
quotas_reserve(struct region *r, struct quotas *q)
{
	return region_reserve(r, q, sizeof(*q));
}

struct siphash
quotas_key(const struct quotas *q, uint64_t which, struct str bytes)
{
	return siphash(q->key, which, bytes);
}

static uint64_t
tag_of(struct siphash key)
{
	return key.low ? key.low : 1;
}

static uint64_t
set_of(struct siphash key)
{
	return key.high % QUOTAS_SETS;
}

static uint32_t
ends_of(uint64_t value)
{
	return (uint32_t)(value >> COUNT_BITS);
}

/* The key's cell, or the one that it would take: that whose window ends first. Each key
 * has a cell that it looks at first, the same for all who look. */
static union word *
find(struct set *s, uint64_t tag, union word *seen)
{
	union word *least = NULL;

	for (unsigned i = 0; i < QUOTAS_A_SET; i++) {
		union word *at = &s->cell[(tag + i) % QUOTAS_A_SET], w = word_look(at);

		if (w.tag == tag || !least || ends_of(w.value) < ends_of(seen->value)) {
			least = at;
			*seen = w;
		}
		if (w.tag == tag)
			break;
	}
	return least;
}

struct quota_answer
quotas_take(struct quotas *q, struct siphash key, uint32_t ends, uint32_t now,
	    uint64_t limit, uint64_t n)
{
	struct set *s = &q->set[set_of(key)];
	uint64_t tag = tag_of(key);

	if (limit > QUOTA_MOST)
		limit = QUOTA_MOST;
	for (;;) {
		struct quota_answer a = { .verdict = QUOTA_ADMITTED };
		union word seen, new = { .tag = tag };
		union word *at = find(s, tag, &seen);
		uint64_t window = (uint64_t)ends << COUNT_BITS;

		if (seen.tag != tag && ends_of(seen.value) > now) {
			a.verdict = QUOTA_FULL;
			return a;
		}
		/* Another's clock may be ahead: its window counts then. */
		if (seen.tag == tag && ends_of(seen.value) >= ends) {
			a.used = seen.value & QUOTA_MOST;
			window = seen.value - a.used;
		}
		if (a.used >= limit || n > limit - a.used) {
			a.verdict = QUOTA_REFUSED;
			return a;
		}
		a.used += n;
		new.value = window | a.used;
		if (!n)
			return a;
		if (seen.tag != tag)
			touch(q->touched, set_of(key) / (QUOTAS_A_BLOCK / QUOTAS_A_SET));
		if (word_swap(at, seen, new))
			return a;
	}
}

uint64_t
quotas_reset(struct quotas *q, struct siphash key, uint32_t ends)
{
	struct set *s = &q->set[set_of(key)];
	uint64_t tag = tag_of(key);

	for (;;) {
		union word seen, new = { .tag = tag };
		union word *at = find(s, tag, &seen);

		if (seen.tag != tag || ends_of(seen.value) < ends)
			return 0;
		new.value = seen.value & ~QUOTA_MOST;
		if (word_swap(at, seen, new))
			return seen.value & QUOTA_MOST;
	}
}

bool
quotas_touched(const struct quotas *q, uint32_t block)
{
	return touched(q->touched, block);
}

bool
quotas_cell(const struct quotas *q, uint32_t at, uint64_t word[2])
{
	union word w = word_look(&q->set[at / QUOTAS_A_SET].cell[at % QUOTAS_A_SET]);

	word[0] = w.tag;
	word[1] = w.value;
	return w.tag != 0;
}

void
quotas_restore(struct quotas *q, uint32_t at, const uint64_t word[2])
{
	union word *w = &q->set[at / QUOTAS_A_SET].cell[at % QUOTAS_A_SET];

	touch(q->touched, at / QUOTAS_A_BLOCK);
	w->tag = word[0];
	w->value = word[1];
}

void
quotas_hash_key(const struct quotas *q, uint64_t key[2])
{
	memcpy(key, q->key, sizeof(q->key));
}

void
quotas_set_hash_key(struct quotas *q, const uint64_t key[2])
{
	memcpy(q->key, key, sizeof(q->key));
}
