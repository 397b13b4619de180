/* digests — the SHA-256 of keys that were seen lately, so that it is worked out once and not for every request.
 *
 * A key is remembered by a 128-bit hash under a secret of this process that nobody else knows, and that lives as long
 * as it: neither the key itself lies in memory, nor can anybody make another text pass for it. */
#ifndef EXCHANGE_DIGESTS_H
#define EXCHANGE_DIGESTS_H

#include "base/crypto.h"

struct digests;

struct digests *digests_new(void);
void digests_free(struct digests *);

/* sha256(key). */
struct digest digests_of(struct digests *, struct str key);

#endif
