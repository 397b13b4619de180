#include "worker/route/trie.h"

#include <stdlib.h>

#include "worker/route/when.h"

static inline uint64_t
word(const char *at, size_t n)
{
	uint64_t w = 0;

	memcpy(&w, at, n);
	return w;
}

static inline uint64_t
fold(uint64_t a, uint64_t b)
{
	__extension__ unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Of a segment below a node. Keys of the table are the configuration's, so that a client
 * can choose no collisions beyond those that are there. */
static inline uint64_t
hash(uint32_t node, struct str s)
{
	uint64_t h = s.len ^ (uint64_t)node << 32, a, b;

	for (; s.len > 16; s = str_from(s, 16))
		h = fold(word(s.at, 8) ^ 0xa0761d6478bd642full ^ h,
			 word(s.at + 8, 8) ^ 0xe7037ed1a0b428dbull);
	if (s.len >= 8) {
		a = word(s.at, 8);
		b = word(s.at + s.len - 8, 8);
	} else if (s.len >= 4) {
		a = word(s.at, 4);
		b = word(s.at + s.len - 4, 4);
	} else {
		a = s.len ? (uint64_t)(unsigned char)s.at[0] << 16 |
			    (uint64_t)(unsigned char)s.at[s.len >> 1] << 8 |
			    (unsigned char)s.at[s.len - 1] : 0;
		b = 0;
	}
	return fold(a ^ 0x8ebc6af09c88c6e3ull ^ h, b ^ 0x589965cc75374cc3ull ^ h >> 32);
}

/* Segments are short: this is done before memcmp() is called. */
static inline bool
same(const char *a, const char *b, size_t n)
{
	if (n > 16)
		return memcmp(a, b, n) == 0;
	if (n >= 8)
		return !((word(a, 8) ^ word(b, 8)) |
			 (word(a + n - 8, 8) ^ word(b + n - 8, 8)));
	if (n >= 4)
		return !((word(a, 4) ^ word(b, 4)) |
			 (word(a + n - 4, 4) ^ word(b + n - 4, 4)));
	return !n || (a[0] == b[0] && a[n >> 1] == b[n >> 1] && a[n - 1] == b[n - 1]);
}

static inline bool
is_child(const struct trie_node *n, uint32_t parent, struct str s)
{
	return n->parent == parent && n->len == s.len && same(n->at, s.at, s.len);
}

/* The slot of a child, or the free one where it belongs. */
static inline const struct trie_slot *
find_slot(const struct trie_node *nodes, const struct trie_slot *slots, uint32_t mask,
	  uint64_t h, uint32_t parent, struct str s)
{
	uint32_t tag = (uint32_t)(h >> 32);

	for (uint32_t i = (uint32_t)h & mask;; i = (i + 1) & mask)
		if (!slots[i].node ||
		    (slots[i].tag == tag && is_child(&nodes[slots[i].node], parent, s)))
			return &slots[i];
}

static inline uint32_t
child(const struct trie *t, uint32_t node, struct str s)
{
	return find_slot(t->nodes, t->slots, t->mask, hash(node, s), node, s)->node;
}

uint32_t
trie_child(const struct trie *t, uint32_t node, struct str s)
{
	return t->nodes[node].children ? child(t, node, s) : 0;
}

/* ---- building: in memory of its own, then copied to the image at its final size */

struct growing {
	struct trie_node *nodes;
	struct trie_slot *slots;
	uint32_t n, mask;
};

static uint32_t
add_child(struct growing *g, uint32_t parent, struct str s)
{
	struct trie_slot *slot;
	uint64_t h;

	if (s.len && *s.at == '{') {
		if (!g->nodes[parent].any) {
			g->nodes[parent].any = g->n;
			g->nodes[g->n++] = (struct trie_node){ .parent = parent };
		}
		return g->nodes[parent].any;
	}
	h = hash(parent, s);
	slot = (struct trie_slot *)(uintptr_t)find_slot(g->nodes, g->slots, g->mask, h,
							parent, s);
	if (!slot->node) {
		g->nodes[parent].children++;
		*slot = (struct trie_slot){ .tag = (uint32_t)(h >> 32), .node = g->n };
		g->nodes[g->n++] = (struct trie_node){ .at = s.at,
						       .len = (uint32_t)s.len,
						       .parent = parent };
	}
	return slot->node;
}

static uint32_t
add_route(struct growing *g, struct route *r)
{
	struct str stem = match_stem(r), s;
	const char *at = stem.at + 1, *end = stem.at + stem.len;
	uint32_t node = 0;
	uint32_t *leaf;

	g->nodes[0].lowest = r->order;
	while (match_segment(&at, end, &s)) {
		if (at > end && match_open(r))
			break;          /* the empty one after the last slash */
		node = add_child(g, node, s);
		g->nodes[node].lowest = r->order;
	}
	leaf = match_open(r) ? &g->nodes[node].open : &g->nodes[node].exact;
	r->next = *leaf;
	*leaf = r->order + 1;
	return node;
}

static uint32_t
power_of_two(uint32_t above)
{
	uint32_t n = 4;

	while (n < above)
		n *= 2;
	return n;
}

static void
move_in(struct arena *image, struct trie *t, const struct growing *g)
{
	uint32_t room = power_of_two(g->n + g->n / 2);
	struct trie_node *nodes = arena_alloc(image, g->n * sizeof *nodes);
	struct trie_slot *slots = ARENA_NEWS(image, struct trie_slot, room);

	memcpy(nodes, g->nodes, g->n * sizeof *nodes);
	*t = (struct trie){ .nodes = nodes, .slots = slots, .n = g->n, .mask = room - 1 };
	if (g->mask == t->mask) {
		memcpy(slots, g->slots, room * sizeof *slots);
		return;
	}
	for (uint32_t i = 1; i < t->n; i++) {
		struct str s = { nodes[i].at, nodes[i].len };
		uint64_t h = hash(nodes[i].parent, s);
		uint32_t at = (uint32_t)h & t->mask;

		if (!s.at)
			continue;
		while (slots[at].node)
			at = (at + 1) & t->mask;
		slots[at] = (struct trie_slot){ .tag = (uint32_t)(h >> 32), .node = i };
	}
}

const struct trie *
trie_build(struct arena *image, struct route *routes, uint32_t n, uint32_t *leaf)
{
	struct trie *t = ARENA_NEW(image, struct trie);
	struct growing g = { .n = 1 };
	uint32_t most = 1, room;

	for (uint32_t i = 0; i < n; i++)
		for (size_t k = 0; k < routes[i].path.len; k++)
			most += routes[i].path.at[k] == '/';
	room = power_of_two(most + most / 2);
	g.mask = room - 1;
	g.nodes = malloc(most * sizeof *g.nodes);
	g.slots = calloc(room, sizeof *g.slots);
	if (!g.nodes || !g.slots)
		abort();
	g.nodes[0] = (struct trie_node){ .at = NULL };
	/* The last one first, so that lists begin with the lowest order. */
	for (uint32_t i = n; i-- > 0;) {
		uint32_t node = add_route(&g, &routes[i]);

		if (leaf)
			leaf[i] = node;
	}
	move_in(image, t, &g);
	free(g.nodes);
	free(g.slots);
	return t;
}

/* ---- searching */

static void
miss(struct trie_search *f, uint32_t order, enum route_miss why)
{
	if (f->each || f->nmisses == TRIE_MISSES)
		return;
	f->miss[f->nmisses].order = order;
	f->miss[f->nmisses++].why = why;
}

static void
try_leaf(struct trie_search *f, uint32_t first)
{
	const struct route_request *q = f->request;
	const struct route *routes = f->service->routes;

	for (uint32_t i = first; i && i - 1 < f->best; i = routes[i - 1].next) {
		const struct route *r = &routes[i - 1];
		struct str value[ROUTE_CAPTURES];
		bool regex = r->form == ROUTE_REGEX;

		if (!f->each && !match_method(r, q->method, q->method_text)) {
			f->missed = true;
			miss(f, i - 1, ROUTE_MISS_METHOD);
			continue;
		}
		if (regex && !match_path(r, q->jit, q->path, value))
			continue;
		if (r->nwhen && when_fails(r, q)) {
			miss(f, i - 1, ROUTE_MISS_WHEN);
			continue;
		}
		if (f->each) {
			f->each(f, r);
			continue;
		}
		f->best = i - 1;
		if (regex)
			memcpy(f->value, value, r->ncaptures * sizeof *value);
	}
}

/* Where both children could take the path, the static one is searched by a call. */
static void
walk(struct trie_search *f, uint32_t node, const char *at)
{
	const struct trie *t = f->service->trie;
	const char *end = f->request->path.at + f->request->path.len;

	for (;;) {
		const struct trie_node *n = &t->nodes[node];
		uint32_t exactly = 0, any;
		struct str s;

		if (n->lowest >= f->best)
			return;
		if (at > end) {
			try_leaf(f, n->exact);
			return;
		}
		if (n->open)
			try_leaf(f, n->open);
		if (!(n->children | n->any))
			return;
		match_segment(&at, end, &s);
		if (n->children)
			exactly = child(t, node, s);
		any = s.len ? n->any : 0;
		if (exactly && any)
			walk(f, exactly, at);
		node = any ? any : exactly;
		if (!node)
			return;
	}
}

void
trie_find(struct trie_search *f)
{
	struct str path = f->request->path;

	f->best = UINT32_MAX;
	if (f->service->nroutes && path.len && *path.at == '/')
		walk(f, 0, path.at + 1);
}
