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

int
main(void)
{
	const TTest *tests[] = { digests_are_those_of_the_standard,
				 a_child_digests_on,
				 hex_is_read_back,
				 every_bit_tells_digests_apart,
				 random_text_is_even,
				 random_bytes_differ_and_keep_to_their_place };

	return unit_run("base/crypto", tests, sizeof(tests) / sizeof(*tests));
}
