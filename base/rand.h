/* rand — random bytes: a per-process generator refilled from the kernel.
 *
 * Good enough for request ids and weights; never for keys. Call rand_reseed() after
 * a fork, so that two processes do not say the same. */
#ifndef BASE_RAND_H
#define BASE_RAND_H

#include <stdint.h>

void rand_reseed(void);
uint64_t rand_u64(void);

#endif
