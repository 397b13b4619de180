#include <stdint.h>

#include "base/base64.h"
#include "base/crypto.h"
#include "worker/http/h2_conn.h"

/* SHA-1 (FIPS 180-4), which RFC 6455 asks for and nobody relies on. */
static uint32_t
rol(uint32_t x, int n)
{
	return x << n | x >> (32 - n);
}

static void
sha1_block(uint32_t h[5], const uint8_t *p)
{
	uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];

	for (int i = 0; i < 16; i++)
		w[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 |
		       (uint32_t)p[4 * i + 2] << 8 | p[4 * i + 3];
	for (int i = 16; i < 80; i++)
		w[i] = rol(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
	for (int i = 0; i < 80; i++) {
		uint32_t f, k, t;

		if (i < 20)
			f = (b & c) | (~b & d), k = 0x5a827999;
		else if (i < 40)
			f = b ^ c ^ d, k = 0x6ed9eba1;
		else if (i < 60)
			f = (b & c) | (b & d) | (c & d), k = 0x8f1bbcdc;
		else
			f = b ^ c ^ d, k = 0xca62c1d6;
		t = rol(a, 5) + f + e + k + w[i];
		e = d;
		d = c;
		c = rol(b, 30);
		b = a;
		a = t;
	}
	h[0] += a;
	h[1] += b;
	h[2] += c;
	h[3] += d;
	h[4] += e;
}

/* Of at most 119 bytes. */
static void
sha1_short(uint8_t out[20], struct str s)
{
	uint32_t h[5] = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0 };
	uint8_t block[128] = { 0 };
	size_t total = s.len < 56 ? 64 : 128;

	memcpy(block, s.at, s.len);
	block[s.len] = 0x80;
	for (int i = 0; i < 8; i++)
		block[total - 1 - (size_t)i] = (uint8_t)((uint64_t)s.len * 8 >> 8 * i);
	for (size_t i = 0; i < total; i += 64)
		sha1_block(h, block + i);
	for (int i = 0; i < 20; i++)
		out[i] = (uint8_t)(h[i / 4] >> (24 - i % 4 * 8));
}

void
h2_websocket_key(char to[static H2_KEY_LEN])
{
	char bytes[16];

	crypto_random(bytes, sizeof(bytes));
	base64_put(to, (struct str){ bytes, sizeof(bytes) });
}

void
h2_websocket_accept(char to[static H2_ACCEPT_LEN], struct str key)
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	char text[64 + sizeof(guid)];
	uint8_t digest[20];

	key = str_first(key, 64);
	memcpy(text, key.at, key.len);
	memcpy(text + key.len, guid, sizeof(guid) - 1);
	sha1_short(digest, (struct str){ text, key.len + sizeof(guid) - 1 });
	base64_put(to, (struct str){ (char *)digest, sizeof(digest) });
}
