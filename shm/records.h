/* records — what became of a request: a struct that crosses processes, no pointers.
 *
 * A worker writes a record of each request into its own rings: one for all, and a second one, for refusals,
 * errors and 5xx only, where they last far longer. The oldest are overwritten. The keeper tails the rings,
 * `postern why` and `postern trace` read them. A record is a fixed head, then notes (what each policy said), then
 * texts, each as long as its length says. */
#ifndef SHM_RECORDS_H
#define SHM_RECORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "shm/region.h"

enum { RECORD_ATTEMPTS = 4, RECORD_NOTES = 16, RECORD_MISSES = 4 };

enum decision {                         /* of a policy */
	DECISION_PASSED,
	DECISION_REFUSED,               /* it answered */
	DECISION_OBSERVED,              /* it would have refused, but only observes */
	DECISION_FULL,                  /* no room to count the key; what came of it is its when_full */
	DECISION_WAITED,                /* it held the request back, and let it go on */
	DECISION_ABORTED,               /* it closed the connection */
	DECISION_COUNT
};

struct record_note {                    /* what a policy decided */
	uint32_t policy;                /* series, named "TYPE/NAME" */
	uint32_t line;                  /* of its definition … */
	uint16_t file;                  /* … in this file: series */
	uint8_t decision;               /* enum decision */
	uint8_t spare;
	uint32_t us;                    /* held back for */
	uint64_t operand[3];            /* what they mean is the policy's to say: struct policy.explain */
};

struct record_miss {                    /* a route that was tried and did not match, though its path does */
	uint32_t route;                 /* series */
	uint32_t line;
	uint8_t why;                    /* enum route_miss */
	uint8_t spare[7];
};

struct record {
	uint32_t size;                  /* whole record, multiple of 8 */
	uint16_t status;                /* sent to the client; 0: none */
	uint16_t fault;                 /* enum fault; 0: none */
	uint64_t id[2];                 /* the request id, 128 bits */
	int64_t at;                     /* ms since 1970, when its head was complete */
	uint32_t generation;
	uint32_t listener, service, route;      /* series; 0: none */
	uint32_t line;                  /* of the route, or of its service, or listener … */
	uint16_t file;                  /* … in this file: series */
	uint16_t order;                 /* of the route in its service: how many were passed over; without one, all */
	uint32_t us_total, us_policy, us_queue, us_connect, us_first_byte;      /* phases, µs */
	uint32_t us_read;               /* from the first byte of the head to its last; 0: in one piece */
	uint64_t bytes_in, bytes_out;   /* bodies */
	struct {
		uint32_t target;        /* series */
		uint32_t us;
		uint16_t fault;         /* why it failed; 0: it answered */
		uint16_t status;
		uint32_t error;         /* errno */
	} attempt[RECORD_ATTEMPTS];
	struct record_miss miss[RECORD_MISSES];
	uint8_t attempts, misses, notes;
	uint8_t policy;                 /* index + 1 in the notes of the one that answered; 0: none */
	uint8_t method_len, client_len; /* cut to 32 and 64 */
	uint8_t id_len, key_len;        /* an id that a trusted peer gave: 64; the id of the API key: 16 */
	uint16_t host_len, path_len;    /* cut to 64 and 256 */
	uint8_t consumer_len, plan_len; /* 64, 64 */
	uint8_t kept;                   /* it went into the second ring too */
	uint8_t grpc;                   /* grpc-status that the client got + 1; 0: none */
	/* struct record_note × notes, then texts in the order of struct record_texts */
};
_Static_assert(sizeof(struct record) % 8 == 0, "records cross processes and versions");

enum { RECORD_TEXTS = 32 + 64 + 256 + 64 + 64 + 16 + 64 + 64,
       RECORD_SIZE_MAX = sizeof(struct record) + RECORD_NOTES * sizeof(struct record_note) + RECORD_TEXTS };

struct record_texts {
	struct str method, host, path, client, id, key, consumer, plan;
};

/* Of a worker's two rings: bytes. */
enum { RING_BYTES = 1 << 21, RING_KEPT_BYTES = 1 << 20 };

enum ring_which { RING_ALL, RING_KEPT };

struct ring;                            /* one worker's two, in the region */

/* Those of all rows (SLOTS_MAX), found or made; NULL if the region is full. */
struct ring *rings_open(struct region *);
const struct ring *rings_find(const struct region *);
struct ring *ring_of(struct ring *rings, int row);
const struct ring *ring_of_const(const struct ring *rings, int row);

/* Reserves the memory of a row's rings, before its worker starts. -1 with errno set. */
int ring_reserve(struct region *, struct ring *rings, int row);

/* Appends, to the second ring as well when r->kept; `r->size` and the lengths are filled in here. By the owner of
 * the row only. `note`: r->notes of them. */
void ring_write(struct ring *, struct record *r, const struct record_note *note, const struct record_texts *);

/* Reads the record at `*cursor` (0: the oldest that is there) into `buf`, of RECORD_SIZE_MAX bytes, and moves the
 * cursor on. Returns its size, 0 when there is no more, -1 when the reader was lapped (the cursor is at the
 * oldest again and *lost says how many bytes were missed). */
int ring_read(const struct ring *, enum ring_which, uint64_t *cursor, void *buf, uint32_t size, uint64_t *lost);
/* The cursor behind the newest record: for who wants only what comes. */
uint64_t ring_end(const struct ring *, enum ring_which);

/* The parts of a record that was read. */
struct record_texts record_texts(const struct record *);
const struct record_note *record_notes(const struct record *);

/* What the worker is doing just now, for the master to say should it die: set at a request's start, 0 at its end. */
void ring_now(struct ring *, const uint64_t id[2]);
/* What ring_now() was told last; false: nothing was under way. */
bool ring_doing(const struct ring *, uint64_t id[2]);

/* From the handler of a fatal signal: what it was doing had this signature (shm/poison.h) and route. */
void ring_crashed(struct ring *, uint64_t signature, uint32_t route);
/* Takes what ring_crashed() left; false: nothing. */
bool ring_take_crash(struct ring *, uint64_t *signature, uint32_t *route);

#endif
