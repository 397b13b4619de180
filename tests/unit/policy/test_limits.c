#include "tests/unit/policy/try.h"

#include "tests/unit/exchange/fake_shared.h"

static struct conf_plan gold;

static void
begin(const char *text)
{
	const char *error;

	fake_share();
	try_begin(text);
	ck_assert_int_eq(conf_plan_texts(&gold, STR("gold"), STR("2/h"), STR("3/day 5/month"),
					 STR("Europe/Berlin"), 2, &error), 0);
}

static void
end(void)
{
	try_end();
	fake_unshare();
}

static void
again(const char *consumer, const struct conf_plan *plan)
{
	try_again();
	x->consumer = str_of(consumer);
	x->plan = plan;
}

static void
refused(enum fault f, const char *detail)
{
	ck_assert_int_eq(try_request(), ANSWER);
	ck_assert_int_eq(x->fault, f);
	ck_assert_int_eq(x->response.status, 429);
	unit_str_eq(x->detail, detail);
	ck_assert_int_eq(x->note[0].decision, DECISION_REFUSED);
	ck_assert_ptr_nonnull(try_returned("retry-after"));
	try_response();
}

static void
at(int64_t wall_s)                      /* it is that time now */
{
	clock_state.wall = wall_s * 1000000000 - (int64_t)clock_state.now;
}

/* ---- rate-limit by the plan */

START_TEST(a_plan_has_the_rate)
{
	begin("type = \"rate-limit\"; rate = \"plan\";");
	for (int i = 0; i < 2; i++) {
		again("acme", &gold);
		ck_assert_int_eq(try_request(), PASS);
	}
	try_explains("2 of 2 used");
	again("acme", &gold);
	refused(FAULT_RATE_LIMITED, "more requests than gold allows: 2 in 3600 s");
	ck_assert_str_eq(try_returned("ratelimit-policy"), "\"gold\";q=2;w=3600");
	ck_assert_str_eq(try_returned("ratelimit"), "\"gold\";r=0;t=1800");
	try_explains("2 of 2 used, next in 30 min 0 s");
	/* Another consumer, and one without a plan, or whose plan has no rate. */
	again("globex", &gold);
	ck_assert_int_eq(try_request(), PASS);
	for (int i = 0; i < 5; i++) {
		again("free", NULL);
		ck_assert_int_eq(try_request(), PASS);
	}
	try_response();
	try_returns("");
	gold.nrates = 0;
	again("acme", &gold);
	ck_assert_int_eq(try_request(), PASS);
	end();
}
END_TEST

START_TEST(a_changed_rate_begins_anew)
{
	struct conf_plan more;
	const char *error;

	begin("type = \"rate-limit\"; rate = \"plan\";");
	for (int i = 0; i < 3; i++) {
		again("acme", &gold);
		try_request();
	}
	ck_assert_int_eq(x->fault, FAULT_RATE_LIMITED);
	conf_plan_texts(&more, STR("more"), STR("100/s"), STR(""), STR(""), 0, &error);
	again("acme", &more);
	ck_assert_int_eq(try_request(), PASS);
	end();
}
END_TEST

START_TEST(who_needs_to_know_the_consumer)
{
	static const struct { const char *text; bool needs; } t[] = {
		{ "type = \"rate-limit\"; rate = \"plan\";", true },
		{ "type = \"rate-limit\"; rate = \"1/s\"; by = \"{consumer}\";", true },
		{ "type = \"rate-limit\"; rate = \"1/s\"; by = \"{consumer} {path}\";", false },
		{ "type = \"rate-limit\"; rate = \"1/s\";", false },
		{ "type = \"quota\"; quota = \"1/day\";", true },
		{ "type = \"quota\"; quota = \"1/day\"; by = \"{client.ip}\";", false },
		{ "type = \"quota\"; quota = \"plan\"; by = \"{client.ip}\";", true },
		{ "type = \"spike-control\"; rate = \"1/s\";", false },
		{ "type = \"concurrency\"; limit = 1; by = \"{key.id}\";", true },
	};

	for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
		ck_assert_msg(try_load(t[i].text), "%s", t[i].text);
		ck_assert_msg(policy->needs_identity(self) == t[i].needs, "%s",
			      t[i].text);
		arena_reset(&image);
		arena_reset(&said);
	}
}
END_TEST

/* Retry-After is true: of all windows that refuse, the longest counts. */
START_TEST(the_window_that_refuses_for_longest_is_said)
{
	static const char *const texts[] = {
		"type = \"rate-limit\"; rate = [ \"1/s\", \"2/h\", \"2/min\" ]; burst = 2;",
		"type = \"quota\"; quota = [ \"2/minute\", \"2/month\", \"2/hour\" ];",
	};

	for (int t = 0; t < 2; t++) {
		begin(texts[t]);
		for (int i = 0; i < 3; i++) {
			again("acme", NULL);
			at(1700000000);
			ck_assert_int_eq(try_request(), i < 2 ? PASS : ANSWER);
		}
		ck_assert_int_gt(atoi(try_returned("retry-after")), t ? 86400 : 1700);
		try_response();
		ck_assert_str_eq(try_returned("ratelimit-policy"),
				 t ? "\"p\";q=2;w=2592000" : "\"p\";q=2;w=3600");
		end();
	}
}
END_TEST

/* ---- quota */

START_TEST(a_quota_ends_with_its_window)
{
	begin("type = \"quota\"; quota = \"2/day\"; x_headers = true;");
	for (int i = 0; i < 2; i++) {
		again("acme", NULL);
		at(1700000000);         /* 2023-11-14 22:13:20 UTC */
		ck_assert_int_eq(try_request(), PASS);
	}
	try_explains("2 of 2 used");
	again("acme", NULL);
	at(1700000000);
	refused(FAULT_QUOTA_EXCEEDED, "the quota of p is used up: 2 per day");
	ck_assert_str_eq(try_returned("retry-after"), "6400");
	ck_assert_str_eq(try_returned("ratelimit-policy"), "\"p\";q=2;w=86400");
	ck_assert_str_eq(try_returned("ratelimit"), "\"p\";r=0;t=6400");
	ck_assert_str_eq(try_returned("x-ratelimit-reset"), "6400");
	try_explains("2 of 2 used, begins anew in 1 h 46 min");
	again("globex", NULL);
	at(1700000000);
	ck_assert_int_eq(try_request(), PASS);
	again("acme", NULL);
	at(1700000000 + 6400);
	ck_assert_int_eq(try_request(), PASS);
	ck_assert_uint_eq(x->note[0].operand[0], 1);
	end();
}
END_TEST

/* Three a day by Berlin, five a month; what the day refuses costs the month nothing. */
START_TEST(all_windows_of_a_plan_hold)
{
	begin("type = \"quota\"; quota = \"plan\";");
	for (int i = 0; i < 10; i++) {
		again("acme", &gold);
		at(1700000000);
		ck_assert_int_eq(try_request(), i < 3 ? PASS : ANSWER);
	}
	unit_str_eq(x->detail, "the quota of gold is used up: 3 per day");
	ck_assert_str_eq(try_returned("retry-after"), "2800");
	for (int i = 0; i < 10; i++) {
		again("acme", &gold);
		at(1700000000 + 2800);
		ck_assert_int_eq(try_request(), i < 2 ? PASS : ANSWER);
	}
	unit_str_eq(x->detail, "the quota of gold is used up: 5 per month");
	again("acme", NULL);
	ck_assert_int_eq(try_request(), PASS);
	end();
}
END_TEST

START_TEST(an_observed_quota_refuses_nothing)
{
	begin("type = \"quota\"; quota = \"1/hour\"; mode = \"observe\"; headers = \"always\";");
	for (int i = 0; i < 3; i++) {
		again("acme", NULL);
		ck_assert_int_eq(try_request(), PASS);
	}
	ck_assert_int_eq(x->note[0].decision, DECISION_OBSERVED);
	ck_assert_uint_eq(fake_page.count[METRIC_LIMIT_OBSERVED], 1);
	try_response();
	try_returns("");
	end();
}
END_TEST

START_TEST(bad_quotas_are_errors)
{
	try_refused("type = \"quota\";", 208, "quota");
	try_refused("type = \"quota\"; quota = \"10/fortnight\";", 206, "fortnight");
	try_refused("type = \"quota\"; quota = [ \"1/day\", \"2/day\" ];", 443, "already");
	try_refused("type = \"quota\"; quota = [ \"1/day\", \"plan\" ];", 443, "alone");
	try_refused("type = \"quota\"; quota = [];", 443, "1 to 4");
	try_refused("type = \"quota\"; quota = \"1/day\"; zone = \"Mars/Olympus\";", 234, "Mars");
	try_refused("type = \"quota\"; quota = \"plan\"; zone = \"Europe/Berlin\";", 443, "zone");
	try_refused("type = \"rate-limit\"; rate = \"plan\"; burst = 3;", 441, "burst");
	try_refused("type = \"rate-limit\"; rate = [ \"1/s\", \"plan\" ];", 441, "alone");
}
END_TEST

/* ---- a table without room for another key */

static void
fill_tables(void)
{
	uint64_t later = clock_read() + 3600000000000, day = 40000000ull << 36;

	for (uint32_t i = 0; i < CELLS_SETS * CELLS_A_SET; i++)
		cells_restore(fake_shared.cells, i, (uint64_t[]){ i + 2, later });
	for (uint32_t i = 0; i < QUOTAS_SETS * QUOTAS_A_SET; i++)
		quotas_restore(fake_shared.quotas, i, (uint64_t[]){ i + 2, day | 1 });
}

START_TEST(when_full_says_what_becomes_of_a_new_key)
{
	static const char *const types[] = {
		"type = \"rate-limit\"; rate = \"1/s\"; by = \"k\";",
		"type = \"quota\"; quota = \"1/day\"; by = \"k\";",
		"type = \"spike-control\"; rate = \"1/s\"; by = \"k\";",
	};
	char text[200];

	for (size_t i = 0; i < 3; i++) {
		begin(types[i]);
		fill_tables();
		ck_assert_int_eq(try_request(), ANSWER);
		ck_assert_int_eq(x->response.status, 429);
		ck_assert_int_eq(x->note[0].decision, DECISION_FULL);
		ck_assert_uint_eq(fake_page.count[METRIC_LIMIT_FULL], 1);
		ck_assert_int_gt(atoi(try_returned("retry-after")), 0);
		try_explains("no room to count a new key");
		end();

		snprintf(text, sizeof text, "%s when_full = \"allow\";", types[i]);
		begin(text);
		fill_tables();
		ck_assert_int_eq(try_request(), PASS);
		ck_assert_int_eq(x->note[0].decision, DECISION_FULL);
		ck_assert_uint_eq(fake_page.count[METRIC_LIMIT_FULL], 1);
		end();
	}
}
END_TEST

/* ---- spike-control */

START_TEST(what_comes_too_fast_waits_for_its_slot)
{
	uint64_t first, second;

	begin("type = \"spike-control\"; rate = \"10/s\"; queue = 2;");
	ck_assert_int_eq(try_request(), PASS);
	try_explains("in time");
	try_again();
	ck_assert_int_eq(try_request(), WAIT);
	first = x->alarm.at - clock_read();
	ck_assert_uint_le(first, 100000000);
	ck_assert_uint_ge(first, 20000000);
	/* Not yet. */
	ck_assert_int_eq(try_request(), WAIT);
	alarm_clear(&fake_worker.loop.alarms, &x->alarm);
	try_again();
	ck_assert_int_eq(try_request(), WAIT);
	second = x->alarm.at - clock_read();
	ck_assert_uint_gt(second, first + 50000000);
	x->note[0].us = 12000;
	try_explains("held back for 12 ms as number 2 of at most 2");
	clock_state.now = x->alarm.at;
	ck_assert_int_eq(try_request(), PASS);
	ck_assert_int_eq(x->note[0].decision, DECISION_WAITED);
	alarm_clear(&fake_worker.loop.alarms, &x->alarm);
	try_again();
	refused(FAULT_SPIKE_REFUSED, "p lets 10 in 1 s pass, and 2 wait already");
	ck_assert_str_eq(try_returned("retry-after"), "1");
	ck_assert_str_eq(try_returned("ratelimit-policy"), "\"p\";q=10;w=1");
	end();
}
END_TEST

/* `wait` bounds the queue as well. */
START_TEST(nobody_waits_longer_than_wait)
{
	begin("type = \"spike-control\"; rate = \"10/s\"; wait = \"250ms\";");
	for (int i = 0; i < 4; i++) {
		try_again();
		ck_assert_int_eq(try_request(), i == 0 ? PASS : i < 3 ? WAIT : ANSWER);
		if (x->alarm.place) {
			ck_assert_uint_le(x->alarm.at, clock_read() + 250000000);
			alarm_clear(&fake_worker.loop.alarms, &x->alarm);
		}
	}
	end();
}
END_TEST

START_TEST(an_observed_spike_waits_for_nothing)
{
	begin("type = \"spike-control\"; rate = \"1/h\"; queue = 1; mode = \"observe\";");
	for (int i = 0; i < 3; i++) {
		try_again();
		ck_assert_int_eq(try_request(), PASS);
		ck_assert_int_eq(x->note[0].decision,
				 i ? DECISION_OBSERVED : DECISION_PASSED);
	}
	end();
}
END_TEST

/* ---- concurrency */

START_TEST(one_over_is_refused_until_one_is_over)
{
	begin("type = \"concurrency\"; limit = 2; headers = \"always\";");

	void *held[2];
	struct exchange *kept[2];

	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(try_request(), PASS);
		held[i] = state;
		kept[i] = x;
		fake_begin();
		state = arena_zalloc(&x->arena, policy->state_size + 1);
	}
	fake_worker.row = 2;            /* another worker is refused as well */
	refused(FAULT_CONCURRENCY_EXCEEDED, "p lets 2 be under way at the same time");
	ck_assert_str_eq(try_returned("retry-after"), "1");
	ck_assert_str_eq(try_returned("ratelimit-policy"),
			 "\"p\";q=2;qu=\"concurrent-requests\"");
	ck_assert_str_eq(try_returned("ratelimit"), "\"p\";r=0");
	try_explains("2 of 2 under way");
	policy->done(x, self, state);
	fake_worker.row = 1;
	policy->done(kept[0], self, held[0]);
	policy->done(kept[0], self, held[0]);   /* twice does no harm */
	fake_worker.row = 2;
	try_again();
	ck_assert_int_eq(try_request(), PASS);
	try_response();
	ck_assert_str_eq(try_returned("ratelimit"), "\"p\";r=0");
	/* The first worker dies with one under way. */
	inflight_clear(&fake_shared.inflight, 1);
	try_again();
	ck_assert_int_eq(try_request(), PASS);
	try_again();
	ck_assert_int_eq(try_request(), ANSWER);
	for (int i = 0; i < 2; i++) {
		arena_reset(&kept[i]->arena);
		free(kept[i]);
	}
	end();
}
END_TEST

START_TEST(keys_are_counted_apart)
{
	begin("type = \"concurrency\"; limit = 1; by = \"{header.x-key}\";");
	fake_header("x-key", "a");
	ck_assert_int_eq(try_request(), PASS);
	try_again();
	fake_header("x-key", "b");
	ck_assert_int_eq(try_request(), PASS);
	try_again();
	fake_header("x-key", "a");
	ck_assert_int_eq(try_request(), ANSWER);
	end();
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		a_plan_has_the_rate,
		a_changed_rate_begins_anew,
		who_needs_to_know_the_consumer,
		the_window_that_refuses_for_longest_is_said,
		a_quota_ends_with_its_window,
		all_windows_of_a_plan_hold,
		an_observed_quota_refuses_nothing,
		bad_quotas_are_errors,
		when_full_says_what_becomes_of_a_new_key,
		what_comes_too_fast_waits_for_its_slot,
		nobody_waits_longer_than_wait,
		an_observed_spike_waits_for_nothing,
		one_over_is_refused_until_one_is_over,
		keys_are_counted_apart,
	};

	return unit_run("policy/limits", tests, sizeof tests / sizeof *tests);
}
