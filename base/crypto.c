#include "base/crypto.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <sys/random.h>

/* Fetched and allocated once: that is most of what a short digest costs. A child goes on
 * with its own copy. Out of memory is fatal, a digest that fails is impossible. */
static EVP_MD *md;
static EVP_MD_CTX *context;

static void
prepare(void)
{
	md = EVP_MD_fetch(NULL, "SHA256", NULL);
	context = EVP_MD_CTX_new();
	if (!md || !context || !EVP_DigestInit_ex2(context, md, NULL))
		abort();
}

struct digest
sha256(struct str bytes)
{
	struct digest d;

	if (!context)
		prepare();
	/* Without a method the context goes on with the one that it has. */
	if (!EVP_DigestInit_ex2(context, NULL, NULL) ||
	    !EVP_DigestUpdate(context, bytes.at, bytes.len) ||
	    !EVP_DigestFinal_ex(context, d.byte, NULL))
		abort();
	return d;
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)char_lower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool
digest_parse(struct digest *d, struct str hex)
{
	if (hex.len != 2 * sizeof(d->byte))
		return false;
	for (size_t i = 0; i < sizeof(d->byte); i++) {
		int high = hex_value(hex.at[2 * i]), low = hex_value(hex.at[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		d->byte[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

void
digest_put(char *to, const struct digest *d)
{
	static const char hex[] = "0123456789abcdef";

	for (size_t i = 0; i < sizeof(d->byte); i++) {
		*to++ = hex[d->byte[i] >> 4];
		*to++ = hex[d->byte[i] & 15];
	}
}

bool
digest_same(const struct digest *a, const struct digest *b)
{
	uint64_t x[4], y[4], differs = 0;

	memcpy(x, a->byte, sizeof(x));
	memcpy(y, b->byte, sizeof(y));
	for (int i = 0; i < 4; i++)
		differs |= x[i] ^ y[i];
	/* Nobody may conclude anything before all was looked at. */
	__asm__ volatile("" : "+r"(differs));
	return differs == 0;
}

void
crypto_random(void *to, size_t n)
{
	char *at = to;

	while (n) {
		ssize_t got = getrandom(at, n, 0);

		if (got < 0) {
			if (errno == EINTR)
				continue;
			abort();
		}
		at += got;
		n -= (size_t)got;
	}
}

void
crypto_random_text(char *to, size_t n)
{
	static const char alphabet[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				       "abcdefghijklmnopqrstuvwxyz";
	uint8_t some[64];
	size_t left = 0;

	while (n) {
		if (!left) {
			crypto_random(some, sizeof(some));
			left = sizeof(some);
		}

		uint8_t byte = some[--left];

		/* 4 × 62: what lies above would make the first letters likelier. */
		if (byte < 248) {
			*to++ = alphabet[byte % 62];
			n--;
		}
	}
	crypto_wipe(some, sizeof(some));
}

/* ---- sealing: nonce, bytes, tag */

enum { NONCE = 12, TAG = 16 };

_Static_assert(CRYPTO_SEAL == NONCE + TAG, "what sealing adds");

static EVP_CIPHER_CTX *
gcm(const struct digest *key, const uint8_t *nonce, struct str bound, int seal)
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	int n;

	if (!c ||
	    !EVP_CipherInit_ex(c, EVP_aes_256_gcm(), NULL, key->byte, nonce, seal) ||
	    !EVP_CipherUpdate(c, NULL, &n, (const uint8_t *)bound.at, (int)bound.len))
		abort();
	return c;
}

void
crypto_seal(void *to, const struct digest *key, struct str bound, const void *from,
	    size_t n)
{
	uint8_t *nonce = to, *bytes = nonce + NONCE;
	EVP_CIPHER_CTX *c;
	int wrote, rest;

	crypto_random(nonce, NONCE);
	c = gcm(key, nonce, bound, 1);
	if (!EVP_EncryptUpdate(c, bytes, &wrote, from, (int)n) ||
	    !EVP_EncryptFinal_ex(c, bytes + wrote, &rest) ||
	    !EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, TAG, bytes + n))
		abort();
	EVP_CIPHER_CTX_free(c);
}

int
crypto_open(void *to, const struct digest *key, struct str bound, const void *sealed,
	    size_t n)
{
	const uint8_t *nonce = sealed, *bytes = nonce + NONCE;
	uint8_t tag[TAG];
	EVP_CIPHER_CTX *c;
	int wrote = 0, rest;
	bool whole;

	if (n < CRYPTO_SEAL)
		return -1;
	n -= CRYPTO_SEAL;
	memcpy(tag, bytes + n, TAG);
	c = gcm(key, nonce, bound, 0);
	whole = EVP_DecryptUpdate(c, to, &wrote, bytes, (int)n) &&
		EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, TAG, tag) &&
		EVP_DecryptFinal_ex(c, (uint8_t *)to + wrote, &rest) > 0;
	EVP_CIPHER_CTX_free(c);
	if (!whole)
		crypto_wipe(to, n);
	return whole ? 0 : -1;
}

void
crypto_wipe(void *at, size_t n)
{
	OPENSSL_cleanse(at, n);
}
