/* store_inside — what the files shm/store*.c share: tables, and how a call reads or writes.
 *
 * A step is a function that does its work within a transaction and answers what LMDB answers: 0, MDB_NOTFOUND,
 * another code of LMDB's, an errno, or STORE_SAID after store_refuse(). It may be run more than once: when the map
 * was full it is run again in a larger one, so it keeps nothing from the time before. */
#ifndef SHM_STORE_INSIDE_H
#define SHM_STORE_INSIDE_H

#include <lmdb.h>

#include "base/str.h"
#include "shm/store.h"
#include "shm/store_pack.h"

enum store_table {
	TABLE_META,                     /* "magic", and the version of each table by its name */
	TABLE_REVISIONS,                /* number, native */
	TABLE_CONSUMERS,                /* name */
	TABLE_KEYS,                     /* digest */
	TABLE_CONSUMER_KEYS,            /* consumer NUL created digest → nothing */
	TABLE_PLANS,                    /* name */
	TABLE_AUDIT,                    /* at, number */
	TABLE_USAGE,                    /* level, begin, consumer NUL service */
	TABLE_ROLLUPS,                  /* level, kind, begin, name */
	TABLE_BOOKED,                   /* the caller's */
	TABLE_CELLS,                    /* nothing → what belongs to all; number of the cell → its words */
	TABLE_QUOTAS,                   /* the same */
	TABLE_RECORDS,                  /* id */
	TABLE_RECORD_TEXTS,             /* length, text, at, id → nothing */
	TABLE_RECORD_TIMES,             /* at, id → nothing */
	TABLES
};

enum { STORE_SAID = -1 };               /* the error has been said; no code of LMDB's and no errno */

struct store {
	MDB_env *env;                   /* NULL: could not be opened again after a failure */
	MDB_txn *txn;                   /* of store_begin() */
	MDB_txn *reader;                /* reset between calls */
	size_t size;                    /* of the map, bytes */
	bool begun;                     /* between store_begin() and its end */
	bool lost;                      /* … and a write failed, so that all of it is void */
	bool again;                     /* … because the map was full; it has grown */
	bool reading;                   /* the reader is in use */
	bool readonly;
	bool partial;                   /* not all tables are there yet (read-only) */
	int probes;                     /* the file is longer by so many, to find out about failed writes */
	bool unlocked;                  /* reads without a place in the table of readers */
	enum store_failure failure;
	MDB_dbi table[TABLES];          /* 0: not there */
	char error[160];
	char path[];
};

/* The code that EIO stands for, if it was a write that failed, and can be known. */
int store_cause(struct store *, int code);
/* What a code means. */
enum store_failure store_kind(int code);
const char *store_text(int code);
/* -1, with what there is to say about it. */
int store_fail(struct store *, int code);
/* STORE_SAID, for reasons of our own. */
__attribute__((format(printf, 2, 3))) int store_refuse(struct store *, const char *format, ...);

/* Runs a step and keeps what it wrote (or leaves it to the transaction that is open). 0, -1. MDB_NOTFOUND is a
 * failure as any other. */
int store_write(struct store *, int (*step)(struct store *, MDB_txn *, void *), void *arg);
/* Runs a step that only reads. 1; 0 when its answer is MDB_NOTFOUND; -1. */
int store_read(struct store *, int (*step)(struct store *, MDB_txn *, void *), void *arg);

static inline MDB_val
store_val(struct str s)
{
	return (MDB_val){ s.len, (void *)(uintptr_t)s.at };
}

static inline struct unpack
store_unpack(MDB_val v)
{
	return unpack_from(v.mv_data, v.mv_size);
}

/* As keys sort: < 0, 0, > 0. */
static inline int
store_order(struct str a, struct str b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int order = n ? memcmp(a.at, b.at, n) : 0;

	return order ? order : (a.len > b.len) - (a.len < b.len);
}

/* As mdb_get() and mdb_put() do. */
int store_get(struct store *, MDB_txn *, enum store_table, struct str key, MDB_val *value);
int store_put(struct store *, MDB_txn *, enum store_table, struct str key, struct str value);
/* A row that is not there is no error. */
int store_del(struct store *, MDB_txn *, enum store_table, struct str key);
/* MDB_NOTFOUND when the table is not there. */
int store_cursor(struct store *, MDB_txn *, enum store_table, MDB_cursor **);
/* The first row from `from` on whose key begins with `prefix`; the next such. MDB_NOTFOUND: there is none. */
int store_seek(MDB_cursor *, struct str from, struct str prefix, MDB_val *key, MDB_val *value);
int store_next(MDB_cursor *, struct str prefix, MDB_val *key, MDB_val *value);

/* Opening anew after LMDB gave up (a failed write of its first pages), or a larger map (0: as large as the file
 * says). When either fails the store has no `env` and is opened by the next call. 0, or a code. */
int store_reopen(struct store *);
int store_resize(struct store *, size_t size);
/* Looks for tables that were not there when a reader opened. */
void store_tables_again(struct store *);

/* Looks at a file before LMDB maps it: follows the references of all pages, and of free pages (CHECK_ROWS); of branches
 * only, which are one page in a hundred; of these and all rows of checkpoints (CHECK_LIMITS); or reads only how the
 * file begins. 0; ENOENT: there is none, or it is empty; MDB_INVALID: not LMDB's, or not ours; MDB_VERSION_MISMATCH;
 * MDB_CORRUPTED: damaged; an errno. *bytes: how long the file is to be (may be more than it is: the last pages need
 * never have been written; then all is looked at). */
enum store_check { CHECK_HEAD, CHECK_BRANCHES, CHECK_LIMITS, CHECK_ROWS };
int store_check(const char *path, enum store_check, uint64_t *bytes);

#endif
