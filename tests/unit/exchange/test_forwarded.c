#include "worker/exchange/forwarded.h"

#include "tests/unit/exchange/fake.h"

static struct prefix prefixes[2];
static const struct trust trust = { prefixes, 2 }, nobody = { NULL, 0 };

static void
begin(void)
{
	fake_begin();
	ck_assert(prefix_parse(&prefixes[0], STR("10.0.0.0/8")));
	ck_assert(prefix_parse(&prefixes[1], STR("fd00::/8")));
}

static void
client_is(const char *wanted)
{
	char text[ADDR_TEXT];

	forwarded_client(x, &trust);
	unit_str_eq(
		(struct str){ text, (size_t)(addr_put_ip(text, &x->client_addr) - text) },
		wanted);
}

static void
sent(const char *wanted)
{
	ck_assert_str_eq(fake_lines(&x->request.headers), wanted);
}

START_TEST(a_stranger_is_not_believed)
{
	begin();
	fake_header("X-Forwarded-For", "203.0.113.1");
	fake_header("X-Forwarded-Proto", "https");
	forwarded_client(x, &nobody);
	ck_assert(!x->trusted);
	unit_str_eq(x->scheme, "http");
	ck_assert(addr_same_ip(&x->client_addr, &x->peer));
	addr_parse(&x->peer, STR("198.51.100.1:1"));
	client_is("198.51.100.1");
	fake_end();
}
END_TEST

START_TEST(the_walk_ends_at_the_first_stranger)
{
	begin();
	client_is("10.0.0.1");
	ck_assert(x->trusted);
	fake_header("X-Forwarded-For", "1.1.1.1, 203.0.113.9");
	client_is("203.0.113.9");
	fake_header("x-forwarded-for", " 10.2.3.4 ,\t10.9.9.9:8080");
	client_is("203.0.113.9");
	fake_end();

	begin();
	fake_header("X-Forwarded-For", "10.0.0.3, [fd00::1]:80, 10.0.0.2");
	client_is("10.0.0.3");
	fake_end();

	begin();
	fake_header("X-Forwarded-For", "203.0.113.9, unknown, 10.0.0.2");
	client_is("10.0.0.2");
	fake_end();
}
END_TEST

START_TEST(forwarded_is_read_where_there_is_no_x)
{
	begin();
	fake_header("Forwarded",
		    "for=1.1.1.1, for=\"[2001:db8::7]:1234\";proto=https;by=\"a,b\", "
		    "For=10.0.0.2");
	client_is("2001:db8::7");
	fake_header("X-Forwarded-For", "203.0.113.9");
	client_is("203.0.113.9");
	fake_end();

	begin();
	fake_header("Forwarded", "for=1.1.1.1, for=_hidden, for=10.0.0.2");
	client_is("10.0.0.2");
	fake_end();
}
END_TEST

START_TEST(the_scheme_of_a_trusted_proxy_counts)
{
	begin();
	fake_header("X-Forwarded-Proto", "http");
	fake_header("X-Forwarded-Proto", "http, HTTPS");
	forwarded_client(x, &trust);
	unit_str_eq(x->scheme, "https");
	fake_end();

	begin();
	fake_header("X-Forwarded-Proto", "gopher");
	forwarded_client(x, &trust);
	unit_str_eq(x->scheme, "http");
	fake_end();
}
END_TEST

START_TEST(lines_of_a_stranger_are_replaced)
{
	begin();
	fake_header("Accept", "*/*");
	fake_header("X-Forwarded-For", "127.0.0.1");
	fake_header("x-forwarded-host", "evil");
	fake_header("X-Forwarded-Proto", "https");
	fake_header("X-Forwarded-Prefix", "/admin");
	fake_header("X-Real-IP", "127.0.0.1");
	fake_header("Forwarded", "for=127.0.0.1");
	fake_header("Client-Cert", ":a:");
	fake_header("Client-Cert-Chain", ":a:");
	fake_header("X-Forwarded-Client-Cert", "By=evil");
	fake_header("Client-Certainty", "high");
	forwarded_client(x, &nobody);
	forwarded_default(x);
	sent("Accept: */*\nClient-Certainty: high\nx-forwarded-for: "
	     "10.0.0.1\nx-forwarded-proto: http\n"
	     "x-forwarded-host: API.example.com:8080\n");
	fake_end();
}
END_TEST

START_TEST(lines_of_a_trusted_peer_are_continued)
{
	begin();
	fake_header("X-Forwarded-For", "203.0.113.9");
	fake_header("X-Forwarded-For", "10.3.3.3");
	fake_header("X-Forwarded-Host", "shop.example");
	forwarded_client(x, &trust);
	forwarded_default(x);
	sent("X-Forwarded-For: 203.0.113.9, 10.3.3.3, 10.0.0.1\nX-Forwarded-Host: "
	     "shop.example\n"
	     "x-forwarded-proto: http\n");
	fake_end();
}
END_TEST

START_TEST(rfc7239_is_quoted_as_it_says)
{
	begin();
	addr_parse(&x->peer, STR("[2001:db8::1]:80"));
	forwarded_client(x, &nobody);
	forwarded_write(x, FORWARDED_RFC7239 | FORWARDED_REAL_IP);
	sent("forwarded: for=\"[2001:db8::1]\";host=\"API.example.com:8080\";proto=http\n"
	     "x-real-ip: 2001:db8::1\n");
	fake_end();

	begin();
	x->peer = (struct addr){ .family = AF_UNIX };
	x->request.host = STR_NONE;
	forwarded_client(x, &nobody);
	forwarded_write(x, FORWARDED_RFC7239 | FORWARDED_X);
	sent("x-forwarded-proto: http\nforwarded: for=unknown;proto=http\n");
	fake_end();
}
END_TEST

START_TEST(trust_is_compiled_by_listener)
{
	struct str text[] = { STR("10.0.0.0/8"), STR("10.0.0.0/99") };
	struct where where[] = { { "a.conf", 1, 2, 3 }, { "a.conf", 7, 2, 3 } };
	struct conf_listener l[2] = { { .name = STR("a") },
				      { .name = STR("b"), .index = 1 } };
	struct conf_model m = { .listeners = l, .nlisteners = 2 };
	struct arena image, said;
	struct diag diag;
	const struct trust *t;

	fake_begin();
	arena_init(&image, NULL, 0, 1 << 20);
	arena_init(&said, NULL, 0, 1 << 20);
	diag_init(&diag, &said);
	l[1].trust = (struct conf_strs){ text, where, 1 };
	t = trust_compile(&m, &image, &diag);
	ck_assert_ptr_nonnull(t);
	ck_assert(!trust_has(&t[0], &x->peer));
	ck_assert(trust_has(&t[1], &x->peer));
	l[1].trust.n = 2;
	ck_assert_ptr_null(trust_compile(&m, &image, &diag));
	ck_assert_int_eq(diag.first->code, 530);
	ck_assert_uint_eq(diag.first->where.line, 7);
	arena_reset(&image);
	arena_reset(&said);
	fake_end();
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		a_stranger_is_not_believed,
		the_walk_ends_at_the_first_stranger,
		forwarded_is_read_where_there_is_no_x,
		the_scheme_of_a_trusted_proxy_counts,
		lines_of_a_stranger_are_replaced,
		lines_of_a_trusted_peer_are_continued,
		rfc7239_is_quoted_as_it_says,
		trust_is_compiled_by_listener,
	};

	return unit_run("exchange/forwarded", tests, sizeof tests / sizeof *tests);
}
