/* h2_sides — two connections of HTTP/2, joined by a socket pair in one loop, and users for their streams that write
 * down what they are told; or one of them, and a peer of bare frames. */
#ifndef TESTS_UNIT_HTTP_H2_SIDES_H
#define TESTS_UNIT_HTTP_H2_SIDES_H

#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "worker/http/h2.h"

enum { CALLS = 256 };

/* One use of a stream. */
struct call {
	struct stream *stream;
	struct msg msg;
	struct arena arena;
	struct headers trailers;
	enum fault fault;
	int heads, ended, trailed, drained, faults, interim;
	uint16_t status[4];             /* of interim heads */
	bool released, hold;            /* hold: gives no credit */
	size_t got, waited;
	char body[512];                 /* its beginning */
};

struct side {
	struct conn *conn;
	struct call call[CALLS];
	int calls, cancelled, idle, room, closed;
	bool refuse, hold;
	void (*on_head)(struct call *);
};

static struct loop loop;
static struct h1_rules rules = {
	.limits = { .head = 4096, .headers = 50, .target = 1024 },
	.head_ms = 5000, .idle_ms = 5000, .linger_ms = 1000,
};
static struct side server, client;
static int peer = -1;

static void
call_head(struct stream *s, bool end)
{
	struct call *c = s->owner;
	struct side *side = s->conn->data;

	if (c->msg.status >= 100 && c->msg.status < 200 && c->msg.status != 101) {
		c->status[c->interim++] = c->msg.status;
		return;
	}
	c->heads++;
	c->ended += end;
	if (!end && !c->hold)
		s->ops->want(s, 262144);
	if (side->on_head)
		side->on_head(c);
}

static void
call_body(struct stream *s, struct str bytes, bool end)
{
	struct call *c = s->owner;
	size_t room = sizeof(c->body) - 1;

	if (c->got < room && bytes.len)
		memcpy(c->body + c->got, bytes.at,
		       bytes.len < room - c->got ? bytes.len : room - c->got);
	c->got += bytes.len;
	c->ended += end;
	if (!end && !c->hold)
		s->ops->want(s, bytes.len);
}

static void
call_trailers(struct stream *s, struct headers *t)
{
	struct call *c = s->owner;

	c->trailers = *t;
	c->trailed++;
	c->ended++;
}

static void
call_drain(struct stream *s)
{
	((struct call *)s->owner)->drained++;
}

static void
release(struct call *c, enum fault f)
{
	ck_assert(!c->released);
	c->released = true;
	c->stream->ops->release(c->stream, f);
}

static void
call_fault(struct stream *s, enum fault f)
{
	struct call *c = s->owner;

	c->faults++;
	c->fault = f;
	release(c, f);
}

static const struct stream_user call_user = {
	.on_head = call_head,
	.on_body = call_body,
	.on_trailers = call_trailers,
	.on_drain = call_drain,
	.on_fault = call_fault,
};

static struct call *
take(struct side *side, struct stream *s)
{
	struct call *c = &side->call[side->calls++];

	ck_assert_int_lt(side->calls, CALLS);
	c->stream = s;
	c->hold = side->hold;
	arena_init(&c->arena, NULL, 0, 1 << 20);
	stream_attach(s, &call_user, c, &c->arena, &c->msg);
	return c;
}

static bool
on_request(struct conn *c, struct stream *s)
{
	struct side *side = c->data;

	ck_assert_ptr_eq(s->conn, c);
	if (side->refuse)
		return false;
	take(side, s);
	return true;
}

static void
on_cancel(struct conn *c, struct stream *s)
{
	(void)s;
	((struct side *)c->data)->cancelled++;
}

static void
on_idle(struct conn *c)
{
	((struct side *)c->data)->idle++;
}

static void
on_room(struct conn *c)
{
	((struct side *)c->data)->room++;
}

static void
on_close(struct conn *c)
{
	struct side *side = c->data;

	side->closed++;
	side->conn = NULL;
}

static const struct conn_owner owner = {
	.on_request = on_request,
	.on_cancel = on_cancel,
	.on_idle = on_idle,
	.on_room = on_room,
	.on_close = on_close,
};

static inline void
turns(int n)
{
	while (n--)
		loop_turn(&loop, 0);
}

static inline void
open_side(struct side *s, int fd, enum conn_role role, struct str first)
{
	struct h2 *h = h2_open(&loop, fd, role, &owner, &rules, s, NULL, first);

	ck_assert_ptr_nonnull(h);
	s->conn = h2_conn(h);
}

/* Both roles, joined. */
static inline void
begin(void)
{
	int fd[2];

	ck_assert_int_eq(loop_init(&loop), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	open_side(&server, fd[0], CONN_SERVER, STR_NONE);
	open_side(&client, fd[1], CONN_CLIENT, STR_NONE);
	turns(4);
}

/* One role, and `peer` for the test to speak by. */
static inline void
begin_alone(struct side *s, enum conn_role role)
{
	int fd[2];

	ck_assert_int_eq(loop_init(&loop), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	open_side(s, fd[0], role, STR_NONE);
	peer = fd[1];
	turns(2);
}

static inline void
end(void)
{
	struct side *both[] = { &server, &client };

	for (int i = 0; i < 2; i++) {
		struct side *s = both[i];

		for (int j = 0; j < s->calls; j++)
			if (!s->call[j].released && s->conn)
				release(&s->call[j], FAULT_INTERNAL);
		if (s->conn)
			s->conn->ops->close(s->conn);
	}
	turns(2);
	for (int i = 0; i < 2; i++)
		for (int j = 0; j < both[i]->calls; j++)
			arena_reset(&both[i]->call[j].arena);
	if (peer >= 0)
		close(peer);
	turns(1);
	loop_free(&loop);
}

static inline struct msg
request(const char *path)
{
	return (struct msg){
		.method = METHOD_GET, .method_text = STR("GET"), .minor = 1,
		.host = STR("api.example"), .path = str_of(path), .keep_alive = true,
	};
}

/* The client asks; the server has it after some turns. */
static inline struct call *
ask(const struct msg *m, bool over)
{
	struct stream *s = client.conn->ops->open(client.conn);
	struct call *c;

	ck_assert_ptr_nonnull(s);
	c = take(&client, s);
	s->ops->send_head(s, m, over, false);
	turns(3);
	return c;
}

static inline void
reply(struct call *c, int status, struct str body)
{
	struct msg m = {
		.status = (uint16_t)status, .minor = 1, .body = BODY_LENGTH, .length = body.len,
	};

	c->stream->ops->send_head(c->stream, &m, !body.len, false);
	if (body.len)
		c->waited = c->stream->ops->send_body(c->stream, body, true);
	turns(3);
}

static inline struct str
line(struct call *c, const char *name)
{
	struct header *h = headers_find(&c->msg.headers, str_of(name));

	return h ? h->value : STR("(none)");
}

#endif
