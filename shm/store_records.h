/* store_records — records of refused and failed requests, for as long as the configuration says. */
#ifndef SHM_STORE_RECORDS_H
#define SHM_STORE_RECORDS_H

#include "shm/records.h"
#include "shm/stats.h"
#include "shm/store.h"

/* A record outlives the series that it names: their names are written with it. `names`: of the region (NULL: none).
 * One with an id that is there already replaces it; what is not a whole record is left out, and that is no failure. */
int store_record_add(struct store *, const struct record *, const struct stats *names);

struct stored_record {
	const struct record *record;    /* of RECORD_SIZE_MAX at most, aligned */
	/* The name of a series of that record; empty when it is not known. */
	struct str (*name)(const struct stored_record *, uint32_t series);
	const void *names;
};

/* By id (both words), or by the text that a trusted peer gave. 1: fn was called, 0: not there, -1. */
int store_record_find(struct store *, const uint64_t id[2], struct str text,
		      void (*fn)(void *, const struct stored_record *), void *);

/* Deletes records from before `before` (ms since 1970), and the oldest beyond `most_kept`; at most `most` at a time. */
int store_records_expire(struct store *, int64_t before, uint64_t most_kept, int most);

#endif
