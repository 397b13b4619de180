#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "worker/http/h1.h"
#include "worker/http/h1_write.h"

/* A connection, its peer, and who uses its stream. */
struct end {
	struct h1 *h;
	int peer;
	struct msg msg;
	struct arena arena;
	struct end *other;              /* bodies go there */
	bool relay;
	int begun, cancelled, heads, idle, closed, ended, faults;
	size_t body;
};

static struct loop loop;
static struct h1_rules rules = {
	.limits = { .head = 4096, .headers = 50, .target = 1024 },
	.head_ms = 5000, .idle_ms = 5000, .linger_ms = 1000,
};
static struct end server, client;

static void
on_head(struct stream *s, bool end)
{
	struct end *e = s->owner;

	e->heads++;
	if (end)
		e->ended++;
}

static void
on_body(struct stream *s, struct str bytes, bool end)
{
	struct end *e = s->owner;

	e->body += bytes.len;
	e->ended += end;
	if (e->other) {
		struct stream *to = &e->other->h->stream;

		to->ops->send_body(to, bytes, end);
		if (!end && e->relay)
			s->ops->relay(s, to);
	}
	if (!end)
		s->ops->want(s, bytes.len);
}

static void
on_relay(struct stream *s, size_t n, bool blocked)
{
	struct end *e = s->owner;

	(void)blocked;
	e->body += n;
}

static void
on_drain(struct stream *s)
{
	(void)s;
}

static void
on_fault(struct stream *s, enum fault f)
{
	struct end *e = s->owner;

	e->faults++;
	s->ops->release(s, f);
}

static const struct stream_user user = {
	.on_head = on_head,
	.on_body = on_body,
	.on_relay = on_relay,
	.on_drain = on_drain,
	.on_fault = on_fault,
};

static void
attach(struct end *e)
{
	arena_reset(&e->arena);
	stream_attach(&e->h->stream, &user, e, &e->arena, &e->msg);
}

static bool
on_request(struct conn *c, struct stream *s)
{
	struct end *e = c->data;

	ck_assert_ptr_eq(s, &e->h->stream);
	e->begun++;
	attach(e);
	return true;
}

static void
on_cancel(struct conn *c, struct stream *s)
{
	(void)s;
	((struct end *)c->data)->cancelled++;
}

static void
on_idle(struct conn *c)
{
	((struct end *)c->data)->idle++;
}

static void
on_close(struct conn *c)
{
	((struct end *)c->data)->closed++;
}

static const struct conn_owner owner = {
	.on_request = on_request,
	.on_cancel = on_cancel,
	.on_idle = on_idle,
	.on_close = on_close,
};

static void
open_end(struct end *e, enum conn_role role)
{
	int fd[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	e->peer = fd[1];
	arena_init(&e->arena, NULL, 0, 1 << 20);
	e->h = h1_open(&loop, fd[0], role, &owner, &rules, e, NULL, STR_NONE);
	ck_assert_ptr_nonnull(e->h);
}

static void
begin(void)
{
	ck_assert_int_eq(loop_init(&loop), 0);
	open_end(&server, CONN_SERVER);
	open_end(&client, CONN_CLIENT);
}

static void
end(void)
{
	struct end *both[] = { &server, &client };

	for (int i = 0; i < 2; i++) {
		if (!both[i]->closed)
			h1_close(both[i]->h);
		close(both[i]->peer);
		arena_reset(&both[i]->arena);
	}
	loop_turn(&loop, 0);
	loop_free(&loop);
}

static void
turns(int n)
{
	while (n--)
		loop_turn(&loop, 0);
}

static void
say(struct end *e, const char *text)
{
	ck_assert_int_eq(write(e->peer, text, strlen(text)), (ssize_t)strlen(text));
	turns(3);
}

static void
answer(struct end *e, struct str body)
{
	struct msg m = {
		.status = 200, .minor = 1, .body = BODY_LENGTH, .length = body.len,
	};
	struct stream *s = &e->h->stream;

	s->ops->send_head(s, &m, false, false);
	s->ops->send_body(s, body, true);
	s->ops->release(s, FAULT_NONE);
	turns(3);
}

/* What its peer has got, up to here. */
static const char *
heard(struct end *e)
{
	static char text[65536];
	ssize_t n = read(e->peer, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

START_TEST(one_after_the_other)
{
	begin();
	say(&server, "GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
		     "GET /b HTTP/1.1\r\nHost: a\r\n\r\nGET /c");
	ck_assert_int_eq(server.heads, 1);
	unit_str_eq(server.msg.path, "/a");
	answer(&server, STR("first"));
	ck_assert_int_eq(server.heads, 2);
	unit_str_eq(server.msg.path, "/b");
	ck_assert_ptr_nonnull(strstr(heard(&server), "\r\n\r\nfirst"));
	answer(&server, STR("second"));
	ck_assert_int_eq(server.heads, 2);
	say(&server, " HTTP/1.1\r\nHost: a\r\n\r\n");
	ck_assert_int_eq(server.heads, 3);
	answer(&server, STR("third"));
	ck_assert_int_eq(server.idle, 3);
	ck_assert_int_eq(server.begun, 3 + server.cancelled);
	/* Idle: no buffer is kept. */
	ck_assert_ptr_null(server.h->held);
	ck_assert_ptr_null(server.h->conn.wire.held.first);
	end();
}
END_TEST

START_TEST(credit_is_kept_to)
{
	char text[5000];
	struct stream *s;

	begin();
	s = &server.h->stream;
	say(&server, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 15000\r\n\r\n");
	memset(text, 'x', sizeof(text));
	ck_assert_int_eq(write(server.peer, text, sizeof(text)), sizeof(text));
	turns(3);
	ck_assert_uint_eq(server.body, 0);              /* nobody asked for it */
	s->ops->want(s, 1);
	turns(3);
	ck_assert_uint_eq(server.body, 5000);           /* one reading beyond it */
	s->ops->want(s, 0);                             /* back again */
	ck_assert_int_le(server.h->credit, 0);
	ck_assert_int_eq(write(server.peer, text, sizeof(text)), sizeof(text));
	turns(3);
	ck_assert_uint_eq(server.body, 5000);
	s->ops->want(s, 1);
	ck_assert_int_eq(write(server.peer, text, sizeof(text)), sizeof(text));
	turns(3);
	ck_assert_uint_eq(server.body, 15000);
	ck_assert_int_eq(server.ended, 1);
	end();
}
END_TEST

START_TEST(a_cut_is_a_fault)
{
	begin();
	say(&server, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
	server.h->stream.ops->want(&server.h->stream, 100);
	shutdown(server.peer, SHUT_WR);
	turns(3);
	ck_assert_int_eq(server.faults, 1);
	ck_assert_int_eq(server.closed, 1);
	end();
}
END_TEST

static void
ask(struct end *e, bool body, uint64_t length)
{
	struct msg m = { .method = METHOD_POST, .method_text = STR("POST"), .minor = 1,
			 .host = STR("a"), .path = STR("/"),
			 .body = body ? BODY_LENGTH : BODY_NONE, .length = length };

	attach(e);
	e->h->stream.ops->send_head(&e->h->stream, &m, !body, false);
	turns(2);
}

START_TEST(used_again_unless_more_came)
{
	begin();
	ask(&client, false, 0);
	ck_assert_ptr_nonnull(strstr(heard(&client), "POST / HTTP/1.1\r\nHost: a\r\n"));
	say(&client, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	client.h->stream.ops->release(&client.h->stream, FAULT_NONE);
	ck_assert_int_eq(client.idle, 1);
	ask(&client, false, 0);
	say(&client, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n");
	client.h->stream.ops->release(&client.h->stream, FAULT_NONE);
	ck_assert_int_eq(client.idle, 1);
	ck_assert_int_eq(client.closed, 1);
	end();
}
END_TEST

/* Bodies of known length, in the kernel, in both directions at once. */
START_TEST(relays)
{
	enum { SIZE = 600 * 1024 };
	static char out[SIZE], back[SIZE];
	struct end *ends[] = { &server, &client };
	size_t sent[2] = { 0 }, got[2] = { 0 };
	struct msg m = { .status = 200, .minor = 1, .body = BODY_LENGTH, .length = SIZE };
	char head[128];

	begin();
	server.other = &client;
	client.other = &server;
	server.relay = client.relay = true;
	snprintf(head, sizeof(head), "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", SIZE);
	say(&server, head);
	ask(&client, true, SIZE);
	heard(&client);
	snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", SIZE);
	say(&client, head);
	server.h->stream.ops->send_head(&server.h->stream, &m, false, false);
	turns(2);
	heard(&server);
	for (int i = 0; i < 2; i++)
		ends[i]->h->stream.ops->want(&ends[i]->h->stream, 1);
	for (size_t i = 0; i < SIZE; i++)
		out[i] = (char)(i % 253);
	for (int n = 0; n < 20000 && (got[0] < SIZE || got[1] < SIZE); n++) {
		for (int i = 0; i < 2; i++) {
			ssize_t r = write(ends[i]->peer, out + sent[i], SIZE - sent[i]);

			sent[i] += r > 0 ? (size_t)r : 0;
			r = read(ends[i]->peer, back, SIZE);
			if (r <= 0)
				continue;
			ck_assert_mem_eq(back, out + got[i], (size_t)r);
			got[i] += (size_t)r;
		}
		turns(1);
	}
	ck_assert_uint_eq(got[0], SIZE);
	ck_assert_uint_eq(got[1], SIZE);
	ck_assert_uint_eq(server.body, SIZE);
	ck_assert_uint_eq(client.body, SIZE);
	ck_assert_ptr_nonnull(loop.pipes);              /* it was the kernel */
	ck_assert_ptr_null(server.h->relay_to);
	ck_assert_ptr_null(client.h->relay_to);
	end();
}
END_TEST

int
main(void)
{
	static const TTest *tests[5];
	size_t n = 0;

	tests[n++] = one_after_the_other;
	tests[n++] = credit_is_kept_to;
	tests[n++] = a_cut_is_a_fault;
	tests[n++] = used_again_unless_more_came;
	tests[n++] = relays;
	return unit_run("h1", tests, n);
}
