/* Rates, quotas and plans: what they say, and what is wrong with others. */
#include "tests/unit/conf/try.h"

static const struct {
	const char *text;
	uint64_t count, period_ms;      /* 0: refused */
	uint64_t interval, burst;
} rates[] = {
	{ "100/s", 100, 1000, 10000000, 100 },
	{ "60/min", 60, 60000, 1000000000, 1 },
	{ "61/min", 61, 60000, 983606558, 2 },  /* rounded up */
	{ "3/s", 3, 1000, 333333334, 3 },
	{ "5000/h", 5000, 3600000, 720000000, 2 },
	{ "10000/day", 10000, 86400000, 8640000000, 1 },
	{ "1/minute", 1, 60000, 60000000000, 1 },
	{ "10000000/s", 10000000, 1000, 100, 10000000 },
	{ "10000001/s", 0, 0, 0, 0 },
	{ "0/s", 0, 0, 0, 0 },
	{ "100", 0, 0, 0, 0 },
	{ "100/", 0, 0, 0, 0 },
	{ "/s", 0, 0, 0, 0 },
	{ "100/week", 0, 0, 0, 0 },
	{ "100/month", 0, 0, 0, 0 },
	{ "100 /s", 0, 0, 0, 0 },
	{ "-1/s", 0, 0, 0, 0 },
	{ "1.5/s", 0, 0, 0, 0 },
	{ "", 0, 0, 0, 0 },
};

START_TEST(rates_have_a_count_and_a_period)
{
	for (size_t i = 0; i < sizeof(rates) / sizeof(*rates); i++) {
		struct conf_rate r = { 0 };
		const char *error = "";
		int got = conf_rate(str_of(rates[i].text), &r.count, &r.period_ms,
				    &error);

		ck_assert_msg(got == (rates[i].count ? 0 : -1), "%s", rates[i].text);
		ck_assert_msg((error != NULL) == (got < 0), "%s", rates[i].text);
		if (got < 0)
			continue;
		ck_assert_int_eq(conf_rate_finish(&r, 0, &error), 0);
		ck_assert_uint_eq(r.count, rates[i].count);
		ck_assert_uint_eq(r.period_ms, rates[i].period_ms);
		ck_assert_msg(r.interval == rates[i].interval, "%s: %llu", rates[i].text,
			      (unsigned long long)r.interval);
		ck_assert_msg(r.burst == rates[i].burst, "%s: %llu", rates[i].text,
			      (unsigned long long)r.burst);
	}
}
END_TEST

static const struct { const char *text; uint64_t count; int window; } quotas[] = {
	{ "10000/day", 10000, CONF_DAY },
	{ "10000/d", 10000, CONF_DAY },
	{ "5000000/month", 5000000, CONF_MONTH },
	{ "7/week", 7, CONF_WEEK },
	{ "1/hour", 1, CONF_HOUR },
	{ "1/min", 1, CONF_MINUTE },
	{ "68719476735/month", 68719476735, CONF_MONTH },
	{ "68719476736/month", 0, 0 },
	{ "5/s", 0, 0 },
	{ "5/year", 0, 0 },
	{ "0/day", 0, 0 },
	{ "day", 0, 0 },
	{ "5000000", 0, 0 },
	{ "99999999999999999999/day", 0, 0 },
};

START_TEST(quotas_have_a_window)
{
	for (size_t i = 0; i < sizeof(quotas) / sizeof(*quotas); i++) {
		struct conf_quota q = { 0 };
		const char *error = "";
		int got = conf_quota(str_of(quotas[i].text), &q, &error);

		ck_assert_msg(got == (quotas[i].count ? 0 : -1), "%s", quotas[i].text);
		ck_assert_msg((error != NULL) == (got < 0), "%s", quotas[i].text);
		if (got < 0)
			continue;
		ck_assert_uint_eq(q.count, quotas[i].count);
		ck_assert_int_eq(q.window, quotas[i].window);
	}
}
END_TEST

START_TEST(plans_are_made_of_texts)
{
	struct conf_plan p;
	const char *error = "";

	ck_assert_int_eq(conf_plan_texts(&p, STR("gold"), STR("100/s  5000/h"),
					 STR("10000/day 100000/month"), STR("UTC"), 200,
					 &error),
			 0);
	ck_assert_ptr_null(error);
	ck_assert(str_eq(p.name, STR("gold")));
	ck_assert_uint_eq(p.nrates, 2);
	ck_assert_uint_eq(p.rate[0].burst, 200);
	ck_assert_uint_eq(p.rate[1].burst, 200);
	ck_assert_uint_eq(p.rate[1].count, 5000);
	ck_assert_uint_eq(p.nquotas, 2);
	ck_assert_int_eq(p.quota[1].window, CONF_MONTH);
	ck_assert_int_eq(p.burst, 200);
	ck_assert_int_eq(conf_plan_texts(&p, STR("none"), STR_NONE, STR(""), STR_NONE, 0,
					 &error),
			 0);
	ck_assert_uint_eq(p.nrates + p.nquotas, 0);
}
END_TEST

static const struct { const char *rate, *quota, *zone, *says; uint64_t burst; } bad[] = {
	{ "100", "", "", "\"100/s\"", 0 },
	{ "1/s 1/s 1/s 1/s 1/s", "", "", "at most 4 rates", 0 },
	{ "", "1/min 1/h 1/day 1/week 1/month", "", "at most 4 quotas", 0 },
	{ "", "1/day 2/day", "", "for this window already", 0 },
	{ "", "1/s", "", "is a rate", 0 },
	{ "", "", "Nowhere/City", "time zone", 0 },
	{ "1/s", "", "", "at most 1000000", 1000001 },
	{ "1/day", "", "", "lifetime", 1000000 },
};

START_TEST(plans_of_bad_texts_are_refused)
{
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct conf_plan p;
		const char *error = NULL;

		int got = conf_plan_texts(&p, STR("p"), str_of(bad[i].rate),
					  str_of(bad[i].quota), str_of(bad[i].zone),
					  bad[i].burst, &error);

		ck_assert_int_eq(got, -1);
		ck_assert_msg(error && strstr(error, bad[i].says), "%s: %s", bad[i].says,
			      error ? error : "nothing");
	}
}
END_TEST

START_TEST(plans_of_a_file)
{
	const struct conf_model *m = try_load(
		"plans: { free: { rate = \"60/min\"; quota = \"10000/day\"; };\n"
		"  gold: { rate = [ \"100/s\", \"5000/h\" ]; burst = 200;\n"
		"          quota = ( \"1000/hour\", \"5000000/month\" ); zone = \"UTC\"; };\n"
		"  open: { }; };\n" TRY_LISTENERS TRY_UPSTREAMS TRY_SERVICES);
	const struct conf_plan *p;

	ck_assert_ptr_nonnull(m);
	ck_assert_uint_eq(m->nplans, 3);
	p = conf_plan_find(m, STR("gold"));
	ck_assert_ptr_eq(p, &m->plans[1]);
	ck_assert_uint_eq(p->index, 1);
	ck_assert_uint_eq(p->nrates, 2);
	ck_assert_uint_eq(p->rate[0].burst, 200);
	ck_assert(str_eq(p->rate_text, STR("100/s 5000/h")));
	ck_assert(str_eq(p->quota_text, STR("1000/hour 5000000/month")));
	ck_assert(str_eq(p->zone, STR("UTC")));
	ck_assert_uint_eq(m->plans[0].rate[0].burst, 1);
	ck_assert_uint_eq(m->plans[2].nrates + m->plans[2].nquotas, 0);
	ck_assert_ptr_null(conf_plan_find(m, STR("silver")));
	ck_assert_ptr_null(conf_plan_find(m, STR_NONE));
	try_free();
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		rates_have_a_count_and_a_period,
		quotas_have_a_window,
		plans_are_made_of_texts,
		plans_of_bad_texts_are_refused,
		plans_of_a_file,
	};

	return unit_run("plans", tests, sizeof(tests) / sizeof(*tests));
}
