/* spike-control — lets requests pass at a rate; what comes faster waits for its turn.
 *
 * Each request takes the next slot of its key, over all workers together, and is held
 * back until that comes: what reaches the upstream is smooth, and in the order in which
 * it came. At most `queue` of them wait, none longer than `wait`; the others are refused
 * at once. A client that leaves is let go; its slot passes unused. */
#include <stdio.h>

#include "base/clock.h"
#include "shm/shared.h"
#include "worker/policy/lib/limit.h"
#include "worker/policy/policies.h"

struct spike_control {
	struct conf_rate rate;
	int64_t burst, queue;
	uint64_t wait;                  /* ms */
	struct limit_by by;
	struct limit_rules rules;
	/* Made by check(). */
	uint64_t which;                 /* of cells_key() */
	uint64_t room;                  /* what may wait, by `queue` and by `wait` */
	struct str name;                /* in RateLimit */
};

struct spike_control_state {
	uint64_t until;                 /* ns of clock_now(): its slot; 0: none taken */
	struct cell_answer answer;
	bool asked, refused;
};

/* ---- options */

static int
rate_parse(struct conf_load *l, const struct conf_node *n, struct str text,
	   struct where w, void *to)
{
	struct conf_rate *r = to;
	const char *error;

	if (conf_text(l, n, &text) < 0)
		return -1;
	if (conf_rate(text, &r->count, &r->period_ms, &error) == 0)
		return 0;
	conf_error(l, 206, w, "\"%.*s\": %s", STR_ARG(str_first(text, 60)), error);
	return -1;
}

static const struct conf_field fields[] = {
	CONF_ROW(struct spike_control, rate, VIA, .flags = CONF_F_REQUIRED,
		 .parse = rate_parse, .help = "how many requests pass: \"100/s\", \"60/min\""),
	CONF_INT(struct spike_control, burst, "1", 1, 1000000,
		 "requests of a key at once before others wait"),
	CONF_INT(struct spike_control, queue, "100", 0, 1000000,
		 "requests of a key that may wait, over all workers; beyond: 429"),
	CONF_DURATION(struct spike_control, wait, "5s", 0, 3600000,
		      "how long one may wait; that would have to wait longer: 429"),
	LIMIT_BY_ROWS(struct spike_control, by,
		      "the key: whose requests are counted together; left out: "
		      "\"{service}\", all requests of the service"),
	LIMIT_MODE_ROWS(struct spike_control, rules),
	LIMIT_HEADER_ROWS(struct spike_control, rules),
	CONF_END
};

static int
check(struct conf_load *l, void *self, struct where w)
{
	struct spike_control *p = self;
	const char *error;
	uint64_t in_time;

	if (limit_by_check(l, &p->by, "{service}", w) < 0)
		return -1;
	if (conf_rate_finish(&p->rate, (uint64_t)(p->burst + p->queue), &error) < 0) {
		conf_error(l, 441, w, "%s", error);
		return -1;
	}
	in_time = p->wait * 1000000 / p->rate.interval;
	p->room = in_time < (uint64_t)p->queue ? in_time : (uint64_t)p->queue;
	p->which = limit_identity(l, w, "spike-control", &p->name) ^
		   (p->rate.count * 0x9e3779b97f4a7c15 + p->rate.period_ms);
	return 0;
}

static bool
needs_identity(const void *self)
{
	return limit_by_identity(&((const struct spike_control *)self)->by);
}

/* ---- the act */

static enum verdict
refuse(struct exchange *x, const struct spike_control *p, struct spike_control_state *s)
{
	uint64_t next = limit_seconds(s->answer.retry);

	s->refused = true;
	x->detail = arena_printf(&x->arena, "%.*s lets %llu in %llu s pass, and %llu wait "
					    "already", STR_ARG(p->name),
				 (unsigned long long)p->rate.count,
				 (unsigned long long)(p->rate.period_ms / 1000),
				 (unsigned long long)p->room);
	exchange_answer_later(x, FAULT_SPIKE_REFUSED, next ? next : 1);
	return ANSWER;
}

static enum verdict
held(struct exchange *x, const struct spike_control_state *s)
{
	if (s->until <= clock_now())
		return PASS;
	exchange_wait(x, s->until);
	return WAIT;
}

static enum verdict
request(struct exchange *x, const void *self, void *state)
{
	const struct spike_control *p = self;
	struct spike_control_state *s = state;
	struct cells *c = worker_shared(x->worker)->cells;
	struct cell_limit limit = { p->rate.interval, (uint64_t)p->burst };
	struct siphash key;
	enum limit_found found;
	enum decision decision;
	uint8_t room[LIMIT_KEY];
	uint64_t wait = 0, now = clock_read();
	bool pass;

	if (s->asked)
		return held(x, s);
	s->asked = true;
	key = cells_key(c, p->which, limit_key(&p->by, x, room));
	s->answer = cells_queue(c, key, limit, p->room, now, &wait);
	found = (enum limit_found)s->answer.verdict;
	if (p->rules.mode == LIMIT_OBSERVE && wait)
		found = LIMIT_REFUSED;
	pass = limit_passes(x, &p->rules, found, &decision);
	if (!pass || p->rules.mode == LIMIT_OBSERVE)
		wait = 0;
	if (wait)
		decision = DECISION_WAITED;
	exchange_decided(x, decision, (wait + limit.interval - 1) / limit.interval,
			 p->room, s->answer.retry);
	if (!pass)
		return refuse(x, p, s);
	if (!wait)
		return PASS;
	s->until = now + wait;
	return held(x, s);
}

static void
response(struct exchange *x, const void *self, void *state)
{
	const struct spike_control *p = self;
	const struct spike_control_state *s = state;

	if (!s->asked || !limit_says(&p->rules, s->refused))
		return;
	limit_say(x, &p->rules,
		  &(struct limit_said){
			  .name = p->name,
			  .count = p->rate.count,
			  .seconds = p->rate.period_ms / 1000,
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
	} else if (n->decision == DECISION_WAITED) {
		limit_put_time(next, sizeof(next), n->us * 1000ull);
		snprintf(to, size, "held back for %s as number %llu of at most %llu", next,
			 (unsigned long long)n->operand[0],
			 (unsigned long long)n->operand[1]);
	} else if (n->decision == DECISION_PASSED) {
		snprintf(to, size, "in time");
	} else {
		limit_put_time(next, sizeof(next), n->operand[2]);
		snprintf(to, size, "%llu wait already, room in %s",
			 (unsigned long long)n->operand[1], next);
	}
}

const struct policy spike_control_policy = {
	.conf = {
		.name = "spike-control",
		.help = "Smooths bursts: what comes faster than a rate waits for its turn",
		.size = sizeof(struct spike_control),
		.fields = fields,
		.check = check,
	},
	.state_size = sizeof(struct spike_control_state),
	.cells = true,
	.needs_identity = needs_identity,
	.request = request,
	.response = response,
	.explain = explain,
};
