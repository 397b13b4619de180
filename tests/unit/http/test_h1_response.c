#include "worker/http/h1_parse.h"

#include <stdio.h>

#include "tests/unit/http/feed.h"

#define LINE "HTTP/1.1 200 OK\r\n"

static const struct {
	struct str head;
	enum fault fault;
} refused[] = {
#define BAD(head, fault) { { head, sizeof(head) - 1 }, FAULT_##fault }
	/* The status line. */
	BAD("\x15\x03", BAD_RESPONSE),
	BAD("\r\nHTTP/1.1 200 OK\r\n", BAD_RESPONSE),
	BAD("ICY 200 OK\r\n", BAD_RESPONSE),
	BAD("http/1.1 200 OK\r\n", BAD_RESPONSE),
	BAD("HTTP/2 200 OK\r\n", BAD_RESPONSE),
	BAD("HTTP/2.0 200 OK\r\n", BAD_RESPONSE),
	BAD("HTTP/1.2 200 OK\r\n", BAD_RESPONSE),
	BAD("HTTP/1.1  200 OK\r\n", BAD_RESPONSE),
	BAD("HTTP/1.1\t200 OK\r\n", BAD_RESPONSE),
	BAD("HTTP/1.1 20 OK\r\n", BAD_RESPONSE),
	BAD("HTTP/1.1 2000 OK\r\n", BAD_RESPONSE),
	BAD("HTTP/1.1 099 OK\r\n", BAD_RESPONSE),
	BAD("HTTP/1.1 +20 OK\r\n", BAD_RESPONSE),
	BAD("HTTP/1.1 200OK\r\n", BAD_RESPONSE),
	BAD("HTTP/1.1 200 OK\n", BAD_RESPONSE),
	BAD("HTTP/1.1 200\n", BAD_RESPONSE),
	BAD("HTTP/1.1 200 O\rK\r\n", BAD_RESPONSE),
	BAD("HTTP/1.1 200 O\0K\r\n", BAD_RESPONSE),
	BAD("HTTP/1.1 200\rX", BAD_RESPONSE),
	/* Header lines. */
	BAD(LINE " A: b\r\n", BAD_RESPONSE),
	BAD(LINE "A: b\r\n c\r\n", BAD_RESPONSE),
	BAD(LINE "A : b\r\n", BAD_RESPONSE),
	BAD(LINE "A\r\n", BAD_RESPONSE),
	BAD(LINE "A: b\n", BAD_RESPONSE),
	BAD(LINE "A: b\rc\r\n", BAD_RESPONSE),
	BAD(LINE "A: b\0c\r\n", BAD_RESPONSE),
	BAD(LINE "\n", BAD_RESPONSE),
	/* Framing. */
	BAD(LINE "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", BAD_RESPONSE_LENGTH),
	BAD(LINE "Content-Length: 5\r\nContent-length: 6\r\n\r\n", BAD_RESPONSE_LENGTH),
	BAD(LINE "Content-Length: 5, 5\r\n\r\n", BAD_RESPONSE_LENGTH),
	BAD(LINE "Content-Length: +5\r\n\r\n", BAD_RESPONSE_LENGTH),
	BAD(LINE "Content-Length:\r\n\r\n", BAD_RESPONSE_LENGTH),
	BAD(LINE "Content-Length: 18446744073709551621\r\n\r\n", BAD_RESPONSE_LENGTH),
	BAD(LINE "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", BAD_RESPONSE_LENGTH),
	BAD(LINE "Transfer-Encoding: gzip, chunked\r\n\r\n", RESPONSE_CODING),
	BAD(LINE "Transfer-Encoding: identity\r\n\r\n", RESPONSE_CODING),
	BAD(LINE "Transfer-Encoding: xchunked\r\n\r\n", RESPONSE_CODING),
	BAD(LINE "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", RESPONSE_CODING),
	BAD("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", RESPONSE_CODING),
#undef BAD
};

START_TEST(odd_responses_are_refused)
{
	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
		struct feed f;

		feed_init(&f);
		f.response = true;
		feed_wants_fault(&f, refused[i].head, refused[i].fault);
		feed_free(&f);
	}
}
END_TEST

static const struct {
	struct str head;
	enum method method;
	int status;
	const char *reason;
	enum body body;
	uint64_t length;
	bool keep_alive;
} taken[] = {
#define GOOD(head, ...) { { head, sizeof(head) - 1 }, __VA_ARGS__ }
	GOOD(LINE "Content-Length: 5\r\n\r\n", METHOD_GET, 200, "OK", BODY_LENGTH, 5, true),
	GOOD(LINE "Content-Length:   5 \r\n\r\n", METHOD_GET, 200, "OK", BODY_LENGTH, 5, true),
	GOOD(LINE "Content-Length: 0\r\n\r\n", METHOD_GET, 200, "OK", BODY_LENGTH, 0, true),
	GOOD(LINE "Transfer-Encoding: CHUNKED\r\n\r\n", METHOD_GET, 200, "OK", BODY_CHUNKED, 0, true),
	GOOD(LINE "\r\n", METHOD_GET, 200, "OK", BODY_CLOSE, 0, false),
	GOOD("HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n", METHOD_GET, 404, "", BODY_LENGTH, 0, true),
	GOOD("HTTP/1.1 404 \r\nContent-Length: 0\r\n\r\n", METHOD_GET, 404, "", BODY_LENGTH, 0, true),
	GOOD("HTTP/1.1 999 S\xe4ge \t nein\r\n\r\n", METHOD_GET, 999, "S\xe4ge \t nein", BODY_CLOSE, 0,
	     false),
	GOOD(LINE "Content-Length: 5\r\n\r\n", METHOD_HEAD, 200, "OK", BODY_NONE, 5, true),
	GOOD(LINE "Transfer-Encoding: chunked\r\n\r\n", METHOD_HEAD, 200, "OK", BODY_NONE, 0, true),
	GOOD(LINE "\r\n", METHOD_HEAD, 200, "OK", BODY_NONE, 0, true),
	GOOD(LINE "\r\n", METHOD_CONNECT, 200, "OK", BODY_NONE, 0, true),
	GOOD("HTTP/1.1 407 No\r\nContent-Length: 3\r\n\r\n", METHOD_CONNECT, 407, "No", BODY_LENGTH, 3,
	     true),
	GOOD("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", METHOD_GET, 204, "No Content",
	     BODY_NONE, 5, true),
	GOOD("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", METHOD_GET, 304, "Not Modified",
	     BODY_NONE, 5, true),
	GOOD("HTTP/1.1 100 Continue\r\n\r\n", METHOD_POST, 100, "Continue", BODY_NONE, 0, true),
	GOOD("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", METHOD_GET, 200, "OK", BODY_LENGTH, 5, false),
	GOOD("HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n", METHOD_GET, 200,
	     "OK", BODY_LENGTH, 5, true),
	GOOD(LINE "Connection: close\r\nContent-Length: 5\r\n\r\n", METHOD_GET, 200, "OK", BODY_LENGTH,
	     5, false),
#undef GOOD
};

START_TEST(good_responses_are_taken)
{
	for (size_t i = 0; i < sizeof(taken) / sizeof(*taken); i++) {
		struct feed f;

		feed_init(&f);
		f.response = true;
		f.method = taken[i].method;
		feed_wants_all(&f, taken[i].head);
		ck_assert_int_eq(f.msg.status, taken[i].status);
		unit_str_eq(f.msg.reason, taken[i].reason);
		ck_assert_int_eq(f.msg.body, taken[i].body);
		ck_assert_uint_eq(f.msg.length, taken[i].length);
		ck_assert_int_eq(f.msg.keep_alive, taken[i].keep_alive);
		feed_free(&f);
	}
}
END_TEST

START_TEST(switching_protocols_says_to_which)
{
	struct feed f;

	feed_init(&f);
	f.response = true;
	feed_wants_all(&f, STR("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
			       "Connection: Upgrade\r\n\r\n"));
	ck_assert(f.msg.upgrade && f.msg.body == BODY_NONE);
	unit_str_eq(f.msg.upgrade_to, "websocket");
	feed_free(&f);
}
END_TEST

START_TEST(large_responses_are_refused)
{
	struct feed f;
	struct str head = STR(LINE "Content-Length: 0\r\nA: b\r\n\r\n");

	feed_init(&f);
	f.response = true;
	f.limits = (struct h1_limits){ (uint32_t)head.len, 2, 0 };
	feed_wants_all(&f, head);
	f.limits.head--;
	feed_wants_fault(&f, head, FAULT_RESPONSE_HEAD_TOO_LARGE);
	f.limits.head++;
	f.limits.headers--;
	feed_wants_fault(&f, head, FAULT_RESPONSE_HEAD_TOO_LARGE);
	feed_free(&f);
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		odd_responses_are_refused, good_responses_are_taken,
		switching_protocols_says_to_which, large_responses_are_refused,
	};

	return unit_run("h1_response", tests, sizeof(tests) / sizeof(*tests));
}
