#include "shm/cells.h"

#include <stdatomic.h>
#include <sys/random.h>

/* A test lets other processes go first here, where every race is decided. */
#ifndef CELLS_PAUSE
#define CELLS_PAUSE()
#endif

union cell {
	struct {
		uint64_t tag;           /* 0: never used */
		uint64_t tat;           /* ns */
	};
	unsigned __int128 word;
};

struct set {
	union cell cell[CELLS_A_SET];
};

struct cells {
	uint64_t key[2]; /* of the hash; random, lives as long as the region */
	uint64_t spare[6];
	struct set set[CELLS_SETS];
};

_Static_assert(sizeof(union cell) == 16, "one compare-and-swap");
_Static_assert(sizeof(struct set) == 64, "one cache line");
_Static_assert(sizeof(struct cells) == 64 + 64 * (size_t)CELLS_SETS, "16 MiB and a line");

static const struct region_shape shape = { "limit.cells", 1, sizeof(struct cells), 1 };

struct cells *
cells_open(struct region *r)
{
	bool found;
	struct cells *c = region_segment(r, &shape, &found);

	if (c && (!found || !(c->key[0] | c->key[1])) &&
	    getrandom(c->key, sizeof(c->key), 0) != sizeof(c->key))
		return NULL;
	return c;
}

int
cells_reserve(struct region *r, struct cells *c)
{
	return region_reserve(r, c, sizeof(*c));
}

struct siphash
cells_key(const struct cells *c, uint64_t which, struct str bytes)
{
	return siphash(c->key, which, bytes);
}

static bool
swap(union cell *at, union cell old, union cell new)
{
	return __sync_bool_compare_and_swap(&at->word, old.word, new.word);
}

/* Both halves of one moment, as far as the tag goes: another TAT makes the swap fail. */
static union cell
look(const union cell *at)
{
	union cell c;

	do {
		c.tag = __atomic_load_n(&at->tag, __ATOMIC_ACQUIRE);
		c.tat = __atomic_load_n(&at->tat, __ATOMIC_ACQUIRE);
	} while (c.tag != __atomic_load_n(&at->tag, __ATOMIC_ACQUIRE));
	return c;
}

/* The key's cell, or the one that it would take: the smallest TAT of its set. */
static union cell *
find(struct set *s, uint64_t tag, union cell *seen)
{
	union cell *least = NULL;

	for (int i = 0; i < CELLS_A_SET; i++) {
		union cell c = look(&s->cell[i]);

		if (c.tag == tag || !least || c.tat < seen->tat) {
			least = &s->cell[i];
			*seen = c;
		}
		if (c.tag == tag)
			break;
	}
	return least;
}

/* What a request now would make of this TAT. */
static struct cell_answer
judge(uint64_t tat, struct cell_limit l, uint64_t now, uint64_t *next)
{
	struct cell_answer a = { .verdict = CELL_ADMITTED };
	uint64_t ahead = tat > now ? tat - now : 0, most = l.interval * l.burst;

	*next = now + ahead + l.interval;
	if (ahead + l.interval > most) {
		a.verdict = CELL_REFUSED;
		a.retry = ahead + l.interval - most;
		a.reset = ahead;
		return a;
	}
	a.reset = ahead + l.interval;
	a.remaining = (most - a.reset) / l.interval;
	return a;
}

static struct cell_answer
full(const union cell *least, uint64_t now)
{
	return (struct cell_answer){
		.verdict = CELL_FULL,
		.retry = least->tat - now,
		.reset = least->tat - now,
	};
}

static struct cell_answer
decide(struct cells *c, struct siphash key, struct cell_limit l, uint64_t now, bool take)
{
	struct set *s = &c->set[key.high % CELLS_SETS];
	uint64_t tag = key.low ? key.low : 1;

	for (;;) {
		struct cell_answer a;
		union cell seen, new = { .tag = tag };
		union cell *at = find(s, tag, &seen);
		bool ours = seen.tag == tag;

		if (!ours && seen.tat > now)
			return full(&seen, now);
		a = judge(ours ? seen.tat : 0, l, now, &new.tat);
		CELLS_PAUSE();
		if (a.verdict != CELL_ADMITTED || !take || swap(at, seen, new))
			return a;
	}
}

struct cell_answer
cells_take(struct cells *c, struct siphash key, struct cell_limit l, uint64_t now)
{
	return decide(c, key, l, now, true);
}

struct cell_answer
cells_peek(struct cells *c, struct siphash key, struct cell_limit l, uint64_t now)
{
	return decide(c, key, l, now, false);
}
