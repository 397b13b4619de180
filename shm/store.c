#include "shm/store.h"

#include <lmdb.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(struct revision) == 528, "part of the file format");

/* Sparse: address space, not disk. */
#define STORE_MAP ((size_t)16 << 30)

enum { STORE_TABLES = 16 };

struct store {
	MDB_env *env;
	MDB_dbi revisions;
};

static int
open_tables(struct store *s, bool readonly)
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(s->env, NULL, readonly ? MDB_RDONLY : 0, &txn);

	if (rc)
		return rc;
	rc = mdb_dbi_open(txn, "revisions", MDB_INTEGERKEY | (readonly ? 0 : MDB_CREATE),
			  &s->revisions);
	if (rc) {
		mdb_txn_abort(txn);
		return rc;
	}
	return mdb_txn_commit(txn);
}

struct store *
store_open(const char *path, bool readonly, const char **error)
{
	unsigned flags = MDB_NOSUBDIR | MDB_NOTLS | MDB_NORDAHEAD |
			 (readonly ? MDB_RDONLY : 0);
	struct store *s = calloc(1, sizeof(*s));
	int rc;

	if (!s) {
		*error = "out of memory";
		return NULL;
	}
	rc = mdb_env_create(&s->env);
	if (!rc)
		rc = mdb_env_set_mapsize(s->env, STORE_MAP);
	if (!rc)
		rc = mdb_env_set_maxdbs(s->env, STORE_TABLES);
	if (!rc)
		rc = mdb_env_open(s->env, path, flags, 0640);
	if (!rc)
		rc = open_tables(s, readonly);
	if (rc) {
		*error = mdb_strerror(rc);
		store_close(s);
		return NULL;
	}
	return s;
}

void
store_close(struct store *s)
{
	if (!s)
		return;
	if (s->env)
		mdb_env_close(s->env);
	free(s);
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

int
store_revision_add(struct store *s, struct revision *r, const char **error)
{
	MDB_val key = { sizeof(r->number), &r->number }, value = { sizeof(*r), r };
	MDB_cursor *c;
	MDB_txn *txn;
	int rc = mdb_txn_begin(s->env, NULL, 0, &txn);

	if (rc)
		goto out;
	rc = mdb_cursor_open(txn, s->revisions, &c);
	if (!rc) {
		rc = newest(c, &r->number);
		r->number++;
		r->version = REVISION_VERSION;
		if (!rc)
			rc = mdb_cursor_put(c, &key, &value, MDB_APPEND);
		mdb_cursor_close(c);
	}
	if (rc)
		mdb_txn_abort(txn);
	else
		rc = mdb_txn_commit(txn);
out:
	if (rc)
		*error = mdb_strerror(rc);
	return rc ? -1 : 0;
}

int
store_revisions(struct store *s, bool (*fn)(void *, const struct revision *), void *arg,
		const char **error)
{
	MDB_val key, value;
	struct revision r;
	MDB_cursor *c;
	MDB_txn *txn;
	int rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn);

	if (rc) {
		*error = mdb_strerror(rc);
		return -1;
	}
	rc = mdb_cursor_open(txn, s->revisions, &c);
	if (!rc) {
		rc = mdb_cursor_get(c, &key, &value, MDB_LAST);
		while (!rc) {
			/* Values are aligned to two bytes only. */
			if (value.mv_size == sizeof(r)) {
				memcpy(&r, value.mv_data, sizeof(r));
				if (r.version == REVISION_VERSION && !fn(arg, &r))
					break;
			}
			rc = mdb_cursor_get(c, &key, &value, MDB_PREV);
		}
		mdb_cursor_close(c);
	}
	mdb_txn_abort(txn);
	if (rc && rc != MDB_NOTFOUND) {
		*error = mdb_strerror(rc);
		return -1;
	}
	return 0;
}
