/* meters — what each consumer used of each service: exact, by status class, never reset.
 *
 * All workers add; the keeper reads the sums once a second and books what has been added
 * since into LMDB. A meter that has rested for a while is taken out by the keeper. */
#ifndef SHM_METERS_H
#define SHM_METERS_H

#include <stdatomic.h>

#include "shm/ledger.h"

enum { METERS = 65536, METER_CLASSES = 5 };     /* classes: no answer, 2xx, 3xx, 4xx, 5xx */

struct meter {
	struct {
		_Atomic uint64_t requests, in, out;     /* bytes of bodies */
	} of[METER_CLASSES];
	uint64_t spare;
};
_Static_assert(sizeof(struct meter) == 128, "two cache lines");

int meters_open(struct ledger *, struct region *);              /* -1: the region is full */
int meters_find(struct ledger *, const struct region *);        /* read-only */

/* 1xx and no answer: 0; 2xx: 1 … 5xx: 4. */
unsigned meter_class(unsigned status);

/* Where a meter is to be found. Consumer at most 64 bytes, service 94. Who asks some time before it adds finds the
 * memory near. */
struct siphash meters_key(const struct ledger *, struct str consumer, struct str service);
/* false: there was no room for a new meter (count it, say it). */
bool meters_add(struct ledger *, struct siphash key, struct str consumer, struct str service, unsigned status,
		uint64_t in, uint64_t out);

/* Splits the name of an entry. */
void meter_split(struct str name, struct str *consumer, struct str *service);

#endif
