#include <string.h>

#include "shm/store_inside.h"

_Static_assert(sizeof(struct revision) == 528, "part of the file format");

/* The oldest make room. */
enum { REVISIONS_MOST = 10000 };

static int
make_room(struct store *s, MDB_txn *txn, MDB_cursor *c)
{
	MDB_val key, value;
	MDB_stat st;
	int rc = mdb_stat(txn, s->table[TABLE_REVISIONS], &st);

	for (size_t n = st.ms_entries; !rc && n >= REVISIONS_MOST; n--) {
		rc = mdb_cursor_get(c, &key, &value, MDB_FIRST);
		if (!rc)
			rc = mdb_cursor_del(c, 0);
	}
	return rc;
}

/* The number of the newest revision; 0: there is none. */
static int
newest(MDB_cursor *c, uint64_t *number)
{
	MDB_val key, value;
	int rc = mdb_cursor_get(c, &key, &value, MDB_LAST);

	*number = 0;
	if (rc == MDB_NOTFOUND)
		return 0;
	if (!rc && key.mv_size == sizeof(*number))
		memcpy(number, key.mv_data, sizeof(*number));
	return rc;
}

static int
add(struct store *s, MDB_txn *txn, void *arg)
{
	struct revision *r = arg;
	MDB_val key = { sizeof(r->number), &r->number }, value = { sizeof(*r), r };
	MDB_cursor *c;
	int rc = store_cursor(s, txn, TABLE_REVISIONS, &c);

	if (rc)
		return rc;
	rc = make_room(s, txn, c);
	if (!rc)
		rc = newest(c, &r->number);
	r->number++;
	r->version = REVISION_VERSION;
	if (!rc)
		rc = mdb_cursor_put(c, &key, &value, MDB_APPEND);
	mdb_cursor_close(c);
	return rc;
}

int
store_revision_add(struct store *s, struct revision *r)
{
	return store_write(s, add, r);
}

struct walk {
	bool (*fn)(void *, const struct revision *);
	void *arg;
};

static int
walk(struct store *s, MDB_txn *txn, void *arg)
{
	struct walk *w = arg;
	MDB_val key, value;
	struct revision r;
	MDB_cursor *c;
	int rc = store_cursor(s, txn, TABLE_REVISIONS, &c);

	if (rc)
		return rc;
	for (rc = mdb_cursor_get(c, &key, &value, MDB_LAST); !rc;
	     rc = mdb_cursor_get(c, &key, &value, MDB_PREV)) {
		if (value.mv_size != sizeof(r))
			continue;
		/* Values are aligned to two bytes only. */
		memcpy(&r, value.mv_data, sizeof(r));
		r.who[sizeof(r.who) - 1] = r.file[sizeof(r.file) - 1] = '\0';
		r.text[sizeof(r.text) - 1] = '\0';
		if (r.version == REVISION_VERSION && !w->fn(w->arg, &r))
			break;
	}
	mdb_cursor_close(c);
	return rc;
}

int
store_revisions(struct store *s, bool (*fn)(void *, const struct revision *), void *arg)
{
	struct walk w = { fn, arg };

	return store_read(s, walk, &w) < 0 ? -1 : 0;
}
