#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/store_inside.h"

enum { PROBES_MOST = 64 };

/* A disk that is full after some pages of a larger write gives LMDB a short write, which
 * it calls EIO. Writing behind the end of the file, where a page of it will be some day,
 * tells. */
int
store_cause(struct store *s, int code)
{
	static const char zeroes[1 << 16];
	struct stat st;
	mdb_filehandle_t fd;

	if (code != EIO || s->readonly)
		return code;
	/* Often enough it was not that. */
	if (s->probes == PROBES_MOST)
		return EIO;
	if (!s->env || mdb_env_get_fd(s->env, &fd) || fstat(fd, &st) < 0)
		return EIO;

	ssize_t n = pwrite(fd, zeroes, sizeof(zeroes), st.st_size);

	if (n < 0)
		return errno;
	if (n < (ssize_t)sizeof(zeroes))
		return ENOSPC;
	s->probes++;
	return EIO;
}

enum store_failure
store_kind(int code)
{
	switch (code) {
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return STORE_FAIL_SPACE;
	case EROFS:
	case EACCES:
	case EPERM:
		return STORE_FAIL_READONLY;
	case MDB_INVALID:
	case MDB_VERSION_MISMATCH:
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_INCOMPATIBLE:
		return STORE_FAIL_FOREIGN;
	default:
		return STORE_FAIL_OTHER;
	}
}

const char *
store_text(int code)
{
	switch (code) {
	case MDB_INVALID:
		return "not a state file of postern";
	case MDB_VERSION_MISMATCH:
		return "of a later version of postern, or of another database";
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
		return "damaged";
	default:
		return mdb_strerror(code);
	}
}

int
store_fail(struct store *s, int code)
{
	if (code == STORE_SAID)
		return -1;
	code = store_cause(s, code);
	s->failure = store_kind(code);
	snprintf(s->error, sizeof(s->error), "%s", store_text(code));
	return -1;
}

int
store_refuse(struct store *s, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(s->error, sizeof(s->error), format, args);
	va_end(args);
	s->failure = STORE_FAIL_REFUSED;
	return STORE_SAID;
}

const char *
store_error(const struct store *s)
{
	return s->error;
}

enum store_failure
store_failure(const struct store *s)
{
	return s->failure;
}

/* ---- transactions */

/* Begins one of either kind. A map that another process has grown is followed, if nobody
 * here looks into it. */
static int
begin(struct store *s, bool write, MDB_txn **txn)
{
	for (int tries = 0;; tries++) {
		int rc;

		if (!s->env && (s->reading || (rc = store_reopen(s)) != 0))
			return s->reading ? EBUSY : rc;
		if (write || s->reading)
			rc = mdb_txn_begin(s->env, NULL, write ? 0 : MDB_RDONLY, txn);
		else if (s->reader)
			rc = mdb_txn_renew(s->reader);
		else
			rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &s->reader);
		if (!write && !s->reading)
			*txn = s->reader;
		if ((rc != MDB_MAP_RESIZED && rc != MDB_PANIC) || s->reading ||
		    tries == 3)
			return rc;
		if (rc == MDB_MAP_RESIZED)
			rc = store_resize(s, 0);
		else
			rc = store_reopen(s);
		if (rc)
			return rc;
	}
}

int
store_begin(struct store *s)
{
	int rc;

	if (s->begun)
		return store_fail(s, store_refuse(s, "a transaction is open already"));
	s->again = s->lost = false;
	rc = begin(s, true, &s->txn);
	if (rc)
		return store_fail(s, rc);
	s->begun = true;
	return 0;
}

/* A map that was full is doubled, unless somebody looks into it just now. */
static bool
grow(struct store *s)
{
	return !s->reading && store_resize(s, s->size * 2) == 0;
}

void
store_abort(struct store *s)
{
	if (s->txn)
		mdb_txn_abort(s->txn);
	s->txn = NULL;
	s->begun = s->lost = false;
}

/* A transaction in which a write failed is void: nothing of it may be kept, and nothing
 * is read from it. */
static int
lose(struct store *s, int rc)
{
	if (s->txn)
		mdb_txn_abort(s->txn);
	s->txn = NULL;
	s->lost = true;
	s->again = rc == MDB_MAP_FULL && grow(s);
	return store_fail(s, rc);
}

int
store_commit(struct store *s)
{
	MDB_txn *txn = s->txn;
	int rc;

	if (!s->begun)
		return store_fail(s, store_refuse(s, "no transaction is open"));
	if (s->lost) {
		store_abort(s);
		return -1;
	}
	s->txn = NULL;
	rc = mdb_txn_commit(txn);
	if (rc)
		lose(s, rc);
	s->begun = s->lost = false;
	return rc ? -1 : 0;
}

bool
store_again(const struct store *s)
{
	return s->again;
}

int
store_write(struct store *s, int (*step)(struct store *, MDB_txn *, void *), void *arg)
{
	MDB_txn *txn;
	int rc;

	if (s->begun) {
		if (s->lost)
			return -1;
		rc = step(s, s->txn, arg);
		return rc ? lose(s, rc) : 0;
	}
	s->again = false;
	do {
		rc = begin(s, true, &txn);
		if (rc)
			break;
		rc = step(s, txn, arg);
		if (rc)
			mdb_txn_abort(txn);
		else
			rc = mdb_txn_commit(txn);
	} while (rc == MDB_MAP_FULL && grow(s));
	return rc ? store_fail(s, rc) : 0;
}

/* Without a place in the table of readers nobody waits for us: pages may have been used
 * anew once two more transactions were kept since ours began. */
static int
overtaken(struct store *s, MDB_txn *txn)
{
	MDB_envinfo info;

	if (!s->unlocked)
		return 0;
	mdb_env_info(s->env, &info);
	if (info.me_last_txnid <= mdb_txn_id(txn) + 1)
		return 0;
	return store_refuse(s, "it was written to meanwhile; try again");
}

int
store_read(struct store *s, int (*step)(struct store *, MDB_txn *, void *), void *arg)
{
	bool nested = s->reading;
	MDB_txn *txn = NULL;
	int rc;

	if (s->begun) {
		if (s->lost)
			return -1;
		rc = step(s, s->txn, arg);
	} else {
		if (s->partial && !nested)
			store_tables_again(s);
		rc = begin(s, false, &txn);
		if (rc)
			return store_fail(s, rc);
		s->reading = true;
		rc = step(s, txn, arg);
		if (!rc || rc == MDB_NOTFOUND)
			rc = overtaken(s, txn) ? STORE_SAID : rc;
		s->reading = nested;
		if (nested)
			mdb_txn_abort(txn);
		else
			mdb_txn_reset(txn);
	}
	if (rc == MDB_NOTFOUND)
		return 0;
	return rc ? store_fail(s, rc) : 1;
}

/* ---- rows */

int
store_get(struct store *s, MDB_txn *txn, enum store_table table, struct str key,
	  MDB_val *value)
{
	MDB_val k = store_val(key);

	return s->table[table] ? mdb_get(txn, s->table[table], &k, value) : MDB_NOTFOUND;
}

int
store_put(struct store *s, MDB_txn *txn, enum store_table table, struct str key,
	  struct str value)
{
	MDB_val k = store_val(key), v = store_val(value);

	return mdb_put(txn, s->table[table], &k, &v, 0);
}

int
store_del(struct store *s, MDB_txn *txn, enum store_table table, struct str key)
{
	MDB_val k = store_val(key);
	int rc = mdb_del(txn, s->table[table], &k, NULL);

	return rc == MDB_NOTFOUND ? 0 : rc;
}

int
store_cursor(struct store *s, MDB_txn *txn, enum store_table table, MDB_cursor **c)
{
	return s->table[table] ? mdb_cursor_open(txn, s->table[table], c) : MDB_NOTFOUND;
}

static int
within(int rc, struct str prefix, const MDB_val *key)
{
	if (rc)
		return rc;
	return str_starts((struct str){ key->mv_data, key->mv_size }, prefix)
		       ? 0
		       : MDB_NOTFOUND;
}

int
store_seek(MDB_cursor *c, struct str from, struct str prefix, MDB_val *key,
	   MDB_val *value)
{
	*key = store_val(from);
	/* A range may not begin with an empty key. */
	return within(mdb_cursor_get(c, key, value, from.len ? MDB_SET_RANGE : MDB_FIRST),
		      prefix, key);
}

int
store_next(MDB_cursor *c, struct str prefix, MDB_val *key, MDB_val *value)
{
	return within(mdb_cursor_get(c, key, value, MDB_NEXT), prefix, key);
}

/* ---- upkeep */

int
store_clear_readers(struct store *s)
{
	int dead = 0, rc;

	if (!s->env)
		return store_fail(s, ENOENT);
	rc = mdb_reader_check(s->env, &dead);
	return rc ? store_fail(s, rc) : dead;
}

void
store_room(struct store *s, uint64_t *used, uint64_t *room)
{
	MDB_envinfo info;
	MDB_stat st;

	*used = *room = 0;
	if (!s->env || mdb_env_info(s->env, &info) || mdb_env_stat(s->env, &st))
		return;
	*used = (uint64_t)(info.me_last_pgno + 1) * st.ms_psize;
	*room = info.me_mapsize;
}
