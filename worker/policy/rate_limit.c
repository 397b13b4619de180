/* rate-limit — at most `rate` for each key, and `burst` at once.
 *
 * Over any time T at most rate × T + burst requests of a key are admitted, by all workers
 * together: the cells lie in the shared region and outlive reloads, crashes and upgrades.
 * Several rates are several windows, all of which must admit; rate = "plan" takes those
 * of the consumer's plan, and who has none is not limited. A refused request uses nothing
 * up. In mode "observe" everything passes and is only counted. */
#include <stdio.h>

#include "base/clock.h"
#include "shm/shared.h"
#include "worker/policy/lib/limit.h"
#include "worker/policy/policies.h"

struct rates {
	struct conf_rate at[CONF_RATES];
	uint32_t n;
	bool plan;
};

struct rate_limit {
	struct rates rate;
	int64_t burst;
	struct limit_by by;
	struct limit_rules rules;
	/* Made by check(). */
	uint64_t identity;
	struct str name;                /* in RateLimit */
};

struct rate_limit_state {
	/* The one that is nearest to its limit; NULL: nothing was asked. */
	const struct conf_rate *rate;
	struct cell_answer answer;
	bool refused;
};

/* ---- options */

static int
one_rate(struct conf_load *l, struct str text, struct where w, struct rates *to)
{
	struct conf_rate *r = &to->at[to->n];
	const char *error;

	if (str_eq(text, STR("plan"))) {
		conf_error(l, 441, w, "\"plan\" stands alone: the plan has the rates");
		return -1;
	}
	if (conf_rate(text, &r->count, &r->period_ms, &error) < 0) {
		conf_error(l, 206, w, "\"%.*s\": %s", STR_ARG(text), error);
		return -1;
	}
	to->n++;
	return 0;
}

static int
rate_parse(struct conf_load *l, const struct conf_node *n, struct str text,
	   struct where w, void *to)
{
	struct rates *all = to;

	if (!n || conf_kind_of(n) != CONF_NODE_LIST) {
		if (n && conf_text(l, n, &text) < 0)
			return -1;
		all->plan = str_eq(text, STR("plan"));
		return all->plan ? 0 : one_rate(l, text, w, all);
	}
	if (conf_count(n) == 0 || conf_count(n) > CONF_RATES) {
		conf_error(l, 441, conf_where(n), "1 to %d rates can be in force together",
			   CONF_RATES);
		return -1;
	}
	for (size_t i = 0; i < conf_count(n); i++) {
		const struct conf_node *one = conf_child(n, i);

		if (conf_text(l, one, &text) < 0 ||
		    one_rate(l, text, conf_where(one), all) < 0)
			return -1;
	}
	return 0;
}

static const struct conf_field fields[] = {
	CONF_ROW(struct rate_limit, rate, VIA, .flags = CONF_F_REQUIRED,
		 .parse = rate_parse,
		 .help = "requests of a key that are allowed: \"100/s\", \"60/min\", a list "
			 "of rates that all hold, or \"plan\": those of the consumer's plan"),
	CONF_INT(struct rate_limit, burst, "0", 0, 1000000,
		 "requests of a key at once; 0: what the rate allows in a second, at "
		 "least 1. A plan has its own"),
	LIMIT_BY_ROWS(struct rate_limit, by,
		      "the key: whose requests are counted together; left out: "
		      "\"{client.ip}\", with rate = \"plan\" \"{consumer}\""),
	LIMIT_MODE_ROWS(struct rate_limit, rules),
	LIMIT_HEADER_ROWS(struct rate_limit, rules),
	CONF_END
};

static int
check(struct conf_load *l, void *self, struct where w)
{
	struct rate_limit *p = self;
	const char *by = p->rate.plan ? "{consumer}" : "{client.ip}", *error;

	if (limit_by_check(l, &p->by, by, w) < 0)
		return -1;
	p->identity = limit_identity(l, w, "rate-limit", &p->name);
	if (p->rate.plan && p->burst) {
		conf_error(l, 441, w, "with rate = \"plan\" the burst is that of the plan");
		return -1;
	}
	for (uint32_t i = 0; i < p->rate.n; i++)
		if (conf_rate_finish(&p->rate.at[i], (uint64_t)p->burst, &error) < 0) {
			conf_error(l, 441, w, "%s", error);
			return -1;
		}
	return 0;
}

static bool
needs_identity(const void *self)
{
	const struct rate_limit *p = self;

	return p->rate.plan || limit_by_identity(&p->by);
}

/* ---- the act */

/* A rate that is changed begins anew: what was used of the old one means nothing. */
static struct siphash
place(struct cells *c, const struct rate_limit *p, const struct conf_rate *r, uint32_t i,
      struct str key)
{
	uint64_t rate = r->count * 0x9e3779b97f4a7c15 + r->period_ms;

	return cells_key(c, (p->identity * 31 + i) ^ rate, key);
}

/* Whether all windows would admit; else the one that will refuse for longest is in s. */
static enum cell_verdict
look(struct cells *c, const struct siphash *where, const struct conf_rate *rate,
     uint32_t n, uint64_t now, struct rate_limit_state *s)
{
	for (uint32_t i = 0; i < n; i++) {
		struct cell_limit limit = { rate[i].interval, rate[i].burst };
		struct cell_answer a = cells_peek(c, where[i], limit, now);

		if (a.verdict == CELL_ADMITTED ||
		    (s->rate && a.retry <= s->answer.retry))
			continue;
		s->rate = &rate[i];
		s->answer = a;
	}
	return s->rate ? s->answer.verdict : CELL_ADMITTED;
}

/* All windows must admit. What is taken from one when the next refuses after all, because
 * another worker was faster, is lost to the key: never is one admitted too many. */
static enum cell_verdict
take(struct cells *c, const struct rate_limit *p, const struct conf_rate *rate,
     uint32_t n, struct str key, struct rate_limit_state *s)
{
	struct siphash where[CONF_RATES];
	uint64_t now;

	for (uint32_t i = 0; i < n; i++)
		where[i] = place(c, p, &rate[i], i, key);
	now = clock_read();
	if (n > 1 && look(c, where, rate, n, now, s) != CELL_ADMITTED)
		return s->answer.verdict;
	for (uint32_t i = 0; i < n; i++) {
		struct cell_limit limit = { rate[i].interval, rate[i].burst };
		struct cell_answer a = cells_take(c, where[i], limit, now);

		if (!s->rate || a.remaining < s->answer.remaining ||
		    a.verdict != CELL_ADMITTED) {
			s->rate = &rate[i];
			s->answer = a;
		}
		if (a.verdict != CELL_ADMITTED)
			return a.verdict;
	}
	return CELL_ADMITTED;
}

static struct str
name_of(const struct rate_limit *p, const struct exchange *x)
{
	return p->rate.plan ? x->plan->name : p->name;
}

static enum verdict
refuse(struct exchange *x, const struct rate_limit *p, struct rate_limit_state *s)
{
	const struct conf_rate *r = s->rate;
	uint64_t wait = limit_seconds(s->answer.retry);

	s->refused = true;
	x->detail = arena_printf(&x->arena, "more requests than %.*s allows: %llu in %llu s",
				 STR_ARG(name_of(p, x)), (unsigned long long)r->count,
				 (unsigned long long)(r->period_ms / 1000));
	exchange_answer_later(x, FAULT_RATE_LIMITED, wait ? wait : 1);
	return ANSWER;
}

static enum verdict
request(struct exchange *x, const void *self, void *state)
{
	const struct rate_limit *p = self;
	struct rate_limit_state *s = state;
	const struct conf_rate *rate = p->rate.at;
	enum decision decision;
	uint32_t n = p->rate.n;
	uint8_t room[LIMIT_KEY];
	enum cell_verdict v;
	bool pass;

	if (p->rate.plan) {
		n = x->plan ? x->plan->nrates : 0;
		rate = n ? x->plan->rate : NULL;
		if (!n)
			return PASS;
	}
	v = take(worker_shared(x->worker)->cells, p, rate, n, limit_key(&p->by, x, room),
		 s);
	pass = limit_passes(x, &p->rules, (enum limit_found)v, &decision);
	exchange_decided(x, decision, s->rate->burst - s->answer.remaining,
			 s->rate->burst, s->answer.retry);
	return pass ? PASS : refuse(x, p, s);
}

static void
response(struct exchange *x, const void *self, void *state)
{
	const struct rate_limit *p = self;
	const struct rate_limit_state *s = state;

	if (!s->rate || !limit_says(&p->rules, s->refused))
		return;
	limit_say(x, &p->rules,
		  &(struct limit_said){
			  .name = name_of(p, x),
			  .count = s->rate->count,
			  .seconds = s->rate->period_ms / 1000,
			  .remaining = s->answer.remaining,
			  .next = limit_seconds(s->refused ? s->answer.retry
							   : s->answer.reset),
			  .reset = limit_seconds(s->answer.reset),
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
		 (unsigned long long)n->operand[1], n->operand[2] ? ", next in " : "",
		 n->operand[2] ? next : "");
}

const struct policy rate_limit_policy = {
	.conf = {
		.name = "rate-limit",
		.help = "Limits how many requests of a key pass, for all workers together",
		.size = sizeof(struct rate_limit),
		.fields = fields,
		.check = check,
	},
	.state_size = sizeof(struct rate_limit_state),
	.cells = true,
	.needs_identity = needs_identity,
	.request = request,
	.response = response,
	.explain = explain,
};
