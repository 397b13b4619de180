#include <check.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdlib.h>

#include "base/siphash.h"

/* OpenSSL's SipHash-1-3 of `more` (8 bytes, little-endian) and the bytes. */
static struct siphash
theirs(const uint64_t key[2], uint64_t more, struct str bytes)
{
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "SIPHASH", NULL);
	EVP_MAC_CTX *c = EVP_MAC_CTX_new(mac);
	unsigned c_rounds = 1, d_rounds = 3;
	size_t size = 16;
	OSSL_PARAM p[] = {
		OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size),
		OSSL_PARAM_construct_uint(OSSL_MAC_PARAM_C_ROUNDS, &c_rounds),
		OSSL_PARAM_construct_uint(OSSL_MAC_PARAM_D_ROUNDS, &d_rounds),
		OSSL_PARAM_construct_end(),
	};
	struct siphash out;

	ck_assert_int_eq(EVP_MAC_init(c, (const unsigned char *)key, 16, p), 1);
	EVP_MAC_update(c, (const unsigned char *)&more, sizeof(more));
	if (bytes.len)
		EVP_MAC_update(c, (const unsigned char *)bytes.at, bytes.len);
	ck_assert_int_eq(EVP_MAC_final(c, (unsigned char *)&out, &size, sizeof(out)), 1);
	EVP_MAC_CTX_free(c);
	EVP_MAC_free(mac);
	return out;
}

START_TEST(test_as_openssl)
{
	uint64_t key[2] = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 };
	char text[200];

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)(i * 37 + 5);
	for (size_t len = 0; len < sizeof(text); len++) {
		struct str s = { text, len };
		struct siphash a = siphash(key, len * 77, s),
			       b = theirs(key, len * 77, s);

		ck_assert_uint_eq(a.low, b.low);
		ck_assert_uint_eq(a.high, b.high);
	}
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("siphash");
	TCase *t = tcase_create("siphash");
	SRunner *r;
	int failed;

	tcase_add_test(t, test_as_openssl);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
