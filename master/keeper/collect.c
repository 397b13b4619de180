#include "master/keeper/collect.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

enum {
	TRIES = 8,            /* of a transaction: the map grows in between */
	AFTER_MS = 3000,      /* looked on for that long when traffic has ended */
	WHOLE_MS = 30 * 1000, /* everything is looked at, traffic or not */
	EXPIRE_MS = 10 * 1000,
	EXPIRE_MOST = 1000, /* rows at a time */
	INSTANCE_DAYS = 7
};

/* A cell that will have recovered before a machine could be up again is not worth
 * keeping. */
#define HORIZON (10 * 1000000000ull)

/* A part of a key that is the same on every machine: big-endian. */
static char *
put_be(char *to, uint64_t n, int bytes)
{
	for (int i = bytes - 1; i >= 0; i--)
		*to++ = (char)(n >> 8 * i);
	return to;
}

size_t
booked_key(uint64_t instance, char kind, uint32_t index, uint32_t life, char *to)
{
	char *at = put_be(to, instance, 8);

	*at++ = kind;
	at = put_be(at, index, 4);
	at = put_be(at, life, 4);
	return (size_t)(at - to);
}

struct collect *
collect_new(struct keeper *k)
{
	struct collect *c = calloc(1, sizeof(*c));

	if (!c)
		abort();
	c->keeper = k;
	c->instance = k->shared.control->instance;
	c->meters = meters_new(c);
	c->series = series_new(c);
	c->records = records_new(c);
	return c;
}

void
collect_free(struct collect *c)
{
	meters_free(c->meters);
	series_free(c->series);
	records_free(c->records);
	checkpoint_free(c->checkpoint);
	free(c);
}

/* ---- regions of which something is booked */

int
instances_get(struct store *store, struct instance at[INSTANCES])
{
	memset(at, 0, INSTANCES * sizeof(*at));
	return store_booked_get(store, STR("instances"), at, INSTANCES * sizeof(*at));
}

static void
forget_instance(struct store *store, uint64_t id)
{
	char prefix[8];

	put_be(prefix, id, 8);
	store_booked_drop(store, (struct str){ prefix, sizeof(prefix) });
}

/* Once for a region and store. Those that were not seen for long will not come again:
 * what was booked of them need not be known any more. */
static int
introduce(struct collect *c, struct store *store)
{
	struct instance i[INSTANCES];
	size_t last = 0, n = 0;

	if (c->introduced)
		return 0;
	if (instances_get(store, i) < 0)
		return -1;
	while (n < INSTANCES && i[n].id && i[n].id != c->instance)
		n++;
	if (n == INSTANCES) {
		for (size_t j = 0; j < INSTANCES; j++)
			if (i[j].seen < i[last].seen)
				last = j;
		forget_instance(store, i[last].id);
		n = last;
	}
	i[n] = (struct instance){ c->instance, c->at };
	for (size_t from = 0, to = 0; from < INSTANCES; from++) {
		struct instance was = i[from];

		i[from].id = 0;
		if (was.id && was.seen < c->at - INSTANCE_DAYS * 86400)
			forget_instance(store, was.id);
		else if (was.id)
			i[to++] = was;
	}
	return store_booked_put(store, STR("instances"), i, sizeof(i)) < 0 ? -1 : 1;
}

/* ---- the transaction */

static void
forget(struct collect *c)
{
	meters_forget(c->meters);
	series_forget(c->series);
	records_forget(c->records);
	checkpoint_free(c->checkpoint);
	c->checkpoint = NULL;
	c->tables = 0;
	c->introduced = false;
	c->opened = c->keeper->state.opened;
}

static int
save_checkpoint(struct collect *c, struct store *store)
{
	struct shared *s = &c->keeper->shared;
	uint32_t tables = s->control->tables & (TABLE_CELLS | TABLE_QUOTAS);
	int64_t n;

	if (c->tables != tables) {
		checkpoint_free(c->checkpoint);
		c->checkpoint = checkpoint_new(tables & TABLE_CELLS ? s->cells : NULL,
					       tables & TABLE_QUOTAS ? s->quotas : NULL);
		c->tables = tables;
	}
	if (!c->checkpoint)
		return 0;
	n = checkpoint_save(c->checkpoint, store, clock_now(), clock_wall_ms() * 1000000,
			    HORIZON);
	return n < 0 ? -1 : n > 0;
}

static int
book_all(struct collect *c, struct store *store)
{
	int wrote, all = 0;

	if ((wrote = meters_book(c->meters, store)) < 0)
		return -1;
	all |= wrote;
	if ((wrote = series_book(c->series, store)) < 0)
		return -1;
	all |= wrote;
	if ((wrote = records_book(c->records, store)) < 0)
		return -1;
	all |= wrote;
	if ((wrote = save_checkpoint(c, store)) < 0)
		return -1;
	all |= wrote;
	return all && introduce(c, store) < 0 ? -1 : all;
}

static void
done(struct collect *c, bool wrote)
{
	meters_done(c->meters);
	series_done(c->series);
	records_done(c->records);
	if (c->checkpoint)
		checkpoint_done(c->checkpoint);
	if (wrote) {
		c->introduced = true;
		c->keeper->shared.control->stored_at = (uint64_t)clock_wall_ms();
	}
}

static void
undo(struct collect *c)
{
	meters_undo(c->meters);
	series_undo(c->series);
	records_undo(c->records);
	if (c->checkpoint)
		checkpoint_undo(c->checkpoint);
}

/* 1: kept; 0: there was nothing to write; -1: it failed. */
static int
try_once(struct collect *c, struct store *store, bool *again)
{
	int rc = store_begin(store);

	if (rc == 0) {
		rc = book_all(c, store);
		if (rc > 0)
			rc = store_commit(store) < 0 ? -1 : 1;
		*again = store_again(store);
		if (rc < 1)
			store_abort(store);
	} else {
		*again = store_again(store);
	}
	return rc;
}

static int
transact(struct collect *c)
{
	struct keeper *k = c->keeper;
	bool again = true;
	int rc = -1;

	for (int i = 0; i < TRIES && rc < 0 && again; i++) {
		if (!state_owns(k) || !state_writable(k))
			return -1;
		if (c->opened != k->state.opened)
			forget(c);
		c->at = clock_wall_ms() / 1000;
		state_enter(k);
		rc = try_once(c, k->store, &again);
		state_leave(k);
		if (rc < 0)
			undo(c);
		else
			done(c, rc > 0);
	}
	c->failed = rc < 0;
	if (rc > 0)
		state_good(k);
	else if (rc < 0)
		state_failed(k);
	return rc;
}

/* ---- what is too old */

static int64_t
expire(struct collect *c, struct store *store)
{
	const struct conf_history *h = &c->keeper->model->history;
	const uint64_t keep[] = { [USAGE_MINUTE] = h->minutes,
				  [USAGE_HOUR] = h->hours,
				  [USAGE_DAY] = h->days };
	int64_t now = clock_wall_ms(), gone = 0, n;

	for (int level = USAGE_MINUTE; level <= USAGE_DAY; level++) {
		if (!keep[level])
			continue;
		n = store_usage_expire(store, (enum usage_level)level,
				       (now - (int64_t)keep[level]) / 1000, EXPIRE_MOST);
		if (n < 0)
			return -1;
		gone += n;
	}
	if (!h->records)
		return gone;
	n = store_records_expire(store, now - (int64_t)h->records,
				 (uint64_t)h->records_most, EXPIRE_MOST);
	return n < 0 ? -1 : gone + n;
}

static void
expire_some(struct collect *c)
{
	struct keeper *k = c->keeper;
	int64_t gone = -1;

	if (clock_ms() < c->expire_at || !state_owns(k) || !state_writable(k))
		return;
	c->expire_at = clock_ms() + EXPIRE_MS;
	state_enter(k);
	if (store_begin(k->store) == 0) {
		gone = expire(c, k->store);
		if (gone > 0 && store_commit(k->store) < 0)
			gone = -1;
		if (gone <= 0)
			store_abort(k->store);
	}
	state_leave(k);
	if (gone < 0)
		state_failed(k);
	else if (gone > 0)
		c->expire_at = clock_ms() + (gone >= EXPIRE_MOST ? 0 : EXPIRE_MS);
}

/* ---- when */

void
collect_records(struct keeper *k)
{
	if (records_tail(k->collect->records))
		k->collect->active_at = clock_ms();
}

void
collect_second(struct keeper *k)
{
	struct collect *c = k->collect;
	uint64_t now = clock_ms();
	bool whole = now >= c->whole_at;

	c->turn++;
	if (!whole && !c->failed && now > c->active_at + AFTER_MS &&
	    !c->meters->pending && !records_pending(c->records) &&
	    !series_pending(c->series)) {
		expire_some(c);
		return;
	}
	if (whole)
		c->whole_at = now + WHOLE_MS;
	collect_records(k);
	c->all = false;
	if (transact(c) < 0)
		return;
	/* A mark is looked at again in a second, however quiet it is. */
	if (meters_retire(c->meters))
		c->whole_at = 0;
	expire_some(c);
}

int
collect_now(struct keeper *k)
{
	struct collect *c = k->collect;

	collect_records(k);
	c->all = true;
	return transact(c) < 0 ? -1 : 0;
}

void
collect_reloaded(struct keeper *k)
{
	/* Other times to keep things; other tables are noticed by themselves. */
	k->collect->expire_at = 0;
	k->collect->whole_at = 0;
}
