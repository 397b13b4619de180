#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "master/keeper/collect.h"

enum {
	REST_MS = 60 * 1000,            /* without a request: may be taken out, if room is short … */
	REST_LONG_MS = 3600 * 1000,     /* … and anyhow */
	RETIRE_MOST = 1024,             /* begun in a second, in each table */
};

struct meter_known {                    /* what we know of an entry of the table */
	struct usage_sum booked;
	uint32_t life;
	bool known;
	uint64_t used_at;               /* ms: it was seen to move */
	uint64_t marked_at;             /* ms: its retirement has begun; 0: no */
};

struct change {
	uint32_t entry;
	struct usage_sum now;
};

struct rest {                           /* the same of an entry of inflight */
	uint64_t used_at, marked_at;
};

struct meters_book {
	struct collect *collect;
	struct ledger *ledger;
	struct meter_known *known;      /* by entry */
	struct rest *inflight;          /* by entry */
	struct change *changed;         /* by this transaction */
	uint32_t nchanged, room;
	struct gone {
		uint32_t entry, life;
	} *gone;                        /* taken out: nobody asks any more what was booked of them */
	uint32_t ngone, gone_room;
	uint32_t dropped;               /* of those, by this transaction */
	uint32_t used;                  /* entries in use, when last looked at */
	uint32_t marked;                /* whose retirement is under way */
};

/* Zeroed memory that costs nothing until it is used. */
static void *
sparse(size_t n, size_t size)
{
	void *p = calloc(n, size);

	if (!p)
		abort();
	return p;
}

struct meters_book *
meters_new(struct collect *c)
{
	struct meters_book *b = sparse(1, sizeof(*b));

	b->collect = c;
	b->ledger = &c->keeper->shared.meters;
	b->known = sparse(b->ledger->count, sizeof(*b->known));
	b->inflight = sparse(c->keeper->shared.inflight.ledger.count, sizeof(*b->inflight));
	return b;
}

void
meters_free(struct meters_book *b)
{
	free(b->known);
	free(b->inflight);
	free(b->changed);
	free(b->gone);
	free(b);
}

static bool
in_use(const struct meters_book *b, uint32_t table)
{
	return b->collect->keeper->shared.control->tables & table;
}

static void
read_meter(const struct meters_book *b, uint32_t entry, struct usage_sum *sum)
{
	const struct meter *m = ledger_value(b->ledger, entry);

	for (int i = 0; i < METER_CLASSES; i++) {
		sum->of[i].requests = atomic_load_explicit(&m->of[i].requests, memory_order_relaxed);
		sum->of[i].in = atomic_load_explicit(&m->of[i].in, memory_order_relaxed);
		sum->of[i].out = atomic_load_explicit(&m->of[i].out, memory_order_relaxed);
	}
}

static uint64_t
more(uint64_t now, uint64_t before, bool *any)
{
	if (now <= before)
		return 0;
	*any = true;
	return now - before;
}

/* What has been added; false: nothing. */
static bool
difference(struct usage_sum *d, const struct usage_sum *now, const struct usage_sum *before)
{
	bool any = false;

	for (int i = 0; i < METER_CLASSES; i++) {
		d->of[i].requests = more(now->of[i].requests, before->of[i].requests, &any);
		d->of[i].in = more(now->of[i].in, before->of[i].in, &any);
		d->of[i].out = more(now->of[i].out, before->of[i].out, &any);
	}
	return any;
}

/* Room for one more of `n`. */
static void *
one_more(void *array, uint32_t n, uint32_t *room, size_t size)
{
	if (n < *room)
		return array;
	*room = *room ? *room * 2 : 256;
	array = realloc(array, *room * size);
	if (!array)
		abort();
	return array;
}

static void
remember(struct meters_book *b, uint32_t entry, const struct usage_sum *now)
{
	b->changed = one_more(b->changed, b->nchanged, &b->room, sizeof(*b->changed));
	b->changed[b->nchanged++] = (struct change){ entry, *now };
}

static void
rollup(struct meters_book *b, struct str consumer, const struct usage_sum *d,
       struct rollup_sum *r)
{
	memset(r, 0, sizeof(*r));
	for (int i = 0; i < METER_CLASSES; i++) {
		r->requests += d->of[i].requests;
		r->in += d->of[i].in;
		r->out += d->of[i].out;
		/* The first class is that of no answer; there is no 1xx at the end of a request. */
		r->status[i] += i ? d->of[i].requests : 0;
	}
	series_consumer(b->collect->series, consumer, r);
}

/* 1: booked; 0: nothing new; -1. */
static int
book_entry(struct meters_book *b, struct store *store, uint32_t entry, struct str name)
{
	struct meter_known *k = &b->known[entry];
	uint32_t life = ledger_life(b->ledger, entry);
	int64_t at = b->collect->at;
	struct str consumer, service, key;
	struct usage_sum now, d;
	struct rollup_sum r;
	char bytes[24];
	int got;

	key = (struct str){ bytes, booked_key(b->collect, 'm', entry, life, bytes) };
	if (!k->known || k->life != life) {
		*k = (struct meter_known){ .life = life, .used_at = clock_ms() };
		got = store_booked_get(store, key, &k->booked, sizeof(k->booked));
		if (got < 0)
			return -1;
		if (!got)
			memset(&k->booked, 0, sizeof(k->booked));
		k->known = true;
	}
	read_meter(b, entry, &now);
	if (!difference(&d, &now, &k->booked))
		return 0;
	k->used_at = clock_ms();
	meter_split(name, &consumer, &service);
	rollup(b, consumer, &d, &r);
	if (store_usage_add(store, at, consumer, service, &d) < 0 ||
	    (consumer.len && store_rollup_add(store, at, ROLLUP_CONSUMER, consumer, &r) < 0) ||
	    store_booked_put(store, key, &now, sizeof(now)) < 0)
		return -1;
	remember(b, entry, &now);
	return 1;
}

static int
drop_gone(struct meters_book *b, struct store *store)
{
	for (b->dropped = 0; b->dropped < b->ngone; b->dropped++) {
		struct gone g = b->gone[b->dropped];
		char key[24];

		if (store_booked_drop(store, (struct str){ key, booked_key(b->collect, 'm', g.entry,
									   g.life, key) }) < 0)
			return -1;
	}
	return b->dropped != 0;
}

int
meters_book(struct meters_book *b, struct store *store)
{
	int wrote;

	b->used = 0;
	if (!in_use(b, TABLE_METERS))
		return 0;
	wrote = drop_gone(b, store);
	if (wrote < 0)
		return -1;
	for (uint32_t i = 0; i < b->ledger->count; i++) {
		struct str name = ledger_name(b->ledger, i);
		int rc;

		if (!name.len)
			continue;
		b->used++;
		rc = book_entry(b, store, i, name);
		if (rc < 0)
			return -1;
		wrote |= rc;
	}
	return wrote;
}

void
meters_done(struct meters_book *b)
{
	for (uint32_t i = 0; i < b->nchanged; i++)
		b->known[b->changed[i].entry].booked = b->changed[i].now;
	b->nchanged = 0;
	if (b->dropped)
		memmove(b->gone, b->gone + b->dropped,
			(b->ngone - b->dropped) * sizeof(*b->gone));
	b->ngone -= b->dropped;
	b->dropped = 0;
}

void
meters_undo(struct meters_book *b)
{
	b->nchanged = 0;
	b->dropped = 0;
}

void
meters_forget(struct meters_book *b)
{
	meters_undo(b);
	if (in_use(b, TABLE_INFLIGHT))
		ledger_mend(&b->collect->keeper->shared.inflight.ledger);
	if (!in_use(b, TABLE_METERS))
		return;
	ledger_mend(b->ledger);
	for (uint32_t i = 0; i < b->ledger->count; i++)
		if (ledger_name(b->ledger, i).len)
			b->known[i].known = false;
}

/* ---- what rests is taken out, so that there is room for others */

/* Every worker that lives has begun another turn since: none is between looking an entry up
 * and counting in it. */
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

/* Only what has been booked to the last byte may go; what comes at the last moment takes the mark off. */
static void
remove_meter(struct meters_book *b, uint32_t entry)
{
	struct meter_known *k = &b->known[entry];
	struct usage_sum now, d;

	k->marked_at = 0;
	read_meter(b, entry, &now);
	if (!k->known || difference(&d, &now, &k->booked) || !ledger_remove(b->ledger, entry))
		return;
	b->gone = one_more(b->gone, b->ngone, &b->gone_room, sizeof(*b->gone));
	b->gone[b->ngone++] = (struct gone){ entry, k->life };
	*k = (struct meter_known){ .known = false };
}

static void
retire_meters(struct meters_book *b)
{
	uint32_t begun = 0, marked = 0, used = 0;

	for (uint32_t i = 0; i < b->ledger->count; i++) {
		struct meter_known *k = &b->known[i];

		if (!ledger_name(b->ledger, i).len)
			continue;
		used++;
		if (k->marked_at && all_turned(&b->collect->keeper->shared, k->marked_at))
			remove_meter(b, i);
		else if (!k->marked_at && k->known && begun < RETIRE_MOST &&
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

	for (uint32_t i = 0; i < l->count; i++)
		used += ledger_name(l, i).len != 0;
	for (uint32_t i = 0; used && i < l->count; i++) {
		struct rest *r = &b->inflight[i];

		if (!ledger_name(l, i).len) {
			continue;
		} else if (!r->used_at || inflight_sum(&s->inflight, i)) {
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
	if (in_use(b, TABLE_METERS))
		retire_meters(b);
	if (in_use(b, TABLE_INFLIGHT))
		retire_inflight(b);
	return b->marked != 0;
}
