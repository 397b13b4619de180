#include "worker/exchange/digests.h"

#include <stdlib.h>
#include <string.h>

/* 16,384 keys in 1 MiB, touched as they come. */
enum { LINE = 64, SETS = 1 << 13, A_SET = 2,
       ALL = SETS * A_SET * sizeof(struct remembered) };

_Static_assert(sizeof(struct remembered) == LINE, "a cache line");

struct digests {
	uint64_t secret[2];
	struct remembered *at;          /* SETS × A_SET, the latest first */
	void *memory;                   /* it is in there, at the begin of a line */
	bool used;
};

struct digests *
digests_new(void)
{
	struct digests *d = calloc(1, sizeof(*d));

	if (!d || !(d->memory = calloc(1, ALL + LINE)))
		abort();
	d->at = (void *)(((uintptr_t)d->memory + LINE - 1) & ~(uintptr_t)(LINE - 1));
	crypto_random(d->secret, sizeof(d->secret));
	return d;
}

void
digests_free(struct digests *d)
{
	if (!d)
		return;
	crypto_wipe(d->secret, sizeof(d->secret));
	free(d->memory);
	free(d);
}

struct remembered *
digests_of(struct digests *d, struct str key)
{
	struct siphash h = siphash(d->secret, 0, key);
	struct remembered *set = &d->at[(h.low & (SETS - 1)) * A_SET];

	for (int i = 0; i < A_SET; i++)
		if (set[i].key.low == h.low && set[i].key.high == h.high)
			return &set[i];
	d->used = true;
	set[1] = set[0];
	set[0] = (struct remembered){ .key = h, .digest = sha256(key) };
	return set;
}

void
digests_void(struct digests *d)
{
	for (size_t i = 0; d->used && i < (size_t)SETS * A_SET; i++)
		if (d->at[i].in)
			d->at[i].found = d->at[i].in = NULL;
}
