/* control — single words that all processes of a gateway share: how the store does, what has
 * changed in it, what the last reload said. Each word has one writer; plain aligned words. */
#ifndef SHM_CONTROL_H
#define SHM_CONTROL_H

#include <stdatomic.h>
#include <stdint.h>

#include "shm/region.h"

enum store_state {
	STORE_UNKNOWN,                  /* not opened yet: workers do not look into it */
	STORE_OK,
	STORE_READONLY,                 /* can be read, not written (full or read-only disk) */
	STORE_BAD,                      /* missing, foreign or corrupted: nobody opens it */
};

/* Tables whose memory has been reserved: nobody touches the others. */
enum { TABLE_CELLS = 1, TABLE_QUOTAS = 2, TABLE_METERS = 4, TABLE_INFLIGHT = 8 };

struct control {
	/* The keeper's. */
	_Atomic uint64_t instance;      /* random, of this region: counters of another begin at 0 */
	_Atomic uint64_t store_epoch;   /* raised after each change of consumers, keys, plans */
	_Atomic uint32_t store_state;   /* enum store_state */
	_Atomic uint32_t overrides;     /* consumers or keys of files that are suspended in the store */
	_Atomic uint32_t store_busy;    /* 1 while the keeper is inside LMDB: a death there is remembered … */
	_Atomic uint32_t store_deaths;  /* … here; at 3 the store is STORE_BAD until a restart of the master */
	_Atomic uint64_t store_used, store_room;        /* bytes of the file in use; of the map */
	_Atomic uint64_t store_failed;  /* writes that failed, ever */
	_Atomic uint64_t stored_at;     /* ms since 1970: the last commit of meters and checkpoints */
	_Atomic uint64_t records_folded, records_missed;/* records that the keeper read; that it was too slow for */
	_Atomic uint64_t meters_other;  /* requests that found no meter of their own */
	_Atomic uint64_t store_file;    /* which file the store is: another number, another file, to be opened anew */
	uint64_t spare1[4];
	/* The builder's, before any worker serves. */
	_Atomic uint32_t tables;        /* TABLE_*: in use by a configuration, now or before */
	_Atomic uint32_t restored;      /* TABLE_*: the checkpoint was loaded into it, if there was one */
	uint32_t spare2[14];
	/* The master's. */
	_Atomic uint64_t reloads_ok, reloads_failed;    /* ever, of this region */
	_Atomic uint32_t reload_good;   /* the last one succeeded */
	_Atomic uint32_t generations;   /* mapped by somebody */
	_Atomic uint64_t revision;      /* in force: number of the generation */
	_Atomic uint64_t reloaded_at;   /* ms since 1970 */
	_Atomic uint64_t worker_deaths;
	uint64_t spare3[10];
};

/* Found or made, its memory reserved. NULL with errno. */
struct control *control_open(struct region *);
const struct control *control_find(const struct region *);

#endif
