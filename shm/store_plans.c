#include "shm/store_consumers.h"

#include "shm/store_inside.h"

enum { ROW = 640 };

static struct str
name_of(const char *chars)
{
	return (struct str){ chars, strnlen(chars, CONSUMER_NAME - 1) };
}

static struct str
pack_plan(void *buf, const struct plan_row *r)
{
	struct pack p = pack_into(buf, ROW);

	pack_varint(&p, r->burst);
	pack_varint(&p, (uint64_t)r->created);
	pack_varint(&p, (uint64_t)r->changed);
	pack_chars(&p, r->rate, sizeof(r->rate) - 1);
	pack_chars(&p, r->quota, sizeof(r->quota) - 1);
	pack_chars(&p, r->zone, sizeof(r->zone) - 1);
	return pack_done(&p);
}

static int
unpack_plan(struct plan_row *r, MDB_val name, MDB_val row)
{
	struct unpack u = store_unpack(row);
	char copy[CONSUMER_NAME] = "";

	if (name.mv_size >= sizeof(copy))
		return MDB_CORRUPTED;
	/* It may have been looked for by the name in this very struct. */
	memcpy(copy, name.mv_data, name.mv_size);
	memset(r, 0, sizeof(*r));
	memcpy(r->name, copy, sizeof(copy));
	r->burst = unpack_varint(&u);
	r->created = (int64_t)unpack_varint(&u);
	r->changed = (int64_t)unpack_varint(&u);
	unpack_chars(&u, r->rate, sizeof(r->rate));
	unpack_chars(&u, r->quota, sizeof(r->quota));
	unpack_chars(&u, r->zone, sizeof(r->zone));
	return u.bad ? MDB_CORRUPTED : 0;
}

struct find {
	struct str key;
	struct plan_row *row;
	bool found;
};

static int
find(struct store *s, MDB_txn *txn, void *arg)
{
	struct find *f = arg;
	MDB_val value;
	int rc = store_get(s, txn, TABLE_PLANS, f->key, &value);

	return rc ? rc : unpack_plan(f->row, store_val(f->key), value);
}

/* A name that no row can have is not there. */
static bool
possible(const char *name)
{
	return *name && strnlen(name, CONSUMER_NAME) < CONSUMER_NAME;
}

int
store_plan_find(struct store *s, const char *name, struct plan_row *row)
{
	struct find f = { .key = str_of(name), .row = row };

	return possible(name) ? store_read(s, find, &f) : 0;
}

static int
put(struct store *s, MDB_txn *txn, void *arg)
{
	const struct plan_row *r = arg;
	char buf[ROW];

	if (!*r->name)
		return store_refuse(s, "a plan needs a name");
	return store_put(s, txn, TABLE_PLANS, name_of(r->name), pack_plan(buf, r));
}

int
store_plan_put(struct store *s, const struct plan_row *row)
{
	return store_write(s, put, (void *)(uintptr_t)row);
}

static int
drop(struct store *s, MDB_txn *txn, void *arg)
{
	struct find *f = arg;
	MDB_val value;
	int rc = store_get(s, txn, TABLE_PLANS, f->key, &value);

	f->found = !rc;
	if (rc)
		return rc == MDB_NOTFOUND ? 0 : rc;
	return store_del(s, txn, TABLE_PLANS, f->key);
}

int
store_plan_drop(struct store *s, const char *name)
{
	struct find f = { .key = str_of(name) };

	if (!possible(name))
		return 0;
	return store_write(s, drop, &f) < 0 ? -1 : f.found;
}

struct walk {
	bool (*fn)(void *, const struct plan_row *);
	void *arg;
};

static int
walk(struct store *s, MDB_txn *txn, void *arg)
{
	const struct walk *w = arg;
	struct plan_row row;
	MDB_val key, value;
	MDB_cursor *c;
	int rc = store_cursor(s, txn, TABLE_PLANS, &c);

	if (rc)
		return rc;
	for (rc = store_seek(c, STR_NONE, STR_NONE, &key, &value); !rc;
	     rc = store_next(c, STR_NONE, &key, &value)) {
		rc = unpack_plan(&row, key, value);
		if (rc || !w->fn(w->arg, &row))
			break;
	}
	mdb_cursor_close(c);
	return rc;
}

int
store_plans(struct store *s, bool (*fn)(void *, const struct plan_row *), void *arg)
{
	struct walk w = { fn, arg };

	return store_read(s, walk, &w) < 0 ? -1 : 0;
}
