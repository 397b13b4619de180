/* store — what must survive the machine: one LMDB file, <statedir>/state.
 *
 * The keeper is its only writer; workers and the command line read. Every process opens it
 * after fork, once. The files shm/store*.c are the only ones that know LMDB:
 *
 *   store.c             the file: opening, growing, transactions, stale readers
 *   store_revisions.c   configurations that were loaded or refused
 *   store_consumers.c   consumers, keys, plans, and who changed them (audit)
 *   store_usage.c       usage and rollups by minute, hour, day; how far each meter is booked
 *   store_cells.c       checkpoints of rate cells and quotas
 *   store_records.c     records of refused and failed requests
 *
 * All calls return -1 on failure, and store_error() says why, for people. Keys are compared as bytes:
 * numbers in them are big-endian. Structs on disk have no pointers and named padding; each table has a version in
 * `meta`, and a file whose `meta` is missing or of a version from the future is refused and left as it is. */
#ifndef SHM_STORE_H
#define SHM_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;

enum store_failure {
	STORE_FAIL_NONE,
	STORE_FAIL_SPACE,               /* ENOSPC, EDQUOT, EFBIG: the disk is full */
	STORE_FAIL_READONLY,            /* EROFS, EACCES */
	STORE_FAIL_FOREIGN,             /* not ours, damaged, or of a later version */
	STORE_FAIL_OTHER,
	STORE_FAIL_REFUSED,             /* what was asked for cannot be done; nothing is wrong with the file */
};

/* Opens; makes it unless `readonly`. The map begins at 64 MiB, or twice the file, and grows by itself. NULL and a text
 * for people, and what it is in *why (may be NULL). */
struct store *store_open(const char *path, bool readonly, const char **error, enum store_failure *why);
void store_close(struct store *);
const char *store_error(const struct store *);
enum store_failure store_failure(const struct store *);

/* One write transaction around any number of writes: all of them or none are kept. A write outside of one is one of its own.
 * When the map is full it grows, and the whole is to be done again: store_commit() (or any write) returns -1 and
 * store_again() is true. Syncs the disk at the commit. */
int store_begin(struct store *);
int store_commit(struct store *);
void store_abort(struct store *);
bool store_again(const struct store *);

/* Reads inside a write transaction see it; outside, each call has a read transaction of its own (renewed, never held:
 * a reader that stays pins the file's old pages). A map that another process has grown is followed. */

/* Readers that died are cleared; returns how many. */
int store_clear_readers(struct store *);
/* Bytes in use and bytes of the map. */
void store_room(struct store *, uint64_t *used, uint64_t *room);

/* ---- revisions */

struct revision {
	uint32_t version;               /* REVISION_VERSION */
	uint32_t ok;                    /* 1: it was put in force */
	uint64_t number;                /* 1, 2, 3 … for as long as the file lives; set by store_revision_add() */
	uint64_t generation;            /* of the master that loaded it */
	int64_t at;                     /* ms since 1970 */
	int32_t master;                 /* pid */
	uint32_t spare;
	char who[32];                   /* "start", "signal", "upgrade" */
	char file[256];
	char text[200];                 /* why it was refused */
};

enum { REVISION_VERSION = 1 };

int store_revision_add(struct store *, struct revision *);
/* Calls fn for each, the newest first, until it returns false. */
int store_revisions(struct store *, bool (*fn)(void *arg, const struct revision *), void *arg);

#endif
