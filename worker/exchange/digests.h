/* digests — the SHA-256 of keys that were seen lately, so that it is worked out once and not for every request; and
 * beside it what was found by it.
 *
 * A key is remembered by a 128-bit hash under a secret of this process that nobody else knows, and that lives as long
 * as it: neither the key itself lies in memory, nor can anybody make another text pass for it. */
#ifndef EXCHANGE_DIGESTS_H
#define EXCHANGE_DIGESTS_H

#include "base/crypto.h"
#include "base/siphash.h"

struct digests;

struct digests *digests_new(void);
void digests_free(struct digests *);

struct remembered {                     /* a cache line */
	struct siphash key;             /* all 0: free */
	struct digest digest;           /* sha256(key) */
	const void *found, *in;         /* the caller's, NULL at first: what was found by it, and where */
};

/* Of this key: until the next call. */
struct remembered *digests_of(struct digests *, struct str key);
/* What was found is void: where it was found is about to go. */
void digests_void(struct digests *);

#endif
