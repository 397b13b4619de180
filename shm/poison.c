#include "shm/poison.h"

static const struct region_shape shape = { "poison", 1, sizeof(struct poison), 1 };

enum { FORGOTTEN_MS = 3600 * 1000 };

_Static_assert(sizeof(struct poison_row) == 32, "part of the layout");

struct poison *
poison_open(struct region *r)
{
	struct poison *p = region_segment(r, &shape, NULL);

	return p && region_reserve(r, p, sizeof(*p)) == 0 ? p : NULL;
}

const struct poison *
poison_find(const struct region *r)
{
	return region_find(r, &shape);
}

/* The row of a signature, or the one that it may have: a free one, else the oldest. */
static struct poison_row *
find(struct poison *p, uint64_t signature)
{
	struct poison_row *best = NULL;

	for (int i = 0; i < POISON_ROWS; i++) {
		struct poison_row *row = &p->row[i];

		if (row->signature == signature)
			return row;
		if (!best || (best->signature &&
			      (!row->signature || row->seen < best->seen)))
			best = row;
	}
	return best;
}

/* Whoever reads meanwhile finds nothing that is refused. */
static bool
claim(struct poison_row *row, uint64_t signature)
{
	uint64_t old = row->signature;

	row->until = 0;
	row->deaths = 0;
	return atomic_compare_exchange_strong(&row->signature, &old, signature);
}

unsigned
poison_died(struct poison *p, uint64_t signature, uint32_t route, uint64_t now_ms,
	    uint64_t ms)
{
	struct poison_row *row;
	unsigned deaths;

	if (!signature)
		signature = 1;
	do
		row = find(p, signature);
	while (row->signature != signature && !claim(row, signature));
	if (now_ms - row->seen > FORGOTTEN_MS)
		row->deaths = 0;
	row->route = route;
	row->seen = now_ms;
	deaths = atomic_fetch_add(&row->deaths, 1) + 1;
	if (deaths >= POISON_DEATHS) {
		row->until = now_ms + ms;
		poison_tick(p, now_ms);
	}
	return deaths;
}

bool
poison_refuses(const struct poison *p, uint64_t signature, uint64_t now_ms)
{
	if (!signature)
		signature = 1;
	for (int i = 0; i < POISON_ROWS; i++)
		if (p->row[i].signature == signature)
			return p->row[i].until > now_ms;
	return false;
}

void
poison_tick(struct poison *p, uint64_t now_ms)
{
	uint32_t n = 0;

	for (int i = 0; i < POISON_ROWS; i++)
		n += p->row[i].signature && p->row[i].until > now_ms;
	if (p->active != n)
		p->active = n;
}

void
poison_clear(struct poison *p)
{
	for (int i = 0; i < POISON_ROWS; i++) {
		p->row[i].until = 0;
		p->row[i].deaths = 0;
	}
	p->active = 0;
}
