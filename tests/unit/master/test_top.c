/* postern top: what two looks at a gateway say of the time between, and how it is drawn
 * at any size. */
#include <stdio.h>

#include "master/cli/top.h"
#include "tests/unit/unit.h"

static struct control control;
static struct stat_view before, now;
static struct top_frame frame;
static struct top_text text;

static void
add_series(struct stat_view *v, uint32_t index, enum series_kind kind, const char *name,
	   uint64_t requests, uint64_t bad)
{
	struct stat_series *s;

	if (!v->series)
		v->series = calloc(300, sizeof(*v->series));
	s = &v->series[v->nseries++];
	s->index = index;
	s->kind = kind;
	s->name = str_of(name);
	s->sum.requests = requests;
	s->sum.status[1] = requests - bad;
	s->sum.status[4] = s->sum.failed = bad;
	s->sum.us = requests * 700;
	s->sum.bucket[2] = requests;    /* 512 … 1023 µs */
}

static void
add_consumer(struct stat_view *v, int64_t entry, uint32_t life, const char *consumer,
	     const char *service, uint64_t requests)
{
	struct stat_consumer *c;

	if (!v->consumers)
		v->consumers = calloc(16, sizeof(*v->consumers));
	c = &v->consumers[v->nconsumers++];
	c->entry = entry;
	c->life = life;
	c->consumer = str_of(consumer);
	c->service = str_of(service);
	c->requests[1] = requests;
	c->out = 1000 * requests;
}

static void
add_worker(struct stat_view *v, int row, int32_t pid, uint64_t requests, uint64_t busy)
{
	v->process[v->processes++] = (struct stat_process){
		.row = row,
		.pid = pid,
		.role = SLOT_WORKER,
		.state = SLOT_SERVING,
		.number = (uint32_t)row,
		.requests = requests,
		.busy = busy,
		.connections = 7,
	};
	v->workers++;
}

/* Two seconds apart: 1,000 requests, 20 of them 5xx. */
static void
two_looks(void)
{
	before.shared.control = now.shared.control = &control;
	before.rundir = now.rundir = "/run/postern";
	before.mono = 5000;
	now.mono = 7000;
	now.wall = 1000000;
	before.total.count[METRIC_REQUESTS] = 4000;
	now.total.count[METRIC_REQUESTS] = 5000;
	now.total.count[METRIC_RESPONSES_5XX] = 20;
	before.total.latency[histogram_bucket(100)] = 4000;
	now.total.latency[histogram_bucket(100)] = 4000; /* of earlier: do not count */
	now.total.latency[histogram_bucket(5000)] = 990;
	now.total.latency[histogram_bucket(90000)] = 10;
	add_series(&before, 1, SERIES_ROUTE, "api/slow", 4000, 0);
	add_series(&before, 4, SERIES_TARGET, "up/10.0.0.1:80", 100, 0);
	add_series(&now, 1, SERIES_ROUTE, "api/slow", 4400, 0);
	add_series(&now, 2, SERIES_ROUTE, "api/new", 600, 20);
	add_series(&now, 3, SERIES_SERVICE, "api", 1000, 20);
	add_series(&now, 4, SERIES_TARGET, "up/10.0.0.1:80", 300, 0);
	add_series(&now, 5, SERIES_CONNECT, "up/10.0.0.1:80", 50, 0);
	add_worker(&before, 3, 100, 2000, 1000000);
	add_worker(&now, 3, 100, 3000, 2000000);
	add_worker(&now, 4, 101, 9999, 0);      /* has just begun in this row */
}

static double
value(enum top_pane pane, const char *name, int column)
{
	for (size_t i = 0; i < frame.nrows[pane]; i++)
		if (str_eq(frame.rows[pane][i].name, str_of(name)))
			return frame.rows[pane][i].value[column];
	ck_abort_msg("there is no %s", name);
	return 0;
}

static bool
near(double a, double b)
{
	return a > b - 0.01 && a < b + 0.01;
}

START_TEST(rates_are_of_the_time_between)
{
	two_looks();
	top_frame_make(&frame, &before, &now);
	ck_assert(near(frame.seconds, 2));
	ck_assert(near(frame.requests, 500));
	ck_assert(near(frame.bad5, 10));
	ck_assert(near(value(TOP_ROUTES, "api/slow", 0), 200));
	ck_assert(near(value(TOP_ROUTES, "api/new", 0), 300));
	ck_assert(near(value(TOP_ROUTES, "api/new", 1), 10));
	ck_assert(near(value(TOP_ROUTES, "api/slow", 7), 4400));
	ck_assert(near(value(TOP_ROUTES, "api/slow", 6), 700));
	ck_assert(near(value(TOP_TARGETS, "up/10.0.0.1:80", 0), 100));
	ck_assert_msg(near(value(TOP_TARGETS, "up/10.0.0.1:80", 4), 25), "connections made");
	ck_assert(near(value(TOP_SERVICES, "api", 0), 500));
}
END_TEST

START_TEST(quantiles_are_of_the_time_between)
{
	two_looks();
	top_frame_make(&frame, &before, &now);
	ck_assert_msg(frame.p50 > 4800 && frame.p50 < 5600, "%f", frame.p50);
	ck_assert(frame.p99 < 5600);
	now.total.latency[histogram_bucket(90000)] = 11;
	top_frame_free(&frame);
	top_frame_make(&frame, &before, &now);
	ck_assert_msg(frame.p99 > 85000, "%f", frame.p99);
	ck_assert(value(TOP_ROUTES, "api/slow", 2) > 512);
	ck_assert(value(TOP_ROUTES, "api/slow", 2) <= 1024);
}
END_TEST

START_TEST(one_look_has_no_rates)
{
	two_looks();
	top_frame_make(&frame, NULL, &now);
	ck_assert(frame.requests < 0 && frame.p50 < 0);
	ck_assert(value(TOP_ROUTES, "api/slow", 0) < 0);
	ck_assert(near(value(TOP_ROUTES, "api/slow", 7), 4400));
}
END_TEST

START_TEST(nothing_goes_back)
{
	two_looks();
	now.total.count[METRIC_REQUESTS] = 10;
	now.series[0].sum.requests = 10;
	top_frame_make(&frame, &before, &now);
	ck_assert(near(frame.requests, 0));
	ck_assert(near(value(TOP_ROUTES, "api/slow", 0), 0));
}
END_TEST

START_TEST(a_process_is_known_by_row_and_pid)
{
	two_looks();
	top_frame_make(&frame, &before, &now);
	ck_assert_uint_eq(frame.nrows[TOP_PROCESSES], 2);
	ck_assert(near(frame.rows[TOP_PROCESSES][0].value[0], 500));
	ck_assert(near(frame.rows[TOP_PROCESSES][0].value[1], 0.5));
	ck_assert(frame.rows[TOP_PROCESSES][1].value[0] < 0);
}
END_TEST

START_TEST(consumers_are_summed_over_services)
{
	two_looks();
	add_consumer(&before, 1, 1, "acme", "a", 100);
	add_consumer(&before, 7, 1, "gone", "a", 100);
	add_consumer(&now, 1, 1, "acme", "a", 110);
	add_consumer(&now, 5, 1, "acme", "b", 20);
	add_consumer(&now, 7, 2, "other", "a",
		     50); /* another's meter in the same place */
	top_frame_make(&frame, &before, &now);
	ck_assert_uint_eq(frame.nrows[TOP_CONSUMERS], 2);
	ck_assert(near(value(TOP_CONSUMERS, "acme", 0), 15));
	ck_assert(near(value(TOP_CONSUMERS, "acme", 4), 15000));
	ck_assert(near(value(TOP_CONSUMERS, "acme", 5), 130));
	ck_assert(near(value(TOP_CONSUMERS, "other", 0), 25));
}
END_TEST

START_TEST(policies_by_decision)
{
	static struct stat_policy a[] = {
		{ { "rate-limit/x", 12 },
		  9,
		  { [DECISION_PASSED] = 10, [DECISION_REFUSED] = 4 } }
	};
	static struct stat_policy b[] = {
		{ { "cors/1", 6 }, 8, { [DECISION_PASSED] = 2 } },
		{ { "rate-limit/x", 12 },
		  9,
		  { [DECISION_PASSED] = 110,
		    [DECISION_REFUSED] = 24,
		    [DECISION_WAITED] = 6 } }
	};

	two_looks();
	before.policies = a;
	before.npolicies = 1;
	now.policies = b;
	now.npolicies = 2;
	top_frame_make(&frame, &before, &now);
	ck_assert(near(value(TOP_POLICIES, "rate-limit/x", 0), 50));
	ck_assert(near(value(TOP_POLICIES, "rate-limit/x", 1), 10));
	ck_assert(near(value(TOP_POLICIES, "rate-limit/x", 3), 3));
	ck_assert(near(value(TOP_POLICIES, "rate-limit/x", 7), 140));
	top_frame_sort(&frame, TOP_BY_RATE);
	unit_str_eq(frame.rows[TOP_POLICIES][0].name, "rate-limit/x");
}
END_TEST

START_TEST(orders)
{
	two_looks();
	top_frame_make(&frame, &before, &now);
	top_frame_sort(&frame, TOP_BY_RATE);
	unit_str_eq(frame.rows[TOP_ROUTES][0].name, "api/new");
	frame.rows[TOP_ROUTES][1].order[TOP_BY_LATENCY] = 1e6;
	top_frame_sort(&frame, TOP_BY_LATENCY);
	unit_str_eq(frame.rows[TOP_ROUTES][0].name, "api/slow");
	top_frame_sort(&frame, TOP_BY_ERRORS);
	unit_str_eq(frame.rows[TOP_ROUTES][0].name, "api/new");
}
END_TEST

/* ---- drawing */

static int
check_lines(int width)
{
	int lines = 0, used = 0;
	bool colour = false;

	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.at[i];

		if (c == '\n') {
			ck_assert_msg(used <= width, "line %d has %d of %d", lines, used, width);
			lines++;
			used = 0;
		} else if (c == '\033') {
			colour = true;
		} else if (colour) {
			colour = c != 'm';
		} else {
			ck_assert_msg(c >= 0x20 && c < 0x7f, "byte %d", c);
			used++;
		}
	}
	ck_assert_int_eq(used, 0);
	return lines;
}

static void
many_routes(void)
{
	static char names[250][64];

	two_looks();
	for (int i = 0; i < 250; i++) {
		snprintf(names[i], sizeof(names[i]), "a-service-with-a-name/route-number-%d\xc3\xa9\033[2J", i);
		add_series(&now, 100 + (uint32_t)i, SERIES_ROUTE, names[i],
			   1000 + (uint64_t)i, 1);
	}
	top_frame_make(&frame, &before, &now);
	top_frame_sort(&frame, TOP_BY_RATE);
}

START_TEST(every_size_fits)
{
	struct top_look look = { 0 };

	many_routes();
	control.reloads_failed = 1;
	for (int w = 1; w <= 200; w += w < 42 ? 3 : 41)
		for (int h = 1; h <= 60; h += h < 12 ? 1 : 12)
			for (int pane = 0; pane <= TOP_PANES; pane++) {
				look.width = w;
				look.height = h;
				look.pane = (enum top_pane)pane;
				look.colour = (w + h) % 2;
				look.help = h % 7 == 0;
				look.paused = h % 3 == 0;
				look.notice = h % 5 ? NULL : "no gateway runs here now";
				look.scroll = (size_t)(h * 7);
				top_draw(&frame, &now, &look, &text);
				ck_assert_int_eq(check_lines(w), h);
			}
}
END_TEST

static bool
shows(const char *what)
{
	return memmem(text.at, text.len, what, strlen(what)) != NULL;
}

START_TEST(small_screen_shows_what_matters)
{
	struct top_look look = { .width = 40, .height = 10, .pane = TOP_ROUTES };

	two_looks();
	top_frame_make(&frame, &before, &now);
	top_frame_sort(&frame, TOP_BY_RATE);
	top_draw(&frame, &now, &look, &text);
	ck_assert(shows("req/s 500") && shows("5xx/s 10"));
	ck_assert(shows("api/new") && shows("     300") && shows("api/slow"));
	ck_assert(shows("q quit"));
}
END_TEST

START_TEST(all_panes_share_the_lines)
{
	struct top_look look = { .width = 100, .height = 30, .pane = TOP_ALL };

	many_routes();
	top_draw(&frame, &now, &look, &text);
	ck_assert(shows("services") && shows("routes 1-") && shows("/252") && shows("targets"));
	ck_assert(shows("processes") && shows("worker 3 100"));
	ck_assert(shows("up/10.0.0.1:80"));
}
END_TEST

START_TEST(scrolling_ends_at_the_end)
{
	struct top_look look = { .width = 100, .height = 20, .pane = TOP_ROUTES };

	many_routes();
	look.scroll = top_scroll_most(&frame, &look);
	ck_assert_uint_gt(look.scroll, 200);
	top_draw(&frame, &now, &look, &text);
	ck_assert(shows("252/252"));
	look.scroll = 0;
	top_draw(&frame, &now, &look, &text);
	ck_assert(shows(" 1-") && !shows("252/252"));
}
END_TEST

START_TEST(colours_only_when_wanted)
{
	struct top_look look = { .width = 100, .height = 30, .pane = TOP_ALL };

	two_looks();
	top_frame_make(&frame, &before, &now);
	top_draw(&frame, &now, &look, &text);
	ck_assert_ptr_null(memchr(text.at, '\033', text.len));
	look.colour = true;
	top_draw(&frame, &now, &look, &text);
	ck_assert(shows("\033[31m"));
}
END_TEST

START_TEST(numbers)
{
	static const struct {
		enum top_unit unit;
		double value;
		const char *text;
	} rows[] = {
		{ TOP_RATE, -1, "-" }, { TOP_RATE, 0, "0" }, { TOP_RATE, 0.25, "0.2" },
		{ TOP_RATE, 9.96, "10" }, { TOP_RATE, 842.4, "842" }, { TOP_RATE, 99999, "99999" },
		{ TOP_RATE, 123456, "123k" }, { TOP_COUNT, 5, "5" }, { TOP_COUNT, 12345678, "12.3M" },
		{ TOP_COUNT, 999999, "1.0M" }, { TOP_BYTES, 1536, "1.5K" }, { TOP_BYTES, 100, "100" },
		{ TOP_TIME, 870, "870us" }, { TOP_TIME, 1200, "1.2ms" }, { TOP_TIME, 250000, "250ms" },
		{ TOP_TIME, 1500000, "1.5s" }, { TOP_TIME, 999.9, "1.0ms" }, { TOP_SHARE, 0.5, "50%" },
		{ TOP_TIME, 1e15, ">1h" },
	};
	char buf[32];

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		ck_assert_str_eq(top_number(rows[i].unit, rows[i].value, buf),
				 rows[i].text);
		ck_assert_uint_le(strlen(buf), 7);
	}
	for (double v = 1e-3; v < 1e18; v *= 1.37)
		for (int unit = 0; unit <= TOP_BYTES; unit++)
			ck_assert_msg(strlen(top_number((enum top_unit)unit, v, buf)) <=
					      7,
				      "%d %f: %s", unit, v, buf);
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		rates_are_of_the_time_between,
		quantiles_are_of_the_time_between,
		one_look_has_no_rates,
		nothing_goes_back,
		a_process_is_known_by_row_and_pid,
		consumers_are_summed_over_services,
		policies_by_decision,
		orders,
		every_size_fits,
		small_screen_shows_what_matters,
		all_panes_share_the_lines,
		scrolling_ends_at_the_end,
		colours_only_when_wanted,
		numbers,
	};

	return unit_run("top", tests, sizeof(tests) / sizeof(*tests));
}
