/* records — what became of a request: a struct that crosses processes, no pointers.
 *
 * A worker writes one record for each request into its own ring (the oldest are
 * overwritten); the keeper tails the rings, `postern why` and `postern trace` read them.
 * A record is a fixed head and texts one after the other, each as long as its length
 * says: what was asked and what was decided by whom. */
#ifndef SHM_RECORDS_H
#define SHM_RECORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "shm/region.h"

enum { RECORD_ATTEMPTS = 4 };

struct record {
	uint32_t size;                  /* whole record, multiple of 8 */
	uint16_t status;                /* sent to the client; 0: none */
	uint16_t fault;                 /* enum fault; 0: none */
	uint64_t id[2];                 /* the request id, 128 bits */
	int64_t at;                     /* ms since 1970, when its head was complete */
	uint32_t generation;
	uint32_t route;                 /* series of shm/stats.h */
	uint32_t us_total, us_policy, us_connect, us_first_byte;  /* phases, µs */
	uint64_t bytes_in, bytes_out;   /* bodies */
	struct {
		uint32_t target;        /* series */
		uint32_t us;
		uint16_t fault;         /* why it failed; 0: it answered */
		uint16_t status;
		uint32_t error;         /* errno */
	} attempt[RECORD_ATTEMPTS];
	uint8_t attempts;
	uint8_t method_len;
	uint16_t policy;                /* index + 1 in the chain of the policy that answered; 0: none */
	uint16_t host_len, path_len;    /* cut to 64 and 256 */
	uint8_t client_len;             /* cut to 64; the method to 32 */
	uint8_t spare[7];
	/* method, host, path, client follow */
};
_Static_assert(sizeof(struct record) == 152, "records cross processes and versions");

enum { RECORD_SIZE_MAX = sizeof(struct record) + 32 + 64 + 256 + 64 };

struct record_texts {
	struct str method, host, path, client;
};

enum { RING_BYTES = 1 << 20 };          /* per worker */

struct ring;                            /* one worker's, in the region */

/* The rings of all rows (SLOTS_MAX), found or made; NULL if the region is full. */
struct ring *rings_open(struct region *);
const struct ring *rings_find(const struct region *);
struct ring *ring_of(struct ring *rings, int row);
const struct ring *ring_of_const(const struct ring *rings, int row);

/* Reserves the memory of a row's ring, before its worker starts. -1 with errno set. */
int ring_reserve(struct region *, struct ring *rings, int row);

/* Appends; `r->size` and the lengths are filled in here. By the owner of the row only. */
void ring_write(struct ring *, struct record *r, const struct record_texts *);

/* Reads the record at `*cursor` (0: the oldest that is there) into `buf`, of RECORD_SIZE_MAX bytes, and moves the
 * cursor on. Returns its size, 0 when there is no more, -1 when the reader was lapped (the cursor is at the
 * oldest again and *lost says how many bytes were missed). */
int ring_read(const struct ring *, uint64_t *cursor, void *buf, uint32_t size, uint64_t *lost);

/* The texts of a record that was read. */
struct record_texts record_texts(const struct record *);

/* What the worker is doing just now, for the master to say should it die: set at a request's start, 0 at its end. */
void ring_now(struct ring *, const uint64_t id[2]);
/* What ring_now() was told last; false: nothing was under way. */
bool ring_doing(const struct ring *, uint64_t id[2]);

#endif
