/* quota — at most so many requests of a key in each window of the calendar: "10000/day".
 *
 * Windows begin and end by the clock of a time zone, months have their own lengths.
 * Counts are exact over all workers, outlive reloads, crashes and upgrades, and by the
 * keeper's checkpoints the machine. What one window refuses uses nothing of the others.
 * quota = "plan" takes those of the consumer's plan; who has none is not limited. */
#include <stdio.h>

#include "base/clock.h"
#include "shm/shared.h"
#include "worker/policy/lib/limit.h"
#include "worker/policy/policies.h"

struct windows {
	struct conf_quota at[CONF_RATES];
	uint32_t n;
	bool plan;
};

struct quota {
	struct windows quota;
	struct str zone;
	struct limit_by by;
	struct limit_rules rules;
	/* Made by check(). */
	uint64_t which[CONF_WINDOWS];   /* of quotas_key() */
	struct str name;                /* in RateLimit */
};

struct quota_state {
	/* The window that is nearest to its limit; NULL: none was asked. */
	const struct conf_quota *at;
	struct quota_answer answer;
	uint64_t ends;                  /* ms since 1970: of that window */
	bool refused;
};

/* A month is about as long as that; when it ends is said exactly. */
static const uint32_t window_seconds[CONF_WINDOWS] = { 60, 3600, 86400, 604800, 2592000 };

/* ---- options */

static int
one_window(struct conf_load *l, struct str text, struct where w, struct windows *to)
{
	struct conf_quota *q = &to->at[to->n];
	const char *error;

	if (str_eq(text, STR("plan"))) {
		conf_error(l, 443, w, "\"plan\" stands alone: the plan has the quotas");
		return -1;
	}
	if (conf_quota(text, q, &error) < 0) {
		conf_error(l, 206, w, "\"%.*s\": %s", STR_ARG(str_first(text, 60)),
			   error);
		return -1;
	}
	for (uint32_t i = 0; i < to->n; i++)
		if (to->at[i].window == q->window) {
			conf_error(l, 443, w, "there is a quota for this window already");
			return -1;
		}
	to->n++;
	return 0;
}

static int
quota_parse(struct conf_load *l, const struct conf_node *n, struct str text,
	    struct where w, void *to)
{
	struct windows *all = to;

	if (!n || conf_kind_of(n) != CONF_NODE_LIST) {
		if (n && conf_text(l, n, &text) < 0)
			return -1;
		all->plan = str_eq(text, STR("plan"));
		return all->plan ? 0 : one_window(l, text, w, all);
	}
	if (conf_count(n) == 0 || conf_count(n) > CONF_RATES) {
		conf_error(l, 443, conf_where(n), "1 to %d quotas can be in force together",
			   CONF_RATES);
		return -1;
	}
	for (size_t i = 0; i < conf_count(n); i++) {
		const struct conf_node *one = conf_child(n, i);

		if (conf_text(l, one, &text) < 0 ||
		    one_window(l, text, conf_where(one), all) < 0)
			return -1;
	}
	return 0;
}

static int
zone_parse(struct conf_load *l, const struct conf_node *n, struct str text,
	   struct where w, void *to)
{
	struct str *zone = to;

	(void)text;
	if (conf_text(l, n, zone) < 0)
		return -1;
	if (conf_zone_known(*zone))
		return 0;
	conf_error(l, 234, w, "no time zone \"%.*s\": write a name of tzdata, such as "
			      "\"Europe/Berlin\"", STR_ARG(str_first(*zone, 60)));
	return -1;
}

static const struct conf_field fields[] = {
	CONF_ROW(struct quota, quota, VIA, .flags = CONF_F_REQUIRED, .parse = quota_parse,
		 .help = "requests of a key in a window of the calendar: \"10000/day\", also per "
			 "minute, hour, week or month, a list of quotas that all hold, or "
			 "\"plan\": those of the consumer's plan"),
	CONF_VIA(struct quota, zone, zone_parse, NULL,
		 "time zone whose midnight ends days, weeks and months, such as "
		 "\"Europe/Berlin\"; left out: UTC. A plan has its own"),
	LIMIT_BY_ROWS(struct quota, by,
		      "the key: whose requests are counted together; left out: \"{consumer}\""),
	LIMIT_MODE_ROWS(struct quota, rules),
	LIMIT_HEADER_ROWS(struct quota, rules),
	CONF_END
};

static int
check(struct conf_load *l, void *self, struct where w)
{
	struct quota *p = self;
	struct str identity = conf_policy_name(l);

	if (limit_by_check(l, &p->by, "{consumer}", w) < 0)
		return -1;
	if (p->quota.plan && p->zone.len) {
		conf_error(l, 443, w, "with quota = \"plan\" the zone is that of the plan");
		return -1;
	}
	p->name = identity.len ? identity : STR("quota");
	if (!identity.len)
		identity = arena_printf(conf_arena(l), "%s:%u", w.file ? w.file : "", w.line);
	for (unsigned i = 0; i < CONF_WINDOWS; i++)
		p->which[i] = quotas_which(identity, i);
	return 0;
}

/* For the admin plane. What is counted by something else than consumers is not found. */
static bool
counted(const void *self, struct conf_counted *c)
{
	const struct quota *p = self;

	*c = (struct conf_counted){ .quota = p->quota.plan ? NULL : p->quota.at,
				    .n = p->quota.n,
				    .plan = p->quota.plan,
				    .zone = p->zone,
				    .which = p->which };
	return str_eq(p->by.by->text, STR("{consumer}"));
}

static bool
needs_identity(const void *self)
{
	const struct quota *p = self;

	return p->quota.plan || limit_by_identity(&p->by);
}

/* ---- the act */

static uint64_t
left(const struct conf_quota *q, struct quota_answer a)
{
	return q && a.used < q->count ? q->count - a.used : 0;
}

struct place {                          /* of one window */
	struct siphash key;
	uint32_t ends;                  /* minutes since 1970 */
};

/* Takes from all windows, or looks at them: the one that is nearest to its limit, or that
 * refuses for longest, is in s. */
static enum quota_verdict
ask(struct quotas *all, const struct place *at, const struct conf_quota *q, uint32_t n,
    uint32_t now, uint64_t amount, struct quota_state *s)
{
	enum quota_verdict worst = QUOTA_ADMITTED;

	s->at = NULL;
	for (uint32_t i = 0; i < n; i++) {
		struct quota_answer a = quotas_take(all, at[i].key, at[i].ends, now,
						    q[i].count, amount);
		uint64_t ends = (uint64_t)at[i].ends * 60000;
		bool refuses = a.verdict != QUOTA_ADMITTED;
		bool refused = worst != QUOTA_ADMITTED;
		bool more = refuses ? ends > s->ends
				    : left(&q[i], a) < left(s->at, s->answer);

		if (!s->at || (refuses && !refused) || (refuses == refused && more)) {
			s->at = &q[i];
			s->answer = a;
			s->ends = ends;
		}
		if (refuses)
			worst = a.verdict;
		if (refuses && amount)
			break;
	}
	return worst;
}

/* All windows must admit. What is taken from one when the next refuses after all, because
 * another worker was faster, is lost to the key: never is one admitted too many. */
static enum quota_verdict
take(struct quotas *all, const struct quota *p, const struct conf_quota *q, uint32_t n,
     struct str zone, struct str key, struct quota_state *s)
{
	struct place at[CONF_RATES];
	int64_t now = clock_wall_ms() / 1000;
	uint32_t minute = (uint32_t)(now / 60);
	enum quota_verdict v;

	for (uint32_t i = 0; i < n; i++) {
		at[i].key = quotas_key(all, p->which[q[i].window], key);
		at[i].ends = conf_window_ends((enum conf_window)q[i].window, zone, now);
	}
	if (n > 1 && (v = ask(all, at, q, n, minute, 0, s)) != QUOTA_ADMITTED)
		return v;
	return ask(all, at, q, n, minute, 1, s);
}

static struct str
name_of(const struct quota *p, const struct exchange *x)
{
	return p->quota.plan ? x->plan->name : p->name;
}

static uint64_t
until_end(const struct quota_state *s)
{
	uint64_t now = (uint64_t)clock_wall_ms();

	return s->ends > now ? (s->ends - now) * 1000000 : 1;
}

static enum verdict
refuse(struct exchange *x, const struct quota *p, struct quota_state *s)
{
	s->refused = true;
	x->detail = arena_printf(&x->arena, "the quota of %.*s is used up: %llu per %s",
				 STR_ARG(name_of(p, x)), (unsigned long long)s->at->count,
				 conf_window_names[s->at->window]);
	exchange_answer_later(x, FAULT_QUOTA_EXCEEDED, limit_seconds(until_end(s)));
	return ANSWER;
}

static enum verdict
request(struct exchange *x, const void *self, void *state)
{
	const struct quota *p = self;
	struct quota_state *s = state;
	const struct conf_quota *q = p->quota.at;
	enum decision decision;
	struct str zone = p->zone;
	uint32_t n = p->quota.n;
	uint8_t room[LIMIT_KEY];
	enum quota_verdict v;
	bool pass;

	if (p->quota.plan) {
		if (!x->plan || !x->plan->nquotas)
			return PASS;
		n = x->plan->nquotas;
		q = x->plan->quota;
		zone = x->plan->zone;
	}
	v = take(worker_shared(x->worker)->quotas, p, q, n, zone,
		 limit_key(&p->by, x, room), s);
	pass = limit_passes(x, &p->rules, (enum limit_found)v, &decision);
	exchange_decided(x, decision, s->answer.used, s->at->count,
			 v == QUOTA_ADMITTED ? 0 : until_end(s));
	return pass ? PASS : refuse(x, p, s);
}

static void
response(struct exchange *x, const void *self, void *state)
{
	const struct quota *p = self;
	const struct quota_state *s = state;

	if (!s->at || !limit_says(&p->rules, s->refused))
		return;

	uint64_t seconds = limit_seconds(until_end(s));

	limit_say(x, &p->rules,
		  &(struct limit_said){
			  .name = name_of(p, x),
			  .count = s->at->count,
			  .seconds = window_seconds[s->at->window],
			  .remaining = left(s->at, s->answer),
			  .next = seconds,
			  .reset = seconds,
		  });
}

static void
explain(const struct record_note *n, char *to, size_t size)
{
	char next[32];

	if (n->decision == DECISION_FULL) {
		snprintf(to, size, "no room to count a new key");
		return;
	}
	limit_put_time(next, sizeof(next), n->operand[2]);
	snprintf(to, size, "%llu of %llu used%s%s", (unsigned long long)n->operand[0],
		 (unsigned long long)n->operand[1], n->operand[2] ? ", begins anew in " : "",
		 n->operand[2] ? next : "");
}

const struct policy quota_policy = {
	.conf = {
		.name = "quota",
		.help = "Limits how many requests of a consumer pass in each hour, day or month",
		.size = sizeof(struct quota),
		.fields = fields,
		.check = check,
		.counted = counted,
	},
	.state_size = sizeof(struct quota_state),
	.quotas = true,
	.needs_identity = needs_identity,
	.request = request,
	.response = response,
	.explain = explain,
};
