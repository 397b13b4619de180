/* chain — a queue of bytes that it owns, in chunks from the heap.
 *
 * Holds what a socket did not take. Who appends is held back by credit, so that a
 * chain stays within its `max`; exceeding that is a defect and aborts. An empty
 * chain owns no memory. */
#ifndef BASE_CHAIN_H
#define BASE_CHAIN_H

#include <sys/uio.h>

#include "base/str.h"

struct chunk;

struct chain {
	struct chunk *first, *last;
	size_t len;                     /* bytes held */
};

void chain_append(struct chain *, struct str bytes, size_t max);

/* Fills up to `n` iovecs with what is in front; returns how many. */
int chain_iov(const struct chain *, struct iovec *v, int n);

/* Drops `n` bytes from the front. */
void chain_drop(struct chain *, size_t n);

void chain_free(struct chain *);

#endif
