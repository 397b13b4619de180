#include "worker/exchange/pace.h"

#include <time.h>

#include "base/clock.h"
#include "worker/exchange/credential.h"

#define SECOND_NS 1000000000ull

enum {
	BLOCKED_MOST_S = 3600,          /* then it is asked again, whatever it said */
	RESET_MOST_S = 31 * 24 * 3600,
	NS_APART = 1024,                /* who came so much later goes 1 ns later */
};

/* ---- before an attempt */

static struct pace_row *
row_of(const struct exchange *x)
{
	return pace_row(x->worker->shared->pace, x->cluster->conf->name);
}

/* ns until the slot that our own rate gives this attempt; UINT64_MAX: there is none, and
 * *retry ns until there may be. */
static uint64_t
own_rate(struct exchange *x, uint64_t now, uint64_t *retry)
{
	const struct conf_pace *p = &x->cluster->conf->pace;
	struct cells *c = x->worker->shared->cells;
	struct cell_limit limit = { p->rate.interval, p->rate.burst };
	struct cell_answer a;
	uint64_t wait = 0;

	if (!x->pace.slot) {
		struct siphash key = cells_key(c, p->rate.interval * 0x9e3779b97f4a7c15,
					       x->cluster->conf->name);

		a = cells_queue(c, key, limit, p->wait * 1000000 / p->rate.interval,
				clock_read(), &wait);
		*retry = a.retry;
		if (a.verdict != CELL_ADMITTED)
			return UINT64_MAX;
		x->pace.slot = now + wait;
	}
	return x->pace.slot > now ? x->pace.slot - now : 0;
}

/* Another attempt that comes too early: what is said is why there had to be one. */
static enum step
refuse(struct exchange *x, uint64_t retry)
{
	const struct record *r = &x->record;
	enum fault before = FAULT_NONE;

	x->worker->page->count[METRIC_PACE_REFUSED]++;
	if (r->attempts)
		before = (enum fault)r->attempt[r->attempts - 1].fault;
	if (before) {
		exchange_answer(x, before);
		return STEP_ANSWER;
	}
	exchange_answer_later(x, FAULT_UPSTREAM_PACED,
			      (retry + SECOND_NS - 1) / SECOND_NS);
	return STEP_ANSWER;
}

/* Those who wait for the same moment go in the order in which they came. */
static enum step
hold(struct exchange *x, uint64_t until, uint64_t most)
{
	if (x->pace.since == clock_now())
		x->worker->page->count[METRIC_PACE_HELD]++;
	exchange_wait(x, until + (x->pace.since + most - until) / NS_APART);
	return credential_pause(x);
}

enum step
pace_admit(struct exchange *x)
{
	const struct conf_pace *p = &x->cluster->conf->pace;
	struct pace_row *row = p->learn ? row_of(x) : NULL;
	uint64_t now = clock_now(), most = p->wait * 1000000, wait = 0, retry = 0;

	if (!x->pace.since)
		x->pace.since = now;
	if (p->rate.count)
		wait = own_rate(x, now, &retry);
	if (wait == UINT64_MAX)
		return refuse(x, retry);
	if (!wait && row && (wait = pace_take(row, now, &x->pace.ticket)))
		x->pace.slot = 0;       /* passes unused */
	if (!wait) {
		x->pace.since = x->pace.slot = 0;
		return STEP_PICK;
	}
	if (now + wait > x->pace.since + most)
		return refuse(x, wait);
	return hold(x, now + wait, most);
}

/* ---- what responses say */

static bool
number(struct str s, uint64_t *n)
{
	unsigned long long value;

	if (!str_u64(str_trim(s), UINT32_MAX * 1000ull, &value))
		return false;
	*n = value;
	return true;
}

static bool
header_number(const struct msg *m, struct str name, uint64_t *n)
{
	const struct header *h = headers_find(&m->headers, name);
	struct str rest, first;

	if (!h)
		return false;
	rest = h->value;
	return str_split(&rest, ',', &first) && number(first, n);
}

/* RFC 9110 §10.2.3: seconds, or a date. */
static bool
retry_after(const struct msg *m, int64_t wall_ms, uint64_t *ns)
{
	const struct header *h = headers_find(&m->headers, STR("retry-after"));
	struct tm date = { 0 };
	char text[32] = "";
	uint64_t s;

	if (!h)
		return false;
	if (!number(h->value, &s)) {
		if (!h->value.len || h->value.len >= sizeof(text))
			return false;
		memcpy(text, h->value.at, h->value.len);
		if (!strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &date))
			return false;
		s = timegm(&date) * 1000 > wall_ms
			    ? (uint64_t)(timegm(&date) * 1000 - wall_ms + 999) / 1000
			    : 0;
	}
	if (s > BLOCKED_MOST_S)
		s = BLOCKED_MOST_S;
	*ns = s * SECOND_NS;
	return true;
}

struct item {                           /* of RateLimit, RateLimit-Policy */
	struct str name;
	uint64_t left, reset, quota, span;
	bool has_left, has_reset;
};

static void
parameter(struct item *i, struct str p)
{
	struct str key, rest = str_trim(p);
	uint64_t n;

	if (!str_split(&rest, '=', &key) || !rest.at || !number(rest, &n))
		return;
	if (str_eq(key, STR("r")) || str_eq(key, STR("remaining"))) {
		i->left = n;
		i->has_left = true;
	} else if (str_eq(key, STR("t")) || str_eq(key, STR("reset"))) {
		i->reset = n;
		i->has_reset = true;
	} else if (str_eq(key, STR("q")) || str_eq(key, STR("limit"))) {
		i->quota = n;
	} else if (str_eq(key, STR("w"))) {
		i->span = n;
	}
}

/* A list of named items with parameters; in older drafts the list is the parameters of
 * one. Calls `each` for every item that is complete. */
static void
items(struct str list, void (*each)(void *, const struct item *), void *to)
{
	struct item old = { 0 };
	struct str one, part;

	while (str_split(&list, ',', &one)) {
		struct item i = { 0 };

		if (str_find(one, ';') < 0) {
			parameter(&old, one);
			continue;
		}
		str_split(&one, ';', &part);
		i.name = str_trim(part);
		while (str_split(&one, ';', &part))
			parameter(&i, part);
		each(to, &i);
	}
	each(to, &old);
}

/* The strictest of them: the one with the fewest left. */
static void
strictest(void *to, const struct item *i)
{
	struct item *found = to;

	if (i->has_left && i->has_reset &&
	    (!found->has_left || i->left < found->left ||
	     (i->left == found->left && i->reset > found->reset)))
		*found = *i;
}

static void
policy_of(void *to, const struct item *i)
{
	struct item *found = to;

	if (i->quota && i->name.len && str_eq(i->name, found->name)) {
		found->quota = i->quota;
		found->span = i->span;
	}
}

static bool
ratelimit(const struct msg *m, struct item *found)
{
	const struct header *h = headers_find(&m->headers, STR("ratelimit"));

	for (; h; h = headers_next(&m->headers, h))
		items(h->value, strictest, found);
	h = headers_find(&m->headers, STR("ratelimit-policy"));
	for (; found->has_left && h; h = headers_next(&m->headers, h))
		items(h->value, policy_of, found);
	return found->has_left;
}

/* Seconds, or (GitHub and others) the time since 1970 in seconds or milliseconds. */
static uint64_t
seconds_left(uint64_t reset, int64_t wall_ms)
{
	uint64_t now = (uint64_t)wall_ms;

	if (reset < 1000000000)
		return reset;
	if (reset < 100000000000)
		reset *= 1000;
	return reset > now ? (reset - now + 999) / 1000 : 0;
}

static bool
three_headers(const struct msg *m, const char *const name[3], int64_t wall_ms,
	      struct item *i)
{
	if (!header_number(m, str_of(name[1]), &i->left) ||
	    !header_number(m, str_of(name[2]), &i->reset))
		return false;
	header_number(m, str_of(name[0]), &i->quota);
	i->reset = seconds_left(i->reset, wall_ms);
	return true;
}

bool
pace_read(const struct msg *m, int64_t wall_ms, struct pace_said *said)
{
	static const char *const names[][3] = {
		{ "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset" },
		{ "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset" },
	};
	struct item i = { 0 };

	*said = (struct pace_said){ 0 };
	if (m->status == 429 || m->status == 503)
		retry_after(m, wall_ms, &said->blocked);
	said->window = ratelimit(m, &i) || three_headers(m, names[0], wall_ms, &i) ||
		       three_headers(m, names[1], wall_ms, &i);
	if (!said->window)
		return said->blocked != 0;
	if (i.reset > RESET_MOST_S)
		i.reset = RESET_MOST_S;
	if (!i.reset)
		i.reset = 1;            /* rounded down */
	said->left = i.left;
	said->reset = i.reset * SECOND_NS;
	said->quota = i.quota;
	said->span = (i.span < RESET_MOST_S ? i.span : RESET_MOST_S) * SECOND_NS;
	return true;
}

void
pace_heard(struct exchange *x)
{
	struct pace_row *row = x->cluster->conf->pace.learn ? row_of(x) : NULL;
	struct pace_said said;

	if (!row)
		return;
	pace_read(&x->response, clock_wall_ms(), &said);
	pace_learn(row, clock_now(), x->pace.ticket, &said);
}
