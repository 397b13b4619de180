/* Consumers may be millions: the metrics have those with most requests, the usage has
 * them all. */
#include <stdlib.h>
#include <string.h>

#include "master/keeper/expose_inside.h"

struct consumer {
	struct str name;
	uint64_t requests[METER_CLASSES], in, out, all;
};

static int
by_name(const void *a, const void *b)
{
	const struct consumer *x = a, *y = b;
	size_t n = x->name.len < y->name.len ? x->name.len : y->name.len;
	int c = n ? memcmp(x->name.at, y->name.at, n) : 0;

	return c ? c : (x->name.len > y->name.len) - (x->name.len < y->name.len);
}

static int
by_requests(const void *a, const void *b)
{
	const struct consumer *x = a, *y = b;

	return x->all != y->all ? (x->all < y->all ? 1 : -1) : by_name(a, b);
}

static void
take(struct consumer *c, struct str name, const struct meter *m)
{
	struct str service;

	meter_split(name, &c->name, &service);
	for (int i = 0; i < METER_CLASSES; i++) {
		c->requests[i] = m->of[i].requests;
		c->all += c->requests[i];
		c->in += m->of[i].in;
		c->out += m->of[i].out;
	}
}

static void
add(struct consumer *to, const struct consumer *c)
{
	for (int i = 0; i < METER_CLASSES; i++)
		to->requests[i] += c->requests[i];
	to->all += c->all;
	to->in += c->in;
	to->out += c->out;
}

/* One for each consumer, over all services. The caller frees. */
static size_t
gather(const struct ledger *l, struct consumer **all)
{
	size_t n = 0, room = 0, out = 0;

	*all = NULL;
	LEDGER_EACH (l, i) {
		if (n == room) {
			struct consumer *more = realloc(
				*all, (room ? room *= 2 : (room = 64)) * sizeof(**all));

			if (!more)
				break;
			*all = more;
		}
		memset(&(*all)[n], 0, sizeof(**all));
		take(&(*all)[n++], ledger_name(l, i), ledger_value(l, i));
	}
	if (n)
		qsort(*all, n, sizeof(**all), by_name);
	for (size_t i = 0; i < n; i++)
		if (out && by_name(&(*all)[out - 1], &(*all)[i]) == 0)
			add(&(*all)[out - 1], &(*all)[i]);
		else
			(*all)[out++] = (*all)[i];
	if (out)
		qsort(*all, out, sizeof(**all), by_requests);
	return out;
}

void
expose_consumers(struct text *t, const struct shared *s)
{
	static const char *const classes[METER_CLASSES] = { "none", "2xx", "3xx", "4xx",
							    "5xx" };
	struct consumer *all = NULL;
	size_t n = s->control->tables & TABLE_METERS ? gather(&s->meters, &all) : 0;

	if (n > EXPOSE_CONSUMERS)
		n = EXPOSE_CONSUMERS;
	text_family(t, "consumer_requests_total", "counter",
		    "requests of the 20 consumers with most of them, by status class; "
		    "the usage has all");
	for (size_t i = 0; i < n; i++)
		for (int c = 0; c < METER_CLASSES; c++) {
			if (!all[i].requests[c])
				continue;
			text_begin(t, "");
			text_label(t, "consumer", all[i].name);
			text_label(t, "code", str_of(classes[c]));
			text_u64(t, all[i].requests[c]);
		}
	text_family(t, "consumer_bytes_total", "counter", "bytes of bodies of the same");
	for (size_t i = 0; i < n; i++)
		for (int in = 0; in < 2; in++) {
			text_begin(t, "");
			text_label(t, "consumer", all[i].name);
			text_label(t, "direction", in ? STR("in") : STR("out"));
			text_u64(t, in ? all[i].in : all[i].out);
		}
	free(all);
}
