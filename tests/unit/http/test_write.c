#include "worker/http/h1_write.h"

#include <stdio.h>

#include "base/clock.h"
#include "tests/unit/http/feed.h"

/* Parses `head`, writes it, compares; the writer must keep within the size that it
 * announced. */
static void
writes(struct feed *f, const struct h1_head *how, const char *wanted)
{
	size_t size = h1_head_size(&f->msg, how);
	char *buf = malloc(size);
	char *end = f->response ? h1_put_response(buf, &f->msg, how) :
				  h1_put_request(buf, &f->msg, how);

	ck_assert_uint_le((size_t)(end - buf), size);
	unit_str_eq((struct str){ buf, (size_t)(end - buf) }, wanted);
	free(buf);
}

static void
forwards(bool response, const char *head, struct h1_head how, const char *wanted)
{
	struct feed f;

	feed_init(&f);
	f.response = response;
	feed_once(&f, str_of(head));
	ck_assert_int_gt(f.used, 0);
	writes(&f, &how, wanted);
	feed_free(&f);
}

START_TEST(requests_are_forwarded)
{
	forwards(false, "GET /a?b HTTP/1.1\r\nX: 1\r\nHost: h\r\nY:2\r\nZ: 3 \r\nW: 4\r\n\r\n",
		 (struct h1_head){ 0 },
		 "GET /a?b HTTP/1.1\r\nHost: h\r\nX: 1\r\nY: 2\r\nZ: 3\r\nW: 4\r\n\r\n");
	forwards(false, "PROPFIND http://h HTTP/1.1\r\nHost: h\r\n\r\n", (struct h1_head){ 0 },
		 "PROPFIND / HTTP/1.1\r\nHost: h\r\n\r\n");
	forwards(false, "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", (struct h1_head){ 0 },
		 "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n");
	forwards(false, "GET /? HTTP/1.1\r\nHost: h\r\nEmpty:\r\n\r\n", (struct h1_head){ 0 },
		 "GET /? HTTP/1.1\r\nHost: h\r\nEmpty: \r\n\r\n");
	forwards(false, "CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n", (struct h1_head){ 0 },
		 "CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n");
}
END_TEST

START_TEST(framing_is_the_writers)
{
	const char *length = "POST / HTTP/1.1\r\nHost: h\r\ncontent-length: 007\r\nA: b\r\n\r\n";
	const char *chunked = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";

	forwards(false, length, (struct h1_head){ .framing = H1_LENGTH, .length = 7 },
		 "POST / HTTP/1.1\r\nHost: h\r\nA: b\r\nContent-Length: 7\r\n\r\n");
	forwards(false, length, (struct h1_head){ .framing = H1_CHUNKED },
		 "POST / HTTP/1.1\r\nHost: h\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n");
	forwards(false, chunked,
		 (struct h1_head){ .framing = H1_LENGTH, .length = UINT64_MAX },
		 "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: "
		 "18446744073709551615\r\n\r\n");
	forwards(false, chunked, (struct h1_head){ .framing = H1_NO_FRAMING },
		 "POST / HTTP/1.1\r\nHost: h\r\n\r\n");
}
END_TEST

START_TEST(hop_by_hop_lines_are_left_out)
{
	forwards(false, "GET / HTTP/1.1\r\nA: 1\r\nConnection: x, keep-alive\r\nB: 2\r\nX: 3\r\n"
		 "Keep-Alive: 5\r\nTE: gzip\r\nHost: h\r\nUpgrade: u\r\nProxy-Authorization: p\r\n"
		 "Trailer: t\r\nC: 4\r\n\r\n", (struct h1_head){ 0 },
		 "GET / HTTP/1.1\r\nHost: h\r\nA: 1\r\nB: 2\r\nC: 4\r\n\r\n");
}
END_TEST

START_TEST(connection_is_written_when_asked_for)
{
	const char *get = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

	forwards(false, get, (struct h1_head){ .close = true },
		 "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
	forwards(false, get, (struct h1_head){ .keep_alive = true },
		 "GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\n\r\n");
	forwards(false, get, (struct h1_head){ .te_trailers = true },
		 "GET / HTTP/1.1\r\nHost: h\r\nConnection: TE\r\nTE: trailers\r\n\r\n");
	forwards(false, get, (struct h1_head){ .upgrade = STR("websocket") },
		 "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n");
	forwards(false, get, (struct h1_head){ .upgrade = STR("u"), .close = true,
					       .te_trailers = true },
		 "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: u\r\nConnection: upgrade, close, TE\r\n"
		 "TE: trailers\r\n\r\n");
}
END_TEST

START_TEST(responses_are_forwarded)
{
	forwards(true, "HTTP/1.1 200 Fine\r\nDate: now\r\nContent-Length: 2\r\nA: b\r\n\r\n",
		 (struct h1_head){ .framing = H1_LENGTH, .length = 2 },
		 "HTTP/1.1 200 Fine\r\nDate: now\r\nA: b\r\nContent-Length: 2\r\n\r\n");
	forwards(true, "HTTP/1.0 404\r\nDate: now\r\nHost: odd\r\n\r\n",
		 (struct h1_head){ .framing = H1_UNTIL_CLOSE },
		 "HTTP/1.1 404 Not Found\r\nDate: now\r\nHost: odd\r\nConnection: close\r\n\r\n");
	forwards(true, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", (struct h1_head){ 0 },
		 "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n");
	forwards(true, "HTTP/1.1 799\r\nDate: now\r\n\r\n", (struct h1_head){ 0 },
		 "HTTP/1.1 799 \r\nDate: now\r\n\r\n");
}
END_TEST

START_TEST(a_date_is_added_where_there_is_none)
{
	char wanted[256];

	clock_update();
	snprintf(wanted, sizeof(wanted), "HTTP/1.1 200 OK\r\nDate: %.29s\r\nA: b\r\n\r\n", clock_date());
	forwards(true, "HTTP/1.1 200 OK\r\nA: b\r\n\r\n", (struct h1_head){ 0 }, wanted);
}
END_TEST

START_TEST(changed_lines_break_the_run)
{
	struct feed f;

	feed_init(&f);
	feed_once(&f, STR("GET / HTTP/1.1\r\nHost: h\r\nA: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n\r\n"));
	headers_set(&f.msg.headers, &f.arena, STR("b"), STR("two"));
	headers_remove(&f.msg.headers, STR("C"));
	headers_set_token(&f.msg.headers, &f.arena, TOKEN_VIA, STR("v"));
	headers_set(&f.msg.headers, &f.arena, STR("Content-Length"), STR("9"));
	headers_set(&f.msg.headers, &f.arena, STR("Connection"), STR("x"));
	f.msg.host = STR("other");
	writes(&f, &(struct h1_head){ 0 },
	       "GET / HTTP/1.1\r\nHost: other\r\nA: 1\r\nB: two\r\nD: 4\r\nvia: v\r\n\r\n");
	feed_free(&f);
}
END_TEST

START_TEST(what_templates_let_through_cannot_end_a_line)
{
	struct feed f;

	feed_init(&f);
	feed_once(&f, STR("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
	headers_set(&f.msg.headers, &f.arena, STR("A"), STR("1\r\nB: 2\r\n\r\nGET \x7f"));
	f.msg.path = STR("/a b\r\nX: y");
	f.msg.has_query = true;
	f.msg.query = STR("\nq#");
	f.msg.host = STR("h\r\nX: y");
	writes(&f, &(struct h1_head){ .upgrade = STR("u\r\nX:y") },
	       "GET /a_b__X:_y?_q_ HTTP/1.1\r\nHost: h  X: y\r\nA: 1  B: 2    GET  \r\n"
	       "Upgrade: u  X:y\r\nConnection: upgrade\r\n\r\n");
	feed_free(&f);
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		requests_are_forwarded,
		framing_is_the_writers,
		hop_by_hop_lines_are_left_out,
		connection_is_written_when_asked_for,
		responses_are_forwarded,
		a_date_is_added_where_there_is_none,
		changed_lines_break_the_run,
		what_templates_let_through_cannot_end_a_line,
	};

	return unit_run("write", tests, sizeof(tests) / sizeof(*tests));
}
