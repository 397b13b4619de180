#include "worker/http/h1_parse.h"

#include <stdio.h>

#include "tests/unit/unit.h"

struct outcome {
	enum h1_chunk end;              /* MORE, END or BAD */
	char body[1024], trailers[16384];
	size_t body_len, left;
};

/* Feeds pieces of `step` bytes, each in memory of its own. */
static void
take(struct str in, size_t step, struct outcome *o)
{
	struct h1_chunked c = { 0 };
	struct arena a;

	*o = (struct outcome){ .end = H1_CHUNK_MORE };
	arena_init(&a, NULL, 0, 1 << 20);
	while (in.len && o->end == H1_CHUNK_MORE) {
		struct str piece = str_first(in, step), rest = piece;
		char *copy = malloc(piece.len);

		memcpy(copy, piece.at, piece.len);
		rest.at = copy;
		do {
			struct str data = STR_NONE, trailers = STR_NONE;

			o->end = h1_chunk_next(&c, &rest, &data, &a, &trailers);
			if (o->end == H1_CHUNK_DATA) {
				ck_assert(data.len &&
					  o->body_len + data.len < sizeof(o->body));
				memcpy(o->body + o->body_len, data.at, data.len);
				o->body_len += data.len;
			}
			if (o->end == H1_CHUNK_END)
				snprintf(o->trailers, sizeof(o->trailers), "%.*s",
					 STR_ARG(trailers));
			if (o->end == H1_CHUNK_MORE)
				ck_assert_uint_eq(rest.len, 0);
		} while (o->end == H1_CHUNK_DATA);
		in = str_from(in, piece.len - rest.len);
		free(copy);
	}
	o->left = in.len;
	arena_reset(&a);
}

static void
wants(struct str in, enum h1_chunk end, const char *body, const char *trailers,
      size_t left)
{
	static struct outcome o;

	for (size_t step = in.len + 1; step > 0; step = step > 9 ? step / 2 : step - 1) {
		take(in, step, &o);
		ck_assert_msg(o.end == end, "\"%.*s\" by %zu: %d", STR_ARG(in), step,
			      o.end);
		if (end == H1_CHUNK_BAD)
			continue;
		ck_assert_msg(o.body_len == strlen(body) &&
				      !memcmp(o.body, body, o.body_len),
			      "\"%.*s\" by %zu: \"%.*s\"", STR_ARG(in), step,
			      (int)o.body_len, o.body);
		ck_assert_str_eq(o.trailers, trailers);
		ck_assert_uint_eq(o.left, left);
	}
}

START_TEST(bodies_end_where_they_end)
{
	wants(STR("0\r\n\r\n"), H1_CHUNK_END, "", "", 0);
	wants(STR("5\r\nhello\r\n0\r\n\r\nGET"), H1_CHUNK_END, "hello", "", 3);
	wants(STR("1\r\na\r\n00a\r\n0123456789\r\n000\r\n\r\n"), H1_CHUNK_END, "a0123456789", "", 0);
	wants(STR("9\r\n0\r\n\r\n0\r\n\r\r\n0\r\n\r\n"), H1_CHUNK_END, "0\r\n\r\n0\r\n\r", "", 0);
	wants(STR("5;a=b;c=\"d e\"\r\nhello\r\n0;x\r\n\r\n"), H1_CHUNK_END, "hello", "", 0);
	wants(STR("5 \t;a\r\nhello\r\n0\r\n\r\n"), H1_CHUNK_END, "hello", "", 0);
	wants(STR("0\r\nA: b\r\nC: d\r\n\r\nrest"), H1_CHUNK_END, "", "A: b\r\nC: d\r\n", 4);
	wants(STR("5\r\nhel"), H1_CHUNK_MORE, "hel", "", 0);
	wants(STR("5\r\nhello\r\n0\r\n\r"), H1_CHUNK_MORE, "hello", "", 0);
	wants(STR("0000000000000005\r\nhello\r\n0\r\n\r\n"), H1_CHUNK_END, "hello", "", 0);
	wants(STR("7fffffffffffffff\r\nhello"), H1_CHUNK_MORE, "hello", "", 0);
}
END_TEST

START_TEST(odd_chunks_are_refused)
{
	static const struct str bad[] = {
#define BAD(text) { text, sizeof(text) - 1 }
		BAD("\r\n"), BAD("g\r\n"), BAD("-5\r\n"), BAD("+5\r\n"), BAD(" 5\r\n"), BAD("0x5\r\n"),
		BAD("5 \r\nhello"), BAD("5\t\r\nhello"), BAD("5 5\r\n"), BAD("5,5\r\n"), BAD("5\0\r\n"),
		BAD("5\nhello"), BAD("5\rhello"), BAD("5\r\r\nhello"), BAD(";a\r\n"), BAD("\xb5\r\n"),
		BAD("5\r\nhelloo\r\n"), BAD("5\r\nhello\n0\r\n"), BAD("5\r\nhello\rx"),
		BAD("5\r\nhell\r\n0\r\n"), BAD("5\r\nhello0\r\n\r\n"),
		BAD("5;a\nb\r\nhello"), BAD("5;a\rb\r\nhello"), BAD("5;a\0\r\n"), BAD("5;a\x7f\r\n"),
		BAD("5 a\r\n"), BAD("5;\"\n\"\r\n"),
		BAD("8000000000000000\r\n"), BAD("fffffffffffffffff\r\n"), BAD("10000000000000000\r\n"),
		BAD("00000000000000005\r\n"),
		BAD("0\r\n\n"), BAD("0\n\r\n"), BAD("0\r\n\rx"), BAD("0\r\n A: b\r\n\r\n"),
		BAD("0\r\n: b\r\n\r\n"), BAD("0\r\nA: b\n\r\n"), BAD("0\r\nA: b\rc\r\n\r\n"),
		BAD("0\r\nA: b\0\r\n\r\n"), BAD("0\r\nA: b\r\n c\r\n\r\n"),
#undef BAD
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		wants(bad[i], H1_CHUNK_BAD, "", "", 0);
}
END_TEST

START_TEST(extensions_and_trailers_have_a_bound)
{
	static char text[2 * H1_CHUNK_TRAILER], wanted[H1_CHUNK_TRAILER + 64];

	snprintf(text, sizeof(text), "5;%*s\r\nhello\r\n0\r\n\r\n", H1_CHUNK_LINE - 4, "a");
	wants(str_of(text), H1_CHUNK_END, "hello", "", 0);
	snprintf(text, sizeof(text), "5;%*s\r\nhello\r\n0\r\n\r\n", H1_CHUNK_LINE - 3, "a");
	wants(str_of(text), H1_CHUNK_BAD, "", "", 0);

	snprintf(wanted, sizeof(wanted), "A:%*s\r\n", H1_CHUNK_TRAILER - 4, "a");
	snprintf(text, sizeof(text), "0\r\n%s\r\n", wanted);
	wants(str_of(text), H1_CHUNK_END, "", wanted, 0);
	snprintf(text, sizeof(text), "0\r\nA:%*s\r\n\r\n", H1_CHUNK_TRAILER - 3, "a");
	wants(str_of(text), H1_CHUNK_BAD, "", "", 0);
}
END_TEST

START_TEST(pieces_are_as_large_as_what_is_there)
{
	struct h1_chunked c = { 0 };
	struct str in = STR("5\r\nhello\r\n0\r\n\r\n"), data, trailers;

	ck_assert_int_eq(h1_chunk_next(&c, &in, &data, NULL, &trailers), H1_CHUNK_DATA);
	unit_str_eq(data, "hello");
	ck_assert_int_eq(h1_chunk_next(&c, &in, &data, NULL, &trailers), H1_CHUNK_END);
}
END_TEST

START_TEST(trailers_that_decide_something_are_dropped)
{
	struct arena a;
	struct headers h;

	arena_init(&a, NULL, 0, 1 << 20);
	ck_assert(h1_parse_trailers(STR("X-Sum: 1\r\nContent-Length: 5\r\nHost: a\r\n"
					"Transfer-Encoding: chunked\r\nX-Forwarded-For: 1\r\n"
					"set-cookie: a\r\nGrpc-Status: 0\r\n"), &a, &h));
	ck_assert_int_eq(h.n, 7);
	for (uint32_t i = 0; i < h.n; i++)
		ck_assert_int_eq(h.at[i].gone, i != 0 && i != 6);
	ck_assert(h1_parse_trailers(STR(""), &a, &h) && h.n == 0);
	ck_assert(!h1_parse_trailers(STR("X Sum: 1\r\n"), &a, &h));
	ck_assert(!h1_parse_trailers(STR("X-Sum\r\n"), &a, &h));
	ck_assert(!h1_parse_trailers(STR("X-Sum: 1"), &a, &h));
	arena_reset(&a);
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		bodies_end_where_they_end,
		odd_chunks_are_refused,
		extensions_and_trailers_have_a_bound,
		pieces_are_as_large_as_what_is_there,
		trailers_that_decide_something_are_dropped,
	};

	return unit_run("chunked", tests, sizeof(tests) / sizeof(*tests));
}
