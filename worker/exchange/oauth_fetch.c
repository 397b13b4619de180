#include "worker/exchange/oauth_fetch.h"

#include <stdlib.h>

#include "base/base64.h"
#include "base/clock.h"

enum { ANSWER_MAX = 64 * 1024, ARENA_MOST = 4 * 1024 * 1024, UNBOUNDED_MS = 10000 };

struct fetch {
	struct event event;             /* no descriptor: memory goes after the turn */
	struct list link;               /* of the worker */
	struct call call;
	struct timer timer;
	struct generation *gen;         /* pinned */
	const struct conf_credential *conf;
	struct cluster *cluster;
	struct member *member;
	uint64_t tried;
	struct stream *stream;
	struct msg request, response;
	struct str form;
	struct arena arena;
	bool reused, again;
	uint32_t len;
	char body[ANSWER_MAX];
	void (*done)(struct oauth *, const struct conf_credential *, enum fault, int,
		     struct str);
	struct oauth *token;
};

/* ---- the request */

/* application/x-www-form-urlencoded. */
static struct str
encoded(struct arena *a, struct str s)
{
	static const char digits[] = "0123456789ABCDEF";
	char *to = arena_alloc_aligned(a, 3 * s.len + 1, 1), *at = to;

	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.at[i];

		if ((unsigned)((c | 0x20) - 'a') < 26 || (unsigned)(c - '0') < 10 ||
		    (c && strchr("-._*", c))) {
			*at++ = (char)c;
		} else {
			*at++ = '%';
			*at++ = digits[c >> 4];
			*at++ = digits[c & 15];
		}
	}
	return (struct str){ to, (size_t)(at - to) };
}

static struct str
form_of(struct arena *a, const struct conf_credential *c)
{
	struct str form = STR("grant_type=client_credentials");

	if (c->scope.len)
		form = arena_printf(a, "%.*s&scope=%.*s", STR_ARG(form),
				    STR_ARG(encoded(a, c->scope)));
	if (c->audience.len)
		form = arena_printf(a, "%.*s&audience=%.*s", STR_ARG(form),
				    STR_ARG(encoded(a, c->audience)));
	return form;
}

/* RFC 6749 §2.3.1: both parts encoded as in a form, then Basic. */
static struct str
authorization(struct arena *a, const struct conf_credential *c)
{
	struct str both;
	char *to;

	both = arena_printf(a, "%.*s:%.*s", STR_ARG(encoded(a, c->client_id)),
			    STR_ARG(encoded(a, c->secret.bytes)));
	to = arena_alloc_aligned(a, 6 + base64_size(both.len), 1);
	memcpy(to, "Basic ", 6);
	return (struct str){ to, (size_t)(base64_put(to + 6, both) - to) };
}

static struct str
host_of(struct arena *a, const struct conf_target *t)
{
	bool v6 = str_find(t->host, ':') >= 0;

	if (t->path.len)
		return STR("localhost");
	if (t->port == (t->tls ? 443 : 80))
		return arena_printf(a, v6 ? "[%.*s]" : "%.*s", STR_ARG(t->host));
	return arena_printf(a, v6 ? "[%.*s]:%u" : "%.*s:%u", STR_ARG(t->host), t->port);
}

static void
make_request(struct fetch *f, const struct conf_target *t)
{
	struct msg *m = &f->request;
	struct arena *a = &f->arena;
	struct str rest = f->conf->token_path;

	f->form = form_of(a, f->conf);
	*m = (struct msg){
		.method = METHOD_POST,
		.method_text = STR("POST"),
		.minor = 1,
		.body = BODY_LENGTH,
		.length = f->form.len,
		.keep_alive = true,
		.scheme = t->tls ? STR("https") : STR("http"),
		.host = host_of(a, t),
	};
	str_split(&rest, '?', &m->path);
	m->has_query = rest.at != NULL;
	m->query = rest;
	m->target = f->conf->token_path;
	headers_add_token(&m->headers, a, TOKEN_HOST, m->host);
	headers_add_token(&m->headers, a, TOKEN_ACCEPT, STR("application/json"));
	headers_add_token(&m->headers, a, TOKEN_CONTENT_TYPE,
			  STR("application/x-www-form-urlencoded"));
	headers_add_token(&m->headers, a, TOKEN_AUTHORIZATION,
			  authorization(a, f->conf));
	headers_add_token(&m->headers, a, TOKEN_USER_AGENT, STR("postern"));
}

/* ---- its way */

static void
destroyed(struct event *e)
{
	struct fetch *f = list_entry(e, struct fetch, event);

	crypto_wipe(f->body, f->len);
	arena_reset(&f->arena);
	free(f);
}

static void
finish(struct fetch *f, enum fault fault)
{
	struct worker *w = f->gen->worker;
	bool whole = !fault;

	connect_cancel(&f->call);
	if (f->stream)
		f->stream->ops->release(f->stream, fault);
	f->stream = NULL;
	timer_remove(&w->loop.wheel, &f->timer);
	list_remove(&f->link);
	f->done(f->token, f->conf, fault, f->response.status,
		whole ? (struct str){ f->body, f->len } : STR_NONE);
	generation_unref(f->gen);
	loop_bury(&w->loop, &f->event);
}

static const struct stream_user user;

static void
send_on(struct fetch *f, struct stream *s)
{
	f->stream = s;
	f->len = 0;
	stream_attach(s, &user, f, &f->arena, &f->response);
	s->ops->send_head(s, &f->request, false, false);
	s->ops->send_body(s, f->form, true);
}

/* Tries one target after the other. */
static void
dial(struct fetch *f)
{
	enum fault fault = FAULT_NO_TARGET;
	struct stream *s;

	while ((f->member = cluster_pick(f->cluster, f->tried))) {
		s = f->again ? NULL : pool_take(f->member->target);
		f->reused = s != NULL;
		if (s) {
			send_on(f, s);
			return;
		}
		if (connect_start(f->member->target, &f->call, NULL, &fault) == 0)
			return;
		f->tried |= cluster_bit(f->cluster, f->member);
	}
	finish(f, fault);
}

static void
on_ready(struct call *c, struct stream *s)
{
	send_on(list_entry(c, struct fetch, call), s);
}

static void
on_no_connection(struct call *c, enum fault fault, int error)
{
	struct fetch *f = list_entry(c, struct fetch, call);
	struct member *next;

	(void)error;
	f->tried |= cluster_bit(f->cluster, f->member);
	next = cluster_pick(f->cluster, f->tried);
	if (next)
		dial(f);
	else
		finish(f, fault);
}

static void
too_late(struct timer *t)
{
	finish(list_entry(t, struct fetch, timer), FAULT_RESPONSE_TIMEOUT);
}

/* ---- the answer */

static void
on_head(struct stream *s, bool end)
{
	struct fetch *f = s->owner;

	if (f->response.status == 101)
		finish(f, FAULT_UPGRADE_FAILED);
	else if (f->response.status < 200)
		return;
	else if (end)
		finish(f, FAULT_NONE);
	else
		s->ops->want(s, ANSWER_MAX);
}

static void
on_body(struct stream *s, struct str bytes, bool end)
{
	struct fetch *f = s->owner;

	if (bytes.len > ANSWER_MAX - f->len) {
		finish(f, FAULT_BAD_RESPONSE_LENGTH);
		return;
	}
	if (bytes.len)
		memcpy(f->body + f->len, bytes.at, bytes.len);
	f->len += (uint32_t)bytes.len;
	if (end)
		finish(f, FAULT_NONE);
	else
		s->ops->want(s, bytes.len);
}

static void
on_trailers(struct stream *s, struct headers *t)
{
	(void)t;
	finish(s->owner, FAULT_NONE);
}

static void
on_drain(struct stream *s)
{
	(void)s;
}

/* A connection that was closed while it was idle says nothing against the target. */
static void
on_fault(struct stream *s, enum fault fault)
{
	struct fetch *f = s->owner;

	if (!f->reused || f->response.status) {
		finish(f, fault);
		return;
	}
	f->again = true;
	s->ops->release(s, fault);
	f->stream = NULL;
	dial(f);
}

static const struct stream_user user = {
	.on_head = on_head,
	.on_body = on_body,
	.on_trailers = on_trailers,
	.on_drain = on_drain,
	.on_fault = on_fault,
};

uint64_t
oauth_fetch_most(const struct conf_credential *c)
{
	const struct conf_upstream *u = c->token_upstream;
	uint64_t ms = u->timeout.connect + u->timeout.response;

	return ms ? ms : UNBOUNDED_MS;
}

void
oauth_fetch(struct generation *g, const struct conf_credential *c,
	    void (*done)(struct oauth *, const struct conf_credential *, enum fault, int,
			 struct str),
	    struct oauth *token)
{
	struct fetch *f = calloc(1, sizeof(*f));
	const struct conf_upstream *u = c->token_upstream;

	if (!f)
		abort();
	arena_init(&f->arena, NULL, 0, ARENA_MOST);
	f->event.fd = -1;
	f->event.destroy = destroyed;
	f->call.on_ready = on_ready;
	f->call.on_fault = on_no_connection;
	f->timer.fire = too_late;
	f->gen = g;
	g->refs++;
	f->conf = c;
	f->cluster = &g->clusters[u->index];
	f->done = done;
	f->token = token;
	list_append(&g->worker->fetches, &f->link);
	make_request(f, &u->targets[0]);
	timer_set(&g->worker->loop.wheel, &f->timer,
		  clock_ms() + oauth_fetch_most(c));
	dial(f);
}

void
oauth_fetch_stop(struct worker *w)
{
	while (!list_empty(&w->fetches))
		finish(list_entry(w->fetches.next, struct fetch, link), FAULT_DRAINING);
}
