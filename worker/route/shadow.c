#include "worker/route/shadow.h"

#include <stdlib.h>

enum { EVERY_METHOD = 0xffff, VISITS = 64 };

/* What the routes so far take at a node without a condition. */
struct taken {
	uint16_t exact, open;           /* methods */
	uint32_t exact_by, open_by;     /* order of the first of them */
};

struct shadow {
	const struct trie *trie;
	const struct taken *taken;
	const struct route *route;      /* the one in question */
	const char *end;                /* of its stem */
	uint16_t methods;               /* taken by earlier ones, of all its requests */
	uint32_t by;                    /* the first of them */
	unsigned visits; /* left: a check may miss something, never run away */
};

static void
add(struct shadow *s, uint16_t methods, uint32_t by)
{
	if (methods && by < s->by)
		s->by = by;
	s->methods |= methods;
}

/* Walks as a search does, with a pattern in place of a path. */
static void
cover(struct shadow *s, uint32_t node, const char *at)
{
	const struct trie_node *n = &s->trie->nodes[node];
	uint32_t below[2] = { 0, n->any };
	struct str segment;

	add(s, s->taken[node].open, s->taken[node].open_by);
	if (!s->visits || !match_segment(&at, s->end, &segment))
		return;
	s->visits--;
	if (at > s->end && match_open(s->route))
		return;
	if (!segment.len)
		below[1] = 0;
	if (!segment.len || *segment.at != '{')
		below[0] = trie_child(s->trie, node, segment);
	for (unsigned i = 0; i < 2; i++) {
		if (!below[i])
			continue;
		if (at <= s->end)
			cover(s, below[i], at);
		else
			add(s, s->taken[below[i]].exact, s->taken[below[i]].exact_by);
	}
}

static void
check(struct diag *diag, const struct service *service, const struct taken *taken,
      const struct route *r, uint16_t methods)
{
	struct str stem = match_stem(r);
	struct shadow s = { .trie = service->trie,
			    .taken = taken,
			    .route = r,
			    .by = UINT32_MAX,
			    .end = stem.at + stem.len,
			    .visits = VISITS };
	const struct route *first;

	cover(&s, 0, stem.at + 1);
	if (methods & ~s.methods)
		return;
	first = &service->routes[s.by];
	diag_warn(diag, 308, r->conf->match_where,
		  "route \"%.*s\" can never match: \"%.*s\" before it takes all its requests",
		  STR_ARG(r->conf->name), STR_ARG(first->conf->name));
	diag_note(diag, first->conf->match_where, "\"%.*s\" is defined here", STR_ARG(first->conf->name));
}

void
shadow_check(struct diag *diag, const struct service *service, const uint32_t *leaf)
{
	struct taken *taken = calloc(service->trie->n, sizeof *taken);

	if (!taken)
		abort();
	for (uint32_t i = 0; i < service->nroutes; i++) {
		const struct route *r = &service->routes[i];
		uint16_t methods = r->methods ? r->methods : EVERY_METHOD;
		struct taken *t = &taken[leaf[i]];

		check(diag, service, taken, r, methods);
		if (r->nwhen || r->form == ROUTE_REGEX)
			continue;
		/* One that takes some other methods does not take all of them. */
		if (r->methods)
			methods &= (uint16_t)~(1u << METHOD_OTHER);
		if (match_open(r)) {
			if (!t->open)
				t->open_by = i;
			t->open |= methods;
		} else {
			if (!t->exact)
				t->exact_by = i;
			t->exact |= methods;
		}
	}
	free(taken);
}
