/* crypto — the little cryptography that is not TLS: digests, secrets, random keys, sealing. */
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

/* Sealed bytes are longer by so many: a nonce, the tag. */
enum { CRYPTO_SEAL = 12 + 16 };

/* AES-256-GCM with a random nonce: writes n + CRYPTO_SEAL bytes to `to`. `bound` is not in them, but opening needs the
 * same; may be empty. At most 2^32 with one key. */
void crypto_seal(void *to, const struct digest *key, struct str bound, const void *from, size_t n);
/* Writes n - CRYPTO_SEAL bytes to `to`. -1: they are not whole, or of another key or `bound`, and `to` is wiped. */
int crypto_open(void *to, const struct digest *key, struct str bound, const void *sealed, size_t n);

/* Overwrites, in a way that no compiler leaves out. */
void crypto_wipe(void *, size_t n);

#endif
