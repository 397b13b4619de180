#include "worker/exchange/connect.h"

#include "tests/unit/exchange/fake.h"

static struct str list[] = {
	{ "api.example.com:443", 19 }, { "*.vendor.test:8443", 18 }, { "10.1.2.3:443", 12 },
	{ "[fd00::7]:443", 13 }, { "127.0.0.1:8080", 14 },
};
static const struct conf_connect conf = { { .at = list, .n = 5 } };

static enum connect_verdict
asked(const char *host, const char *port)
{
	struct addr a;

	return connect_allowed(&conf, str_of(host), str_of(port), &a);
}

START_TEST(names)
{
	ck_assert_int_eq(asked("api.example.com", "443"), CONNECT_NAME);
	ck_assert_int_eq(asked("API.Example.COM", "443"), CONNECT_NAME);
	ck_assert_int_eq(asked("api.example.com.", "443"), CONNECT_NAME);
	ck_assert_int_eq(asked("api.example.com", "80"), CONNECT_DENIED);
	ck_assert_int_eq(asked("api.example.com", "0443"), CONNECT_DENIED);
	ck_assert_int_eq(asked("example.com", "443"), CONNECT_DENIED);
	ck_assert_int_eq(asked("x.api.example.com", "443"), CONNECT_DENIED);
}
END_TEST

START_TEST(names_below)
{
	ck_assert_int_eq(asked("a.vendor.test", "8443"), CONNECT_NAME);
	ck_assert_int_eq(asked("a.b.vendor.test", "8443"), CONNECT_NAME);
	ck_assert_int_eq(asked("vendor.test", "8443"), CONNECT_DENIED);
	ck_assert_int_eq(asked(".vendor.test", "8443"), CONNECT_DENIED);
	ck_assert_int_eq(asked("evilvendor.test", "8443"), CONNECT_DENIED);
	ck_assert_int_eq(asked("a.vendor.test.evil.org", "8443"), CONNECT_DENIED);
}
END_TEST

START_TEST(addresses_are_those_of_the_list)
{
	ck_assert_int_eq(asked("10.1.2.3", "443"), CONNECT_ADDRESS);
	ck_assert_int_eq(asked("10.1.2.4", "443"), CONNECT_DENIED);
	ck_assert_int_eq(asked("[fd00::7]", "443"), CONNECT_ADDRESS);
	ck_assert_int_eq(asked("[fd00:0::7]", "443"), CONNECT_ADDRESS);
	ck_assert_int_eq(asked("[fd00::8]", "443"), CONNECT_DENIED);
	ck_assert_int_eq(asked("127.0.0.1", "8080"), CONNECT_ADDRESS);
	ck_assert_int_eq(asked("127.0.0.2", "8080"), CONNECT_DENIED);
}
END_TEST

START_TEST(what_resolvers_take_for_an_address_is_no_name)
{
	static const struct str all[] = { { "*.1:80", 6 }, { "2130706433:80", 13 } };
	static const struct conf_connect any = { { .at = (struct str *)all, .n = 2 } };
	static const char *const odd[] = { "127.1", "127.0.1", "0x7f.1", "2130706433",
					   "a.0x7f000001", "0177.0.0.1" };
	struct addr a;

	for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++)
		ck_assert_msg(connect_allowed(&any, str_of(odd[i]), STR("80"), &a) ==
				      CONNECT_DENIED, "%s", odd[i]);
}
END_TEST

START_TEST(local_addresses)
{
	static const char *const local[] = {
		"127.0.0.1", "127.255.0.1", "0.0.0.0", "169.254.169.254", "::1", "::",
		"fe80::1", "::ffff:127.0.0.1", "::127.0.0.1", "224.0.0.1", "ff02::1",
		"64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:a9fe:a9fe::",
		"255.255.255.255",
	};
	static const char *const other[] = { "10.0.0.1", "192.168.0.1", "8.8.8.8", "fd00::1",
					     "2001:db8::1", "64:ff9b::808:808" };
	struct addr a;

	for (size_t i = 0; i < sizeof(local) / sizeof(*local); i++) {
		ck_assert_msg(addr_parse(&a, str_of(local[i])), "%s", local[i]);
		ck_assert_msg(connect_is_local(&a), "%s", local[i]);
	}
	for (size_t i = 0; i < sizeof(other) / sizeof(*other); i++) {
		ck_assert(addr_parse(&a, str_of(other[i])));
		ck_assert_msg(!connect_is_local(&a), "%s", other[i]);
	}
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		names, names_below, addresses_are_those_of_the_list,
		what_resolvers_take_for_an_address_is_no_name, local_addresses,
	};

	return unit_run("exchange/connect", tests, sizeof tests / sizeof *tests);
}
