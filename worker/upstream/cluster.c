#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "worker/upstream/upstream.h"

void
upstreams_init(struct upstreams *u, struct loop *loop, struct stats_page *page)
{
	memset(u, 0, sizeof(*u));
	u->loop = loop;
	u->page = page;
	list_init(&u->targets);
}

/* The targets that there are, by their keys; for as long as a generation is bound. */
static void
by_key(const struct upstreams *u, struct map *all, struct arena *a)
{
	for (struct list *l = u->targets.next; l != &u->targets; l = l->next) {
		struct target *t = list_entry(l, struct target, link);

		map_put(all, a, t->key, t);
	}
}

static struct target *
make(struct upstreams *u, const struct upstream_target *from)
{
	struct target *t =
		calloc(1, sizeof(*t) + from->key.len + from->conf->path.len + 1);
	char *text = (char *)(t + 1);

	if (!t)
		abort();
	memcpy(text, from->key.at, from->key.len);
	t->key = (struct str){ text, from->key.len };
	text += from->key.len;
	if (from->conf->path.len)
		memcpy(text, from->conf->path.at, from->conf->path.len);
	t->path = (struct str){ text, from->conf->path.len };
	t->all = u;
	t->addr = from->addr;
	t->series = from->series;
	t->connect_series = from->connect_series;
	list_init(&t->idle);
	list_init(&t->busy);
	list_append(&u->targets, &t->link);
	return t;
}

static void
let_go(struct target *t)
{
	while (t->users == 1 && !list_empty(&t->idle))
		h1_close(list_entry(t->idle.next, struct h1, link));
	if (--t->users == 0 && !t->nopen) {
		list_remove(&t->link);
		free(t);
	}
}

static void
settings(struct target *t, const struct conf_upstream *c)
{
	t->max_idle = (uint32_t)c->pool.idle;
	t->max_open = (uint32_t)c->pool.connections;
	t->idle_timeout = c->pool.idle_timeout;
}

struct cluster *
upstreams_bind(struct upstreams *u, const struct conf_model *m,
	       const struct upstream_target *targets)
{
	struct map known = { 0 };
	struct arena a;
	struct cluster *all = calloc(m->nupstreams + 1, sizeof(*all));

	if (!all)
		abort();
	arena_init(&a, NULL, 0, (size_t)1 << 30);
	by_key(u, &known, &a);
	for (size_t i = 0; i < m->nupstreams; i++) {
		const struct conf_upstream *c = &m->upstreams[i];
		struct cluster *k = &all[i];

		k->conf = c;
		k->n = (uint32_t)c->ntargets;
		k->members = calloc(k->n + 1, sizeof(*k->members));
		if (!k->members)
			abort();
		for (uint32_t j = 0; j < k->n; j++) {
			const struct upstream_target *from = &targets[c->targets[j].id];
			struct target *t = map_get(&known, from->key);

			if (!t) {
				t = make(u, from);
				settings(t, c);
				map_put(&known, &a, t->key, t);
			}
			t->users++;
			k->members[j].target = t;
			k->members[j].weight = c->targets[j].weight;
			k->total += c->targets[j].weight;
		}
	}
	arena_reset(&a);
	return all;
}

void
upstreams_commit(struct upstreams *u, const struct conf_model *m, struct cluster *all)
{
	u->rules.limits.head = (uint32_t)m->gateway.limits.response_head;
	u->rules.limits.headers = 1000;
	for (size_t i = 0; i < m->nupstreams; i++)
		for (uint32_t j = 0; j < all[i].n; j++)
			settings(all[i].members[j].target, &m->upstreams[i]);
}

void
upstreams_unbind(struct upstreams *u, struct cluster *all, size_t n)
{
	(void)u;
	for (size_t i = 0; i < n; i++) {
		for (uint32_t j = 0; j < all[i].n; j++)
			let_go(all[i].members[j].target);
		free(all[i].members);
	}
	free(all);
}

void
upstreams_close_idle(struct upstreams *u)
{
	for (struct list *l = u->targets.next, *next; l != &u->targets; l = next) {
		struct target *t = list_entry(l, struct target, link);

		next = l->next;
		t->max_idle = 0;
		while (!list_empty(&t->idle))
			h1_close(list_entry(t->idle.next, struct h1, link));
	}
}
