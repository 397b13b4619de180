/* The requests: heads and bodies in, the endpoint's answer out, piece by piece as the
 * client takes it. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "master/keeper/admin.h"
#include "master/keeper/api.h"

enum { STALL_MS = 30000, PIECE = 128 * 1024, ARENA_MAX = 256 << 20 };

static struct admin_conn *
conn_of(struct stream *s)
{
	return s->owner;
}

static void
progress(struct admin_conn *c)
{
	timer_set(&c->admin->keeper->loop.wheel, &c->timer, clock_ms() + STALL_MS);
}

/* ---- answers */

static void
done(struct admin_conn *c)
{
	timer_clear(&c->timer);
	c->answering = false;
	if (c->answer.secret)
		crypto_wipe((char *)(uintptr_t)c->answer.body.at, c->answer.body.len);
	c->h->stream.ops->release(&c->h->stream, FAULT_NONE);
}

static void
send_rest(struct admin_conn *c)
{
	struct stream *s = &c->h->stream;
	struct str body = c->answer.body;

	while (c->sent < body.len) {
		struct str piece = str_first(str_from(body, c->sent), PIECE);

		c->sent += piece.len;
		if (s->ops->send_body(s, piece, c->sent == body.len)) {
			progress(c);
			return;
		}
	}
	done(c);
}

static void
answer(struct admin_conn *c)
{
	struct stream *s = &c->h->stream;
	struct msg m = { .status = (uint16_t)c->answer.status,
			 .minor = 1,
			 .body = BODY_LENGTH };
	const char *type = c->answer.type ? c->answer.type : "application/json";
	bool end = !c->answer.body.len || c->msg.method == METHOD_HEAD;

	m.length = c->answer.body.len;
	headers_add_token(&m.headers, &c->arena, TOKEN_DATE,
			  (struct str){ clock_date(), 29 });
	headers_add_token(&m.headers, &c->arena, TOKEN_CACHE_CONTROL, STR("no-store"));
	headers_add(&m.headers, &c->arena, STR("X-Content-Type-Options"), STR("nosniff"));
	if (c->answer.body.len)
		headers_add_token(&m.headers, &c->arena, TOKEN_CONTENT_TYPE,
				  str_of(type));
	if (c->answer.status == 401)
		headers_add_token(&m.headers, &c->arena, TOKEN_WWW_AUTHENTICATE,
				  STR("Bearer realm=\"postern admin\""));
	if (c->answer.allow.len)
		headers_add_token(&m.headers, &c->arena, TOKEN_ALLOW, c->answer.allow);
	c->answering = true;
	s->ops->send_head(s, &m, end, !c->whole);
	if (end)
		done(c);
	else
		send_rest(c);
}

/* The request as the endpoints see it, whole or so far as it came. */
static struct api_request
request_of(struct admin_conn *c)
{
	struct api_request r = { .keeper = c->admin->keeper,
				 .path = c->msg.path,
				 .query = c->msg.query,
				 .body = { c->body, c->body_len },
				 .arena = &c->arena };

	memcpy(r.who, c->peer.who, sizeof(r.who));
	return r;
}

static void
refuse(struct admin_conn *c, int status, const char *why)
{
	struct api_request r = request_of(c);

	api_problem(&r, &c->answer, status, "%s", why);
	answer(c);
}

static void
handle(struct admin_conn *c)
{
	struct api_request r = request_of(c);
	const struct api *row;

	c->whole = true;
	row = api_find(c->msg.method == METHOD_HEAD ? STR("GET") : c->msg.method_text, &r,
		       &c->answer);
	if (admin_may(c, &r, row ? row->writes : false) && row)
		row->fn(&r, &c->answer);
	answer(c);
}

/* ---- the stream */

static void
on_head(struct stream *s, bool end)
{
	static const struct msg go_on = { .status = 100, .minor = 1 };
	struct admin_conn *c = conn_of(s);

	progress(c);
	if (end)
		handle(c);
	else if (c->msg.body == BODY_LENGTH && c->msg.length > ADMIN_BODY)
		refuse(c, 413, "the body is larger than 64 KiB");
	else {
		if (c->msg.expect_continue)
			s->ops->send_head(s, &go_on, true, false);
		s->ops->want(s, ADMIN_BODY + 1);
	}
}

static void
on_body(struct stream *s, struct str bytes, bool end)
{
	struct admin_conn *c = conn_of(s);

	if (c->answering)
		return;
	if (bytes.len > ADMIN_BODY - c->body_len) {
		refuse(c, 413, "the body is larger than 64 KiB");
		return;
	}
	if (bytes.len) {
		if (!c->body)
			c->body = arena_alloc(&c->arena, ADMIN_BODY);
		memcpy(c->body + c->body_len, bytes.at, bytes.len);
		c->body_len += bytes.len;
	}
	if (end)
		handle(c);
}

static void
on_trailers(struct stream *s, struct headers *trailers)
{
	(void)trailers;
	on_body(s, STR_NONE, true);
}

static void
on_drain(struct stream *s)
{
	struct admin_conn *c = conn_of(s);

	if (c->answering)
		send_rest(c);
}

static void
on_fault(struct stream *s, enum fault f)
{
	struct admin_conn *c = conn_of(s);

	if (c->answering || !fault_info[f].status)
		s->ops->release(s, f);
	else
		refuse(c, fault_info[f].status, fault_info[f].text.at);
}

static const struct stream_user user = {
	.on_head = on_head,
	.on_body = on_body,
	.on_trailers = on_trailers,
	.on_drain = on_drain,
	.on_fault = on_fault,
};

/* ---- the connection */

static void
renew(struct admin_conn *c)
{
	arena_reset(&c->arena);
	memset(&c->msg, 0, sizeof(c->msg));
	memset(&c->answer, 0, sizeof(c->answer));
	c->body = NULL;
	c->body_len = c->sent = 0;
	c->answering = c->whole = false;
}

static bool
on_request(struct conn *conn, struct stream *s)
{
	struct admin_conn *c = conn->data;

	renew(c);
	stream_attach(s, &user, c, &c->arena, &c->msg);
	return true;
}

static void
on_cancel(struct conn *conn, struct stream *s)
{
	(void)s;
	renew(conn->data);
}

static void
on_idle(struct conn *conn)
{
	timer_clear(&((struct admin_conn *)conn->data)->timer);
}

static void
stalled(struct timer *t)
{
	struct admin_conn *c = list_entry(t, struct admin_conn, timer);
	struct stream *s = &c->h->stream;

	if (c->answering)
		s->ops->release(s, FAULT_CLIENT_STALLED);
	else
		refuse(c, 408, "the request did not arrive in time");
}

static void
destroyed(struct event *e)
{
	struct admin_conn *c = list_entry(e, struct admin_conn, grave);

	arena_reset(&c->arena);
	free(c);
}

static void
on_close(struct conn *conn)
{
	struct admin_conn *c = conn->data;
	struct loop *l = &c->admin->keeper->loop;

	list_remove(&c->link);
	c->admin->nconns--;
	if (c->timer.link.next)
		timer_remove(&l->wheel, &c->timer);
	loop_bury(l, &c->grave);
}

static const struct conn_owner owner = {
	.on_request = on_request,
	.on_cancel = on_cancel,
	.on_idle = on_idle,
	.on_close = on_close,
};

void
admin_accept(struct listen *l, int fd, const struct addr *peer)
{
	const struct admin_door *d = l->user;
	struct admin *a = d->admin;
	struct admin_conn *c = NULL;

	if (a->nconns < ADMIN_CONNECTIONS)
		c = calloc(1, sizeof(*c));
	if (!c) {
		close(fd);
		return;
	}
	c->admin = a;
	c->grave.fd = -1;
	c->grave.destroy = destroyed;
	c->timer.fire = stalled;
	arena_init(&c->arena, NULL, 0, ARENA_MAX);
	admin_meet(d, fd, peer, &c->peer);
	c->h = h1_open(&a->keeper->loop, fd, CONN_SERVER, &owner, &a->rules, c, NULL,
		       STR_NONE);
	if (!c->h) {
		free(c);
		close(fd);
		return;
	}
	c->h->conn.peer = *peer;
	list_append(&a->conns, &c->link);
	a->nconns++;
}
