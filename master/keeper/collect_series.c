#include <stdlib.h>
#include <string.h>

#include "master/keeper/collect.h"

enum {
	AT_ONCE = 256, /* series that are booked each second; of more, a part */
	PARTS = 16,
	CONSUMERS_MOST = 20000 /* with a histogram at a time; more are not looked at */
};

struct totals { /* of a series, as booked */
	uint64_t requests, status[5], us, failed;
};

struct series_known {
	struct totals booked;
	bool known;
	struct sample sample; /* to be booked */
};

struct series_change {
	uint32_t index;
	struct totals now;
};

struct series_book {
	struct collect *collect;
	struct stats *stats;
	struct series_known *known;    /* SERIES_MAX */
	struct series_change *changed; /* SERIES_MAX: by this transaction */
	uint32_t nchanged;
	bool pending;
	struct map consumers; /* name → struct sample */
	struct arena arena;   /* of those */
};

static void *
some(size_t n, size_t size)
{
	void *p = calloc(n, size);

	if (!p)
		abort();
	return p;
}

struct series_book *
series_new(struct collect *c)
{
	struct series_book *b = some(1, sizeof(*b));

	b->collect = c;
	b->stats = &c->keeper->shared.stats;
	b->known = some(SERIES_MAX, sizeof(*b->known));
	b->changed = some(SERIES_MAX, sizeof(*b->changed));
	arena_init(&b->arena, NULL, 0, (size_t)256 << 20);
	return b;
}

static void
forget_consumers(struct series_book *b)
{
	for (uint32_t i = 0; b->consumers.count && i <= b->consumers.mask; i++)
		if (b->consumers.slots[i].value)
			sample_reset(b->consumers.slots[i].value);
	arena_reset(&b->arena);
	b->consumers = (struct map){ 0 };
}

void
series_free(struct series_book *b)
{
	for (uint32_t i = 0; i < SERIES_MAX; i++)
		sample_reset(&b->known[i].sample);
	forget_consumers(b);
	free(b->known);
	free(b->changed);
	free(b);
}

static struct str
name_of(const struct series_book *b, uint32_t i)
{
	const struct series_name *n = &b->stats->names[i];

	return (struct str){ n->name, n->len <= sizeof(n->name) ? n->len : 0 };
}

static enum rollup_kind
kind_of(const struct series_book *b, uint32_t i)
{
	switch (b->stats->names[i].kind) {
	case SERIES_ROUTE:
		return ROLLUP_ROUTE;
	case SERIES_SERVICE:
		return ROLLUP_SERVICE;
	case SERIES_TARGET:
		return ROLLUP_TARGET;
	}
	return 0;
}

/* ---- records */

static void
sample_series(struct series_book *b, uint32_t index, uint64_t us, uint64_t in,
	      uint64_t out)
{
	if (index && index < SERIES_MAX)
		sample_add(&b->known[index].sample, us, in, out);
}

static void
sample_consumer(struct series_book *b, struct str name, uint64_t us)
{
	struct sample *s = map_get(&b->consumers, name);

	if (!s) {
		if (b->consumers.count >= CONSUMERS_MOST)
			return;
		s = ARENA_NEW(&b->arena, struct sample);
		map_put(&b->consumers, &b->arena, arena_str(&b->arena, name), s);
	}
	sample_add(s, us, 0, 0);
}

void
series_record(struct series_book *b, const struct record *r)
{
	struct str consumer = record_texts(r).consumer;

	sample_series(b, r->route, r->us_total, r->bytes_in, r->bytes_out);
	sample_series(b, r->service, r->us_total, r->bytes_in, r->bytes_out);
	for (unsigned i = 0; i < r->attempts && i < RECORD_ATTEMPTS; i++)
		sample_series(b, r->attempt[i].target, r->attempt[i].us, 0, 0);
	if (consumer.len)
		sample_consumer(b, consumer, r->us_total);
}

void
series_consumer(struct series_book *b, struct str consumer, struct rollup_sum *sum)
{
	struct sample *s = map_get(&b->consumers, consumer);

	if (!s || !s->looked)
		return;
	sum->us = (uint64_t)((double)s->us / (double)s->looked * (double)sum->requests);
	memset(sum->histogram, 0, sizeof(sum->histogram));
	sample_spread(s, sum->histogram);
	/* Lost with a transaction that fails: it is a sample, and the next one brings
	 * more. */
	sample_reset(s);
}

/* ---- booking */

static bool
is_due(const struct series_book *b, uint32_t i, uint32_t busy)
{
	return b->collect->all || busy <= AT_ONCE ||
	       i % PARTS == b->collect->turn % PARTS;
}

static struct str
key_of(const struct series_book *b, uint32_t i, char *to)
{
	return (struct str){ to, booked_key(b->collect->instance, 's', i, 0, to) };
}

/* What is booked of it, as the store has it. -1: it cannot be read. */
static int
know(struct series_book *b, struct store *store, uint32_t i)
{
	struct series_known *k = &b->known[i];
	char key[24];
	int got;

	if (k->known)
		return 0;
	got = store_booked_get(store, key_of(b, i, key), &k->booked, sizeof(k->booked));
	if (got < 0)
		return -1;
	if (!got)
		memset(&k->booked, 0, sizeof(k->booked));
	k->known = true;
	return 0;
}

static uint64_t
above(uint64_t now, uint64_t before)
{
	return now > before ? now - before : 0;
}

static void
make_rollup(struct series_book *b, uint32_t i, const struct totals *now,
	    struct rollup_sum *r)
{
	struct series_known *k = &b->known[i];
	double factor = records_factor(b->collect->records);

	memset(r, 0, sizeof(*r));
	r->requests = above(now->requests, k->booked.requests);
	for (int s = 0; s < 5; s++)
		r->status[s] = above(now->status[s], k->booked.status[s]);
	r->failed = above(now->failed, k->booked.failed);
	/* Of itself a service counts only the time inside the gateway. */
	if (b->stats->names[i].kind != SERIES_SERVICE)
		r->us = above(now->us, k->booked.us);
	else
		r->us = (uint64_t)((double)k->sample.us * factor);
	sample_spread(&k->sample, r->histogram);
	r->in = (uint64_t)((double)k->sample.in * factor);
	r->out = (uint64_t)((double)k->sample.out * factor);
}

static int
book_series(struct series_book *b, struct store *store, uint32_t i,
	    const struct totals *now)
{
	struct rollup_sum r;
	char key[24];

	make_rollup(b, i, now, &r);
	if (store_rollup_add(store, b->collect->at, kind_of(b, i), name_of(b, i), &r) <
		    0 ||
	    store_booked_put(store, key_of(b, i, key), now, sizeof(*now)) < 0)
		return -1;
	b->changed[b->nchanged++] = (struct series_change){ i, *now };
	return 1;
}

static void
read_totals(const struct series_book *b, const struct stats_rows *rows, uint32_t i,
	    struct totals *t)
{
	struct stats_series s;

	series_sum(b->stats, rows, i, &s);
	t->requests = s.requests;
	memcpy(t->status, s.status, sizeof(t->status));
	t->us = s.us;
	t->failed = s.failed;
}

int
series_book(struct series_book *b, struct store *store)
{
	struct stats_rows rows = stats_rows(b->stats);
	uint32_t busy = 0, count = series_count(b->stats);
	int wrote = 0;

	b->pending = false;
	for (uint32_t i = 1; i < count; i++)
		busy += b->known[i].sample.looked != 0;
	for (uint32_t i = 1; i < count; i++) {
		struct totals now;

		if (!kind_of(b, i))
			continue;
		read_totals(b, &rows, i, &now);
		/* Never used: nothing of it is in the store. */
		if (!now.requests && !now.failed)
			continue;
		if (know(b, store, i) < 0)
			return -1;
		if (now.requests == b->known[i].booked.requests &&
		    now.failed == b->known[i].booked.failed && !b->known[i].sample.looked)
			continue;
		if (!is_due(b, i, busy)) {
			b->pending = true;
			continue;
		}
		if (book_series(b, store, i, &now) < 0)
			return -1;
		wrote = 1;
	}
	return wrote;
}

bool
series_pending(const struct series_book *b)
{
	return b->pending;
}

/* ---- kept, or not */

void
series_done(struct series_book *b)
{
	for (uint32_t i = 0; i < b->nchanged; i++) {
		struct series_known *k = &b->known[b->changed[i].index];

		k->booked = b->changed[i].now;
		sample_reset(&k->sample);
	}
	b->nchanged = 0;
	if (b->consumers.count >= CONSUMERS_MOST)
		forget_consumers(b);
}

void
series_undo(struct series_book *b)
{
	b->nchanged = 0;
}

void
series_forget(struct series_book *b)
{
	series_undo(b);
	for (uint32_t i = 0, count = series_count(b->stats); i < count; i++)
		b->known[i].known = false;
}
