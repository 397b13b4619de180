#include "shm/store_usage.h"

#include "shm/store_inside.h"

enum { KEY = 64 };

struct booked {
	struct str key;
	void *to;
	const void *from;
	size_t size;
};

static int
get(struct store *s, MDB_txn *txn, void *arg)
{
	struct booked *b = arg;
	MDB_val value;
	int rc = store_get(s, txn, TABLE_BOOKED, b->key, &value);

	if (rc)
		return rc;
	if (value.mv_size != b->size)
		return MDB_NOTFOUND;
	memcpy(b->to, value.mv_data, b->size);
	return 0;
}

int
store_booked_get(struct store *s, struct str key, void *to, size_t size)
{
	struct booked b = { .key = key, .to = to, .size = size };

	return key.len && key.len <= KEY ? store_read(s, get, &b) : 0;
}

static int
put(struct store *s, MDB_txn *txn, void *arg)
{
	const struct booked *b = arg;

	if (!b->key.len || b->key.len > KEY || b->size > BOOKED_MOST)
		return store_refuse(s, "too long to be booked");
	return store_put(s, txn, TABLE_BOOKED, b->key, (struct str){ b->from, b->size });
}

int
store_booked_put(struct store *s, struct str key, const void *from, size_t size)
{
	struct booked b = { .key = key, .from = from, .size = size };

	return store_write(s, put, &b);
}

static int
drop(struct store *s, MDB_txn *txn, void *arg)
{
	const struct booked *b = arg;
	MDB_val key, value;
	MDB_cursor *c;
	int rc = store_cursor(s, txn, TABLE_BOOKED, &c);

	if (rc)
		return rc;
	while (!(rc = store_seek(c, b->key, b->key, &key, &value))) {
		rc = mdb_cursor_del(c, 0);
		if (rc)
			break;
	}
	mdb_cursor_close(c);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

int
store_booked_drop(struct store *s, struct str prefix)
{
	struct booked b = { .key = prefix };

	return store_write(s, drop, &b);
}

struct each {
	struct str prefix;
	bool (*fn)(void *, struct str key, struct str value);
	void *arg;
};

static int
each(struct store *s, MDB_txn *txn, void *arg)
{
	const struct each *e = arg;
	MDB_val key, value;
	MDB_cursor *c;
	int rc = store_cursor(s, txn, TABLE_BOOKED, &c);

	if (rc)
		return rc;
	rc = store_seek(c, e->prefix, e->prefix, &key, &value);
	while (!rc && e->fn(e->arg, (struct str){ key.mv_data, key.mv_size },
			    (struct str){ value.mv_data, value.mv_size }))
		rc = store_next(c, e->prefix, &key, &value);
	mdb_cursor_close(c);
	return rc;
}

int
store_booked_each(struct store *s, struct str prefix,
		  bool (*fn)(void *, struct str key, struct str value), void *arg)
{
	struct each e = { prefix, fn, arg };

	return store_read(s, each, &e) < 0 ? -1 : 0;
}
