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

static struct tls_file
file_of(const struct conf_file *f)
{
	return (struct tls_file){ f->bytes, f->path, f->where };
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
		calloc(1, sizeof(*t) + from->key.len + from->conf->path.len +
				  from->conf->host.len + 1);
	char *text = (char *)(t + 1);

	if (!t)
		abort();
	memcpy(text, from->key.at, from->key.len);
	t->key = (struct str){ text, from->key.len };
	text += from->key.len;
	if (from->conf->path.len)
		memcpy(text, from->conf->path.at, from->conf->path.len);
	t->path = (struct str){ text, from->conf->path.len };
	text += from->conf->path.len;
	if (from->conf->host.len)
		memcpy(text, from->conf->host.at, from->conf->host.len);
	t->host = (struct str){ text, from->conf->host.len };
	t->name = str_first(t->key, from->name.len);
	t->all = u;
	t->addr = from->addr;
	t->series = from->series;
	t->connect_series = from->connect_series;
	list_init(&t->idle);
	list_init(&t->busy);
	list_init(&t->dials);
	list_append(&u->targets, &t->link);
	return t;
}

static void
close_idle(struct target *t)
{
	while (!list_empty(&t->idle)) {
		struct conn *c = list_entry(t->idle.next, struct conn, link);

		c->ops->close(c);
	}
}

static void
let_go(struct target *t)
{
	if (t->users == 1)
		close_idle(t);
	if (--t->users == 0 && !t->nopen) {
		list_remove(&t->link);
		free(t);
	}
}

static void
settings(struct target *t, const struct cluster *k, const struct conf_target *from)
{
	const struct conf_upstream *c = k->conf;

	t->conf = c;
	t->tls = from->tls ? k->tls : NULL;
	t->h2 |= c->http == CONF_HTTP_H2;
	t->max_idle = (uint32_t)c->pool.idle;
	t->max_open = (uint32_t)c->pool.connections;
	t->idle_timeout = c->pool.idle_timeout;
}

static bool
has_tls(const struct conf_upstream *c)
{
	for (size_t i = 0; i < c->ntargets; i++)
		if (c->targets[i].tls)
			return true;
	return false;
}

void
upstream_tls_rules(const struct conf_upstream *c, struct tls_client_rules *r)
{
	const struct conf_upstream_tls *t = &c->tls;

	*r = (struct tls_client_rules){
		.verify = t->verify,
		.ca = file_of(&t->ca),
		.name = t->sni,
		.cert = file_of(&t->client_cert),
		.key = file_of(&t->client_key),
		.pins = t->pin.at,
		.npins = t->pin.n,
		.min = t->min,
		.h1 = c->http != CONF_HTTP_H2,
		.h2 = c->http != CONF_HTTP_11,
	};
}

static struct tls_client *
tls_of(const struct conf_upstream *c, char error[static 256])
{
	struct tls_client_rules r;

	upstream_tls_rules(c, &r);
	return tls_client_new(&r, error);
}

struct cluster *
upstreams_bind(struct upstreams *u, const struct conf_model *m,
	       const struct upstream_target *targets, char error[static 256])
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
		if (has_tls(c) && !(k->tls = tls_of(c, error))) {
			arena_reset(&a);
			upstreams_unbind(u, all, i);
			return NULL;
		}
		k->n = (uint32_t)c->ntargets;
		k->members = calloc(k->n + 1, sizeof(*k->members));
		if (!k->members)
			abort();
		for (uint32_t j = 0; j < k->n; j++) {
			const struct upstream_target *from = &targets[c->targets[j].id];
			struct target *t = map_get(&known, from->key);

			if (!t) {
				t = make(u, from);
				settings(t, k, &c->targets[j]);
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
			settings(all[i].members[j].target, &all[i],
				 &m->upstreams[i].targets[j]);
}

void
upstreams_unbind(struct upstreams *u, struct cluster *all, size_t n)
{
	(void)u;
	for (size_t i = 0; i < n; i++) {
		for (uint32_t j = 0; j < all[i].n; j++)
			let_go(all[i].members[j].target);
		tls_client_free(all[i].tls);
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
		close_idle(t);
	}
}
