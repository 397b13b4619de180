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

void
crypto_wipe(void *at, size_t n)
{
	OPENSSL_cleanse(at, n);
}
