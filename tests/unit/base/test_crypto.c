/* Digests and secrets of base/crypto.h. */
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/crypto.h"
#include "tests/unit/unit.h"

static void
digests_to(struct str bytes, const char *wanted)
{
	struct digest d = sha256(bytes);
	char hex[65] = "";

	digest_put(hex, &d);
	ck_assert_str_eq(hex, wanted);
}

/* The examples of FIPS 180-4, and of NIST's CAVP for one byte. */
START_TEST(digests_are_those_of_the_standard)
{
	digests_to(STR_NONE,
		   "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	digests_to(STR("abc"),
		   "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	digests_to(STR("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
		   "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
	digests_to(STR("\xd3"),
		   "28969cdfa74a12c82f3bad960b0b000aca2ac329deea5c2328ebc6f2ba9802c1");
	digests_to(STR("abc"),
		   "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}
END_TEST

START_TEST(a_child_digests_on)
{
	int status;

	digests_to(STR("abc"),
		   "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");

	pid_t child = fork();

	if (!child) {
		struct digest d = sha256(STR("abc"));

		_exit(d.byte[0] == 0xba && d.byte[31] == 0xad ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(hex_is_read_back)
{
	struct digest d = sha256(STR("abc")), e;
	char hex[65] = "";

	digest_put(hex, &d);
	ck_assert(digest_parse(&e, str_of(hex)));
	ck_assert(digest_same(&d, &e));
	for (size_t i = 0; i < 64; i++)
		if (hex[i] >= 'a')
			hex[i] = (char)(hex[i] - 32);
	ck_assert(digest_parse(&e, str_of(hex)));
	ck_assert(digest_same(&d, &e));
	ck_assert(!digest_parse(&e, str_first(str_of(hex), 63)));
	ck_assert(!digest_parse(&e, STR_NONE));
	for (size_t i = 0; i < 64; i++) {
		static const char odd[] = "/:@G`g \0";
		char was = hex[i];

		for (size_t j = 0; j < sizeof(odd); j++) {
			hex[i] = odd[j];
			ck_assert(!digest_parse(&e, (struct str){ hex, 64 }));
		}
		hex[i] = was;
	}
}
END_TEST

START_TEST(every_bit_tells_digests_apart)
{
	struct digest d = sha256(STR("abc")), e = d;

	for (size_t i = 0; i < 256; i++) {
		e.byte[i / 8] ^= (uint8_t)(1 << i % 8);
		ck_assert(!digest_same(&d, &e));
		e.byte[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	ck_assert(digest_same(&d, &e));
}
END_TEST

/* 620,000 characters: each of the 62 comes 10,000 times; ±500 is five times what chance
 * allows, and a plain `% 62` of a byte (the first eight 25 % likelier) is far outside. */
START_TEST(random_text_is_even)
{
	static char text[620000 + 1];
	unsigned seen[256] = { 0 };

	text[620000] = '!';
	crypto_random_text(text, 620000);
	ck_assert_int_eq(text[620000], '!');
	for (size_t i = 0; i < 620000; i++)
		seen[(unsigned char)text[i]]++;
	for (int c = 0; c < 256; c++) {
		bool ours = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
			    (c >= 'a' && c <= 'z');

		ck_assert_msg(ours ? seen[c] > 9500 && seen[c] < 10500 : seen[c] == 0,
			      "character %d came %u times", c, seen[c]);
	}
}
END_TEST

START_TEST(random_bytes_differ_and_keep_to_their_place)
{
	uint8_t a[300] = { 0 }, b[300] = { 0 };
	unsigned zeroes = 0;

	crypto_random(a, sizeof(a) - 1);
	crypto_random(b, sizeof(b) - 1);
	ck_assert(memcmp(a, b, sizeof(a)) != 0);
	ck_assert_uint_eq(a[299], 0);
	for (size_t i = 0; i < sizeof(a) - 1; i++)
		zeroes += a[i] == 0;
	ck_assert_uint_lt(zeroes, 20);
	crypto_wipe(a, sizeof(a));
	for (size_t i = 0; i < sizeof(a); i++)
		ck_assert_uint_eq(a[i], 0);
}
END_TEST

/* McGrew and Viega's test case 16, with its nonce and tag where sealed bytes have them.
 */
START_TEST(sealed_as_the_standard_has_it)
{
	static const uint8_t aad[] =
		"\xfe\xed\xfa\xce\xde\xad\xbe\xef\xfe\xed\xfa\xce\xde\xad\xbe\xef\xab\xad\xda\xd2";
	static const uint8_t plain[] =
		"\xd9\x31\x32\x25\xf8\x84\x06\xe5\xa5\x59\x09\xc5\xaf\xf5\x26\x9a\x86\xa7\xa9\x53"
		"\x15\x34\xf7\xda\x2e\x4c\x30\x3d\x8a\x31\x8a\x72\x1c\x3c\x0c\x95\x95\x68\x09\x53"
		"\x2f\xcf\x0e\x24\x49\xa6\xb5\x25\xb1\x6a\xed\xf5\xaa\x0d\xe6\x57\xba\x63\x7b\x39";
	static const uint8_t sealed[] =
		"\xca\xfe\xba\xbe\xfa\xce\xdb\xad\xde\xca\xf8\x88"
		"\x52\x2d\xc1\xf0\x99\x56\x7d\x07\xf4\x7f\x37\xa3\x2a\x84\x42\x7d\x64\x3a\x8c\xdc"
		"\xbf\xe5\xc0\xc9\x75\x98\xa2\xbd\x25\x55\xd1\xaa\x8c\xb0\x8e\x48\x59\x0d\xbb\x3d"
		"\xa7\xb0\x8b\x10\x56\x82\x88\x38\xc5\xf6\x1e\x63\x93\xba\x7a\x0a\xbc\xc9\xf6\x62"
		"\x76\xfc\x6e\xce\x0f\x4e\x17\x68\xcd\xdf\x88\x53\xbb\x2d\x55\x1b";
	struct str bound = { (const char *)aad, sizeof(aad) - 1 };
	struct digest key;
	uint8_t got[60];

	ck_assert(digest_parse(&key, STR("feffe9928665731c6d6a8f9467308308"
					 "feffe9928665731c6d6a8f9467308308")));
	ck_assert_int_eq(crypto_open(got, &key, bound, sealed, sizeof(sealed) - 1), 0);
	ck_assert_mem_eq(got, plain, 60);
}
END_TEST

START_TEST(what_is_sealed_is_opened)
{
	struct digest key = sha256(STR("key"));
	uint8_t sealed[300 + CRYPTO_SEAL + 1], again[sizeof(sealed)];
	uint8_t plain[300], got[300];
	static const size_t sizes[] = { 0, 1, 15, 16, 17, 300 };

	crypto_random(plain, sizeof(plain));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		size_t n = sizes[i];

		sealed[n + CRYPTO_SEAL] = 0x5a;
		crypto_seal(sealed, &key, STR("for"), plain, n);
		ck_assert_uint_eq(sealed[n + CRYPTO_SEAL], 0x5a);
		ck_assert_int_eq(crypto_open(got, &key, STR("for"), sealed,
					     n + CRYPTO_SEAL), 0);
		ck_assert(!n || !memcmp(got, plain, n));
		/* Never the same twice. */
		crypto_seal(again, &key, STR("for"), plain, n);
		ck_assert_mem_ne(sealed, again, 12);
		ck_assert_mem_ne(sealed + 12, again + 12, n + 16);
	}
}
END_TEST

START_TEST(nothing_else_is_opened)
{
	struct digest key = sha256(STR("key")), other = key;
	uint8_t sealed[20 + CRYPTO_SEAL], got[20], zero[20] = { 0 };

	crypto_seal(sealed, &key, STR("for"), "twenty bytes exactly", 20);
	for (size_t i = 0; i < 8 * sizeof(sealed); i++) {
		sealed[i / 8] ^= (uint8_t)(1 << i % 8);
		memset(got, 0xee, sizeof(got));
		ck_assert_int_lt(crypto_open(got, &key, STR("for"), sealed,
					     sizeof(sealed)), 0);
		ck_assert_mem_eq(got, zero, sizeof(got));
		sealed[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	for (size_t n = 0; n < sizeof(sealed); n++)
		ck_assert_int_lt(crypto_open(got, &key, STR("for"), sealed, n), 0);
	ck_assert_int_lt(crypto_open(got, &key, STR("fo"), sealed, sizeof(sealed)), 0);
	ck_assert_int_lt(crypto_open(got, &key, STR_NONE, sealed, sizeof(sealed)), 0);
	other.byte[31] ^= 0x80;
	ck_assert_int_lt(crypto_open(got, &other, STR("for"), sealed, sizeof(sealed)), 0);
	ck_assert_int_eq(crypto_open(got, &key, STR("for"), sealed, sizeof(sealed)), 0);
	ck_assert_mem_eq(got, "twenty bytes exactly", 20);
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { digests_are_those_of_the_standard,
				 a_child_digests_on,
				 hex_is_read_back,
				 every_bit_tells_digests_apart,
				 random_text_is_even,
				 random_bytes_differ_and_keep_to_their_place,
				 sealed_as_the_standard_has_it,
				 what_is_sealed_is_opened,
				 nothing_else_is_opened };

	return unit_run("base/crypto", tests, sizeof(tests) / sizeof(*tests));
}
