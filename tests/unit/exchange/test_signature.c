/* The signature of a request that may kill workers: the same before the policies and in
 * the handler of the crash, for the same request sent again, and for no other. */
#include "tests/unit/exchange/fake.h"

static uint64_t
of(const char *head, uint32_t route)
{
	uint64_t h;

	fake_begin();
	x->request.method_text =
		str_first(str_of(head), (size_t)(strchr(head, ' ') - head));
	x->request.target = str_of(strchr(head, ' ') + 1);
	x->head_len = (uint32_t)strlen(head);
	h = exchange_signature(x, route);
	fake_end();
	ck_assert_uint_ne(h, 0);
	return h;
}

#define HEAD "GET /a?x=1 HTTP/1.1\r\nHost: a.test\r\nCookie: c=1\r\n"

START_TEST(the_same_again)
{
	uint64_t h = of(HEAD "\r\n", 7);

	ck_assert_uint_eq(of(HEAD "\r\n", 7), h);
	ck_assert_uint_eq(of(HEAD "X-Request-Id: 1\r\n\r\n", 7), h);
	ck_assert_uint_eq(
		of(HEAD "x-request-id: 2\r\nTRACEPARENT: 3\r\ntracestate: 4\r\n\r\n", 7),
		h);
	ck_assert_uint_eq(
		of(HEAD "Date: now\r\nForwarded: for=x\r\nX-Forwarded-For: 1\r\n"
			"X-Forwarded-Proto: https\r\nX-Real-IP: 2\r\nVia: 1.1 p\r\n\r\n",
		   7),
		h);
	/* The body behind it is not looked at. */
	ck_assert_uint_eq(of(HEAD "\r\nGET /b HTTP/1.1\r\n", 7), h);
}
END_TEST

START_TEST(another_one)
{
	uint64_t h = of(HEAD "\r\n", 7);

	ck_assert_uint_ne(of(HEAD "\r\n", 8), h);
	ck_assert_uint_ne(of(HEAD "\r\n", 0), h);
	ck_assert_uint_ne(of(HEAD "X-Other: 1\r\n\r\n", 7), h);
	ck_assert_uint_ne(
		of("GET /a?x=2 HTTP/1.1\r\nHost: a.test\r\nCookie: c=1\r\n\r\n", 7), h);
	ck_assert_uint_ne(
		of("PUT /a?x=1 HTTP/1.1\r\nHost: a.test\r\nCookie: c=1\r\n\r\n", 7), h);
	ck_assert_uint_ne(
		of("GET /a?x=1 HTTP/1.1\r\nHost: b.test\r\nCookie: c=1\r\n\r\n", 7), h);
	ck_assert_uint_ne(
		of("GET /a?x=1 HTTP/1.1\r\nHost: a.test\r\nCookie: c=2\r\n\r\n", 7), h);
	ck_assert_uint_ne(
		of("GET /a?x=1 HTTP/1.1\r\nCookie: c=1\r\nHost: a.test\r\n\r\n", 7), h);
}
END_TEST

/* A head without an end, as an invalid request may leave it, is read no further than it
 * is. */
START_TEST(no_end)
{
	of(HEAD "X-Half", 1);
	fake_begin();
	x->head_len = 0;
	x->request.target = STR_NONE;
	ck_assert_uint_ne(exchange_signature(x, 1), 0);
	fake_end();
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = { the_same_again, another_one, no_end };

	return unit_run("exchange/signature", tests, sizeof(tests) / sizeof(*tests));
}
