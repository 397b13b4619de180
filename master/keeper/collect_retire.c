/* What rests is taken out, so that there is room for others. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "master/keeper/collect.h"

enum {
	REST_MS = 60 * 1000, /* without a request: may be taken out, if room is short … */
	REST_LONG_MS = 3600 * 1000, /* … and anyhow */
	RETIRE_MOST = 1024,         /* begun in a second, in each table */
};

/* Every worker that lives has begun another turn since: none is between looking an entry
 * up and counting in it. */
static bool
all_turned(const struct shared *s, uint64_t since)
{
	for (int i = 0; i < SLOTS_MAX; i++) {
		const struct slot *w = &s->slots->row[i];

		if (row_of_worker(s, i) && w->heartbeat <= since && slot_alive(w))
			return false;
	}
	return true;
}

static bool
rests(uint64_t used_at, uint32_t used, uint32_t count)
{
	return clock_ms() > used_at + (used > count / 4 ? REST_MS : REST_LONG_MS);
}

/* Only what has been booked to the last byte may go; what comes at the last moment takes
 * the mark off. */
static void
remove_meter(struct meters_book *b, uint32_t entry)
{
	struct meter_known *k = meters_known(b, entry);
	struct usage_sum now, d;

	k->marked_at = 0;
	meters_read(b, entry, &now);
	if (!k->known || meters_difference(&d, &now, &k->booked) ||
	    !ledger_remove(b->ledger, entry))
		return;
	b->gone = meters_more(b->gone, b->ngone, &b->gone_room, sizeof(*b->gone));
	b->gone[b->ngone++] = (struct gone){ entry, k->life };
	free(k);
	b->known[entry] = NULL;
}

static void
retire_meters(struct meters_book *b)
{
	const struct shared *s = &b->collect->keeper->shared;
	uint32_t begun = 0, marked = 0, used = 0;

	LEDGER_EACH (b->ledger, entry) {
		uint32_t i = (uint32_t)entry;
		struct meter_known *k = meters_known(b, i);

		used++;
		if (k->marked_at && all_turned(s, k->marked_at)) {
			remove_meter(b, i);
			continue;
		}
		if (!k->marked_at && k->known && begun < RETIRE_MOST &&
			 rests(k->used_at, b->used, b->ledger->count) &&
			 ledger_retire(b->ledger, i)) {
			k->marked_at = clock_ms();
			begun++;
		}
		marked += k->marked_at != 0;
	}
	b->used = used;
	b->marked += marked;
}

static void
retire_inflight(struct meters_book *b)
{
	struct shared *s = &b->collect->keeper->shared;
	struct ledger *l = &s->inflight.ledger;
	uint32_t begun = 0, used = 0;

	LEDGER_EACH (l, i)
		used++;
	LEDGER_EACH (l, i) {
		struct rest *r = &b->inflight[i];

		if (!r->used_at || inflight_sum(&s->inflight, i)) {
			*r = (struct rest){ .used_at = clock_ms() };
		} else if (r->marked_at && all_turned(s, r->marked_at)) {
			if (inflight_sum(&s->inflight, i) == 0)
				ledger_remove(l, i);
			*r = (struct rest){ 0 };
		} else if (!r->marked_at && begun < RETIRE_MOST &&
			   rests(r->used_at, used, l->count) && ledger_retire(l, i)) {
			r->marked_at = clock_ms();
			begun++;
		}
		b->marked += r->marked_at != 0;
	}
}

bool
meters_retire(struct meters_book *b)
{
	b->marked = 0;
	if (meters_in_use(b, TABLE_METERS))
		retire_meters(b);
	if (meters_in_use(b, TABLE_INFLIGHT))
		retire_inflight(b);
	return b->marked != 0;
}

int
retire_book(struct meters_book *b, struct store *store)
{
	for (b->dropped = 0; b->dropped < b->ngone; b->dropped++) {
		struct gone g = b->gone[b->dropped];
		char key[24];
		size_t len = booked_key(b->collect->instance, 'm', g.entry, g.life, key);

		if (store_booked_drop(store, (struct str){ key, len }) < 0)
			return -1;
	}
	return b->dropped != 0;
}

void
retire_done(struct meters_book *b)
{
	if (b->dropped)
		memmove(b->gone, b->gone + b->dropped,
			(b->ngone - b->dropped) * sizeof(*b->gone));
	b->ngone -= b->dropped;
	b->dropped = 0;
}
