/* pace — what external services say of their limits, for all workers together.
 *
 * Each upstream that is paced has a row, by its name. A *window* is a moment at which the
 * vendor's count begins anew and how many requests may be sent until then; every request
 * sent takes one. Words of a response are older than the requests that were sent after it:
 * requests have *tickets*, numbers in the order of sending, and what was sent since is
 * taken off. When a window is over and the vendor's limit is known, the next one is opened
 * with it, so that those who waited do not all go at once. */
#ifndef SHM_PACE_H
#define SHM_PACE_H

#include "base/str.h"
#include "shm/region.h"
#include "shm/word.h"

enum { PACE_ROWS = 1024 };

struct pace_row {                       /* a cache line */
	union word window;              /* tag: ns, monotonic, when it ends; value: requests left */
	_Atomic uint64_t name;          /* hash of the upstream's; 0: free */
	_Atomic uint64_t sent;          /* requests, ever: the last ticket */
	_Atomic uint64_t blocked;       /* ns: the vendor wants nothing before (Retry-After) */
	_Atomic uint64_t quota, span;   /* requests, ns: of a whole window; 0: not known */
	uint64_t spare;
};

struct pace {
	struct pace_row row[PACE_ROWS];
};

struct pace *pace_open(struct region *);
const struct pace *pace_find(const struct region *);    /* read-only */

/* The row of an upstream, found or made; NULL: the table is full. Rows stay as long as the region. */
struct pace_row *pace_row(struct pace *, struct str upstream);

/* Takes one request: 0 and its ticket, or the ns to wait, and nothing was taken. */
uint64_t pace_take(struct pace_row *, uint64_t now, uint64_t *ticket);

struct pace_said {                      /* by a response */
	uint64_t blocked;               /* ns from now in which nothing is to be sent; 0: nothing said */
	bool window;                    /* `left` requests in the next `reset` ns … */
	uint64_t left, reset;
	uint64_t quota, span;           /* … and so many in a whole window of so many ns; 0: not said */
};

/* Obeys what the response to the request with that ticket says. */
void pace_learn(struct pace_row *, uint64_t now, uint64_t ticket, const struct pace_said *);

#endif
