#include "worker/policy/lib/limit.h"

#include <stdio.h>

#include "shm/stats.h"

const char *const limit_modes[] = { "enforce", "observe", NULL };
const char *const limit_fulls[] = { "allow", "refuse", NULL };
const char *const limit_when[] = { "refused", "always", "never", NULL };

int
limit_by_check(struct conf_load *l, struct limit_by *p, const char *by, struct where w)
{
	if (!p->by && template_parse(l, NULL, str_of(by), w, &p->by) < 0)
		return -1;
	p->address = str_eq(p->by->text, STR("{client.ip}"));
	return 0;
}

bool
limit_by_identity(const struct limit_by *p)
{
	return p->by && template_is_identity(p->by);
}

struct str
limit_key(const struct limit_by *p, struct exchange *x, uint8_t room[LIMIT_KEY])
{
	const struct addr *a = &x->client_addr;
	int bits = a->family == AF_INET ? 96 + (int)p->ipv4_prefix : (int)p->ipv6_prefix;

	if (!p->address)
		return template_eval(p->by, x);
	if (a->family != AF_INET && a->family != AF_INET6)
		bits = 0;
	for (int i = 0; i < 16; i++, bits -= 8)
		room[i] = bits >= 8 ? a->ip[i] :
			  bits > 0  ? (uint8_t)(a->ip[i] & 0xff << (8 - bits)) : 0;
	room[16] = (uint8_t)a->family;
	return (struct str){ (const char *)room, LIMIT_KEY };
}

uint64_t
limit_identity(struct conf_load *l, struct where w, const char *type, struct str *name)
{
	*name = conf_policy_name(l);
	if (name->len)
		return str_hash(*name);
	*name = str_of(type);
	return str_hash(str_of(w.file)) + w.line * 1000 + w.column;
}

bool
limit_passes(struct exchange *x, const struct limit_rules *r, enum limit_found found,
	     enum decision *d)
{
	uint64_t *count = worker_stats(x->worker)->count;
	bool observed = r->mode == LIMIT_OBSERVE;

	*d = DECISION_PASSED;
	if (found == LIMIT_NO_ROOM) {
		count[METRIC_LIMIT_FULL]++;
		*d = DECISION_FULL;
		if (r->when_full == LIMIT_FULL_ALLOW)
			found = LIMIT_ADMITTED;
	}
	if (found == LIMIT_ADMITTED) {
		count[METRIC_LIMIT_ADMITTED]++;
		return true;
	}
	if (*d == DECISION_PASSED)
		*d = observed ? DECISION_OBSERVED : DECISION_REFUSED;
	count[observed ? METRIC_LIMIT_OBSERVED : METRIC_LIMIT_REFUSED]++;
	return observed;
}

static void
say(struct exchange *x, struct str name, struct str value)
{
	headers_set(&x->response.headers, &x->arena, name, value);
}

static struct str
number(struct exchange *x, uint64_t n)
{
	char *to = arena_alloc_aligned(&x->arena, 20, 1);

	return (struct str){ to, (size_t)(str_put_u64(to, n) - to) };
}

void
limit_say(struct exchange *x, const struct limit_rules *rules, const struct limit_said *s)
{
	unsigned long long q = s->count, w = s->seconds, r = s->remaining, t = s->next;

	if (w) {
		say(x, STR("RateLimit-Policy"),
		    arena_printf(&x->arena, "\"%.*s\";q=%llu;w=%llu", STR_ARG(s->name), q, w));
		say(x, STR("RateLimit"),
		    arena_printf(&x->arena, "\"%.*s\";r=%llu;t=%llu", STR_ARG(s->name), r, t));
	} else {
		say(x, STR("RateLimit-Policy"),
		    arena_printf(&x->arena, "\"%.*s\";q=%llu;qu=\"concurrent-requests\"",
				 STR_ARG(s->name), q));
		say(x, STR("RateLimit"),
		    arena_printf(&x->arena, "\"%.*s\";r=%llu", STR_ARG(s->name), r));
	}
	if (!rules->x_headers)
		return;
	say(x, STR("X-RateLimit-Limit"), number(x, s->count));
	say(x, STR("X-RateLimit-Remaining"), number(x, s->remaining));
	say(x, STR("X-RateLimit-Reset"), number(x, s->reset));
}

void
limit_put_time(char *to, size_t size, uint64_t ns)
{
	uint64_t ms = (ns + 999999) / 1000000, s = (ms + 999) / 1000;

	if (ms < 1000)
		snprintf(to, size, "%llu ms", (unsigned long long)ms);
	else if (ms < 60000)
		snprintf(to, size, "%llu.%llu s", (unsigned long long)(ms / 1000),
			 (unsigned long long)(ms % 1000 / 100));
	else if (s < 3600)
		snprintf(to, size, "%llu min %llu s", (unsigned long long)(s / 60),
			 (unsigned long long)(s % 60));
	else if (s < 86400)
		snprintf(to, size, "%llu h %llu min", (unsigned long long)(s / 3600),
			 (unsigned long long)(s % 3600 / 60));
	else
		snprintf(to, size, "%llu d %llu h", (unsigned long long)(s / 86400),
			 (unsigned long long)(s % 86400 / 3600));
}
