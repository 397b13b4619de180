/* store — what must survive the machine: one LMDB file, <statedir>/state.
 *
 * The keeper is its only writer; workers and the command line read. Every process opens it
 * after fork, once. The files shm/store*.c are the only ones that know LMDB:
 *
 *   store.c             transactions, failures, stale readers
 *   store_open.c        the file: what it is, its tables, opening, growing
 *   store_check.c       whether LMDB may be given a file
 *   store_revisions.c   configurations that were loaded or refused
 *   store_consumers.c   consumers and their keys
 *   store_plans.c       plans
 *   store_audit.c       who changed them
 *   store_usage.c       usage by minute, hour, day
 *   store_rollups.c     how it went, by the same
 *   store_booked.c      how far each meter is booked
 *   store_cells.c       checkpoints of rate cells and quotas
 *   store_records.c     records of refused and failed requests
 *   store_pack.c        rows as bytes
 *
 * All calls return -1 on failure, and store_error() says why, for people. Keys are compared as bytes: numbers in
 * them are big-endian. Values are packed (shm/store_pack.h); each table has a version in `meta`. A file that is not
 * LMDB's, whose `meta` is missing, or that has a version from the future, is refused and left as it is; one of the
 * first release, which had revisions and no `meta`, is taken over.
 *
 * LMDB trusts its file as its memory: where a damaged one points is where it reads and writes. So who is going to
 * write follows all references first, in a file up to 16 MiB, and all but the last in a larger one; what does not
 * add up is refused as damaged. A value that changed in itself is not noticed, nor is damage that is done while the
 * file is open: a file cut short under a process that has mapped it is SIGBUS. Readers look only how the file
 * begins: they are to open what the keeper has opened (shm/control.h, store_state). */
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

/* Opens; makes it unless `readonly`. The map begins at 64 MiB, or twice the file, and grows by itself. NULL and a
 * text for people, and what it is in *why (may be NULL).
 *
 * A reader takes a place in the table of readers, in the file's "-lock", so that the keeper leaves alone what it
 * looks at. Where it may not (another user's file, a read-only disk) it reads without: a call that was overtaken by
 * the keeper returns -1, and is to be made again. That is for the command line, not for workers. */
struct store *store_open(const char *path, bool readonly, const char **error, enum store_failure *why);
void store_close(struct store *);
const char *store_error(const struct store *);
enum store_failure store_failure(const struct store *);

/* One write transaction around any number of writes: all of them or none are kept. A write outside of one is one of
 * its own. After a write in it has failed the transaction is void: every call returns -1 until store_abort(), or
 * store_commit(), which returns -1 too. When the map was full it has grown then, store_again() is true, and the whole
 * is to be done again; a write of its own does that by itself. Syncs the disk at the commit. A commit that failed
 * leaves everything as it was before the transaction, for reads and for the next one. Who writes ignores SIGXFSZ. */
int store_begin(struct store *);
int store_commit(struct store *);
void store_abort(struct store *);
bool store_again(const struct store *);

/* Reads inside a write transaction see it; outside, each call has a read transaction of its own (renewed, never held:
 * a reader that stays pins the file's old pages). A map that another process has grown is followed. A function that a
 * walk calls may read, not write. */

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

/* 10,000 are kept. */
int store_revision_add(struct store *, struct revision *);
/* Calls fn for each, the newest first, until it returns false. */
int store_revisions(struct store *, bool (*fn)(void *arg, const struct revision *), void *arg);

#endif
