/* tickets — keys of TLS session tickets, the same for all workers, so that a client
 * resumes wherever its connection lands, and after reloads, upgrades and restarts of the
 * master.
 *
 * Three keys: the one that seals, the one before, that still opens, and the next, known
 * everywhere before it is used. The master turns them every TICKETS_TURN_MS. Random
 * bytes; they never leave the region (which is 0640 and not dumped) and are wiped when
 * they are turned out. */
#ifndef SHM_TICKETS_H
#define SHM_TICKETS_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/region.h"

enum { TICKETS = 3, TICKETS_TURN_MS = 8 * 3600 * 1000 };

struct ticket_key {
	uint8_t name[16];               /* what a ticket begins with */
	uint8_t aes[32], hmac[32];
};

struct tickets;

/* Makes keys where there are none; NULL: the region is full. */
struct tickets *tickets_open(struct region *);
const struct tickets *tickets_find(const struct region *);
/* By the master, once a second: turns when it is time. True: it did. */
bool tickets_tick(struct tickets *, uint64_t wall_ms);

/* The key that seals. */
void tickets_seal(const struct tickets *, struct ticket_key *);
/* The key of that name: 1, and 2 when the ticket is to be renewed; 0: nobody knows it. */
int tickets_open_by(const struct tickets *, const uint8_t name[16], struct ticket_key *);

#endif
