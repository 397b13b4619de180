/* crypto — the little cryptography that is not TLS: digests, secrets, random keys. */
#ifndef BASE_CRYPTO_H
#define BASE_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct digest {                         /* SHA-256 (FIPS 180-4) */
	uint8_t byte[32];
};

/* By a context that this process keeps: nothing is allocated after the first call. */
struct digest sha256(struct str bytes);

/* 64 hex digits, either case. false: it is none. */
bool digest_parse(struct digest *, struct str hex);
/* Writes 64 lower-case hex digits, no NUL. */
void digest_put(char *to, const struct digest *);

/* Compares in constant time. */
bool digest_same(const struct digest *, const struct digest *);

/* Random bytes from the kernel, good enough for keys. Aborts if there are none. */
void crypto_random(void *to, size_t n);
/* Fills with random characters of [0-9A-Za-z] (5.95 bits each), no NUL. */
void crypto_random_text(char *to, size_t n);

/* Overwrites, in a way that no compiler leaves out. */
void crypto_wipe(void *, size_t n);

#endif
