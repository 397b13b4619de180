#include "shm/inflight.h"

#include <stdatomic.h>

#include "shm/step.h"

struct inflight_rows {
	_Atomic uint32_t used;          /* rows from 0 that may count */
	uint32_t spare[15];
	_Atomic uint16_t life[SLOTS_MAX];
};

/* What one row has under way of a key. */
struct counts {
	_Atomic uint32_t of[SLOTS_MAX]; /* life of the row << 16 | requests */
};

#ifndef TRIES                           /* fewer in a test */
#define TRIES 32
#endif
enum { COUNT_MOST = UINT16_MAX };

static const char ledger[] = "inflight";
static const struct region_shape shape =
	{ "inflight.rows", 1, sizeof(struct inflight_rows), 1 };

_Static_assert(sizeof(struct counts) % 64 == 0, "whole lines");

int
inflight_open(struct inflight *f, struct region *r)
{
	f->rows = region_segment(r, &shape, NULL);
	if (!f->rows || region_reserve(r, f->rows, sizeof(*f->rows)) < 0)
		return -1;
	return ledger_open(&f->ledger, r, ledger, 2, INFLIGHT_KEYS,
			   sizeof(struct counts));
}

int
inflight_find(struct inflight *f, const struct region *r)
{
	f->rows = (void *)(uintptr_t)region_find(r, &shape);
	if (!f->rows)
		return -1;
	return ledger_find_in(&f->ledger, r, ledger, 2, INFLIGHT_KEYS,
			      sizeof(struct counts));
}

int
inflight_reserve(struct region *r, struct inflight *f)
{
	return ledger_reserve(r, &f->ledger);
}

void
inflight_clear(struct inflight *f, int row)
{
	SHM_STEP();
	atomic_fetch_add(&f->rows->life[row], 1);
	SHM_STEP();
	if (f->rows->used <= (uint32_t)row)
		f->rows->used = (uint32_t)row + 1;
}

static uint64_t
sum(const struct inflight *f, const struct counts *c)
{
	uint32_t used = f->rows->used;
	uint64_t n = 0;

	for (uint32_t i = 0; i < used && i < SLOTS_MAX; i++) {
		uint32_t count, life;

		SHM_STEP();
		count = c->of[i];
		if (!(count & 0xffff))
			continue;
		SHM_STEP();
		life = f->rows->life[i];
		if (count >> 16 == life)
			n += count & 0xffff;
	}
	return n;
}

/* The row's own count; one of an earlier life is nothing. */
static uint32_t
own_count(const struct inflight *f, const struct counts *c, int row)
{
	uint32_t life = (uint32_t)f->rows->life[row] << 16;
	uint32_t count = atomic_load_explicit(&c->of[row], memory_order_relaxed);

	return (count & 0xffff0000) == life ? count : life;
}

/* Rows that meet at the limit wait for different times, and longer each time. */
static int
turns_aside(int row, int try)
{
	return (row * 5 + try * 3) % 16 + (1 << (try < 6 ? try : 6));
}

struct inflight_answer
inflight_take(struct inflight *f, int row, struct siphash key, struct str name,
	      uint64_t most)
{
	int64_t entry = ledger_take(&f->ledger, key, name);
	struct inflight_answer a = { .verdict = INFLIGHT_REFUSED, .entry = entry };
	struct counts *c;
	uint32_t own;

	if (entry < 0) {
		a.verdict = INFLIGHT_FULL;
		return a;
	}
	c = ledger_value(&f->ledger, entry);
	own = own_count(f, c, row);
	for (int try = 0; try < TRIES; try++) {
		/* What is there already is enough: nobody needs to be disturbed. */
		a.used = sum(f, c);
		if (a.used >= most || (own & 0xffff) == COUNT_MOST)
			break;
		SHM_STEP();
		atomic_store(&c->of[row], own + 1);
		a.used = sum(f, c);
		if (a.used <= most) {
			a.verdict = INFLIGHT_TAKEN;
			break;
		}
		SHM_STEP();
		atomic_store(&c->of[row], own);
		step_aside(turns_aside(row, try));
	}
	return a;
}

void
inflight_give(struct inflight *f, int row, int64_t entry)
{
	struct counts *c = ledger_value(&f->ledger, entry);
	uint32_t own = own_count(f, c, row);

	if (!(own & 0xffff))
		return;
	SHM_STEP();
	atomic_store_explicit(&c->of[row], own - 1, memory_order_release);
}

uint64_t
inflight_sum(const struct inflight *f, int64_t entry)
{
	return sum(f, ledger_value(&f->ledger, entry));
}
