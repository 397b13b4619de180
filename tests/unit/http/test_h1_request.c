#include "worker/http/h1_parse.h"

#include <stdio.h>

#include "tests/unit/http/feed.h"

#define LINE "GET / HTTP/1.1\r\n"
#define HOST "Host: a\r\n"
#define POST "POST / HTTP/1.1\r\nHost: a\r\n"

static const struct {
	struct str head;
	enum fault fault;
} refused[] = {
#define BAD(head, fault) { { head, sizeof(head) - 1 }, FAULT_##fault }
	/* The request line. */
	BAD("\x16\x03\x01\x02", BAD_METHOD),
	BAD(" GET / HTTP/1.1\r\n", BAD_METHOD),
	BAD("G(T / HTTP/1.1\r\n", BAD_METHOD),
	BAD("GET\t/ HTTP/1.1\r\n", BAD_METHOD),
	BAD("GET\r\n", BAD_REQUEST),
	BAD("AMETHODTHATISMUCHLONGERTHANANYONEHAS / HTTP/1.1\r\n", BAD_METHOD),
	BAD("\nGET / HTTP/1.1\r\n", BAD_LINE_END),
	BAD("\rGET / HTTP/1.1\r\n", BAD_LINE_END),
	BAD("\r\n\r\nGET / HTTP/1.1\r\n", BAD_LINE_END),
	BAD("GET  / HTTP/1.1\r\n", BAD_TARGET),
	BAD("GET /\r\n", BAD_REQUEST),
	BAD("GET /\n", BAD_LINE_END),
	BAD("GET /  HTTP/1.1\r\n", BAD_REQUEST),
	BAD("GET /a b HTTP/1.1\r\n", BAD_REQUEST),
	BAD("GET /a\tb HTTP/1.1\r\n", BAD_TARGET),
	BAD("GET /a#b HTTP/1.1\r\n", BAD_TARGET),
	BAD("GET /\0 HTTP/1.1\r\n", BAD_TARGET),
	BAD("GET /\x7f HTTP/1.1\r\n", BAD_TARGET),
	BAD("GET /\xc3\xa4 HTTP/1.1\r\n", BAD_TARGET),
	BAD("GET a HTTP/1.1\r\n", BAD_TARGET),
	BAD("GET * HTTP/1.1\r\n", BAD_TARGET),
	BAD("OPTIONS ** HTTP/1.1\r\n", BAD_TARGET),
	BAD("GET ftp://a/ HTTP/1.1\r\n", BAD_TARGET),
	BAD("GET http:/a/ HTTP/1.1\r\n", BAD_TARGET),
	BAD("GET http:///a HTTP/1.1\r\n", BAD_TARGET),
	BAD("GET http://u@a/ HTTP/1.1\r\n", BAD_TARGET),
	BAD("GET http://a:b/ HTTP/1.1\r\n", BAD_TARGET),
	BAD("GET http://a\\b/ HTTP/1.1\r\n", BAD_TARGET),
	BAD("CONNECT a HTTP/1.1\r\n", BAD_TARGET),
	BAD("CONNECT / HTTP/1.1\r\n", BAD_TARGET),
	BAD("CONNECT u@a:1 HTTP/1.1\r\n", BAD_TARGET),
	BAD("GET / HTTP/1.2\r\n", BAD_VERSION),
	BAD("GET / HTTP/0.9\r\n", BAD_VERSION),
	BAD("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", BAD_VERSION),
	BAD("GET / HTTP/1.10\r\n", BAD_REQUEST),
	BAD("GET / http/1.1\r\n", BAD_REQUEST),
	BAD("GET / HTTP/1,1\r\n", BAD_REQUEST),
	BAD("GET / HTTPS/1.1\r\n", BAD_REQUEST),
	BAD("GET / HTTP/1.1 \r\n", BAD_REQUEST),
	BAD("GET / HTTP/1.1\n", BAD_LINE_END),
	BAD("GET / HTTP/1.1\rX", BAD_LINE_END),
	/* Header lines. */
	BAD(LINE " Host: a\r\n", OBS_FOLD),
	BAD(LINE HOST "A: b\r\n c\r\n", OBS_FOLD),
	BAD(LINE HOST "A: b\r\n\tc\r\n", OBS_FOLD),
	BAD(LINE HOST "A: b\r\n \r\n", OBS_FOLD),
	BAD(LINE HOST "A : b\r\n", BAD_HEADER),
	BAD(LINE HOST "A\t: b\r\n", BAD_HEADER),
	BAD(LINE HOST ": b\r\n", BAD_HEADER),
	BAD(LINE HOST "A\r\n", BAD_HEADER),
	BAD(LINE HOST "A(: b\r\n", BAD_HEADER),
	BAD(LINE HOST "A\0: b\r\n", BAD_HEADER),
	BAD(LINE HOST "\xc3\xa4: b\r\n", BAD_HEADER),
	BAD(LINE HOST "A: b\0c\r\n", BAD_HEADER),
	BAD(LINE HOST "A: b\x01\r\n", BAD_HEADER),
	BAD(LINE HOST "A: a value longer than sixteen\x0b bytes\r\n", BAD_HEADER),
	BAD(LINE HOST "A: b\x7f\r\n", BAD_HEADER),
	BAD(LINE HOST "A: b\n", BAD_LINE_END),
	BAD(LINE HOST "A: b\rc\r\n", BAD_LINE_END),
	BAD(LINE HOST "A: b\r\r\n", BAD_LINE_END),
	BAD(LINE HOST "\n", BAD_LINE_END),
	BAD(LINE HOST "\rX", BAD_LINE_END),
	/* Host. */
	BAD(LINE "\r\n", BAD_HOST),
	BAD(LINE "Host:\r\n\r\n", BAD_HOST),
	BAD(LINE HOST HOST "\r\n", BAD_HOST),
	BAD(LINE HOST "X: 1\r\nhOST: b\r\n\r\n", BAD_HOST),
	BAD("GET / HTTP/1.0\r\n" HOST HOST "\r\n", BAD_HOST),
	BAD(LINE "Host: a b\r\n\r\n", BAD_HOST),
	BAD(LINE "Host: u@a\r\n\r\n", BAD_HOST),
	BAD(LINE "Host: a/b\r\n\r\n", BAD_HOST),
	BAD(LINE "Host: a:b\r\n\r\n", BAD_HOST),
	BAD(LINE "Host: a:99999\r\n\r\n", BAD_HOST),
	BAD(LINE "Host: :80\r\n\r\n", BAD_HOST),
	BAD(LINE "Host: http://a\r\n\r\n", BAD_HOST),
	BAD("GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", HOST_MISMATCH),
	BAD("GET http://a:81/ HTTP/1.1\r\nHost: a\r\n\r\n", HOST_MISMATCH),
	BAD("GET https://a/ HTTP/1.1\r\nHost: a:80\r\n\r\n", HOST_MISMATCH),
	BAD("GET http://a/ HTTP/1.1\r\n\r\n", BAD_HOST),
	BAD("CONNECT a:1 HTTP/1.1\r\nHost: a:2\r\n\r\n", HOST_MISMATCH),
	/* Framing. */
	BAD(POST "Content-Length: +5\r\n\r\n", BAD_LENGTH),
	BAD(POST "Content-Length: -1\r\n\r\n", BAD_LENGTH),
	BAD(POST "Content-Length: 5,5\r\n\r\n", BAD_LENGTH),
	BAD(POST "Content-Length: 5, 5\r\n\r\n", BAD_LENGTH),
	BAD(POST "Content-Length: 5 5\r\n\r\n", BAD_LENGTH),
	BAD(POST "Content-Length:  5\r\n\r\n", BAD_LENGTH),
	BAD(POST "Content-Length:\t5\r\n\r\n", BAD_LENGTH),
	BAD(POST "Content-Length: 5 \r\n\r\n", BAD_LENGTH),
	BAD(POST "Content-Length:\r\n\r\n", BAD_LENGTH),
	BAD(POST "Content-Length: \r\n\r\n", BAD_LENGTH),
	BAD(POST "Content-Length: 0x5\r\n\r\n", BAD_LENGTH),
	BAD(POST "Content-Length: 5.0\r\n\r\n", BAD_LENGTH),
	BAD(POST "Content-Length: 1e1\r\n\r\n", BAD_LENGTH),
	BAD(POST "Content-Length: 5;\r\n\r\n", BAD_LENGTH),
	BAD(POST "Content-Length: 9223372036854775808\r\n\r\n", BAD_LENGTH),
	BAD(POST "Content-Length: 18446744073709551616\r\n\r\n", BAD_LENGTH),
	BAD(POST "Content-Length: 18446744073709551621\r\n\r\n", BAD_LENGTH),
	BAD(POST "Content-Length: 00000000000000000005\r\n\r\n", BAD_LENGTH),
	BAD(POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", BAD_LENGTH),
	BAD(POST "Content-Length: 5\r\ncontent-length: 6\r\n\r\n", BAD_LENGTH),
	BAD(POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", LENGTH_AND_CODING),
	BAD(POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", LENGTH_AND_CODING),
	BAD(POST "Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\n", LENGTH_AND_CODING),
	BAD(POST "Transfer-Encoding: xchunked\r\n\r\n", BAD_CODING),
	BAD(POST "Transfer-Encoding: chunked, identity\r\n\r\n", BAD_CODING),
	BAD(POST "Transfer-Encoding: identity, chunked\r\n\r\n", BAD_CODING),
	BAD(POST "Transfer-Encoding: chunked, chunked\r\n\r\n", BAD_CODING),
	BAD(POST "Transfer-Encoding: chunked, gzip\r\n\r\n", BAD_CODING),
	BAD(POST "Transfer-Encoding: chunked,\r\n\r\n", BAD_CODING),
	BAD(POST "Transfer-Encoding: ,chunked\r\n\r\n", BAD_CODING),
	BAD(POST "Transfer-Encoding: chunked;q=1\r\n\r\n", BAD_CODING),
	BAD(POST "Transfer-Encoding: \"chunked\"\r\n\r\n", BAD_CODING),
	BAD(POST "Transfer-Encoding: chunked\t\r\n\r\n", BAD_CODING),
	BAD(POST "Transfer-Encoding: chunked \r\n\r\n", BAD_CODING),
	BAD(POST "Transfer-Encoding:  chunked\r\n\r\n", BAD_CODING),
	BAD(POST "Transfer-Encoding:\tchunked\r\n\r\n", BAD_CODING),
	BAD(POST "Transfer-Encoding:\r\n\r\n", BAD_CODING),
	BAD(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", BAD_CODING),
	BAD(POST "Transfer-Encoding: chunked\r\nTransfer-encoding: identity\r\n\r\n", BAD_CODING),
	BAD("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", BAD_CODING),
	BAD(POST "Transfer-Encoding: gzip, chunked\r\n\r\n", UNKNOWN_CODING),
	BAD(POST "Transfer-Encoding: gzip\r\n\r\n", UNKNOWN_CODING),
	BAD(POST "Transfer-Encoding : chunked\r\n\r\n", BAD_HEADER),
	BAD(POST "Transfer-Encoding\x0b: chunked\r\n\r\n", BAD_HEADER),
	BAD(POST "Content-Length: 1\r\nExpect: 200-ok\r\n\r\n", BAD_EXPECT),
	BAD(POST "Content-Length: 1\r\nExpect: 100-continue, x\r\n\r\n", BAD_EXPECT),
	BAD(POST "Expect: 100-continue\r\nExpect: x\r\n\r\n", BAD_EXPECT),
#undef BAD
};


START_TEST(all_odd_requests_are_refused)
{
	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
		struct feed f;

		feed_init(&f);
		feed_wants_fault(&f, refused[i].head, refused[i].fault);
		feed_free(&f);
	}
}
END_TEST
static const struct {
	struct str head;
	const char *path, *query, *host;
	enum body body;
	uint64_t length;
	bool keep_alive;
} taken[] = {
#define GOOD(head, ...) { { head, sizeof(head) - 1 }, __VA_ARGS__ }
	GOOD(LINE HOST "\r\n", "/", "", "a", BODY_NONE, 0, true),
	GOOD("\r\n" LINE HOST "\r\n", "/", "", "a", BODY_NONE, 0, true),
	GOOD("PROPFIND /a?b?c HTTP/1.1\r\nhost:a.example:8080\r\n\r\n", "/a", "b?c", "a.example:8080",
	     BODY_NONE, 0, true),
	GOOD("GET /? HTTP/1.1\r\nHost: [::1]:80 \t\r\n\r\n", "/", "", "[::1]:80", BODY_NONE, 0, true),
	GOOD("GET / HTTP/1.0\r\n\r\n", "/", "", "", BODY_NONE, 0, false),
	GOOD("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "/", "", "", BODY_NONE, 0, true),
	GOOD(LINE HOST "Connection: close\r\n\r\n", "/", "", "a", BODY_NONE, 0, false),
	GOOD(LINE HOST "Connection: x, CLOSE ,y\r\n\r\n", "/", "", "a", BODY_NONE, 0, false),
	GOOD(LINE HOST "Connection: x\r\nConnection: close\r\n\r\n", "/", "", "a", BODY_NONE, 0, false),
	GOOD(LINE HOST "Connection: keep-alive, close\r\n\r\n", "/", "", "a", BODY_NONE, 0, false),
	GOOD("GET http://A:80/x?y HTTP/1.1\r\nHost: a\r\n\r\n", "/x", "y", "A:80", BODY_NONE, 0, true),
	GOOD("GET HTTPS://a HTTP/1.1\r\nHost: a:443\r\n\r\n", "/", "", "a", BODY_NONE, 0, true),
	GOOD("GET http://a?q HTTP/1.1\r\nHost: a\r\n\r\n", "/", "q", "a", BODY_NONE, 0, true),
	GOOD("GET http://a/ HTTP/1.0\r\n\r\n", "/", "", "a", BODY_NONE, 0, false),
	GOOD("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "*", "", "a", BODY_NONE, 0, true),
	GOOD("OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n", "*", "", "a", BODY_NONE, 0, true),
	GOOD("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", "", "", "a:443", BODY_NONE, 0, true),
	GOOD("GET /|{}^`\"<>\\ HTTP/1.1\r\nHost: a\r\n\r\n", "/|{}^`\"<>\\", "", "a", BODY_NONE, 0, true),
	GOOD(POST "Content-Length: 0\r\n\r\n", "/", "", "a", BODY_LENGTH, 0, true),
	GOOD(POST "content-length:9223372036854775807\r\n\r\n", "/", "", "a", BODY_LENGTH, INT64_MAX, true),
	GOOD(POST "Transfer-Encoding: Chunked\r\n\r\n", "/", "", "a", BODY_CHUNKED, 0, true),
	GOOD(LINE HOST "Empty:\r\nBlank: \t \r\nLatin: \xe4\r\nTab: a\tb\r\n_x.y|z: 1\r\n\r\n", "/", "",
	     "a", BODY_NONE, 0, true),
#undef GOOD
};

START_TEST(good_requests_are_taken)
{
	for (size_t i = 0; i < sizeof(taken) / sizeof(*taken); i++) {
		struct feed f;

		feed_init(&f);
		feed_wants_all(&f, taken[i].head);
		unit_str_eq(f.msg.path, taken[i].path);
		unit_str_eq(f.msg.query, taken[i].query);
		unit_str_eq(f.msg.host, taken[i].host);
		ck_assert_int_eq(f.msg.body, taken[i].body);
		ck_assert_uint_eq(f.msg.length, taken[i].length);
		ck_assert_int_eq(f.msg.keep_alive, taken[i].keep_alive);
		feed_free(&f);
	}
}
END_TEST

START_TEST(lines_are_cut_and_known)
{
	struct feed f;
	struct header *h;

	feed_init(&f);
	feed_wants_all(&f, STR("DELETE /x?y=1 HTTP/1.1\r\nHOST: a\r\nUser-Agent:  u v \r\n"
			       "X-Very-Long-Header-Name: with a value, longer than a vector\r\n"
			       "accept: */*\r\nEmpty:\r\n\r\n"));
	ck_assert_int_eq(f.msg.method, METHOD_DELETE);
	unit_str_eq(f.msg.method_text, "DELETE");
	unit_str_eq(f.msg.target, "/x?y=1");
	ck_assert(f.msg.has_query && f.msg.minor == 1);
	ck_assert_int_eq(f.msg.headers.n, 5);
	h = headers_get(&f.msg.headers, TOKEN_USER_AGENT);
	unit_str_eq(h->value, "u v");
	ck_assert(!h->raw);
	h = headers_find(&f.msg.headers, STR("x-very-long-header-name"));
	unit_str_eq(h->value, "with a value, longer than a vector");
	ck_assert(h->raw && !h->hop && !h->gone);
	unit_str_eq(headers_get(&f.msg.headers, TOKEN_ACCEPT)->name, "accept");
	unit_str_eq(headers_find(&f.msg.headers, STR("empty"))->value, "");
	feed_free(&f);
}
END_TEST

START_TEST(names_are_known_by_all_of_their_bytes)
{
	for (int t = 1; t < TOKEN_COUNT; t++) {
		char name[32] = { 0 };

		memcpy(name, token_name[t].at, token_name[t].len);
		for (size_t i = 0; i <= token_name[t].len; i++) {
			struct feed f;
			struct str head;

			if (i > 0)
				name[i - 1] = token_name[t].at[i - 1];
			if (i < token_name[t].len)
				name[i] = name[i] == 'q' ? 'Z' : 'q';
			feed_init(&f);
			head = arena_printf(&f.arena, LINE "%s: some value of it\r\n", name);
			feed_once(&f, arena_printf(&f.arena, "%.*sX-More: more\r\n\r\n",
						   STR_ARG(head)));
			ck_assert_uint_eq(f.msg.headers.at[0].token,
					  token_of(str_of(name)));
			feed_free(&f);
		}
	}
}
END_TEST

START_TEST(what_follows_the_head_is_left)
{
	struct feed f;

	feed_init(&f);
	feed_once(&f, STR(LINE HOST "\r\nGET /2 HTTP/1.1\r\n\x01"));
	ck_assert_int_eq(f.used, (int)(sizeof(LINE HOST) - 1 + 2));
	feed_free(&f);
}
END_TEST

START_TEST(connection_names_what_is_not_forwarded)
{
	struct feed f;
	struct headers *h = &f.msg.headers;

	feed_init(&f);
	feed_wants_all(&f, STR("POST / HTTP/1.1\r\nHost: a\r\nX-One: 1\r\nContent-Length: 1\r\n"
			       "Connection: x-one, Host,content-length, Cookie\r\nX-ONE: 2\r\n"
			       "X-Two: 2\r\nCookie: c\r\nKeep-Alive: 5\r\nTE: trailers\r\n"
			       "Proxy-Connection: x\r\n\r\n"));
	ck_assert(headers_find(h, STR("x-one"))->hop);
	ck_assert(headers_next(h, headers_find(h, STR("x-one")))->hop);
	ck_assert(headers_get(h, TOKEN_COOKIE)->hop &&
		  headers_get(h, TOKEN_KEEP_ALIVE)->hop);
	ck_assert(headers_get(h, TOKEN_CONNECTION)->hop && headers_get(h, TOKEN_TE)->hop);
	ck_assert(headers_get(h, TOKEN_PROXY_CONNECTION)->hop);
	ck_assert(!headers_get(h, TOKEN_HOST)->hop);
	ck_assert(!headers_get(h, TOKEN_CONTENT_LENGTH)->hop);
	ck_assert(!headers_find(h, STR("x-two"))->hop);
	ck_assert(f.msg.te_trailers && f.msg.length == 1);
	feed_free(&f);
}
END_TEST

START_TEST(connection_may_not_name_without_end)
{
	struct feed f;
	struct str head = STR(LINE HOST "Connection: a");

	feed_init(&f);
	for (int i = 1; i < 40; i++)
		head = arena_printf(&f.arena, "%.*s, a%d", STR_ARG(head), i);
	head = arena_printf(&f.arena, "%.*s\r\n\r\n", STR_ARG(head));
	feed_wants_fault(&f, head, FAULT_BAD_HEADER);
	feed_free(&f);
}
END_TEST

static bool
upgrades(const char *lines)
{
	struct feed f;
	char head[512];
	bool upgrade;

	feed_init(&f);
	snprintf(head, sizeof(head), "%s\r\n", lines);
	feed_wants_all(&f, str_of(head));
	upgrade = f.msg.upgrade;
	ck_assert_int_eq(upgrade, f.msg.upgrade_to.len != 0);
	feed_free(&f);
	return upgrade;
}

START_TEST(upgrade_needs_both_lines_and_is_never_h2c)
{
	ck_assert(upgrades(LINE HOST "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"));
	ck_assert(upgrades(LINE HOST "Connection: upgrade\r\nUpgrade: a/1, b\r\n"));
	ck_assert(!upgrades(LINE HOST "Upgrade: websocket\r\n"));
	ck_assert(!upgrades(LINE HOST "Connection: upgrade\r\n"));
	ck_assert(!upgrades("GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"));
	ck_assert(!upgrades(LINE HOST "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
			    "HTTP2-Settings: AAMAAABkAAQ\r\n"));
	ck_assert(!upgrades(LINE HOST "Connection: Upgrade\r\nUpgrade: websocket, H2C\r\n"));
	ck_assert(!upgrades(LINE HOST "Connection: Upgrade\r\nUpgrade: a\r\nUpgrade: h2c\r\n"));
	ck_assert(!upgrades(LINE HOST "Connection: Upgrade\r\nUpgrade: web(socket\r\n"));
}
END_TEST

START_TEST(expect_continue_needs_a_body_and_1_1)
{
	struct feed f;

	feed_init(&f);
	feed_wants_all(&f, STR(POST "Content-Length: 5\r\nExpect: 100-Continue\r\n\r\n"));
	ck_assert(f.msg.expect_continue);
	feed_wants_all(&f, STR(POST "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"));
	ck_assert(f.msg.expect_continue);
	feed_wants_all(&f, STR(POST "Content-Length: 0\r\nExpect: 100-continue\r\n\r\n"));
	ck_assert(!f.msg.expect_continue);
	feed_wants_all(&f, STR("POST / HTTP/1.0\r\nContent-Length: 5\r\n"
			       "Expect: 100-continue\r\n\r\n"));
	ck_assert(!f.msg.expect_continue);
	feed_free(&f);
}
END_TEST

START_TEST(limits_hold_to_the_byte)
{
	struct feed f;
	struct str head = STR("GET /12345 HTTP/1.1\r\nHost: a\r\nB: c\r\n\r\n");

	feed_init(&f);
	f.limits = (struct h1_limits){ (uint32_t)head.len, 2, 6 };
	feed_wants_all(&f, head);
	f.limits.head--;
	feed_wants_fault(&f, head, FAULT_HEAD_TOO_LARGE);
	f.limits.head++;
	f.limits.headers = 1;
	feed_wants_fault(&f, head, FAULT_TOO_MANY_HEADERS);
	f.limits.headers = 2;
	f.limits.target = 5;
	feed_wants_fault(&f, head, FAULT_TARGET_TOO_LONG);
	feed_wants_fault(&f, STR("GET /123456789"), FAULT_TARGET_TOO_LONG);
	feed_free(&f);
}
END_TEST

START_TEST(many_lines_grow_the_table_and_drops_do_not)
{
	struct feed f;
	struct str lines = STR(LINE HOST), head;
	size_t used;

	feed_init(&f);
	for (int i = 1; i < 100; i++)
		lines = arena_printf(&f.arena, "%.*sX-%d: value-%d\r\n", STR_ARG(lines), i, i);
	head = arena_printf(&f.arena, "%.*s\r\n", STR_ARG(lines));
	feed_wants_all(&f, head);
	ck_assert_int_eq(f.msg.headers.n, 100);
	unit_str_eq(f.msg.headers.at[99].value, "value-99");
	used = f.arena.used;
	for (int i = 0; i < 1000; i++) {
		feed_once(&f, str_first(head, head.len - 1));
		ck_assert_int_eq(f.used, H1_MORE);
	}
	ck_assert_uint_le(f.arena.used, used + 8192);
	head = arena_printf(&f.arena, "%.*sX-100: one too many\r\n", STR_ARG(lines));
	feed_wants_fault(&f, head, FAULT_TOO_MANY_HEADERS);
	feed_free(&f);
}
END_TEST

START_TEST(slices_follow_a_copy)
{
	struct feed f;
	struct str head = STR("GET http://a?q HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n"
			      "Upgrade: x\r\n\r\n");
	char *to = malloc(head.len);

	feed_init(&f);
	feed_once(&f, head);
	memcpy(to, head.at, head.len);
	msg_rebase(&f.msg, f.copy, to, head.len);
	memset(f.copy, 'Z', head.len);
	unit_str_eq(f.msg.host, "a");
	unit_str_eq(f.msg.path, "/");
	unit_str_eq(f.msg.query, "q");
	unit_str_eq(f.msg.scheme, "http");
	unit_str_eq(f.msg.target, "http://a?q");
	unit_str_eq(f.msg.upgrade_to, "x");
	unit_str_eq(f.msg.headers.at[1].name, "Connection");
	unit_str_eq(f.msg.headers.at[1].value, "upgrade");
	feed_free(&f);
	free(to);
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		all_odd_requests_are_refused,
		good_requests_are_taken,
		lines_are_cut_and_known,
		names_are_known_by_all_of_their_bytes,
		what_follows_the_head_is_left,
		connection_names_what_is_not_forwarded,
		connection_may_not_name_without_end,
		upgrade_needs_both_lines_and_is_never_h2c,
		expect_continue_needs_a_body_and_1_1,
		limits_hold_to_the_byte,
		many_lines_grow_the_table_and_drops_do_not,
		slices_follow_a_copy,
	};

	return unit_run("h1_request", tests, sizeof(tests) / sizeof(*tests));
}
