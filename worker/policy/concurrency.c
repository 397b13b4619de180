/* concurrency — at most `limit` requests of a key under way at the same time.
 *
 * From here until the exchange is over, a tunnel until it is closed. All workers count
 * together; what a worker that dies had under way is not under way any more. */
#include <stdio.h>

#include "shm/shared.h"
#include "worker/policy/lib/limit.h"
#include "worker/policy/policies.h"

struct concurrency {
	int64_t limit;
	struct limit_by by;
	struct limit_rules rules;
	/* Made by check(). */
	struct str prefix;              /* of its keys: they are no other policy's */
	struct str name;                /* in RateLimit */
};

struct concurrency_state {
	int64_t taken;                  /* entry + 1; 0: none */
	uint64_t used;
	bool asked, refused;
};

static const struct conf_field fields[] = {
	CONF_ROW(struct concurrency, limit, INT, .flags = CONF_F_REQUIRED, .min = 1,
		 .max = 1000000, .help = "requests of a key that may be under way"),
	LIMIT_BY_ROWS(struct concurrency, by,
		      "the key: whose requests are counted together; left out: "
		      "\"{service}\", all requests of the service"),
	LIMIT_MODE_ROWS(struct concurrency, rules),
	LIMIT_HEADER_ROWS(struct concurrency, rules),
	CONF_END
};

static int
check(struct conf_load *l, void *self, struct where w)
{
	struct concurrency *p = self;
	uint64_t identity = limit_identity(l, w, "concurrency", &p->name);

	p->prefix = conf_policy_name(l).len
			    ? arena_printf(conf_arena(l), "%.*s ", STR_ARG(p->name))
			    : arena_printf(conf_arena(l), "%016llx ",
					   (unsigned long long)identity);
	return limit_by_check(l, &p->by, "{service}", w);
}

static bool
needs_identity(const void *self)
{
	return limit_by_identity(&((const struct concurrency *)self)->by);
}

/* What the key is called in the table. */
static struct str
called(const struct concurrency *p, struct exchange *x)
{
	uint8_t room[LIMIT_KEY];
	struct str key = limit_key(&p->by, x, room);
	char *to = arena_alloc_aligned(&x->arena, p->prefix.len + key.len, 1), *end;

	end = mempcpy(to, p->prefix.at, p->prefix.len);
	if (key.len)
		end = mempcpy(end, key.at, key.len);
	return (struct str){ to, (size_t)(end - to) };
}

static enum verdict
refuse(struct exchange *x, const struct concurrency *p, struct concurrency_state *s)
{
	s->refused = true;
	x->detail = arena_printf(&x->arena, "%.*s lets %llu be under way at the same time",
				 STR_ARG(p->name), (unsigned long long)p->limit);
	/* Nobody knows when one of them ends. */
	exchange_answer_later(x, FAULT_CONCURRENCY_EXCEEDED, 1);
	return ANSWER;
}

static enum verdict
request(struct exchange *x, const void *self, void *state)
{
	const struct concurrency *p = self;
	struct concurrency_state *s = state;
	struct inflight *all = &worker_shared(x->worker)->inflight;
	struct str name = called(p, x);
	struct inflight_answer a;
	enum decision decision;
	bool pass;

	a = inflight_take(all, worker_row(x->worker), ledger_key(&all->ledger, name),
			  str_first(name, LEDGER_NAME), (uint64_t)p->limit);
	if (a.verdict == INFLIGHT_TAKEN)
		s->taken = a.entry + 1;
	s->asked = true;
	s->used = a.used;
	pass = limit_passes(x, &p->rules, (enum limit_found)a.verdict, &decision);
	exchange_decided(x, decision, a.used, (uint64_t)p->limit, 0);
	return pass ? PASS : refuse(x, p, s);
}

static void
response(struct exchange *x, const void *self, void *state)
{
	const struct concurrency *p = self;
	const struct concurrency_state *s = state;
	uint64_t most = (uint64_t)p->limit;

	if (!s->asked || !limit_says(&p->rules, s->refused))
		return;
	limit_say(x, &p->rules,
		  &(struct limit_said){
			  .name = p->name,
			  .count = most,
			  .remaining = s->refused || s->used > most ? 0 : most - s->used,
			  .reset = 1,
		  });
}

static void
done(struct exchange *x, const void *self, void *state)
{
	struct concurrency_state *s = state;

	(void)self;
	if (s->taken)
		inflight_give(&worker_shared(x->worker)->inflight, worker_row(x->worker),
			      s->taken - 1);
	s->taken = 0;
}

static void
explain(const struct record_note *n, char *to, size_t size)
{
	if (n->decision == DECISION_FULL)
		snprintf(to, size, "no room to count a new key");
	else
		snprintf(to, size, "%llu of %llu under way", (unsigned long long)n->operand[0],
			 (unsigned long long)n->operand[1]);
}

const struct policy concurrency_policy = {
	.conf = {
		.name = "concurrency",
		.help = "Limits how many requests of a key are under way at the same time",
		.size = sizeof(struct concurrency),
		.fields = fields,
		.check = check,
	},
	.state_size = sizeof(struct concurrency_state),
	.inflight = true,
	.needs_identity = needs_identity,
	.request = request,
	.response = response,
	.done = done,
	.explain = explain,
};
