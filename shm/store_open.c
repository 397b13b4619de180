#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/store_inside.h"

#define MAP_LEAST ((size_t)64 << 20)
/* A file larger than this is checked down to its branches only, which are one page in a
 * hundred: a million consumers cost no start-up time. */
#define WHOLE_MOST ((uint64_t)16 << 20)

/* Workers, those that drain, command lines: 64 bytes each in the lock file. */
enum { READERS_MOST = 1022 };

static const char magic[] = "postern state";

static const struct table {
	const char *name;
	unsigned flags;
	uint32_t version;
} tables[TABLES] = {
	/* clang-format off */
	[TABLE_META]          = { "meta",          0,              1 },
	[TABLE_REVISIONS]     = { "revisions",     MDB_INTEGERKEY, 1 },
	[TABLE_CONSUMERS]     = { "consumers",     0,              1 },
	[TABLE_KEYS]          = { "keys",          0,              1 },
	[TABLE_CONSUMER_KEYS] = { "consumer_keys", 0,              1 },
	[TABLE_PLANS]         = { "plans",         0,              1 },
	[TABLE_AUDIT]         = { "audit",         0,              1 },
	[TABLE_USAGE]         = { "usage",         0,              1 },
	[TABLE_ROLLUPS]       = { "rollups",       0,              1 },
	[TABLE_BOOKED]        = { "booked",        0,              1 },
	[TABLE_CELLS]         = { "cells",         0,              1 },
	[TABLE_QUOTAS]        = { "quotas",        0,              1 },
	[TABLE_RECORDS]       = { "records",       0,              1 },
	[TABLE_RECORD_TEXTS]  = { "record_texts",  0,              1 },
	[TABLE_RECORD_TIMES]  = { "record_times",  0,              1 },
	/* clang-format on */
};

/* Whether a file without our `meta` may become ours: it is empty, or of the first
 * release, which kept nothing but revisions. */
static int
adoptable(MDB_txn *txn, MDB_dbi names)
{
	MDB_val key, value;
	MDB_dbi dbi;
	MDB_cursor *c;
	int rc = mdb_cursor_open(txn, names, &c);

	if (rc)
		return rc;
	while (!(rc = mdb_cursor_get(c, &key, &value, MDB_NEXT)))
		if (key.mv_size != strlen("revisions") ||
		    memcmp(key.mv_data, "revisions", key.mv_size))
			break;
	mdb_cursor_close(c);
	if (rc != MDB_NOTFOUND)
		return rc ? rc : MDB_INVALID;
	rc = mdb_dbi_open(txn, "revisions", MDB_INTEGERKEY, &dbi);
	return rc == MDB_NOTFOUND ? 0 : rc ? MDB_INVALID : 0;
}

/* The versions in `meta`: none above ours, and of a table that we know. *all: none is
 * missing. */
static int
read_versions(MDB_txn *txn, MDB_dbi meta, bool *all)
{
	MDB_val key = store_val(STR("magic")), value;
	int rc = mdb_get(txn, meta, &key, &value);

	*all = true;
	if (rc)
		return rc == MDB_NOTFOUND ? MDB_INVALID : rc;
	if (value.mv_size != strlen(magic) || memcmp(value.mv_data, magic, value.mv_size))
		return MDB_INVALID;
	for (int i = 0; i < TABLES; i++) {
		struct unpack u;

		key = store_val(str_of(tables[i].name));
		rc = mdb_get(txn, meta, &key, &value);
		if (rc && rc != MDB_NOTFOUND)
			return rc;
		if (rc) {
			*all = false;
			continue;
		}
		u = store_unpack(value);
		if (unpack_varint(&u) > tables[i].version || u.bad)
			return MDB_VERSION_MISMATCH;
	}
	return 0;
}

/* What the file is: 0 when it is ours or may become so. */
static int
recognise(struct store *s, bool *all)
{
	MDB_txn *txn;
	MDB_dbi names, meta;
	int rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn);

	*all = false;
	if (rc)
		return rc;
	rc = mdb_dbi_open(txn, NULL, 0, &names);
	if (!rc) {
		rc = mdb_dbi_open(txn, tables[TABLE_META].name, 0, &meta);
		if (rc == MDB_NOTFOUND)
			rc = adoptable(txn, names);
		else if (!rc)
			rc = read_versions(txn, meta, all);
		else if (rc == MDB_INCOMPATIBLE)
			rc = MDB_INVALID;
	}
	/* Handles opened here are given up. */
	mdb_txn_abort(txn);
	return rc;
}

/* Opens those that are there; makes the others unless it is a reader. */
static int
open_tables(struct store *s, bool make)
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(s->env, NULL, make ? 0 : MDB_RDONLY, &txn);

	if (rc)
		return rc;
	s->partial = false;
	for (int i = 0; i < TABLES && !rc; i++) {
		rc = mdb_dbi_open(txn, tables[i].name,
				  tables[i].flags | (make ? MDB_CREATE : 0),
				  &s->table[i]);
		if (rc == MDB_NOTFOUND && !make) {
			s->table[i] = 0;
			s->partial = true;
			rc = 0;
		}
	}
	for (int i = 0; i < TABLES && !rc && make; i++) {
		uint8_t buf[10];
		struct pack p = pack_into(buf, sizeof(buf));

		pack_varint(&p, tables[i].version);
		rc = store_put(s, txn, TABLE_META, str_of(tables[i].name), pack_done(&p));
	}
	if (!rc && make)
		rc = store_put(s, txn, TABLE_META, STR("magic"), str_of(magic));
	if (!rc)
		return mdb_txn_commit(txn);
	mdb_txn_abort(txn);
	return rc;
}

void
store_tables_again(struct store *s)
{
	bool all;

	if (s->env && !recognise(s, &all) && all)
		(void)open_tables(s, false);
}

static void
shut(struct store *s)
{
	if (s->reader)
		mdb_txn_abort(s->reader);
	if (s->env)
		mdb_env_close(s->env);
	s->reader = NULL;
	s->env = NULL;
}

static int
open_env(struct store *s, unsigned flags)
{
	int rc = mdb_env_create(&s->env);

	if (!rc)
		rc = mdb_env_set_mapsize(s->env, s->size);
	if (!rc)
		rc = mdb_env_set_maxdbs(s->env, TABLES + 1);
	if (!rc)
		rc = mdb_env_set_maxreaders(s->env, READERS_MOST);
	if (!rc)
		rc = mdb_env_open(s->env, s->path, flags, 0640);
	if (rc)
		shut(s);
	return rc;
}

/* The last pages of a file need never have been written; LMDB does not look at them, but
 * the next check of a reader would wonder. */
static int
extend(struct store *s, uint64_t bytes)
{
	struct stat st;
	mdb_filehandle_t fd;

	if (s->readonly || mdb_env_get_fd(s->env, &fd) || fstat(fd, &st) < 0 ||
	    (uint64_t)st.st_size >= bytes)
		return 0;
	return ftruncate(fd, (off_t)bytes) < 0 ? errno : 0;
}

static bool
lock_is_readonly(const struct store *s)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s-lock", s->path);
	return access(path, W_OK) < 0 && errno == EROFS;
}

static int
open_file(struct store *s)
{
	unsigned flags =
		MDB_NOSUBDIR | MDB_NOTLS | MDB_NORDAHEAD | (s->readonly ? MDB_RDONLY : 0);
	struct stat st = { .st_size = 0 };
	uint64_t bytes = 0;
	bool all;
	int rc;

	stat(s->path, &st);
	rc = store_check(s->path,
			 s->readonly                          ? CHECK_HEAD
			 : (uint64_t)st.st_size <= WHOLE_MOST ? CHECK_ROWS
							      : CHECK_BRANCHES,
			 &bytes);
	if (rc && (rc != ENOENT || s->readonly))
		return rc;
	s->size = MAP_LEAST;
	while (s->size < 2 * bytes)
		s->size *= 2;
	s->unlocked = false;
	rc = open_env(s, flags);
	/* On a read-only disk LMDB goes without by itself. */
	if (!rc && s->readonly)
		s->unlocked = lock_is_readonly(s);
	if (rc == EACCES && s->readonly) {
		s->unlocked = true;
		rc = open_env(s, flags | MDB_NOLOCK);
	}
	if (!rc)
		rc = recognise(s, &all);
	if (!rc)
		rc = open_tables(s, !s->readonly && !all);
	if (!rc)
		rc = extend(s, bytes);
	if (rc) {
		rc = store_cause(s, rc);
		shut(s);
	}
	return rc;
}

int
store_reopen(struct store *s)
{
	shut(s);
	return open_file(s);
}

int
store_resize(struct store *s, size_t size)
{
	MDB_envinfo info;
	int rc = mdb_env_set_mapsize(s->env, size);

	if (rc) {
		/* LMDB has given up its map, whatever it had. */
		shut(s);
		return rc;
	}
	mdb_env_info(s->env, &info);
	s->size = info.me_mapsize;
	return 0;
}

struct store *
store_open(const char *path, bool readonly, const char **error, enum store_failure *why)
{
	struct store *s = calloc(1, sizeof(*s) + strlen(path) + 1);
	int rc = ENOMEM;

	if (s) {
		memcpy(s->path, path, strlen(path) + 1);
		s->readonly = readonly;
		rc = open_file(s);
		if (!rc)
			return s;
	}
	*error = store_text(rc);
	if (why)
		*why = store_kind(rc);
	free(s);
	return NULL;
}

void
store_close(struct store *s)
{
	if (!s)
		return;
	store_abort(s);
	shut(s);
	free(s);
}
