#include "worker/route/match.h"
#include "worker/route/trie.h"
#include "worker/route/when.h"

enum { OTHERS = sizeof((struct route_match *)NULL)->allow_other / sizeof(struct str) };

static void
add_allowed(struct trie_search *f, const struct route *r)
{
	struct route_match *m = f->match;

	m->allow |= r->methods;
	for (uint32_t i = 0; i < r->nother; i++)
		for (unsigned k = 0; k < OTHERS; k++) {
			if (!m->allow_other[k].len)
				m->allow_other[k] = r->other_methods[i];
			if (str_eq(m->allow_other[k], r->other_methods[i]))
				break;
		}
}

/* Those passed over that stand before the one that was found, in written order. */
static void
tell_misses(struct route_match *m, struct trie_search *f)
{
	for (uint32_t i = 0; i < f->nmisses; i++) {
		const struct route *r = &f->service->routes[f->miss[i].order];
		uint32_t at = m->nmisses;

		if (r->order >= f->best ||
		    (r->form == ROUTE_REGEX &&
		     !match_path(r, f->request->jit, f->request->path, NULL)))
			continue;
		for (; at && m->miss[at - 1].route->order > r->order; at--)
			m->miss[at] = m->miss[at - 1];
		m->miss[at].route = r;
		m->miss[at].why = f->miss[i].why;
		m->nmisses++;
	}
}

static bool
not_found(struct route_match *m, struct trie_search *f)
{
	m->route = NULL;
	m->allow = 0;
	m->fault = FAULT_NO_ROUTE;
	if (!f->missed)
		return false;
	memset(m->allow_other, 0, sizeof m->allow_other);
	f->match = m;
	f->each = add_allowed;
	trie_find(f);
	if (m->allow)
		m->fault = FAULT_BAD_METHOD_ROUTE;
	return false;
}

/* One route after the other, as written, until one takes the request. */
static void
trace_all(const struct service *s, const struct route_request *q,
	  struct route_trace *trace)
{
	char buf[160];

	for (uint32_t i = 0; i < s->nroutes; i++) {
		const struct route *r = &s->routes[i];
		const struct predicate *p;

		if (!match_path(r, q->jit, q->path, NULL)) {
			trace->tried(trace, r, ROUTE_MISS_PATH, STR(""));
		} else if (!match_method(r, q->method, q->method_text)) {
			trace->tried(trace, r, ROUTE_MISS_METHOD, q->method_text);
		} else if ((p = when_fails(r, q))) {
			trace->tried(trace, r, ROUTE_MISS_WHEN,
				     when_text(p, buf, sizeof buf));
		} else {
			return;
		}
	}
}

bool
route_find(const struct router *router, const struct route_request *q,
	   struct route_match *m, struct route_trace *trace)
{
	struct trie_search f;
	const struct route *r;

	m->nmisses = 0;
	m->service = route_service(router, q->listener, q->host);
	if (!m->service) {
		m->route = NULL;
		m->allow = 0;
		m->fault = FAULT_NO_SERVICE;
		return false;
	}
	if (trace)
		trace_all(m->service, q, trace);
	f = (struct trie_search){ .service = m->service,
				  .request = q,
				  .value = m->value };
	trie_find(&f);
	if (f.nmisses)
		tell_misses(m, &f);
	if (f.best == UINT32_MAX)
		return not_found(m, &f);
	r = &m->service->routes[f.best];
	m->route = r;
	m->fault = FAULT_NONE;
	m->allow = 0;
	if (r->form == ROUTE_PREFIX && r->ncaptures == 1)
		m->value[0] = str_from(q->path, r->path.len - 1);
	else if (r->ncaptures && r->form != ROUTE_REGEX)
		match_path(r, NULL, q->path, m->value);
	return true;
}

struct str
route_allow(const struct route_match *m, struct arena *arena)
{
	size_t room = 0;
	char *front, *to;

	for (unsigned i = 1; i < METHOD_COUNT; i++)
		room += m->allow >> i & 1 ? method_name[i].len + 2 : 0;
	for (unsigned i = 0; (m->allow & 1) && i < OTHERS; i++)
		room += m->allow_other[i].len + 2;
	front = to = arena_alloc_aligned(arena, room + 1, 1);
	for (unsigned i = 1; i < METHOD_COUNT + OTHERS; i++) {
		struct str name = STR_NONE;

		if (i < METHOD_COUNT)
			name = m->allow >> i & 1 ? method_name[i] : STR_NONE;
		else if (m->allow & 1)
			name = m->allow_other[i - METHOD_COUNT];
		if (!name.len)
			continue;
		if (to > front) {
			*to++ = ',';
			*to++ = ' ';
		}
		memcpy(to, name.at, name.len);
		to += name.len;
	}
	return (struct str){ front, (size_t)(to - front) };
}
