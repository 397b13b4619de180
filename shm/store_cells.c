#include "shm/store_cells.h"

#include <errno.h>
#include <stdlib.h>

#include "shm/store_inside.h"

/* The two tables have as many cells, in blocks of as many. */
enum {
	CELLS = CELLS_SETS * CELLS_A_SET,
	QUOTAS = QUOTAS_SETS * QUOTAS_A_SET,
	A_BLOCK = CELLS_A_BLOCK,
	BLOCKS = CELLS_BLOCKS
};
_Static_assert((int)QUOTAS == CELLS && (int)QUOTAS_A_BLOCK == A_BLOCK, "as many");

/* In the shadow: nothing is stored; something is, by a keeper before us. Neither is the
 * word of a cell. */
#define NOTHING 0
#define SOMETHING UINT64_MAX

struct change {
	uint32_t at;
	uint64_t word;
};

/* One of the two tables, as far as a checkpoint is concerned. */
struct side {
	enum store_table table;
	bool stored[BLOCKS];    /* the shadow of something in this block is not NOTHING */
	bool known;             /* the shadow is what the store has */
	bool learnt;            /* … if the transaction is kept */
	uint64_t *shadow;       /* the second word of each cell, as stored */
	struct change *changes; /* of the transaction that is open */
	size_t nchanges, room;
};

struct checkpoint {
	const struct cells *cells;
	const struct quotas *quotas;
	struct side rate, quota;
};

static bool
side_new(struct side *d, enum store_table table)
{
	d->table = table;
	d->shadow = calloc(CELLS, sizeof(*d->shadow));
	return d->shadow;
}

struct checkpoint *
checkpoint_new(const struct cells *cells, const struct quotas *quotas)
{
	struct checkpoint *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->cells = cells;
	c->quotas = quotas;
	if ((cells && !side_new(&c->rate, TABLE_CELLS)) ||
	    (quotas && !side_new(&c->quota, TABLE_QUOTAS))) {
		checkpoint_free(c);
		return NULL;
	}
	return c;
}

void
checkpoint_free(struct checkpoint *c)
{
	if (!c)
		return;
	free(c->rate.shadow);
	free(c->rate.changes);
	free(c->quota.shadow);
	free(c->quota.changes);
	free(c);
}

static int
change(struct side *d, uint32_t at, uint64_t word)
{
	if (d->nchanges == d->room) {
		size_t room = d->room ? 2 * d->room : 1024;
		struct change *more = realloc(d->changes, room * sizeof(*more));

		if (!more)
			return ENOMEM;
		d->changes = more;
		d->room = room;
	}
	d->changes[d->nchanges++] = (struct change){ at, word };
	return 0;
}

/* ---- what belongs to all: under an empty key LMDB keeps nothing, so under one of a byte
 */

#define HEAD_KEY STR("!")

struct head {
	uint64_t key[2]; /* of the table's hash */
	int64_t at;      /* ns since 1970 */
};

static int
head_get(struct store *s, MDB_txn *txn, enum store_table table, struct head *h)
{
	MDB_val value;
	int rc = store_get(s, txn, table, HEAD_KEY, &value);

	if (rc)
		return rc;
	if (value.mv_size != sizeof(*h))
		return MDB_CORRUPTED;
	memcpy(h, value.mv_data, sizeof(*h));
	return 0;
}

static struct str
cell_key(void *buf, uint32_t at)
{
	struct pack p = pack_into(buf, 4);

	pack_be32(&p, at);
	return pack_done(&p);
}

struct cell {
	uint64_t word[2];
};

/* Calls fn for each cell that is stored. */
static int
each_cell(struct store *s, MDB_txn *txn, enum store_table table,
	  int (*fn)(void *, uint32_t at, const struct cell *), void *arg)
{
	MDB_val key, value;
	MDB_cursor *c;
	int rc = store_cursor(s, txn, table, &c);

	if (rc)
		return rc;
	while (!(rc = mdb_cursor_get(c, &key, &value, MDB_NEXT))) {
		struct unpack u = store_unpack(key);
		struct cell cell;
		uint32_t at;

		if (key.mv_size != 4)
			continue;
		at = unpack_be32(&u);
		if (value.mv_size != sizeof(cell) || at >= CELLS)
			rc = MDB_CORRUPTED;
		else {
			memcpy(&cell, value.mv_data, sizeof(cell));
			rc = fn(arg, at, &cell);
		}
		if (rc)
			break;
	}
	mdb_cursor_close(c);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

/* ---- saving */

static int
learn_cell(void *arg, uint32_t at, const struct cell *cell)
{
	struct side *d = arg;

	(void)cell;
	d->shadow[at] = SOMETHING;
	d->stored[at / A_BLOCK] = true;
	return 0;
}

/* The first time: what is stored under the same hash key is to be overwritten or deleted,
 * under another one it means nothing. */
static int
learn(struct store *s, MDB_txn *txn, struct side *d, const uint64_t key[2])
{
	struct head h;
	int rc = head_get(s, txn, d->table, &h);

	for (uint32_t i = 0; i < BLOCKS; i++)
		if (d->stored[i])
			memset(&d->shadow[i * A_BLOCK], 0, A_BLOCK * sizeof(*d->shadow));
	memset(d->stored, 0, sizeof(d->stored));
	if (!rc && h.key[0] == key[0] && h.key[1] == key[1])
		return each_cell(s, txn, d->table, learn_cell, d);
	if (!rc)
		rc = mdb_drop(txn, s->table[d->table], 0);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

struct save {
	struct checkpoint *c;
	uint64_t mono;
	int64_t wall;
	uint64_t horizon;
};

/* What is to be stored of a cell: false is nothing. *word is the second word as it is in
 * the region. */
static bool
rate_cell(const struct save *v, uint32_t at, uint64_t *word, struct cell *stored)
{
	if (!cells_cell(v->c->cells, at, stored->word) ||
	    stored->word[1] <= v->mono + v->horizon)
		return false;
	*word = stored->word[1];
	stored->word[1] = (uint64_t)((int64_t)(*word - v->mono) + v->wall);
	return true;
}

static bool
quota_cell(const struct save *v, uint32_t at, uint64_t *word, struct cell *stored)
{
	if (!quotas_cell(v->c->quotas, at, stored->word))
		return false;
	*word = stored->word[1];
	/* The minute when its window ends: as in shm/quotas.h. */
	return (int64_t)(*word >> 36) > v->wall / 60000000000;
}

static int
save_block(struct store *s, MDB_txn *txn, const struct save *v, struct side *d,
	   uint32_t block,
	   bool (*look)(const struct save *, uint32_t, uint64_t *, struct cell *))
{
	uint32_t from = block * A_BLOCK;
	int rc = 0;

	for (uint32_t at = from; at < from + A_BLOCK && !rc; at++) {
		struct cell cell;
		uint64_t word = NOTHING;
		char key[4];

		if (look(v, at, &word, &cell)) {
			if (word == d->shadow[at])
				continue;
			rc = store_put(s, txn, d->table, cell_key(key, at),
				       (struct str){ (const char *)&cell, sizeof(cell) });
		} else {
			if (d->shadow[at] == NOTHING)
				continue;
			word = NOTHING;
			rc = store_del(s, txn, d->table, cell_key(key, at));
		}
		if (!rc)
			rc = change(d, at, word);
	}
	return rc;
}

static int
save_side(struct store *s, MDB_txn *txn, const struct save *v, struct side *d,
	  const uint64_t hash_key[2])
{
	struct head h = { { hash_key[0], hash_key[1] }, v->wall };
	bool rates = d == &v->c->rate;
	int rc = d->known ? 0 : learn(s, txn, d, hash_key);

	d->nchanges = 0;
	for (uint32_t i = 0; i < BLOCKS && !rc; i++)
		if (d->stored[i] || (rates ? cells_touched(v->c->cells, i)
					   : quotas_touched(v->c->quotas, i)))
			rc = save_block(s, txn, v, d, i, rates ? rate_cell : quota_cell);
	/* The time of the whole is renewed only with something else: an idle gateway
	 * writes nothing. */
	if (!rc && (d->nchanges || !d->known))
		rc = store_put(s, txn, d->table, HEAD_KEY,
			       (struct str){ (const char *)&h, sizeof(h) });
	d->learnt = !rc;
	return rc;
}

static int
save(struct store *s, MDB_txn *txn, void *arg)
{
	const struct save *v = arg;
	struct checkpoint *c = v->c;
	uint64_t key[2];
	int rc = 0;

	if (c->cells) {
		cells_hash_key(c->cells, key);
		rc = save_side(s, txn, v, &c->rate, key);
	}
	if (!rc && c->quotas) {
		quotas_hash_key(c->quotas, key);
		rc = save_side(s, txn, v, &c->quota, key);
	}
	return rc;
}

int64_t
checkpoint_save(struct checkpoint *c, struct store *s, uint64_t mono_ns, int64_t wall_ns,
		uint64_t horizon)
{
	struct save v = { c, mono_ns, wall_ns, horizon };

	if (store_write(s, save, &v) < 0)
		return -1;
	return (int64_t)(c->rate.nchanges + c->quota.nchanges);
}

static void
side_end(struct side *d, bool kept)
{
	if (!kept)
		d->nchanges = 0;
	for (size_t i = 0; i < d->nchanges; i++) {
		d->shadow[d->changes[i].at] = d->changes[i].word;
		d->stored[d->changes[i].at / A_BLOCK] = true;
	}
	d->known = d->known || (kept && d->learnt);
	d->learnt = false;
	d->nchanges = 0;
}

void
checkpoint_undo(struct checkpoint *c)
{
	side_end(&c->rate, false);
	side_end(&c->quota, false);
}

void
checkpoint_done(struct checkpoint *c)
{
	side_end(&c->rate, true);
	side_end(&c->quota, true);
}

/* ---- restoring */

struct restore {
	struct cells *cells;
	struct quotas *quotas;
	uint64_t mono;
	int64_t wall, saved;
	int64_t count;
};

static int
restore_cell(void *arg, uint32_t at, const struct cell *cell)
{
	struct restore *r = arg;
	/* A clock that was set back since would hold keys back for as long. */
	int64_t now = r->wall > r->saved ? r->wall : r->saved;
	int64_t ahead = (int64_t)cell->word[1] - now;
	uint64_t word[2] = { cell->word[0], r->mono + (uint64_t)ahead };

	if (ahead <= 0)
		return 0;
	cells_restore(r->cells, at, word);
	r->count++;
	return 0;
}

static int
restore_quota(void *arg, uint32_t at, const struct cell *cell)
{
	struct restore *r = arg;

	if ((int64_t)(cell->word[1] >> 36) <= r->wall / 60000000000)
		return 0;
	quotas_restore(r->quotas, at, cell->word);
	r->count++;
	return 0;
}

static int
restore(struct store *s, MDB_txn *txn, void *arg)
{
	struct restore *r = arg;
	struct head h;
	int rc = 0;

	r->count = 0;
	if (r->cells && !(rc = head_get(s, txn, TABLE_CELLS, &h))) {
		cells_set_hash_key(r->cells, h.key);
		r->saved = h.at;
		rc = each_cell(s, txn, TABLE_CELLS, restore_cell, r);
	}
	if (rc && rc != MDB_NOTFOUND)
		return rc;
	if (r->quotas && !(rc = head_get(s, txn, TABLE_QUOTAS, &h))) {
		quotas_set_hash_key(r->quotas, h.key);
		rc = each_cell(s, txn, TABLE_QUOTAS, restore_quota, r);
	}
	return rc == MDB_NOTFOUND ? 0 : rc;
}

int64_t
checkpoint_restore(struct store *s, struct cells *cells, struct quotas *quotas,
		   uint64_t mono_ns, int64_t wall_ns)
{
	struct restore r = {
		.cells = cells, .quotas = quotas, .mono = mono_ns, .wall = wall_ns
	};
	uint64_t bytes;
	/* It may be the first to look at the file since the machine went down. */
	int rc = store_check(s->path, CHECK_LIMITS, &bytes);

	if (rc)
		return store_fail(s, rc);
	return store_read(s, restore, &r) < 0 ? -1 : r.count;
}
