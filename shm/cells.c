#include "shm/cells.h"

#include <stddef.h>
#include <string.h>
#include <sys/random.h>

#include "shm/touched.h"
#include "shm/word.h"

struct set {
	union word cell[CELLS_A_SET];   /* value: the TAT, ns */
};

struct cells {
	uint64_t key[2]; /* of the hash; random, lives as long as the region */
	uint64_t spare[6];
	_Atomic uint64_t touched[TOUCHED_WORDS(CELLS_BLOCKS)];
	struct set set[CELLS_SETS];
};

_Static_assert(sizeof(struct set) == 64, "one cache line");
_Static_assert(sizeof(struct cells) < 64 * (size_t)CELLS_SETS + 4096, "16 MiB, and a few lines");

static const struct region_shape shape = { "limit.cells", 1, sizeof(struct cells), 1 };

struct cells *
cells_open(struct region *r)
{
	struct cells *c = region_segment(r, &shape, NULL);

	if (!c || (c->key[0] | c->key[1]))
		return c;
	if (region_reserve(r, c, offsetof(struct cells, set)) < 0 ||
	    getrandom(c->key, sizeof(c->key), 0) != sizeof(c->key))
		return NULL;
	return c;
}

const struct cells *
cells_find(const struct region *r)
{
	return region_find(r, &shape);
}

int
cells_reserve(struct region *r, struct cells *c)
{
	return region_reserve(r, c, sizeof(*c));
}

static uint64_t
set_of(struct siphash key)
{
	return key.high % CELLS_SETS;
}

struct siphash
cells_key(const struct cells *c, uint64_t which, struct str bytes)
{
	struct siphash key = siphash(c->key, which, bytes);

	/* Its line comes while the caller looks what time it is. */
	__builtin_prefetch(&c->set[set_of(key)], 1);
	return key;
}

static uint64_t
tag_of(struct siphash key)
{
	return key.low ? key.low : 1;
}

/* The key's cell, or the one that it would take: the smallest TAT of its set. The TAT is
 * read first: the tag is as new, or newer. What both swaps below need: a TAT that is
 * still the same has still the same tag, as every write raises it; and who sees the TAT
 * of a new key sees the key. */
static inline union word *
find(struct set *s, uint64_t tag, union word *seen)
{
	union word *least = NULL;

	for (int i = 0; i < CELLS_A_SET; i++) {
		union word w = { .value = word_value(&s->cell[i]) };

		w.tag = word_tag(&s->cell[i]);
		if (w.tag == tag || !least || w.value < seen->value) {
			least = &s->cell[i];
			*seen = w;
		}
		if (w.tag == tag)
			break;
	}
	return least;
}

/* ns that a limit lets a TAT be ahead of now; never so many that a sum wraps. */
static uint64_t
reach(struct cell_limit l, uint64_t burst)
{
	uint64_t most;

	return __builtin_mul_overflow(l.interval, burst, &most) || most > INT64_MAX
		? INT64_MAX : most;
}

/* What a request now would make of this TAT. */
static inline struct cell_answer
judge(uint64_t tat, struct cell_limit l, uint64_t queue, uint64_t now, uint64_t *next)
{
	struct cell_answer a = { .verdict = CELL_ADMITTED };
	uint64_t ahead = tat > now ? tat - now : 0;
	uint64_t most = reach(l, l.burst), all = queue ? reach(l, l.burst + queue) : most;

	*next = now + ahead + l.interval;
	if (ahead + l.interval > all) {
		a.verdict = CELL_REFUSED;
		a.retry = ahead + l.interval - all;
		a.reset = ahead;
		return a;
	}
	a.reset = ahead + l.interval;
	if (a.reset < most)
		a.remaining = (most - a.reset) / l.interval;
	return a;
}

static struct cell_answer
full(const union word *least, uint64_t now)
{
	return (struct cell_answer){
		.verdict = CELL_FULL,
		.retry = least->value - now,
		.reset = least->value - now,
	};
}

static inline struct cell_answer
decide(struct cells *c, struct siphash key, struct cell_limit l, uint64_t queue,
       uint64_t now, bool take)
{
	struct set *s = &c->set[set_of(key)];
	uint64_t tag = tag_of(key);

#ifdef __x86_64__
	/* Who is going to write asks for the line once, not twice. */
	if (take)
		__asm__ volatile("prefetchw %0" : : "m"(*s));
#endif
	for (int lost = 0;; lost++) {
		struct cell_answer a;
		union word seen, new = { .tag = tag };
		union word *at = find(s, tag, &seen);
		bool ours = seen.tag == tag;

		if (!ours && seen.value > now)
			return full(&seen, now);
		a = judge(ours ? seen.value : 0, l, queue, now, &new.value);
		if (a.verdict != CELL_ADMITTED || !take)
			return a;
		if (!ours)
			touch(c->touched, set_of(key) / (CELLS_A_BLOCK / CELLS_A_SET));
		if (ours ? word_raise(at, seen, new) : word_swap(at, seen, new))
			return a;
		step_aside(16 << (lost < 3 ? lost : 3));
	}
}

struct cell_answer
cells_take(struct cells *c, struct siphash key, struct cell_limit l, uint64_t now)
{
	return decide(c, key, l, 0, now, true);
}

struct cell_answer
cells_peek(struct cells *c, struct siphash key, struct cell_limit l, uint64_t now)
{
	return decide(c, key, l, 0, now, false);
}

struct cell_answer
cells_queue(struct cells *c, struct siphash key, struct cell_limit l, uint64_t queue,
	    uint64_t now, uint64_t *wait)
{
	struct cell_answer a = decide(c, key, l, queue, now, true);
	uint64_t most = reach(l, l.burst);

	*wait = a.verdict == CELL_ADMITTED && a.reset > most ? a.reset - most : 0;
	return a;
}

bool
cells_touched(const struct cells *c, uint32_t block)
{
	return touched(c->touched, block);
}

bool
cells_cell(const struct cells *c, uint32_t at, uint64_t word[2])
{
	union word w = word_look(&c->set[at / CELLS_A_SET].cell[at % CELLS_A_SET]);

	word[0] = w.tag;
	word[1] = w.value;
	return w.tag != 0;
}

void
cells_restore(struct cells *c, uint32_t at, const uint64_t word[2])
{
	union word *w = &c->set[at / CELLS_A_SET].cell[at % CELLS_A_SET];

	touch(c->touched, at / CELLS_A_BLOCK);
	w->tag = word[0];
	w->value = word[1];
}

void
cells_hash_key(const struct cells *c, uint64_t key[2])
{
	memcpy(key, c->key, sizeof(c->key));
}

void
cells_set_hash_key(struct cells *c, const uint64_t key[2])
{
	memcpy(c->key, key, sizeof(c->key));
}
