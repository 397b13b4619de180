#include "shm/store_consumers.h"

#include "shm/store_inside.h"

/* The oldest make room. */
enum { AUDIT_MOST = 20000, ROW = 800 };

static int
expire(struct store *s, MDB_txn *txn, MDB_cursor *c)
{
	MDB_val key, value;
	MDB_stat st;
	int rc = mdb_stat(txn, s->table[TABLE_AUDIT], &st);

	for (size_t n = st.ms_entries; !rc && n >= AUDIT_MOST; n--) {
		rc = mdb_cursor_get(c, &key, &value, MDB_FIRST);
		if (!rc)
			rc = mdb_cursor_del(c, 0);
	}
	return rc;
}

static int
add(struct store *s, MDB_txn *txn, void *arg)
{
	const struct audit_row *r = arg;
	char buf[ROW], key_buf[12];
	struct pack p = pack_into(buf, sizeof(buf)),
		    k = pack_into(key_buf, sizeof(key_buf));
	uint32_t number = 0;
	MDB_val key, value;
	MDB_cursor *c;
	int rc = store_cursor(s, txn, TABLE_AUDIT, &c);

	if (rc)
		return rc;
	rc = expire(s, txn, c);
	if (!rc)
		rc = mdb_cursor_get(c, &key, &value, MDB_LAST);
	/* A clock that went back does not change the order of what was done. */
	int64_t at = r->at;

	if (!rc) {
		struct unpack u = store_unpack(key);
		int64_t last = (int64_t)unpack_be64(&u);

		if (last >= at) {
			at = last;
			number = unpack_be32(&u) + 1;
		}
	}
	mdb_cursor_close(c);
	if (rc && rc != MDB_NOTFOUND)
		return rc;
	pack_be64(&k, (uint64_t)at);
	pack_be32(&k, number);
	pack_varint(&p, (uint64_t)r->at);
	pack_chars(&p, r->who, sizeof(r->who) - 1);
	pack_chars(&p, r->what, sizeof(r->what) - 1);
	pack_chars(&p, r->name, sizeof(r->name) - 1);
	pack_chars(&p, r->before, sizeof(r->before) - 1);
	pack_chars(&p, r->after, sizeof(r->after) - 1);
	return store_put(s, txn, TABLE_AUDIT, pack_done(&k), pack_done(&p));
}

int
store_audit_add(struct store *s, const struct audit_row *row)
{
	return store_write(s, add, (void *)(uintptr_t)row);
}

struct walk {
	bool (*fn)(void *, const struct audit_row *);
	void *arg;
};

static int
walk(struct store *s, MDB_txn *txn, void *arg)
{
	const struct walk *w = arg;
	struct audit_row r;
	MDB_val key, value;
	MDB_cursor *c;
	int rc = store_cursor(s, txn, TABLE_AUDIT, &c);

	if (rc)
		return rc;
	for (rc = mdb_cursor_get(c, &key, &value, MDB_LAST); !rc;
	     rc = mdb_cursor_get(c, &key, &value, MDB_PREV)) {
		struct unpack u = store_unpack(value);

		r.at = (int64_t)unpack_varint(&u);
		unpack_chars(&u, r.who, sizeof(r.who));
		unpack_chars(&u, r.what, sizeof(r.what));
		unpack_chars(&u, r.name, sizeof(r.name));
		unpack_chars(&u, r.before, sizeof(r.before));
		unpack_chars(&u, r.after, sizeof(r.after));
		if (u.bad)
			rc = MDB_CORRUPTED;
		if (rc || !w->fn(w->arg, &r))
			break;
	}
	mdb_cursor_close(c);
	return rc;
}

int
store_audit(struct store *s, bool (*fn)(void *, const struct audit_row *), void *arg)
{
	struct walk w = { fn, arg };

	return store_read(s, walk, &w) < 0 ? -1 : 0;
}
