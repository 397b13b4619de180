/* store — what must survive the machine: one LMDB file, <statedir>/state.
 *
 * The keeper is its only writer; others may read. Every process opens it after fork,
 * once; no transaction is ever held. The one file that knows LMDB.
 *
 * Kept in this version: *revisions*, one for each configuration that was loaded or
 * refused. */
#ifndef SHM_STORE_H
#define SHM_STORE_H

#include <stdbool.h>
#include <stdint.h>

struct store;

struct revision {                       /* on disk: no pointers, padding named */
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

/* Opens, or makes. NULL and a text for people if it cannot be had. */
struct store *store_open(const char *path, bool readonly, const char **error);
void store_close(struct store *);

/* Appends; -1 and a text. */
int store_revision_add(struct store *, struct revision *, const char **error);

/* Calls fn for each, the newest first, until it returns false. -1 and a text. */
int store_revisions(struct store *, bool (*fn)(void *arg, const struct revision *), void *arg,
		    const char **error);

#endif
