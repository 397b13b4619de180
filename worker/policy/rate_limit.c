/* rate-limit — at most `rate` for each key, and `burst` at once.
 *
 * Over any time T at most rate × T + burst requests of a key are admitted, by all workers
 * together: the cells lie in the shared region and outlive reloads, crashes and upgrades.
 * Several rates are several windows, all of which must admit. A refused request uses
 * nothing up. In mode "observe" everything passes and is only counted. */
#include "base/clock.h"
#include "shm/cells.h"
#include "shm/stats.h"
#include "worker/exchange/template.h"
#include "worker/policy/policies.h"

enum { WINDOWS = 4 };

enum mode { ENFORCE, OBSERVE };
enum when_full { FULL_ALLOW, FULL_REFUSE };
enum say { SAY_REFUSED, SAY_ALWAYS, SAY_NEVER };

struct window {
	struct cell_limit limit;
	uint64_t count, period_ms;
	uint64_t which;                 /* of cells_key() */
	struct str policy_line;         /* of RateLimit-Policy */
	struct str detail;              /* of the answer */
};

struct windows {
	struct window at[WINDOWS];
	uint32_t n;
};

struct rate_limit {
	struct windows rate;
	int64_t burst;
	const struct template *by;
	int mode, when_full, headers;
	bool x_headers;
	int64_t ipv4_prefix, ipv6_prefix;
	/* Made by check(). */
	bool by_address;                /* `by` is {client.ip} and nothing else */
	struct str name;                /* in RateLimit */
};

struct rate_limit_state {
	bool taken;
	const struct window *window;    /* the one that is nearest to its limit */
	struct cell_answer answer;
};

static const char *const modes[] = { "enforce", "observe", NULL };
static const char *const fulls[] = { "allow", "refuse", NULL };
static const char *const says[] = { "refused", "always", "never", NULL };

/* ---- options */

static int
one_rate(struct conf_load *l, struct str text, struct where w, struct windows *to)
{
	struct window *k = &to->at[to->n];
	const char *error;

	if (str_eq(text, STR("plan"))) {
		conf_error(l, 209, w, "rate = \"plan\" is not in this version of postern: "
				      "say a rate such as \"100/s\"");
		return -1;
	}
	if (conf_rate(text, &k->count, &k->period_ms, &error) < 0) {
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
	struct windows *all = to;

	if (!n || conf_kind_of(n) != CONF_NODE_LIST) {
		if (n && conf_text(l, n, &text) < 0)
			return -1;
		return one_rate(l, text, w, all);
	}
	if (conf_count(n) == 0 || conf_count(n) > WINDOWS) {
		conf_error(l, 441, conf_where(n), "1 to %d rates can be in force together",
			   WINDOWS);
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
		 .help = "requests of a key that are allowed: \"100/s\", \"60/min\", or a "
			 "list "
			 "of rates that all hold"),
	CONF_INT(struct rate_limit, burst, "0", 0, 1000000,
		 "requests of a key at once; 0: what the rate allows in a second, at "
		 "least 1"),
	CONF_VIA(struct rate_limit, by, template_parse, "{client.ip}",
		 "the key: whose requests are counted together"),
	CONF_INT(struct rate_limit, ipv4_prefix, "32", 8, 32,
		 "with by = \"{client.ip}\": bits of an IPv4 address that make a key"),
	CONF_INT(struct rate_limit, ipv6_prefix, "64", 16, 128,
		 "the same for IPv6, where a client usually owns a whole /64"),
	CONF_ENUM(struct rate_limit, mode, "enforce", modes,
		  "\"observe\" refuses nothing and counts what would have been refused"),
	CONF_ENUM(struct rate_limit, when_full, "refuse", fulls,
		  "what becomes of a new key when there is no room to count it"),
	CONF_ENUM(struct rate_limit, headers, "refused", says,
		  "which responses say RateLimit and RateLimit-Policy"),
	CONF_BOOL(struct rate_limit, x_headers, "false",
		  "X-RateLimit-Limit, -Remaining and -Reset beside them"),
	CONF_END
};

static int
finish_window(struct conf_load *l, const struct rate_limit *p, struct window *k,
	      uint64_t which, struct where w)
{
	uint64_t period = k->period_ms * 1000000;
	uint64_t second = (k->count * 1000 + k->period_ms - 1) / k->period_ms;

	/* Rounded up: never more than the rate. */
	k->limit.interval = (period + k->count - 1) / k->count;
	k->limit.burst = p->burst ? (uint64_t)p->burst : second;
	if (k->limit.interval > INT64_MAX / k->limit.burst) {
		conf_error(l, 441, w, "%llu requests at once take longer than a lifetime to "
				      "recover at this rate", (unsigned long long)k->limit.burst);
		return -1;
	}
	k->which = which;
	k->policy_line = arena_printf(conf_arena(l), "\"%.*s\";q=%llu;w=%llu", STR_ARG(p->name),
				      (unsigned long long)k->count,
				      (unsigned long long)(k->period_ms / 1000));
	k->detail = arena_printf(conf_arena(l), "more requests than %.*s allows: %llu in %llu s",
				 STR_ARG(p->name), (unsigned long long)k->count,
				 (unsigned long long)(k->period_ms / 1000));
	return 0;
}

static int
check(struct conf_load *l, void *self, struct where w)
{
	struct rate_limit *p = self;
	uint64_t identity;

	p->by_address = p->by && str_eq(p->by->text, STR("{client.ip}"));
	/* One without a name is known by its place: its counts begin anew when that
	 * changes. */
	p->name = conf_policy_name(l);
	identity = str_hash(p->name);
	if (!p->name.len) {
		identity = str_hash(str_of(w.file)) + w.line * 1000 + w.column;
		p->name = STR("rate-limit");
	}
	for (uint32_t i = 0; i < p->rate.n; i++)
		if (finish_window(l, p, &p->rate.at[i], identity * 31 + i, w) < 0)
			return -1;
	return 0;
}

/* ---- the act */

static struct str
address_key(const struct rate_limit *p, const struct exchange *x, uint8_t key[static 17])
{
	const struct addr *a = &x->client_addr;
	int bits = a->family == AF_INET ? 96 + (int)p->ipv4_prefix : (int)p->ipv6_prefix;

	if (a->family != AF_INET && a->family != AF_INET6)
		bits = 0;
	for (int i = 0; i < 16; i++, bits -= 8)
		key[i] = bits >= 8 ? a->ip[i] :
			 bits > 0  ? (uint8_t)(a->ip[i] & 0xff << (8 - bits)) : 0;
	key[16] = (uint8_t)a->family;
	return (struct str){ (const char *)key, 17 };
}

/* All windows must admit. What is taken from one when the next refuses after all, because
 * another worker was faster, is lost to the key: never is one admitted too many. */
static enum cell_verdict
take(struct cells *c, const struct rate_limit *p, struct str key,
     struct rate_limit_state *s)
{
	struct siphash where[WINDOWS];
	uint64_t now = clock_read();

	for (uint32_t i = 0; i < p->rate.n; i++) {
		where[i] = cells_key(c, p->rate.at[i].which, key);
		if (p->rate.n == 1)
			break;
		s->window = &p->rate.at[i];
		s->answer = cells_peek(c, where[i], s->window->limit, now);
		if (s->answer.verdict != CELL_ADMITTED)
			return s->answer.verdict;
	}
	s->window = NULL;
	for (uint32_t i = 0; i < p->rate.n; i++) {
		const struct window *k = &p->rate.at[i];
		struct cell_answer a = cells_take(c, where[i], k->limit, now);

		if (!s->window || a.remaining < s->answer.remaining ||
		    a.verdict != CELL_ADMITTED) {
			s->window = k;
			s->answer = a;
		}
		if (a.verdict != CELL_ADMITTED)
			return a.verdict;
	}
	return CELL_ADMITTED;
}

static uint64_t
seconds(uint64_t ns)
{
	return (ns + 999999999) / 1000000000;
}

static enum verdict
request(struct exchange *x, const void *self, void *state)
{
	const struct rate_limit *p = self;
	struct rate_limit_state *s = state;
	struct stats_page *page = worker_stats(x->worker);
	uint8_t address[17];
	enum cell_verdict v;

	v = take(worker_cells(x->worker), p,
		 p->by_address ? address_key(p, x, address) : template_eval(p->by, x), s);
	s->taken = true;
	if (v == CELL_FULL) {
		page->count[METRIC_LIMIT_FULL]++;
		if (p->when_full == FULL_ALLOW)
			v = CELL_ADMITTED;
	}
	if (v == CELL_ADMITTED) {
		page->count[METRIC_LIMIT_ADMITTED]++;
		return PASS;
	}
	if (p->mode == OBSERVE) {
		page->count[METRIC_LIMIT_OBSERVED]++;
		return PASS;
	}
	page->count[METRIC_LIMIT_REFUSED]++;
	x->detail = s->window->detail;
	exchange_answer_later(x, FAULT_RATE_LIMITED, seconds(s->answer.retry));
	return ANSWER;
}

static void
say(struct exchange *x, struct str name, struct str value)
{
	headers_set(&x->response.headers, &x->arena, name, value);
}

static void
response(struct exchange *x, const void *self, void *state)
{
	const struct rate_limit *p = self;
	const struct rate_limit_state *s = state;
	bool refused = x->fault == FAULT_RATE_LIMITED && x->answering;

	if (!s->taken || p->mode == OBSERVE || p->headers == SAY_NEVER ||
	    (p->headers == SAY_REFUSED && !refused))
		return;
	say(x, STR("RateLimit-Policy"), s->window->policy_line);
	say(x, STR("RateLimit"),
	    arena_printf(&x->arena, "\"%.*s\";r=%llu;t=%llu", STR_ARG(p->name),
			 (unsigned long long)s->answer.remaining,
			 (unsigned long long)seconds(refused ? s->answer.retry :
							       s->answer.reset)));
	if (!p->x_headers)
		return;
	say(x, STR("X-RateLimit-Limit"),
	    arena_printf(&x->arena, "%llu", (unsigned long long)s->window->count));
	say(x, STR("X-RateLimit-Remaining"),
	    arena_printf(&x->arena, "%llu", (unsigned long long)s->answer.remaining));
	say(x, STR("X-RateLimit-Reset"),
	    arena_printf(&x->arena, "%llu",
			 (unsigned long long)seconds(s->answer.reset)));
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
	.request = request,
	.response = response,
};
