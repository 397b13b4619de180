#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "master/keeper/collect.h"

enum {
	READ_MOST = 1000, /* records of a ring at a time; the rest is passed over */
	TYPICAL = 400     /* bytes of a record, until we know better */
};

struct records_book {
	struct collect *collect;
	uint64_t cursor[SLOTS_MAX];  /* in RING_ALL */
	uint64_t kept[SLOTS_MAX];    /* in RING_KEPT: stored up to here */
	uint64_t reached[SLOTS_MAX]; /* … by this transaction */
	bool known[SLOTS_MAX];       /* `kept` is that of the store */
	bool moved[SLOTS_MAX];       /* … and this transaction moved it */
	uint64_t read, missed;       /* records since the last transaction */
	uint64_t sizes, counted;     /* bytes of records that were read, and how many */
	int64_t allowance;           /* failures that may be stored */
	uint64_t allowed_at;         /* ms */
	bool pending;
	uint64_t buf[(RECORD_SIZE_MAX + 7) / 8];
};

bool
row_of_worker(const struct shared *s, int row)
{
	return s->slots->row[row].role == SLOT_WORKER;
}

struct records_book *
records_new(struct collect *c)
{
	struct records_book *b = calloc(1, sizeof(*b));
	struct shared *s = &c->keeper->shared;

	if (!b)
		abort();
	b->collect = c;
	/* Histograms are a sample: what was written before us is not looked at. */
	for (int i = 0; i < SLOTS_MAX; i++)
		if (row_of_worker(s, i))
			b->cursor[i] = ring_end(ring_of(s->rings, i), RING_ALL);
	return b;
}

void
records_free(struct records_book *b)
{
	free(b);
}

static void
passed_over(struct records_book *b, uint64_t bytes)
{
	struct control *control = b->collect->keeper->shared.control;
	uint64_t typical = b->counted ? b->sizes / b->counted : TYPICAL;
	uint64_t n = (bytes + typical - 1) / typical;

	b->missed += n;
	control->records_missed += n;
}

static void
tail(struct records_book *b, const struct ring *ring, uint64_t *cursor)
{
	struct control *control = b->collect->keeper->shared.control;
	uint64_t lost, end;
	int n, size = 0;

	for (n = 0; n < READ_MOST; n++) {
		size = ring_read(ring, RING_ALL, cursor, b->buf, sizeof(b->buf), &lost);
		if (size == 0)
			break;
		if (size < 0) {
			passed_over(b, lost);
			continue;
		}
		b->sizes += (unsigned)size;
		b->counted++;
		b->read++;
		control->records_folded++;
		series_record(b->collect->series,
			      (const struct record *)(const void *)b->buf);
	}
	if (size == 0)
		return;
	end = ring_end(ring, RING_ALL);
	passed_over(b, end - *cursor);
	*cursor = end;
}

bool
records_tail(struct records_book *b)
{
	struct shared *s = &b->collect->keeper->shared;
	bool any = false;

	for (int i = 0; i < SLOTS_MAX; i++) {
		const struct ring *ring = ring_of(s->rings, i);

		if (!row_of_worker(s, i) || ring_end(ring, RING_ALL) == b->cursor[i])
			continue;
		any = true;
		tail(b, ring, &b->cursor[i]);
	}
	/* Newer sizes count more. */
	if (b->counted > 100000) {
		b->sizes /= 2;
		b->counted /= 2;
	}
	return any;
}

double
records_factor(const struct records_book *b)
{
	return b->read ? (double)(b->read + b->missed) / (double)b->read : 1;
}

bool
records_pending(const struct records_book *b)
{
	return b->pending;
}

/* ---- refusals, errors, 5xx: into the store, as many a second as the configuration says
 */

static void
allow(struct records_book *b)
{
	int64_t rate = b->collect->keeper->model->history.records_rate;
	uint64_t now = clock_ms(), passed = now - b->allowed_at;

	if (passed >= 1000 || !b->allowed_at) {
		b->allowance = rate;
		b->allowed_at = now;
	}
}

static int
book_row(struct records_book *b, struct store *store, int row, int64_t *left)
{
	struct shared *s = &b->collect->keeper->shared;
	const struct ring *ring = ring_of(s->rings, row);
	uint64_t at, lost;
	char key[24];
	size_t len = booked_key(b->collect->instance, 'k', (uint32_t)row, 0, key);
	int size = -1, wrote = 0;

	if (!b->known[row]) {
		int got = store_booked_get(store, (struct str){ key, len }, &at,
					   sizeof(at));

		if (got < 0)
			return -1;
		b->kept[row] = got ? at : 0;
		b->known[row] = true;
	}
	at = b->kept[row];
	if (at == ring_end(ring, RING_KEPT))
		return 0;
	while (*left > 0 &&
	       (size = ring_read(ring, RING_KEPT, &at, b->buf, sizeof(b->buf), &lost))) {
		if (size < 0)
			continue;
		if (store_record_add(store, (const struct record *)(const void *)b->buf,
				     &s->stats) < 0)
			return -1;
		--*left;
	}
	/* With a rate of 0 none is ever stored. */
	if (size && b->collect->keeper->model->history.records_rate > 0)
		b->pending = true;
	if (at != b->kept[row]) {
		if (store_booked_put(store, (struct str){ key, len }, &at, sizeof(at)) <
		    0)
			return -1;
		b->reached[row] = at;
		b->moved[row] = true;
		wrote = 1;
	}
	return wrote;
}

int
records_book(struct records_book *b, struct store *store)
{
	struct shared *s = &b->collect->keeper->shared;
	int64_t left;
	int wrote = 0;

	allow(b);
	left = b->allowance;
	b->pending = false;
	for (int i = 0; i < SLOTS_MAX; i++) {
		/* Begins with another row each time: a loud worker does not silence the
		 * others. */
		int row = (int)((unsigned)i + b->collect->turn) % SLOTS_MAX, rc;

		if (!row_of_worker(s, row))
			continue;
		rc = book_row(b, store, row, &left);
		if (rc < 0)
			return -1;
		wrote |= rc;
	}
	b->allowance = left;
	return wrote;
}

void
records_done(struct records_book *b)
{
	for (int i = 0; i < SLOTS_MAX; i++)
		if (b->moved[i]) {
			b->kept[i] = b->reached[i];
			b->moved[i] = false;
		}
	b->read = b->missed = 0;
}

void
records_undo(struct records_book *b)
{
	memset(b->moved, 0, sizeof(b->moved));
	b->allowed_at = 0;
}

void
records_forget(struct records_book *b)
{
	memset(b->known, 0, sizeof(b->known));
	memset(b->moved, 0, sizeof(b->moved));
}
