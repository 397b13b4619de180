#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "master/keeper/collect.h"

enum {
	AT_ONCE = 256, /* meters that are booked each second; of more, a part … */
	PARTS = 60     /* … so that each has its turn in a minute */
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
	b->inflight =
		sparse(c->keeper->shared.inflight.ledger.count, sizeof(*b->inflight));
	return b;
}

void
meters_free(struct meters_book *b)
{
	for (uint32_t i = 0; i < b->ledger->count; i++)
		free(b->known[i]);
	free(b->known);
	free(b->inflight);
	free(b->changes);
	free(b->gone);
	free(b);
}

void *
meters_more(void *array, uint32_t n, uint32_t *room, size_t size)
{
	if (n < *room)
		return array;
	*room = *room ? *room * 2 : 256;
	array = realloc(array, *room * size);
	if (!array)
		abort();
	return array;
}

bool
meters_in_use(const struct meters_book *b, uint32_t table)
{
	return b->collect->keeper->shared.control->tables & table;
}

void
meters_read(const struct meters_book *b, uint32_t entry, struct usage_sum *sum)
{
	const struct meter *m = ledger_value(b->ledger, entry);

	for (int i = 0; i < METER_CLASSES; i++) {
		sum->of[i].requests =
			atomic_load_explicit(&m->of[i].requests, memory_order_relaxed);
		sum->of[i].in = atomic_load_explicit(&m->of[i].in, memory_order_relaxed);
		sum->of[i].out =
			atomic_load_explicit(&m->of[i].out, memory_order_relaxed);
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

bool
meters_difference(struct usage_sum *d, const struct usage_sum *now,
		  const struct usage_sum *before)
{
	bool any = false;

	for (int i = 0; i < METER_CLASSES; i++) {
		d->of[i].requests =
			more(now->of[i].requests, before->of[i].requests, &any);
		d->of[i].in = more(now->of[i].in, before->of[i].in, &any);
		d->of[i].out = more(now->of[i].out, before->of[i].out, &any);
	}
	return any;
}

void
meters_row(struct meter_row *row, const struct usage_sum *sum, struct str name)
{
	memset(row, 0, sizeof(*row));
	row->sum = *sum;
	row->name_len = (uint32_t)name.len;
	memcpy(row->name, name.at, name.len);
}

/* ---- what has changed */

struct meter_known *
meters_known(struct meters_book *b, uint32_t entry)
{
	if (!b->known[entry])
		b->known[entry] = sparse(1, sizeof(*b->known[entry]));
	return b->known[entry];
}

/* What is booked of it, as the store has it. */
static int
know(struct meters_book *b, struct store *store, uint32_t entry, struct meter_known *k)
{
	uint32_t life = ledger_life(b->ledger, entry);
	struct meter_row row;
	char key[24];
	int got;

	if (k->known && k->life == life)
		return 0;
	*k = (struct meter_known){ .life = life, .used_at = clock_ms() };
	got = store_booked_get(store,
			       (struct str){ key, booked_key(b->collect->instance, 'm',
							     entry, life, key) },
			       &row, sizeof(row));
	if (got < 0)
		return -1;
	if (got)
		k->booked = row.sum;
	k->stored = got;
	k->known = true;
	return 0;
}

static int
look(struct meters_book *b, struct store *store)
{
	struct usage_sum now, d;

	b->used = b->nchanges = 0;
	LEDGER_EACH (b->ledger, i) {
		uint32_t entry = (uint32_t)i;
		struct meter_known *k = meters_known(b, entry);

		b->used++;
		if (know(b, store, entry, k) < 0)
			return -1;
		meters_read(b, entry, &now);
		if (!meters_difference(&d, &now, &k->booked))
			continue;
		b->changes = meters_more(b->changes, b->nchanges, &b->room,
					 sizeof(*b->changes));
		b->changes[b->nchanges++] =
			(struct meter_change){ .entry = entry, .now = now };
	}
	return 0;
}

/* A minute has ended: what was used in it is booked in it, though later. */
static void
mark_edge(struct meters_book *b)
{
	int64_t minute = b->collect->at / 60;

	for (uint32_t i = 0; b->minute && b->minute < minute && i < b->nchanges; i++) {
		struct meter_known *k = meters_known(b, b->changes[i].entry);

		if (k->edge_at)
			continue;
		k->edge = b->changes[i].now;
		k->edge_at = b->minute * 60 + 59;
	}
	b->minute = minute;
}

/* ---- booking */

static int
add(struct meters_book *b, struct store *store, int64_t at, struct str name,
    const struct usage_sum *d)
{
	struct str consumer, service;
	struct rollup_sum r;

	meter_split(name, &consumer, &service);
	if (store_usage_add(store, at, consumer, service, d) < 0)
		return -1;
	if (!consumer.len)
		return 0;
	memset(&r, 0, sizeof(r));
	for (int i = 0; i < METER_CLASSES; i++) {
		r.requests += d->of[i].requests;
		r.in += d->of[i].in;
		r.out += d->of[i].out;
		/* The first class is that of no answer; there is no 1xx at the end of a
		 * request. */
		r.status[i] += i ? d->of[i].requests : 0;
	}
	series_consumer(b->collect->series, consumer, &r);
	return store_rollup_add(store, at, ROLLUP_CONSUMER, consumer, &r);
}

static int
put_row(struct meters_book *b, struct store *store, uint32_t entry,
	const struct usage_sum *sum)
{
	struct meter_row row;
	char key[24];
	uint32_t life = meters_known(b, entry)->life;
	size_t len = booked_key(b->collect->instance, 'm', entry, life, key);

	meters_row(&row, sum, ledger_name(b->ledger, entry));
	return store_booked_put(store, (struct str){ key, len }, &row, sizeof(row));
}

static int
book(struct meters_book *b, struct store *store, struct meter_change *c)
{
	struct meter_known *k = meters_known(b, c->entry);
	struct str name = ledger_name(b->ledger, c->entry);
	const struct usage_sum *from = &k->booked;
	struct usage_sum d;

	if (k->edge_at && meters_difference(&d, &k->edge, from)) {
		if (add(b, store, k->edge_at, name, &d) < 0)
			return -1;
		from = &k->edge;
	}
	if (meters_difference(&d, &c->now, from) &&
	    add(b, store, b->collect->at, name, &d) < 0)
		return -1;
	c->booked = true;
	return put_row(b, store, c->entry, &c->now);
}

static bool
is_due(const struct meters_book *b, uint32_t entry)
{
	return b->collect->all || b->nchanges <= AT_ONCE ||
	       entry % PARTS == b->collect->turn % PARTS;
}

int
meters_book(struct meters_book *b, struct store *store)
{
	int recovered = journal_recover(b, store), gone, journal;

	if (recovered < 0)
		return -1;
	if (!meters_in_use(b, TABLE_METERS))
		return recovered;
	gone = retire_book(b, store);
	if (gone < 0 || look(b, store) < 0)
		return -1;
	mark_edge(b);
	b->pending = false;
	for (uint32_t i = 0; i < b->nchanges; i++) {
		struct meter_change *c = &b->changes[i];

		if (is_due(b, c->entry)) {
			if (book(b, store, c) < 0)
				return -1;
			continue;
		}
		b->pending = true;
		/* The journal has numbers only: whose they are must be known before. */
		if (!meters_known(b, c->entry)->stored &&
		    put_row(b, store, c->entry, &meters_known(b, c->entry)->booked) < 0)
			return -1;
	}
	journal = journal_write(b, store);
	return journal < 0 ? -1 : recovered | gone | journal | (b->nchanges != 0);
}

void
meters_done(struct meters_book *b)
{
	for (uint32_t i = 0; i < b->nchanges; i++) {
		struct meter_known *k = meters_known(b, b->changes[i].entry);

		if (meters_difference(&(struct usage_sum){ 0 }, &b->changes[i].now,
				      &k->booked))
			k->used_at = clock_ms();
		k->stored = true;
		if (!b->changes[i].booked)
			continue;
		k->booked = b->changes[i].now;
		k->edge_at = 0;
	}
	b->nchanges = 0;
	b->pieces = b->pieces_now;
	b->recovered = true;
	retire_done(b);
}

void
meters_undo(struct meters_book *b)
{
	b->nchanges = 0;
	b->dropped = 0;
}

void
meters_forget(struct meters_book *b)
{
	meters_undo(b);
	b->recovered = false;
	b->pieces = 0;
	if (meters_in_use(b, TABLE_INFLIGHT))
		ledger_mend(&b->collect->keeper->shared.inflight.ledger);
	if (!meters_in_use(b, TABLE_METERS))
		return;
	ledger_mend(b->ledger);
	LEDGER_EACH (b->ledger, i)
		meters_known(b, (uint32_t)i)->known = false;
}
