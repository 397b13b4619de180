#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "worker/net/addr.h"

static void
text(const char *from, const char *ip, const char *both)
{
	struct addr a;
	char buf[ADDR_TEXT];

	ck_assert_msg(addr_parse(&a, str_of(from)), "refused: %s", from);
	unit_str_eq((struct str){ buf, (size_t)(addr_put_ip(buf, &a) - buf) }, ip);
	unit_str_eq((struct str){ buf, (size_t)(addr_put(buf, &a) - buf) }, both);
}

START_TEST(texts)
{
	static const char *const bad[] = { "", "localhost", "10.0.0", "10.0.0.256", "10.0.0.1:", "10.0.0.1:65536",
					   "10.0.0.1:x", "[::1", "[::1]80", "[::1]:", "[10.0.0.1]", "::1:", "1::2::3",
					   "[]", "10.0.0.1 " };
	struct addr a;

	text("10.0.0.1", "10.0.0.1", "10.0.0.1:0");
	text("255.255.255.255:65535", "255.255.255.255", "255.255.255.255:65535");
	text("::1", "::1", "[::1]:0");
	text("[2001:db8::a]:443", "2001:db8::a", "[2001:db8::a]:443");
	text("::ffff:10.0.0.1", "10.0.0.1", "10.0.0.1:0");
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		ck_assert_msg(!addr_parse(&a, str_of(bad[i])), "accepted: %s", bad[i]);
}
END_TEST

START_TEST(sockaddrs_and_back)
{
	static const char *const all[] = { "10.1.2.3:80", "[2001:db8::a]:443" };
	struct sockaddr_storage ss;
	struct addr a, b;

	for (size_t i = 0; i < 2; i++) {
		ck_assert(addr_parse(&a, str_of(all[i])));
		ck_assert_uint_gt(addr_to_sockaddr(&a, &ss), sizeof ss.ss_family);
		addr_from_sockaddr(&b, (struct sockaddr *)&ss);
		ck_assert_mem_eq(&a, &b, sizeof a);
	}
	ss.ss_family = AF_UNIX;
	addr_from_sockaddr(&b, (struct sockaddr *)&ss);
	ck_assert_int_eq(b.family, AF_UNIX);
	ss.ss_family = AF_UNSPEC;
	addr_from_sockaddr(&b, (struct sockaddr *)&ss);
	ck_assert_int_eq(b.family, 0);
}
END_TEST

/* A client of a dual-stack socket is the one it is. */
START_TEST(mapped_is_ip4)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(5) };
	struct addr a, b;

	inet_pton(AF_INET6, "::ffff:10.0.0.1", &in6.sin6_addr);
	addr_from_sockaddr(&a, (struct sockaddr *)&in6);
	ck_assert_int_eq(a.family, AF_INET);
	ck_assert(addr_parse(&b, STR("10.0.0.1")));
	ck_assert(addr_same_ip(&a, &b));
	ck_assert(addr_parse(&b, STR("10.0.0.2")));
	ck_assert(!addr_same_ip(&a, &b));
}
END_TEST

static bool
has(const char *prefix, const char *address)
{
	struct prefix p;
	struct addr a = { .family = AF_UNIX };

	ck_assert_msg(prefix_parse(&p, str_of(prefix)), "refused: %s", prefix);
	if (strcmp(address, "unix") != 0)
		ck_assert(addr_parse(&a, str_of(address)));
	return prefix_has(&p, &a);
}

START_TEST(prefixes)
{
	static const char *const bad[] = { "", "10.0.0.0/33", "10.0.0.0/", "::/129", "10/8", "x", "10.0.0.0/8x",
					   "10.0.0.1:80", "[::1]" };
	struct prefix p;

	ck_assert(has("10.0.0.0/8", "10.255.0.1"));
	ck_assert(!has("10.0.0.0/8", "11.0.0.1"));
	ck_assert(has("10.0.0.77/8", "10.1.1.1"));
	ck_assert(has("10.1.2.128/25", "10.1.2.129"));
	ck_assert(!has("10.1.2.128/25", "10.1.2.127"));
	ck_assert(has("10.1.2.3", "10.1.2.3"));
	ck_assert(!has("10.1.2.3", "10.1.2.2"));
	ck_assert(has("0.0.0.0/0", "1.2.3.4"));
	ck_assert(!has("0.0.0.0/0", "2001:db8::1"));
	ck_assert(has("::/0", "1.2.3.4"));
	ck_assert(has("fd00::/8", "fdff::1"));
	ck_assert(!has("fd00::/8", "fe00::1"));
	ck_assert(has("unix", "unix"));
	ck_assert(!has("unix", "0.0.0.0"));
	ck_assert(!has("::/0", "unix"));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		ck_assert_msg(!prefix_parse(&p, str_of(bad[i])), "accepted: %s", bad[i]);
}
END_TEST

int
main(void)
{
	static const TTest *tests[4];
	size_t n = 0;

	tests[n++] = texts;
	tests[n++] = sockaddrs_and_back;
	tests[n++] = mapped_is_ip4;
	tests[n++] = prefixes;
	return unit_run("addr", tests, n);
}
