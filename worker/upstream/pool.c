/* pool — connections to a target that can be used again: idle ones of HTTP/1.1, and
 * those of HTTP/2 that have room. */
#include <stdlib.h>

#include "base/clock.h"
#include "worker/http/h1.h"
#include "worker/http/h2.h"
#include "worker/upstream/inside.h"

void
target_opened(struct target *t)
{
	t->nopen++;
	t->all->open++;
	t->all->page->count[METRIC_UP_CONNECTS]++;
}

void
target_closed(struct target *t)
{
	t->nopen--;
	t->all->open--;
	if (!t->users && !t->nopen) {
		list_remove(&t->link);
		free(t);
	}
}

static void
to_busy(struct target *t, struct conn *c)
{
	list_remove(&c->link);
	list_insert(&t->busy, &c->link);
	if (c->pooled)
		t->nidle--;
	c->pooled = false;
}

static void
on_idle(struct conn *c)
{
	struct target *t = c->data;

	if (c->pooled)
		return;
	list_remove(&c->link);
	if (!t->users || t->nidle >= t->max_idle || t->conf->proxy_protocol) {
		list_insert(&t->busy, &c->link);
		c->ops->close(c);
		return;
	}
	list_insert(&t->idle, &c->link);
	t->nidle++;
	c->pooled = true;
	wire_timer(&c->wire, clock_ms() + t->idle_timeout);
}

static void
on_close(struct conn *c)
{
	struct target *t = c->data;

	list_remove(&c->link);
	if (c->pooled)
		t->nidle--;
	c->pooled = false;
	target_closed(t);
}

static const struct conn_owner owner = {
	.on_idle = on_idle,
	.on_close = on_close,
};

/* Busy ones of HTTP/2 first: few connections, many exchanges. */
static struct stream *
shared_one(struct target *t)
{
	for (struct list *l = t->busy.next; l != &t->busy; l = l->next) {
		struct conn *c = list_entry(l, struct conn, link);
		struct stream *s = c->ops->room(c) ? c->ops->open(c) : NULL;

		if (s)
			return s;
	}
	return NULL;
}

struct stream *
stream_take(struct target *t)
{
	struct stream *s = t->h2 ? shared_one(t) : NULL;

	while (!s && !list_empty(&t->idle)) {
		struct conn *c = list_entry(t->idle.next, struct conn, link);

		to_busy(t, c);
		s = c->ops->open(c);
		if (!s)
			c->ops->close(c);
	}
	return s;
}

struct stream *
pool_take(struct target *t)
{
	struct stream *s = stream_take(t);

	if (s)
		t->all->page->count[METRIC_UP_REUSED]++;
	return s;
}

struct conn *
conn_made(struct target *t, int fd, bool h2, struct tls *tls)
{
	struct loop *l = t->all->loop;
	const struct h1_rules *rules = &t->all->rules;
	struct conn *c;

	if (h2) {
		struct h2 *h =
			h2_open(l, fd, CONN_CLIENT, &owner, rules, t, tls, STR_NONE);

		c = h ? h2_conn(h) : NULL;
	} else {
		struct h1 *h =
			h1_open(l, fd, CONN_CLIENT, &owner, rules, t, tls, STR_NONE);

		c = h ? &h->conn : NULL;
	}
	if (!c)
		return NULL;
	list_insert(&t->idle, &c->link);
	t->nidle++;
	c->pooled = true;
	return c;
}

void
conn_unused(struct conn *c)
{
	struct target *t = c->data;

	if (c->pooled && !c->wire.event.buried)
		wire_timer(&c->wire, clock_ms() + t->idle_timeout);
}
