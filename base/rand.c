#include "base/rand.h"

#include <stdbool.h>
#include <stdlib.h>
#include <sys/random.h>

/* xoshiro256**, reseeded from the kernel every so often. */
enum { RESEED_AFTER = 1 << 20 };

static uint64_t state[4];
static uint32_t left;

void
rand_reseed(void)
{
	do {
		if (getrandom(state, sizeof(state), 0) != sizeof(state))
			abort();
	} while (!(state[0] | state[1] | state[2] | state[3]));
	left = RESEED_AFTER;
}

static uint64_t
rotl(uint64_t x, int k)
{
	return x << k | x >> (64 - k);
}

uint64_t
rand_u64(void)
{
	if (!left--)
		rand_reseed();

	uint64_t result = rotl(state[1] * 5, 7) * 9;
	uint64_t t = state[1] << 17;

	state[2] ^= state[0];
	state[3] ^= state[1];
	state[1] ^= state[2];
	state[0] ^= state[3];
	state[2] ^= t;
	state[3] = rotl(state[3], 45);
	return result;
}
