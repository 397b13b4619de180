/* inflight — how many requests of a key are under way, for all workers together.
 *
 * Each worker counts its own in a row of its own; what counts is the sum. A worker takes
 * first and sums then, so that the limit is never exceeded; two that meet at the limit both step
 * back and try again. A count bears the life of its row: when a process dies, its row gets
 * another life and all it had under way is void at once, without a write to any entry. */
#ifndef SHM_INFLIGHT_H
#define SHM_INFLIGHT_H

#include "shm/ledger.h"
#include "shm/slots.h"

enum { INFLIGHT_KEYS = 16384 };

struct inflight {                       /* this process's view */
	struct ledger ledger;           /* first */
	struct inflight_rows *rows;     /* lives, and which rows are in use */
};

int inflight_open(struct inflight *, struct region *);
int inflight_find(struct inflight *, const struct region *);    /* read-only */
int inflight_reserve(struct region *, struct inflight *);

/* A process begins in this row, or has died there: nothing is under way. By the master. */
void inflight_clear(struct inflight *, int row);

enum inflight_verdict { INFLIGHT_TAKEN, INFLIGHT_REFUSED, INFLIGHT_FULL };
struct inflight_answer {
	enum inflight_verdict verdict;
	int64_t entry;                  /* to be given back; TAKEN only */
	uint64_t used;                  /* under way, this one included where it was taken */
};

struct inflight_answer inflight_take(struct inflight *, int row, struct siphash key, struct str name, uint64_t most);
void inflight_give(struct inflight *, int row, int64_t entry);
/* Under way now. */
uint64_t inflight_sum(const struct inflight *, int64_t entry);

#endif
