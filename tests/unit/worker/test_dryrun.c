#include "tests/unit/route/model.h"

#include "worker/dryrun.h"

static struct conf_upstream upstreams[2];

static struct conf_route *
to(const char *match, unsigned upstream)
{
	struct conf_route *r = model_route(match);

	r->nto = 1;
	r->to = ARENA_NEWS(&arena, struct conf_split, 1);
	r->to[0] = (struct conf_split){ &upstreams[upstream], 1 };
	return r;
}

static void
begin(void)
{
	model_begin();
	upstreams[0].name = STR("orders");
	upstreams[1].name = STR("orders-v2");
	model_service("api", "api.test");
}

static struct conf_test *
expect(const char *send)
{
	struct conf_service *s = &model.services[model.nservices - 1];
	struct conf_test *t;

	s->tests = arena_push(&arena, s->tests, s->ntests, sizeof *t);
	t = &s->tests[s->ntests++];
	t->send = str_of(send);
	t->where = model_where(50 + (uint32_t)s->ntests, 3);
	t->send_where = model_where(60 + (uint32_t)s->ntests, 3);
	t->expect_where = model_where(70 + (uint32_t)s->ntests, 3);
	return t;
}

static void
accepted(void)
{
	ck_assert_msg(worker_compile(&model, &arena, NULL, &diag), "%s", model_said());
}

static void
refused(const char *wanted)
{
	ck_assert_msg(!worker_compile(&model, &arena, NULL, &diag), "passed; wanted %s",
		      wanted);
	model_says(wanted);
}

START_TEST(what_is_expected_comes)
{
	struct conf_route *r;
	struct conf_test *t;

	begin();
	to("POST /v1/orders", 0);
	r = to("GET,PUT /v1/orders/{id}", 0);
	r->rewrite = STR("/orders/{id}");
	r = model_route("* ~ ^/legacy/(?<n>\\d+)$");
	r->action = CONF_REDIRECT;
	r->redirect = STR("/v1/orders/{n}");
	r->redirect_status = 308;
	r = model_route("GET /alive");
	r->action = CONF_RESPOND;
	r->respond_status = 204;
	model_pair(&to("GET /beta/*", 1)->when.headers, "x-tenant", "acme");

	t = expect("GET https://api.test/v1/orders/7?a=b");
	t->route = STR("2");
	t->path = STR("/orders/7");
	t->upstream = STR("orders");
	t->service = STR("api");
	expect("DELETE https://api.test/v1/orders/7")->status = 405;
	expect("GET http://api.test:8080/v1/nothing")->status = 404;
	expect("GET https://other.test/v1/orders/7")->status = 404;
	expect("GET https://API.test/v1/%2e./v1/orders/7")->route = STR("2");
	expect("GET https://api.test/v1/../../x")->status = 400;
	t = expect("GET https://api.test/legacy/12");
	t->status = 308;
	t->location = STR("/v1/orders/12");
	expect("GET https://api.test/alive")->status = 204;
	t = expect("GET https://api.test/beta/x");
	t->status = 404;
	t = expect("GET https://api.test/beta/x");
	model_pair(&t->headers, "X-Tenant", "acme");
	t->upstream = STR("orders-v2");
	t->path = STR("/beta/x");
	t = expect("GET http://api.test/a?b");
	t->on = STR("two");
	t->status = 308;
	t->location = STR("https://api.test/a?b");
	accepted();
	ck_assert_ptr_null(diag.first);
}
END_TEST

START_TEST(what_is_not_expected_is_said)
{
	struct conf_test *t;

	begin();
	to("POST /v1/orders", 0);
	to("GET /v1/orders/{id}", 0)->rewrite = STR("/o/{id}");
	expect("POST https://api.test/v1/orders")->route = STR("2");
	expect("GET https://api.test/v1/orders")->route = STR("2");
	expect("GET https://api.test/v2")->route = STR("2");
	expect("GET https://api.test/v1/orders/7")->status = 405;
	expect("GET https://api.test/v1/orders/7")->path = STR("/orders/7");
	expect("GET https://api.test/v1/orders/7")->upstream = STR("orders-v2");
	expect("GET https://api.test/v1/orders/7")->location = STR("/x");
	expect("GET https://other.test/v1/orders/7")->service = STR("api");
	t = expect("GET https://api.test/v1/orders/7");
	t->on = STR("three");
	t->route = STR("2");
	expect("GET api.test/v1/orders/7")->route = STR("2");
	expect("GET https://a b/")->route = STR("2");
	refused("71:10+3 error 601 test 1 of service \"api\" failed: expected route \"2\", got \"1\"\n"
	     "10:10+17 note 0 \"1\" takes it");
	model_says("72:10+3 error 601 test 2 of service \"api\" failed: expected route "
		   "\"2\", got 405 (the path takes POST)");
	model_says("test 3 of service \"api\" failed: expected route \"2\", got 404 (no route takes this request)");
	model_says("test 4 of service \"api\" failed: expected status 405, got route "
		   "\"2\", which forwards to \"orders\"");
	model_says("test 5 of service \"api\" failed: expected path \"/orders/7\", got \"/o/7\"");
	model_says("test 6 of service \"api\" failed: expected upstream \"orders-v2\", got route \"2\"");
	model_says("test 7 of service \"api\" failed: expected location \"/x\", got route \"2\"");
	model_says("test 8 of service \"api\" failed: expected service \"api\", got 404 (no service is configured");
	model_says("59:10+3 error 603 test 9 of service \"api\": no listener \"three\"");
	model_says("70:10+3 error 602 test 10 of service \"api\" sends \"GET api.test/v1/orders/7\": it is not");
	model_says("71:10+3 error 602 test 11");
}
END_TEST

/* A route named alike in another service is not meant. */
START_TEST(another_service_takes_it)
{
	begin();
	to("GET /a", 0);
	expect("GET https://x.test/a")->route = STR("1");
	model_service("rest", "*");
	to("GET /*", 1);
	refused("71:10+3 error 601 test 1 of service \"api\" failed: expected service \"api\", got \"rest\"");
}
END_TEST

START_TEST(clients)
{
	struct conf_route *r;
	struct conf_test *t;

	begin();
	r = to("GET /a", 0);
	r->when.client.at = ARENA_NEWS(&arena, struct str, 1);
	r->when.client.where = ARENA_NEWS(&arena, struct where, 1);
	r->when.client.at[r->when.client.n++] = STR("10.0.0.0/8");
	to("GET /a", 1);
	t = expect("GET https://api.test/a");
	t->upstream = STR("orders-v2");
	t = expect("GET https://api.test/a");
	t->client = STR("10.1.2.3");
	t->upstream = STR("orders");
	accepted();
	t = expect("GET https://api.test/a");
	t->client = STR("nobody");
	t->upstream = STR("orders");
	refused("error 602 test 3 of service \"api\" sends \"GET https://api.test/a\": the client is no address");
}
END_TEST

START_TEST(bad_patterns_stop_before_the_tests)
{
	begin();
	to("GET a", 0);
	expect("GET https://api.test/a")->route = STR("1");
	refused("error 303");
	ck_assert_int_eq(diag.errors, 1);
}
END_TEST

int
main(void)
{
	static const TTest *tests[6];
	size_t n = 0;

	tests[n++] = what_is_expected_comes;
	tests[n++] = what_is_not_expected_is_said;
	tests[n++] = another_service_takes_it;
	tests[n++] = clients;
	tests[n++] = bad_patterns_stop_before_the_tests;
	return unit_run("dryrun", tests, n);
}
