#include "master/cli/query.h"

#include <stdarg.h>
#include <stdio.h>

#include "worker/exchange/policy.h"

static const char *const fields[QUERY_FIELDS] = {
	[QUERY_SERVICE] = "service",   [QUERY_ROUTE] = "route",
	[QUERY_CONSUMER] = "consumer", [QUERY_PLAN] = "plan",
	[QUERY_METHOD] = "method",     [QUERY_HOST] = "host",
	[QUERY_PATH] = "path",         [QUERY_CLIENT] = "client",
	[QUERY_REASON] = "reason",     [QUERY_POLICY] = "policy",
	[QUERY_TARGET] = "target",     [QUERY_ID] = "id",
	[QUERY_STATUS] = "status",     [QUERY_SLOW] = "slow",
};

enum op { EQ, NE, LT, LE, GT, GE };

/* What is being read. */
struct reader {
	struct str all;
	size_t at;
	struct query_error *error;
};

static int __attribute__((format(printf, 3, 4)))
fail(struct reader *r, size_t at, const char *format, ...)
{
	va_list args;

	r->error->at = at;
	va_start(args, format);
	vsnprintf(r->error->text, sizeof(r->error->text), format, args);
	va_end(args);
	return -1;
}

static bool
blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static char
peek(const struct reader *r)
{
	return r->at < r->all.len ? r->all.at[r->at] : '\0';
}

static int
read_field(struct reader *r, struct query_term *t)
{
	size_t from = r->at;
	struct str name;

	while (peek(r) >= 'a' && peek(r) <= 'z')
		r->at++;
	name = (struct str){ r->all.at + from, r->at - from };
	for (unsigned i = 0; i < QUERY_FIELDS; i++)
		if (str_eq(name, str_of(fields[i]))) {
			t->field = (uint8_t)i;
			return 0;
		}
	if (!name.len)
		return fail(r, from, "a field is expected here, as in status>=500");
	return fail(r, from,
		    "there is no field \"%.*s\"; there are service route consumer plan "
		    "status method "
		    "host path client reason policy target slow id",
		    STR_ARG(str_first(name, 20)));
}

static int
read_op(struct reader *r, const struct query_term *t, enum op *op)
{
	static const struct {
		char text[3];
		enum op op;
	} ops[] = {
		{ "!=", NE }, { "<=", LE }, { ">=", GE },
		{ "=", EQ },  { "<", LT },  { ">", GT },
	};
	struct str rest = str_from(r->all, r->at);
	bool number = t->field >= QUERY_STATUS;

	for (size_t i = 0; i < sizeof(ops) / sizeof(*ops); i++) {
		if (!str_starts(rest, str_of(ops[i].text)))
			continue;
		*op = ops[i].op;
		if (!number && *op != EQ && *op != NE)
			return fail(r, r->at,
				    "\"%s\" is for status and slow: %s is a text and "
				    "takes = or !=",
				    ops[i].text, fields[t->field]);
		r->at += strlen(ops[i].text);
		return 0;
	}
	return fail(r, r->at,
		    number ? "one of = != < <= > >= is expected after %s"
			   : "= or != is expected after %s",
		    fields[t->field]);
}

static int
read_value(struct reader *r, struct query_term *t)
{
	size_t from = r->at;

	if (peek(r) == '"') {
		from = ++r->at;
		while (r->at < r->all.len && peek(r) != '"')
			r->at++;
		t->text = (struct str){ r->all.at + from, r->at - from };
		if (r->at == r->all.len)
			return fail(r, from - 1, "this quotation has no end");
		r->at++;
		if (r->at < r->all.len && !blank(peek(r)))
			return fail(r, r->at, "a blank is expected between two terms");
		return 0;
	}
	while (r->at < r->all.len && !blank(peek(r)))
		r->at++;
	t->text = (struct str){ r->all.at + from, r->at - from };
	if (!t->text.len)
		return fail(r, from, "a value is expected here; \"\" is the empty one");
	return 0;
}

/* ---- numbers */

/* "503", "5xx". */
static bool
status_range(struct str s, uint64_t *low, uint64_t *high)
{
	unsigned long long n;

	if (s.len == 3 && s.at[0] >= '1' && s.at[0] <= '5' &&
	    char_lower((unsigned char)s.at[1]) == 'x' &&
	    char_lower((unsigned char)s.at[2]) == 'x') {
		*low = (uint64_t)(s.at[0] - '0') * 100;
		*high = *low + 99;
		return true;
	}
	if (!str_u64(s, 999, &n))
		return false;
	*low = *high = n;
	return true;
}

/* µs: "300ms", "1.5s", "800us"; a bare number is ms. */
static bool
duration(struct str s, uint64_t *us)
{
	static const struct {
		const char *unit;
		uint64_t us;
	} units[] = {
		{ "us", 1 },
		{ "ms", 1000 },
		{ "s", 1000000 },
		{ "m", 60000000 },
	};
	uint64_t unit = 1000;
	unsigned long long whole, part = 0;
	struct str digits, rest;

	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++)
		if (str_ends(s, str_of(units[i].unit))) {
			unit = units[i].us;
			s.len -= strlen(units[i].unit);
			break;
		}
	rest = s;
	if (!str_split(&rest, '.', &digits) || !str_u64(digits, 1000000000, &whole))
		return false;
	*us = whole * unit;
	if (!rest.at)
		return true;
	if (!rest.len || rest.len > 6 || !str_u64(rest, 999999, &part))
		return false;
	for (size_t i = rest.len; i < 6; i++)
		part *= 10;
	*us += part * unit / 1000000;
	return true;
}

static int
read_number(struct reader *r, struct query_term *t, enum op op, size_t at)
{
	uint64_t low = 0, high = 0;

	if (t->field == QUERY_STATUS && !status_range(t->text, &low, &high))
		return fail(r, at, "\"%.*s\" is no status: 404, or 5xx",
			    STR_ARG(str_first(t->text, 20)));
	if (t->field == QUERY_SLOW) {
		if (!duration(t->text, &low))
			return fail(r, at, "\"%.*s\" is no duration: 300ms, 1.5s, 800us",
				    STR_ARG(str_first(t->text, 20)));
		high = low;
	}
	t->low = op == LT || op == LE ? 0 : op == GT ? high + 1 : low;
	t->high = op == GT || op == GE ? UINT64_MAX : op == LT ? low - 1 : high;
	if (op == LT && !low)
		return fail(r, at, "nothing is less than 0");
	return 0;
}

int
query_parse(struct str text, struct query *q, struct query_error *error)
{
	struct reader r = { text, 0, error };

	q->n = 0;
	for (;;) {
		struct query_term t = { 0 };
		enum op op = EQ;
		size_t at;

		while (r.at < text.len && blank(peek(&r)))
			r.at++;
		if (r.at == text.len)
			return 0;
		if (q->n == QUERY_TERMS)
			return fail(&r, r.at, "there are more than %d terms",
				    QUERY_TERMS);
		if (read_field(&r, &t) || read_op(&r, &t, &op))
			return -1;
		at = r.at;
		if (read_value(&r, &t))
			return -1;
		t.negated = op == NE;
		if (t.field >= QUERY_STATUS && read_number(&r, &t, op, at))
			return -1;
		q->term[q->n++] = t;
	}
}

/* ---- asking */

bool
query_glob(struct str p, struct str s)
{
	size_t star = SIZE_MAX, resume = 0, i = 0, k = 0;

	while (k < s.len) {
		if (i < p.len && p.at[i] == '*') {
			star = i++;
			resume = k;
		} else if (i < p.len && p.at[i] == s.at[k]) {
			i++;
			k++;
		} else if (star != SIZE_MAX) {
			i = star + 1;
			k = ++resume;
		} else {
			return false;
		}
	}
	while (i < p.len && p.at[i] == '*')
		i++;
	return i == p.len;
}

/* "orders-api/create", or "create" alone. */
static bool
named(struct str pattern, struct str name)
{
	ptrdiff_t slash = str_find(name, '/');

	return query_glob(pattern, name) ||
	       (slash >= 0 && query_glob(pattern, str_from(name, (size_t)slash + 1)));
}

static bool
any_policy(struct str pattern, const struct record_view *v)
{
	for (unsigned i = 0; i < v->record->notes; i++)
		if (named(pattern, v->name(v, v->notes[i].policy)))
			return true;
	return false;
}

static bool
any_target(struct str pattern, const struct record_view *v)
{
	for (unsigned i = 0; i < v->record->attempts && i < RECORD_ATTEMPTS; i++)
		if (named(pattern, v->name(v, v->record->attempt[i].target)))
			return true;
	return false;
}

static bool
id_is(struct str text, const struct record_view *v)
{
	char id[33];

	record_id(v->record, id);
	return (text.len <= 32 && str_caseeq(text, (struct str){ id, text.len })) ||
	       query_glob(text, (struct str){ id, 32 }) || query_glob(text, v->texts.id);
}

static bool
holds(const struct query_term *t, const struct record_view *v)
{
	const struct record *r = v->record;
	uint64_t n;

	switch ((enum query_field)t->field) {
	case QUERY_SERVICE:
		return query_glob(t->text, v->name(v, r->service));
	case QUERY_ROUTE:
		return named(t->text, v->name(v, r->route));
	case QUERY_CONSUMER:
		return query_glob(t->text, v->texts.consumer);
	case QUERY_PLAN:
		return query_glob(t->text, v->texts.plan);
	case QUERY_METHOD:
		return query_glob(t->text, v->texts.method);
	case QUERY_HOST:
		return query_glob(t->text, v->texts.host);
	case QUERY_PATH:
		return query_glob(t->text, v->texts.path);
	case QUERY_CLIENT:
		return query_glob(t->text, v->texts.client);
	case QUERY_REASON:
		return query_glob(t->text, r->fault < FAULT_COUNT
						   ? fault_info[r->fault].reason
						   : STR_NONE);
	case QUERY_POLICY:
		return any_policy(t->text, v);
	case QUERY_TARGET:
		return any_target(t->text, v);
	case QUERY_ID:
		return id_is(t->text, v);
	case QUERY_STATUS:
	case QUERY_SLOW:
	case QUERY_FIELDS:
		break;
	}
	n = t->field == QUERY_STATUS ? r->status : r->us_total;
	return n >= t->low && n <= t->high;
}

bool
query_takes(const struct query *q, const struct record_view *v)
{
	for (unsigned i = 0; i < q->n; i++)
		if (holds(&q->term[i], v) == q->term[i].negated)
			return false;
	return true;
}
