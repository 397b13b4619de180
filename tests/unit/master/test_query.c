/* The query language of postern trace. */
#include "tests/unit/unit.h"

#include "master/cli/query.h"
#include "worker/exchange/policy.h"

static struct query query;
static struct query_error error;

static struct {
	struct record record;
	struct record_note note[2];
} asked;

/* Series of this test: their names by number. */
static struct str
name_of(const struct record_view *v, uint32_t series)
{
	static const char *const names[] = { "",
					     "orders-api/create",
					     "orders-api",
					     "orders/10.0.1.11:8080",
					     "orders/10.0.1.12:8080",
					     "rate-limit/by-plan",
					     "api-key/keys" };

	(void)v;
	return str_of(names[series]);
}

static struct record_view view;

/* A refusal after two attempts; 1.5 s. */
static void
begin(void)
{
	asked.record =
		(struct record){ .status = 503,
				 .fault = FAULT_NO_TARGET,
				 .route = 1,
				 .service = 2,
				 .us_total = 1500000,
				 .attempts = 2,
				 .notes = 2,
				 .id = { 0x0123456789abcdef, 0xfedcba9876543210 } };
	asked.record.attempt[0].target = 3;
	asked.record.attempt[1].target = 4;
	asked.note[0].policy = 6;
	asked.note[1].policy = 5;
	view = (struct record_view){ .record = &asked.record,
				     .notes = asked.note,
				     .name = name_of };
	view.texts = (struct record_texts){ .method = STR("POST"),
					    .host = STR("api.example.com"),
					    .path = STR("/v1/orders/7"),
					    .client = STR("192.0.2.7"),
					    .consumer = STR("acme"),
					    .plan = STR("gold") };
}

static bool
takes(const char *text)
{
	ck_assert_msg(query_parse(str_of(text), &query, &error) == 0, "%s: %s", text,
		      error.text);
	return query_takes(&query, &view);
}

static void
is(const char *text)
{
	ck_assert_msg(takes(text), "%s does not take it", text);
}

static void
is_not(const char *text)
{
	ck_assert_msg(!takes(text), "%s takes it", text);
}

static void
refused(const char *text, size_t at, const char *words)
{
	ck_assert_msg(query_parse(str_of(text), &query, &error) < 0, "%s was taken",
		      text);
	ck_assert_msg(strstr(error.text, words), "%s: %s", text, error.text);
	ck_assert_msg(error.at == at, "%s: at %zu", text, error.at);
}

START_TEST(nothing_asked_takes_all)
{
	begin();
	is("");
	is("  ");
}
END_TEST

START_TEST(texts)
{
	begin();
	is("route=orders-api/create");
	is("route=orders-api/*");
	is("route=create");
	is("route=*eat*");
	is_not("route=orders-api");
	is_not("route=creat");
	is("service=orders-api");
	is("service!=other");
	is_not("service!=orders-api");
	is("consumer=acme plan=gold");
	is_not("consumer=acm");
	is("method=POST host=*.example.com path=/v1/*");
	is_not("method=post");
	is("client=192.0.2.*");
	is("reason=no_target");
	is_not("reason=\"\"");
	is("policy=by-plan");
	is("policy=rate-limit/*");
	is_not("policy=by-pla");
	is_not("policy!=keys");
	is("target=10.0.1.12:8080");
	is("target=orders/*");
	is_not("target=10.0.1.13:8080");
	is("path=\"/v1/orders/7\"");
	is_not("path=\"/v1/orders /7\"");
}
END_TEST

START_TEST(numbers)
{
	begin();
	is("status=503");
	is("status=5xx");
	is("status>=500");
	is("status>502 status<504 status<=503");
	is_not("status!=5xx");
	is("status!=4xx");
	is_not("status<5xx");
	is("status<=5xx");
	is_not("status>5xx");
	is("slow>300ms");
	is("slow>300");
	is("slow>=1.5s");
	is_not("slow>1.5s");
	is("slow=1500000us");
	is("slow<1m");
	is_not("slow<1500ms");
}
END_TEST

START_TEST(ids)
{
	begin();
	is("id=01234567");
	is("id=0123456789ABCDEFfedcba9876543210");
	is_not("id=0123456789abcdef0");
	is("id=*3210");
	view.texts.id = STR("order-7-try-2");
	is("id=order-7-*");
	is("id=01234567");
}
END_TEST

START_TEST(all_must_hold)
{
	begin();
	is("route=orders-api/* status>=500");
	is("\troute=orders-api/*\n  status>=500 ");
	is_not("route=orders-api/* status>=504");
	is_not("route=other status>=500");
}
END_TEST

START_TEST(errors_point_at_the_place)
{
	begin();
	refused("foo=1", 0, "no field \"foo\"");
	refused("status>=500 stat=1", 12, "no field \"stat\"");
	refused("status", 6, "expected after status");
	refused("status~5", 6, "expected after status");
	refused("route>5", 5, "route is a text");
	refused("route=", 6, "a value is expected");
	refused("status=6xx", 7, "no status");
	refused("status=5000", 7, "no status");
	refused("status=", 7, "a value is expected");
	refused("slow>fast", 5, "no duration");
	refused("slow>1.s", 5, "no duration");
	refused("slow>ms", 5, "no duration");
	refused("slow<0", 5, "less than 0");
	refused("path=\"/v1", 5, "has no end");
	refused("path=\"/v1\"x", 10, "a blank is expected");
	refused("=5", 0, "a field is expected");
	refused("id=1 id=1 id=1 id=1 id=1 id=1 id=1 id=1 id=1 id=1 id=1 id=1 id=1 id=1 "
		"id=1 id=1 id=1",
		80, "16 terms");
}
END_TEST

START_TEST(globs)
{
	ck_assert(query_glob(STR("*"), STR("")));
	ck_assert(query_glob(STR(""), STR("")));
	ck_assert(!query_glob(STR(""), STR("a")));
	ck_assert(query_glob(STR("a*b*c"), STR("a1b2bc")));
	ck_assert(!query_glob(STR("a*b*c"), STR("a1b2bcd")));
	ck_assert(query_glob(STR("**a"), STR("bba")));
	ck_assert(!query_glob(STR("a"), STR("ab")));
	ck_assert(query_glob(STR("*a*"), STR("bab")));
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		nothing_asked_takes_all,   texts, numbers, ids, all_must_hold,
		errors_point_at_the_place, globs
	};

	return unit_run("master/cli/query", tests, sizeof(tests) / sizeof(*tests));
}
