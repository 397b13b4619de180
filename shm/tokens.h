/* tokens — access tokens for upstreams, one for all workers, and who fetches the next.
 *
 * A *row* is found by the name of the credential. Its *lease* says which process fetches, and until when; one that
 * dies has none any more. What it fetched it publishes: the token lies in the row's *box*, *sealed* with a key that is
 * made of the configuration, so that whoever may only read the region reads no token. (Who can guess the client's
 * secret can prove it by what lies here.) The row's *version* moves with everything that is said of the token: while it
 * has not moved a worker may go on with its own copy. A version is part of what is sealed: what a dead or late holder
 * left half written is not opened, neither is what was voided.
 *
 * Rows outlive reloads, workers and binaries as the region does. When there is no free one, one that nobody has used
 * for an hour gives way; where there is none of these a worker is on its own. Times are ms of clock_ms(). */
#ifndef SHM_TOKENS_H
#define SHM_TOKENS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/crypto.h"
#include "shm/region.h"

/* Memory of a box is reserved as it is needed. */
#ifndef TOKENS_BOX
#define TOKENS_BOX 20480
#define TOKENS_ROWS 128
#endif
enum { TOKENS_IDLE_MS = 3600 * 1000 };
/* Bytes of the longest token. */
enum { TOKENS_LONGEST = TOKENS_BOX - 8 - CRYPTO_SEAL - 16 - 4 };

struct tokens_row {                     /* a cache line */
	_Atomic uint64_t name;          /* 0: free */
	_Atomic uint64_t version;       /* odd: being written; 0: nothing was ever said */
	_Atomic uint64_t lease;         /* ms until when, << 22 | pid; 0: nobody's */
	_Atomic uint64_t failed;        /* ms of the last fetch, << 8 | why; 0: it did not fail */
	_Atomic uint64_t used;          /* ms */
	uint64_t spare[3];
};

struct tokens;

struct tokens_key {
	uint64_t name;                  /* never 0 */
	struct digest seal;
};

struct tokens_text {                    /* a token as it is used */
	uint64_t fetched, expires;
	uint32_t len;                   /* 0: there is none */
	char at[TOKENS_LONGEST];
};

struct tokens *tokens_open(struct region *);
const struct tokens *tokens_find(const struct region *);        /* read-only */

/* The row of that name, found or made; it is used now. NULL: the table is full. To be looked up again when `name` has
 * become another. */
struct tokens_row *tokens_row(struct tokens *, uint64_t name, uint64_t now);
/* It is in use: to be said much more often than once in TOKENS_IDLE_MS. */
void tokens_use(struct tokens_row *, uint64_t now);

static inline uint64_t
tokens_version(const struct tokens_row *row)
{
	return atomic_load_explicit(&row->version, memory_order_acquire);
}

/* Opens what was published and returns its version: it holds until that has moved. 0: it is just being written. */
uint64_t tokens_read(const struct tokens *, const struct tokens_row *, const struct tokens_key *, struct tokens_text *);

/* Takes the lease for `pid`, which has none for this row: not 0. 0: another has it. What was said before is seen. */
uint64_t tokens_lease(struct tokens_row *, int32_t pid, uint64_t now, uint64_t until);
/* Whether a process that lives has it. */
bool tokens_leased(const struct tokens_row *, uint64_t now);

/* The holder publishes what it fetched, and has no lease any more. Returns the version; 0: the lease was lost, or there
 * is no memory (errno), and nothing was published. */
uint64_t tokens_publish(struct region *, struct tokens *, struct tokens_row *, const struct tokens_key *,
			uint64_t lease, const struct tokens_text *);
/* … fetched nothing; `why`: 1 … 255. */
void tokens_failed(struct tokens_row *, uint64_t lease, uint64_t now, unsigned why);
/* … does not fetch after all. */
void tokens_release(struct tokens_row *, uint64_t lease);

/* Why the last fetch failed, if that is less than `ms` ago; else 0. */
unsigned tokens_silent(const struct tokens_row *, uint64_t now, uint64_t ms);

/* The token of that version is not to be used by anybody any more. False: it is not the latest. */
bool tokens_void(struct tokens_row *, uint64_t version);

#endif
