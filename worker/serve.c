#include "worker/serve.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "worker/http/h1.h"
#include "worker/http/h2.h"
#include "worker/net/listen.h"

enum { IDLE_GRACE_MS = 1000 };

struct socket {                         /* handed over by the master */
	struct list link;
	int fd;
	struct str address;
	char text[];
};

/* ---- sites */

static struct site *
site_find(struct worker *w, struct str name)
{
	for (struct list *l = w->sites.next; l != &w->sites; l = l->next) {
		struct site *s = list_entry(l, struct site, link);

		if (str_eq(s->name, name))
			return s;
	}
	return NULL;
}

static struct site *
site_make(struct worker *w, struct str name)
{
	struct site *s = calloc(1, sizeof(*s) + name.len);

	if (!s)
		abort();
	memcpy(s->text, name.at, name.len);
	s->name = (struct str){ s->text, name.len };
	s->worker = w;
	list_append(&w->sites, &s->link);
	return s;
}

static void
site_free(struct site *s)
{
	list_remove(&s->link);
	hello_gate_free(s->gate);
	free(s);
}

static void
site_unpin(struct site *s)
{
	struct generation *g = s->pinned;

	s->pinned = NULL;
	if (g)
		generation_unref(g);
}

static void
site_leave(struct site *s)
{
	if (--s->connections || !s->pinned)
		return;
	site_unpin(s);
	site_free(s);
}

/* ---- connections */

static bool
on_request(struct conn *c, struct stream *stream)
{
	struct site *s = c->data;
	struct exchange *x;

	x = exchange_begin(s->worker, s->pinned ? s->pinned : s->worker->gen, stream,
			   s->conf);
	x->close_client = s->pinned != NULL;
	return true;
}

static void
on_cancel(struct conn *c, struct stream *stream)
{
	(void)c;
	exchange_cancel(stream->owner);
}

static void
on_idle(struct conn *c)
{
	const struct site *s = c->data;

	/* Its answer had begun before it could say that it was the last. */
	if (s->worker->close_idle)
		c->ops->drain(c, IDLE_GRACE_MS);
}

static void
publish(const struct worker *w)
{
	atomic_store_explicit(&w->slot->connections, w->nconns, memory_order_relaxed);
}

static void
on_close(struct conn *c)
{
	struct site *s = c->data;

	list_remove(&c->link);
	s->worker->nconns--;
	publish(s->worker);
	site_leave(s);
}

static const struct conn_owner owner = {
	.on_request = on_request,
	.on_cancel = on_cancel,
	.on_idle = on_idle,
	.on_close = on_close,
};

static struct stats_series *
series_of(const struct site *s)
{
	const struct generation *g = s->pinned ? s->pinned : s->worker->gen;

	return &s->worker->series[g->listeners[s->conf->index].series];
}

static void
refused(struct site *s)
{
	s->worker->page->count[METRIC_CONNECTIONS_REFUSED]++;
	series_of(s)->failed++;
}

static void
serve(struct site *s, int fd, bool h2, const struct addr *peer, struct tls *tls,
      struct hello_facts *facts, struct str first)
{
	struct worker *w = s->worker;
	struct conn *c;

	if (h2) {
		struct h2 *h = h2_open(&w->loop, fd, CONN_SERVER, &owner, &w->rules, s,
				       tls, first);

		c = h ? h2_conn(h) : NULL;
	} else {
		struct h1 *h = h1_open(&w->loop, fd, CONN_SERVER, &owner, &w->rules, s,
				       tls, first);

		c = h ? &h->conn : NULL;
	}
	if (!c) {
		tls_free(tls);
		hello_facts_free(facts);
		close(fd);
		refused(s);
		return;
	}
	c->peer = *peer;
	c->facts = facts;
	list_insert(&w->conns, &c->link);
	s->connections++;
	w->nconns++;
	publish(w);
	w->page->count[METRIC_CONNECTIONS]++;
	series_of(s)->requests++;
}

/* ---- what comes before HTTP. A reload may take the site away meanwhile: it is kept by
 * `connections`. */

static void
hello_done(void *to, int fd, bool h2, const struct addr *peer, struct tls *tls,
	   struct hello_facts *facts, struct str first)
{
	struct site *s = to;

	if (tls) {
		s->worker->page->count[METRIC_TLS_HANDSHAKES]++;
		s->worker->page->count[METRIC_TLS_RESUMED] += facts && facts->tls.resumed;
	}
	serve(s, fd, h2, peer, tls, facts, first);
	site_leave(s);
}

/* One line a second: a stranger does not fill the log. */
static void
say(struct site *s, const struct addr *peer, enum hello_fault f, struct str detail)
{
	static const char *const words[] = {
		[HELLO_TIMEOUT] = "not done in time",
		[HELLO_NO_PROXY] = "no PROXY header",
		[HELLO_BAD_PROXY] = "a bad PROXY header",
		[HELLO_TLS] = "TLS handshake",
		[HELLO_TOO_MANY] = "too many handshakes",
	};
	struct worker *w = s->worker;
	char text[ADDR_TEXT];

	if (f == HELLO_GONE || clock_ms() < w->hello_said + 1000)
		return;
	w->hello_said = clock_ms();
	log_info("listener %.*s: connection of %.*s refused: %s%s%.*s", STR_ARG(s->name),
		 (int)(addr_put(text, peer) - text), text, words[f],
		 detail.len ? ": " : "", STR_ARG(detail));
}

static void
hello_fault(void *to, const struct addr *peer, enum hello_fault f, enum tls_fault why,
	    struct str detail)
{
	struct site *s = to;

	(void)why;
	s->worker->page->count[METRIC_TLS_FAILED] += f == HELLO_TLS;
	say(s, peer, f, detail);
	refused(s);
	site_leave(s);
}

static const struct hello_ops hello_ops = {
	.on_done = hello_done,
	.on_fault = hello_fault,
};

static void
on_accept(struct listen *l, int fd, const struct addr *peer)
{
	struct site *s = l->user;
	struct worker *w = s->worker;

	if (s->plain) {
		serve(s, fd, false, peer, NULL, NULL, STR_NONE);
		return;
	}
	s->connections++;
	if (hello_begin(&w->loop, fd, peer, &s->rules, &hello_ops, s, &w->hellos) == 0)
		return;
	close(fd);
	refused(s);
	site_leave(s);
}

/* ---- sockets */

void
serve_socket(struct worker *w, struct str address, int fd)
{
	struct socket *s = calloc(1, sizeof(*s) + address.len);

	if (!s)
		abort();
	memcpy(s->text, address.at, address.len);
	s->address = (struct str){ s->text, address.len };
	s->fd = fd;
	list_append(&w->sockets, &s->link);
}

static int
socket_take(struct worker *w, struct str address)
{
	for (struct list *l = w->sockets.next; l != &w->sockets; l = l->next) {
		struct socket *s = list_entry(l, struct socket, link);
		int fd = s->fd;

		if (!str_eq(s->address, address))
			continue;
		list_remove(&s->link);
		free(s);
		return fd;
	}
	return -1;
}

void
serve_abort(struct worker *w)
{
	while (!list_empty(&w->sockets)) {
		struct socket *s = list_entry(w->sockets.next, struct socket, link);

		close(s->fd);
		list_remove(&s->link);
		free(s);
	}
}

/* Sockets of one address may be several: those of slots that no longer have a worker. */
static int
open_bind(struct worker *w, struct site *s, struct str address)
{
	struct listen *n;
	int fd, found = 0;

	for (struct list *l = w->listens.next; l != &w->listens; l = l->next) {
		n = list_entry(l, struct listen, link);
		if (!str_eq(n->address, address))
			continue;
		n->user = s;
		found++;
	}
	while ((fd = socket_take(w, address)) >= 0) {
		n = listen_start(&w->loop, fd, address, on_accept, s);
		if (!n) {
			close(fd);
			continue;
		}
		list_append(&w->listens, &n->link);
		found++;
	}
	if (!found)
		log_error("no socket for %.*s", STR_ARG(address));
	return found ? 0 : -1;
}

static bool
named(const struct conf_model *m, struct str address)
{
	for (size_t i = 0; i < m->nlisteners; i++)
		for (size_t j = 0; j < m->listeners[i].nbinds; j++)
			if (str_eq(m->listeners[i].binds[j].text, address))
				return true;
	return false;
}

static bool
has_listener(const struct conf_model *m, struct str name)
{
	for (size_t i = 0; i < m->nlisteners; i++)
		if (str_eq(m->listeners[i].name, name))
			return true;
	return false;
}

/* Connections of HTTP/1.1 end with their next answer, which says so. */
static void
drain_many(struct worker *w, const struct site *s)
{
	for (struct list *l = w->conns.next, *next; l != &w->conns; l = next) {
		struct conn *c = list_entry(l, struct conn, link);

		next = l->next;
		if (c->data == s && c->ops->many)
			c->ops->drain(c, IDLE_GRACE_MS);
	}
}

static void
drop_removed(struct worker *w, const struct conf_model *m)
{
	for (struct list *l = w->listens.next, *next; l != &w->listens; l = next) {
		struct listen *n = list_entry(l, struct listen, link);

		next = l->next;
		if (!named(m, n->address))
			listen_stop(n, true);
	}
	for (struct list *l = w->sites.next, *next; l != &w->sites; l = next) {
		struct site *s = list_entry(l, struct site, link);

		next = l->next;
		if (s->pinned || has_listener(m, s->name))
			continue;
		if (s->connections) {
			s->pinned = w->previous;
			s->pinned->refs++;
			drain_many(w, s);
		} else {
			site_free(s);
		}
	}
}

static bool
is_trusted(void *arg, const struct addr *a)
{
	const struct site *s = arg;
	const struct generation *g = s->pinned ? s->pinned : s->worker->gen;

	return trust_has(&g->trust[s->conf->index], a);
}

static void
set_rules(struct site *s, const struct generation *g)
{
	const struct conf_listener *c = s->conf;

	if (c->tls && !s->gate)
		s->gate = hello_gate_new();
	s->rules = (struct hello_rules){
		.tls = g->tls[c->index],
		.h1 = c->h1,
		.h2 = c->h2,
		.proxy = c->proxy_protocol,
		.gate = s->gate,
		.pending = c->tls ? (uint32_t)c->tls->pending : 0,
		.rate = c->tls ? (uint32_t)c->tls->rate : 0,
		.trusted = is_trusted,
		.deadline_ms =
			c->tls ? c->tls->handshake : g->model->gateway.timeouts.head,
	};
	s->plain = !c->tls && !c->h2 && !c->proxy_protocol;
}

int
serve_commit(struct worker *w)
{
	const struct conf_model *m = w->gen->model;
	int bad = 0;

	drop_removed(w, m);
	for (size_t i = 0; i < m->nlisteners; i++) {
		const struct conf_listener *c = &m->listeners[i];
		struct site *s = site_find(w, c->name);

		if (!s)
			s = site_make(w, c->name);
		s->conf = c;
		site_unpin(s);
		set_rules(s, w->gen);
		for (size_t j = 0; j < c->nbinds; j++)
			bad |= open_bind(w, s, c->binds[j].text);
	}
	serve_abort(w);
	return bad;
}

/* ---- the end */

void
serve_stop(struct worker *w, bool close_idle)
{
	while (!list_empty(&w->listens))
		listen_stop(list_entry(w->listens.next, struct listen, link), true);
	w->close_idle = close_idle;
	for (struct list *l = w->conns.next, *next; close_idle && l != &w->conns;
	     l = next) {
		struct conn *c = list_entry(l, struct conn, link);

		next = l->next;
		c->ops->drain(c, IDLE_GRACE_MS);
	}
}

void
serve_cut(struct worker *w)
{
	while (!list_empty(&w->listens))
		listen_stop(list_entry(w->listens.next, struct listen, link), false);
	serve_abort(w);
	while (!list_empty(&w->exchanges)) {
		struct exchange *x = list_entry(w->exchanges.next, struct exchange, link);

		exchange_stop(x);
	}
	hello_close_all(&w->hellos);
	while (!list_empty(&w->conns)) {
		struct conn *c = list_entry(w->conns.next, struct conn, link);

		c->ops->close(c);
	}
}

void
serve_end(struct worker *w)
{
	while (!list_empty(&w->sites)) {
		struct site *s = list_entry(w->sites.next, struct site, link);

		site_unpin(s);
		site_free(s);
	}
}
