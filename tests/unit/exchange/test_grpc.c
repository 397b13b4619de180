#include "worker/exchange/grpc.h"

#include "tests/unit/exchange/fake.h"
#include "worker/exchange/steps.h"

START_TEST(content_types)
{
	static const struct {
		const char *type;
		enum grpc kind;
		const char *rest;
	} all[] = {
		{ "application/grpc", GRPC_PLAIN, "" },
		{ "application/grpc+proto", GRPC_PLAIN, "+proto" },
		{ "Application/GRPC;v=1", GRPC_PLAIN, ";v=1" },
		{ "application/grpc-web", GRPC_WEB, "" },
		{ "application/grpc-web+json", GRPC_WEB, "+json" },
		{ "application/grpc-web-text", GRPC_WEB_TEXT, "" },
		{ "application/grpc-web-text+proto", GRPC_WEB_TEXT, "+proto" },
		{ "application/grpc-webby", GRPC_NOT, "" },
		{ "application/grpcx", GRPC_NOT, "" },
		{ "application/json", GRPC_NOT, "" },
		{ "", GRPC_NOT, "" },
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		struct str rest;

		ck_assert_int_eq(grpc_kind(str_of(all[i].type), &rest), all[i].kind);
		unit_str_eq(rest, all[i].rest);
	}
}
END_TEST

START_TEST(timeouts)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} good[] = {
		{ "1n", 1 },
		{ "0m", 0 },
		{ "20u", 20000 },
		{ "99999999m", 99999999000000 },
		{ "3S", 3000000000 },
		{ "2M", 120000000000 },
		{ "99999999H", 99999999ull * 3600 * 1000000000ull },
	};
	static const char *const bad[] = { "",	 "S",	"1",   "1s",	     "-1S", "1 S",
					   "1mS", "+1S", "1\0S", "100000000S", "1.5S" };
	uint64_t ns;

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		ck_assert(grpc_timeout(str_of(good[i].text), &ns));
		ck_assert_uint_eq(ns, good[i].ns);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		ck_assert_msg(!grpc_timeout(str_of(bad[i]), &ns), "%s", bad[i]);
	ck_assert(!grpc_timeout(STR("1\0"), &ns));
}
END_TEST

START_TEST(messages_are_encoded)
{
	struct arena a;

	arena_init(&a, NULL, 0, 4096);
	unit_str_eq(grpc_message(&a, STR("all is well")), "all is well");
	unit_str_eq(grpc_message(&a, STR("100 %\r\n\xc3\xa9")), "100 %25%0D%0A%C3%A9");
	unit_str_eq(grpc_message(&a, STR_NONE), "");
	arena_reset(&a);
}
END_TEST

START_TEST(statuses)
{
	ck_assert_int_eq(grpc_status_of(429, FAULT_RATE_LIMITED), 8);
	ck_assert_int_eq(grpc_status_of(401, FAULT_KEY_MISSING), 16);
	ck_assert_int_eq(grpc_status_of(403, FAULT_DENIED), 7);
	ck_assert_int_eq(grpc_status_of(404, FAULT_NO_ROUTE), 12);
	ck_assert_int_eq(grpc_status_of(502, FAULT_UPSTREAM_CLOSED), 14);
	ck_assert_int_eq(grpc_status_of(503, FAULT_NO_TARGET), 14);
	ck_assert_int_eq(grpc_status_of(504, FAULT_CONNECT_TIMEOUT), 14);
	ck_assert_int_eq(grpc_status_of(504, FAULT_RESPONSE_TIMEOUT), 4);
	ck_assert_int_eq(grpc_status_of(504, FAULT_TOTAL_TIMEOUT), 4);
	ck_assert_int_eq(grpc_status_of(418, FAULT_NONE), 2);
	for (int f = 1; f < FAULT_COUNT; f++)
		ck_assert_int_ne(grpc_status_of(fault_info[f].status, (enum fault)f), 0);
}
END_TEST

START_TEST(the_nearer_deadline_counts_and_goes_on)
{
	uint64_t now;
	const struct header *h;

	fake_begin();
	fake_header("Content-Type", "application/grpc");
	fake_header("grpc-timeout", "5S");
	grpc_begin(x);
	ck_assert_int_eq(x->grpc, GRPC_PLAIN);
	x->began = clock_now();
	now = clock_ms();
	x->deadline = 0;
	grpc_deadline(x);
	ck_assert_uint_ge(x->deadline, now + 5000);
	ck_assert_uint_le(x->deadline, now + 5001);
	x->deadline = now + 200;
	grpc_deadline(x);
	ck_assert_uint_eq(x->deadline, now + 200);
	grpc_prepare(x);
	h = headers_find(&x->request.headers, STR("grpc-timeout"));
	unit_str_eq(h->value, "200m");
	ck_assert(x->request.te_trailers);
	fake_end();

	/* No call of gRPC, or no time that could be read: as it was. */
	fake_begin();
	fake_header("grpc-timeout", "5S");
	grpc_begin(x);
	grpc_deadline(x);
	grpc_prepare(x);
	ck_assert_uint_eq(x->deadline, 0);
	ck_assert(!x->request.te_trailers);
	fake_header("Content-Type", "application/grpc");
	h = headers_find(&x->request.headers, STR("grpc-timeout"));
	((struct header *)(uintptr_t)h)->value = STR("soon");
	grpc_begin(x);
	grpc_deadline(x);
	grpc_prepare(x);
	ck_assert_uint_eq(x->deadline, 0);
	unit_str_eq(h->value, "soon");
	fake_end();
}
END_TEST

START_TEST(answers_are_said_in_grpc)
{
	fake_begin();
	fake_header("Content-Type", "application/grpc+proto");
	grpc_begin(x);
	exchange_answer_later(x, FAULT_RATE_LIMITED, 7);
	grpc_answer(x);
	ck_assert_int_eq(x->response.status, 200);
	ck_assert_uint_eq(x->answer.len, 0);
	ck_assert_uint_eq(x->response.length, 0);
	ck_assert_uint_eq(x->grpc_status, GRPC_RESOURCE_EXHAUSTED + 1);
	ck_assert(strstr(fake_lines(&x->response.headers),
			 "content-type: application/grpc\n"));
	ck_assert(strstr(fake_lines(&x->response.headers), "grpc-status: 8\n"));
	ck_assert(strstr(fake_lines(&x->response.headers),
			 "grpc-message: more requests than allowed\n"));
	ck_assert(strstr(fake_lines(&x->response.headers), "Retry-After: 7\n"));
	fake_end();

	fake_begin();
	grpc_begin(x);
	exchange_answer(x, FAULT_RATE_LIMITED);
	grpc_answer(x);
	ck_assert_int_eq(x->response.status, 429);
	ck_assert_uint_ne(x->answer.len, 0);
	fake_end();
}
END_TEST

START_TEST(the_status_is_noted)
{
	static const struct {
		const char *value;
		unsigned noted;
	} all[] = { { "0", 1 }, { "16", 17 }, { "255", 0 }, { "x", 0 }, { "", 0 } };

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		struct headers h = { 0 };

		fake_begin();
		fake_header("Content-Type", "application/grpc");
		grpc_begin(x);
		headers_add(&h, &x->arena, STR("Grpc-Status"), str_of(all[i].value));
		grpc_note(x, &h);
		ck_assert_uint_eq(x->grpc_status, all[i].noted);
		ck_assert(!grpc_is_failure(x));
		fake_end();
	}
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { content_types,
				 timeouts,
				 messages_are_encoded,
				 statuses,
				 the_nearer_deadline_counts_and_goes_on,
				 answers_are_said_in_grpc,
				 the_status_is_noted };

	return unit_run("exchange/grpc", tests, sizeof(tests) / sizeof(*tests));
}
