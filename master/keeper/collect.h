/* collect — what has been counted goes into the store: one transaction a second.
 *
 *   collect.c          the transaction: what is done in it, when, what follows a failure; checkpoints; expiry
 *   collect_meters.c   usage: exact, by consumer and service
 *   collect_journal.c  the same in short, when there is too much of it for each second
 *   collect_retire.c   meters that rest are taken out
 *   collect_series.c   rollups of routes, services, targets, with histograms from the records
 *   collect_records.c  tails the workers' rings: a sample for the histograms, failures for the store
 *
 * Words: counters in the region are *absolute*, they are never reset. What has been *booked* of one stands in
 * the store beside what was booked, written in the same transaction, by the region's instance and the counter's
 * place. So whatever is killed and whatever fails, the next transaction books the difference: nothing
 * twice, nothing never.
 *
 * Each part has the same four functions: X_book() writes within the transaction (-1: it failed; 1: something
 * was written; 0: there was nothing), X_done() when it was kept, X_undo() when it was not, X_forget() when the
 * store is another one than before, so that what is remembered of it is void. */
#ifndef MASTER_KEEPER_COLLECT_H
#define MASTER_KEEPER_COLLECT_H

#include "base/map.h"
#include "master/keeper/inside.h"
#include "master/keeper/sample.h"
#include "shm/store_cells.h"
#include "shm/store_records.h"

struct meters_book;
struct series_book;
struct records_book;

struct collect {
	struct keeper *keeper;
	uint64_t instance;              /* of this region */
	uint64_t opened;                /* of the store that is remembered: struct state */
	int64_t at;                     /* seconds since 1970: where this transaction books */
	bool all;                       /* of this one: nothing is put off */
	unsigned turn;                  /* number of the second: spreads what may be put off */

	struct meters_book *meters;
	struct series_book *series;
	struct records_book *records;
	struct checkpoint *checkpoint;  /* NULL: no table is in use */
	uint32_t tables;                /* … that it was made for */

	bool introduced;                /* the store knows this instance */
	bool failed;                    /* the last transaction did */
	uint64_t active_at;             /* ms: traffic was seen last */
	uint64_t whole_at;              /* ms: everything is looked at, traffic or not */
	uint64_t expire_at;             /* ms */
};

/* The key of something booked: of a region, of a kind. Returns its length; at most 24.
 *
 *   m   a meter: struct meter_row        j   a piece of the journal      k   how far failures were stored
 *   s   a series: struct totals */
size_t booked_key(uint64_t instance, char kind, uint32_t index, uint32_t life, char *to);

/* ---- collect_meters.c */

struct meter_row {                      /* what is booked of a meter, and whose it is: the region may be lost */
	struct usage_sum sum;
	uint32_t name_len, spare;
	char name[LEDGER_NAME];
};

struct meter_known {                    /* what we know of an entry of the table */
	struct usage_sum booked;
	struct usage_sum edge;          /* what it was when the minute ended that is not booked yet … */
	int64_t edge_at;                /* … seconds since 1970, the last of it; 0: none */
	uint64_t used_at;               /* ms: it was seen to move */
	uint64_t marked_at;             /* ms: its retirement has begun; 0: no */
	uint32_t life;
	bool known;
	bool stored;                    /* the store has its row */
};

struct meter_change {                   /* by this transaction */
	uint32_t entry;
	bool booked;                    /* or in the journal only */
	struct usage_sum now;
};

struct meters_book {
	struct collect *collect;
	struct ledger *ledger;
	struct meter_known **known;     /* by entry; NULL: never met */
	struct meter_change *changes;
	uint32_t nchanges, room;
	int64_t minute;                 /* of the last transaction */
	bool pending;                   /* something is in the journal only */

	uint32_t pieces;                /* of the journal, in the store */
	uint32_t pieces_now;            /* … if this transaction is kept */
	bool recovered;                 /* journals of those before us have been booked */

	struct rest {
		uint64_t used_at, marked_at;
	} *inflight;                    /* by entry of that table */
	struct gone {
		uint32_t entry, life;
	} *gone;                        /* taken out: nobody asks any more what was booked of them */
	uint32_t ngone, gone_room;
	uint32_t dropped;               /* of those, by this transaction */
	uint32_t used;                  /* entries in use, when last looked at */
	uint32_t marked;                /* whose retirement is under way */
};

struct meters_book *meters_new(struct collect *);
void meters_free(struct meters_book *);
int meters_book(struct meters_book *, struct store *);
void meters_done(struct meters_book *);
void meters_undo(struct meters_book *);
void meters_forget(struct meters_book *);

/* What is remembered of an entry; never NULL. */
struct meter_known *meters_known(struct meters_book *, uint32_t entry);
bool meters_in_use(const struct meters_book *, uint32_t table);
void meters_read(const struct meters_book *, uint32_t entry, struct usage_sum *);
/* What has been added; false: nothing. */
bool meters_difference(struct usage_sum *, const struct usage_sum *now, const struct usage_sum *before);
void meters_row(struct meter_row *, const struct usage_sum *, struct str name);
/* Room for one more of `n`: the array, moved if it had to. */
void *meters_more(void *array, uint32_t n, uint32_t *room, size_t size);

/* ---- collect_journal.c */

/* The transaction's changes that are not booked. 1, 0, -1. */
int journal_write(struct meters_book *, struct store *);
/* What the journals in the store say, of this region and of those that are lost. 1, 0, -1. */
int journal_recover(struct meters_book *, struct store *);

/* Regions of which something is booked. */
enum { INSTANCES = 24 };
struct instance {
	uint64_t id;                    /* 0: none */
	int64_t seen;                   /* seconds since 1970 */
};
/* Fills all; -1. */
int instances_get(struct store *, struct instance at[INSTANCES]);

/* ---- collect_retire.c */

/* After a transaction: takes out what has rested. True: there is more to come of it. */
bool meters_retire(struct meters_book *);
/* Forgets what was booked of those that are gone. 1, 0, -1. */
int retire_book(struct meters_book *, struct store *);
void retire_done(struct meters_book *);

/* ---- collect_series.c */

struct series_book *series_new(struct collect *);
void series_free(struct series_book *);
int series_book(struct series_book *, struct store *);
void series_done(struct series_book *);
void series_undo(struct series_book *);
void series_forget(struct series_book *);
/* A record, for the histograms. */
void series_record(struct series_book *, const struct record *);
/* What is known of a consumer's latency since it was last asked: moved to `sum`, whose requests are set. */
void series_consumer(struct series_book *, struct str consumer, struct rollup_sum *sum);
/* Something has been put off. */
bool series_pending(const struct series_book *);

/* ---- collect_records.c */

struct records_book *records_new(struct collect *);
void records_free(struct records_book *);
int records_book(struct records_book *, struct store *);
void records_done(struct records_book *);
void records_undo(struct records_book *);
void records_forget(struct records_book *);
/* Reads what came; true: something did. */
bool records_tail(struct records_book *);
/* How many requests each record that was looked at stands for, and that those are booked. */
double records_factor(const struct records_book *);
/* Failures wait to be stored. */
bool records_pending(const struct records_book *);
/* Rows that a worker has, or had: their memory may be touched. */
bool row_of_worker(const struct shared *, int row);

#endif
