#include <inttypes.h>

#include "conf/reader.h"

#define P(member) offsetof(struct conf_plan, member)

enum { BURST_MAX = 1000000 };

/* ---- rates and quotas */

int
conf_rate_finish(struct conf_rate *r, uint64_t burst, const char **error)
{
	uint64_t second = (r->count * 1000 + r->period_ms - 1) / r->period_ms;

	/* Rounded up: never more than the rate. */
	r->interval = (r->period_ms * 1000000 + r->count - 1) / r->count;
	r->burst = burst ? burst : second ? second : 1;
	*error = NULL;
	if (r->interval <= INT64_MAX / r->burst)
		return 0;
	*error = "this many requests at once take longer than a lifetime to recover at "
		 "this rate";
	return -1;
}

static int
rate_text(struct str text, struct conf_rate *r, const char **error)
{
	return conf_rate(text, &r->count, &r->period_ms, error) < 0
		       ? -1
		       : conf_rate_finish(r, 0, error);
}

/* Room for one more of them. */
static int
full(uint32_t n, const char *what, const char **error)
{
	if (n < CONF_RATES)
		return 0;
	*error = what;
	return -1;
}

static int
add_rate(struct conf_plan *p, struct str text, const char **error)
{
	if (full(p->nrates, "at most 4 rates can be in force together", error) < 0 ||
	    rate_text(text, &p->rate[p->nrates], error) < 0)
		return -1;
	p->nrates++;
	return 0;
}

static int
add_quota(struct conf_plan *p, struct str text, const char **error)
{
	if (full(p->nquotas, "at most 4 quotas can be in force together", error) < 0 ||
	    conf_quota(text, &p->quota[p->nquotas], error) < 0)
		return -1;
	for (uint32_t i = 0; i < p->nquotas; i++)
		if (p->quota[i].window == p->quota[p->nquotas].window) {
			*error = "there is a quota for this window already";
			return -1;
		}
	p->nquotas++;
	return 0;
}

static int
finish(struct conf_plan *p, const char **error)
{
	for (uint32_t i = 0; i < p->nrates; i++)
		if (conf_rate_finish(&p->rate[i], (uint64_t)p->burst, error) < 0)
			return -1;
	return 0;
}

typedef int add_fn(struct conf_plan *, struct str, const char **error);

static int
texts(struct conf_plan *p, struct str all, add_fn *add, const char **error)
{
	struct str one;

	while (str_split(&all, ' ', &one))
		if (one.len && add(p, one, error) < 0)
			return -1;
	return 0;
}

int
conf_plan_texts(struct conf_plan *p, struct str name, struct str rate, struct str quota,
		struct str zone, uint64_t burst, const char **error)
{
	*p = (struct conf_plan){ .name = name,
				 .burst = burst < INT64_MAX ? (int64_t)burst : INT64_MAX,
				 .zone = zone,
				 .rate_text = rate,
				 .quota_text = quota };
	*error = NULL;
	if (burst > BURST_MAX) {
		*error = "a burst is at most 1000000 requests";
		return -1;
	}
	if (!conf_zone_known(zone)) {
		*error = "no such time zone: write one of tzdata, such as "
			 "\"Europe/Berlin\"";
		return -1;
	}
	return texts(p, rate, add_rate, error) < 0 ||
			       texts(p, quota, add_quota, error) < 0
		       ? -1
		       : finish(p, error);
}

const struct conf_plan *
conf_plan_find(const struct conf_model *m, struct str name)
{
	return map_get(&m->plan_names, name);
}

/* ---- the section */

/* A text, or a list of them; they are joined in *joined. */
static int
limits(struct conf_load *l, const struct conf_node *n, const char *key,
       struct conf_plan *p, add_fn *add, struct str *joined)
{
	bool list = n->kind == CONF_NODE_LIST;
	size_t count = list ? conf_count(n) : 1;
	const char *error;
	struct str text;
	int result = 0;

	if (!list && n->kind != CONF_NODE_STRING)
		return wrong_type(l, n, key,
				  add == add_rate ? "\"100/s\", or a list of rates"
						  : "\"10000/day\", or a list of quotas");
	for (size_t i = 0; i < count; i++) {
		const struct conf_node *one = list ? conf_child(n, i) : n;

		if (conf_text(l, one, &text) < 0) {
			result = -1;
			continue;
		}
		if (add(p, text, &error) < 0) {
			conf_error(l, 235, conf_where(one), "\"%s\": \"%.*s\": %s", key,
				   STR_ARG(str_first(text, 60)), error);
			result = -1;
			continue;
		}
		*joined = arena_printf(l->image, "%.*s%s%.*s", STR_ARG(*joined),
				       joined->len ? " " : "", STR_ARG(text));
	}
	return result;
}

static int
rate_parse(struct conf_load *l, const struct conf_node *n, struct str text,
	   struct where w, void *to)
{
	struct conf_plan *p = to;

	(void)text, (void)w;
	return limits(l, n, "rate", p, add_rate, &p->rate_text);
}

static int
quota_parse(struct conf_load *l, const struct conf_node *n, struct str text,
	    struct where w, void *to)
{
	struct conf_plan *p = to;

	(void)text, (void)w;
	return limits(l, n, "quota", p, add_quota, &p->quota_text);
}

/* "Berlin" is "Europe/Berlin". */
static const char *
zone_meant(struct conf_load *l, struct str zone)
{
	static const char *const regions[] = { "Europe", "America",  "Asia",
					       "Africa", "Australia", "Pacific",
					       "Atlantic", "Indian" };

	for (size_t i = 0; zone.len && i < sizeof(regions) / sizeof(*regions); i++) {
		struct str full = arena_printf(&l->scratch, "%s/%.*s", regions[i],
					       STR_ARG(zone));

		if (conf_zone_known(full))
			return arena_printf(&l->scratch, "; did you mean \"%.*s\"?",
					    STR_ARG(full))
				.at;
	}
	return conf_zone_known(STR("Europe/Berlin"))
		       ? ": write a name of tzdata, such as \"Europe/Berlin\""
		       : ": time zones come with the package tzdata, which is not installed";
}

static int
zone_parse(struct conf_load *l, const struct conf_node *n, struct str text,
	   struct where w, void *to)
{
	struct str *zone = to;

	(void)text, (void)w;
	if (n->kind != CONF_NODE_STRING)
		return wrong_type(l, n, "zone", "a time zone: \"Europe/Berlin\"");
	if (conf_text(l, n, zone) < 0)
		return -1;
	if (conf_zone_known(*zone))
		return 0;
	conf_error(l, 234, conf_where(n), "no time zone \"%.*s\"%s",
		   STR_ARG(str_first(*zone, 60)), zone_meant(l, *zone));
	return -1;
}

const struct conf_field plan_rows[] = {
	{ "rate", CONF_KIND_VIA, .parse = rate_parse,
	  .help = "requests that a consumer may make, for policies with rate = \"plan\": "
		  "\"100/s\", \"60/min\", \"5000/h\", \"10000/day\", or a list of up to 4 "
		  "rates that all hold; left out: as many as they like" },
	CONF_INT(struct conf_plan, burst, "0", 0, BURST_MAX,
		 "requests at once; 0: what the rate allows in a second, at least 1"),
	{ "quota", CONF_KIND_VIA, .parse = quota_parse,
	  .help = "requests that a consumer may make in a window of the calendar, for "
		  "policies of type quota: \"10000/day\", \"5000000/month\", also per "
		  "minute, hour or week, or a list of up to 4; left out: as many as they "
		  "like" },
	{ "zone", CONF_KIND_VIA, .offset = P(zone), .parse = zone_parse,
	  .help = "time zone whose midnight ends days, weeks and months, such as "
		  "\"Europe/Berlin\"; left out: UTC" },
	CONF_END
};

NAMED_STRUCT(struct conf_plan);

static int
plan(struct conf_load *l, const struct conf_node *n, void *to)
{
	struct conf_plan *p = to;
	const char *error = name_error(p->name);
	int result = conf_fill(l, n, plan_rows, p);

	if (error) {
		conf_error(l, 232, p->where, "%s", error);
		result = -1;
	}
	if (finish(p, &error) < 0) {
		const struct conf_node *burst = conf_member(n, "burst");

		conf_error(l, 235, burst ? conf_where(burst) : p->where, "\"burst\": %s",
			   error);
		result = -1;
	}
	return result;
}

int
plans_parse(struct conf_load *l, const struct conf_node *n, struct str text,
	    struct where w, void *to)
{
	struct conf_model *m = l->model;

	(void)text, (void)w, (void)to;
	return named_parse(l, n,
			   &(struct named_section){
				   .section = "plans",
				   .kind = "plan",
				   .shape = "{ NAME: { rate = \"100/s\"; }; }",
				   .size = sizeof(*m->plans),
				   .one = plan,
				   .names = &m->plan_names,
				   .names_in = l->image },
			   &m->plans, &m->nplans);
}
