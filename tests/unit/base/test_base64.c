#include "base/base64.h"

#include "tests/unit/unit.h"

/* RFC 4648 §10. */
static const struct {
	const char *bytes, *text;
} known[] = {
	{ "", "" },		{ "f", "Zg==" },	{ "fo", "Zm8=" },
	{ "foo", "Zm9v" },	{ "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" },
	{ "foobar", "Zm9vYmFy" },
};

START_TEST(the_vectors_of_the_rfc)
{
	char buf[64];

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		struct str bytes = str_of(known[i].bytes), text = str_of(known[i].text);
		ssize_t n;

		ck_assert_uint_eq(base64_size(bytes.len), text.len);
		n = base64_put(buf, bytes) - buf;
		unit_str_eq((struct str){ buf, (size_t)n }, known[i].text);
		n = base64_get(buf, text);
		unit_str_eq((struct str){ buf, (size_t)n }, known[i].bytes);
	}
}
END_TEST

START_TEST(every_byte_comes_back)
{
	char bytes[256], text[400];

	for (int i = 0; i < 256; i++)
		bytes[i] = (char)i;
	for (size_t n = 0; n <= sizeof(bytes); n++) {
		char *end = base64_put(text, (struct str){ bytes, n });
		struct str all = { text, (size_t)(end - text) };

		/* In its own place. */
		ck_assert_int_eq(base64_get(text, all), (ssize_t)n);
		ck_assert_int_eq(memcmp(text, bytes, n), 0);
	}
}
END_TEST

START_TEST(what_is_none)
{
	static const char *const bad[] = { "Z",	   "Zg",   "Zg=",  "Zg=a", "=Zg=",
					   "Z===", "====", "Zh==", "Zm9=", "Zm 9",
					   "Zm-_", "Zg==Zg==", "Zm9v\n", "Zm9\xff" };
	char buf[64];

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		ck_assert_msg(base64_get(buf, str_of(bad[i])) == -1, "%s", bad[i]);
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { the_vectors_of_the_rfc, every_byte_comes_back,
				 what_is_none };

	return unit_run("base/base64", tests, sizeof(tests) / sizeof(*tests));
}
