/* h2, either role (the first byte says which), against any bytes of a peer, in pieces
 * that the second byte says; and a user that asks, answers, waits and gives up as the
 * bytes have it. */
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "worker/http/h2.h"

enum { USES = 200 };

struct use {
	struct stream *stream;
	struct arena arena;
	struct msg msg, asked;
	bool active;
};

static struct use uses[USES];
static int nuses;
static unsigned mood;                   /* what the user does next */
static struct conn *conn;

static void
give_up(struct use *u, enum fault f)
{
	if (!u->active)
		return;
	u->active = false;
	u->stream->ops->release(u->stream, f);
}

static unsigned
next_mood(void)
{
	mood = mood * 1103515245 + 12345;
	return mood >> 16 & 7;
}

static void
respond(struct use *u)
{
	static char body[40000];
	struct msg m = { .status = 200, .minor = 1, .body = BODY_CHUNKED };
	struct headers t = { 0 };

	if (u->msg.upgrade)
		m.status = 101;
	u->stream->ops->send_head(u->stream, &m, false, false);
	u->stream->ops->send_body(u->stream, (struct str){ body, next_mood() * 5000 },
				  false);
	headers_add(&t, &u->arena, STR("x-sum"), STR("1"));
	if (next_mood() & 1)
		u->stream->ops->send_trailers(u->stream, &t);
	else
		u->stream->ops->send_body(u->stream, STR("end"), true);
}

static void
act(struct use *u)
{
	switch (next_mood()) {
	case 0:
		give_up(u, FAULT_INTERNAL);
		break;
	case 1:
		give_up(u, FAULT_NONE);
		break;
	case 2:
		u->stream->ops->want(u->stream, 0);
		break;
	case 3:
		if (conn->role == CONN_SERVER)
			respond(u);
		break;
	default:
		u->stream->ops->want(u->stream, 100000);
	}
}

/* What is delivered is read, byte by byte. */
static unsigned sum;

static void
touch(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		sum += (unsigned char)s.at[i];
}

static void
touch_all(const struct headers *h)
{
	for (uint32_t i = 0; i < h->n; i++) {
		touch(h->at[i].name);
		touch(h->at[i].value);
		if (h->at[i].raw &&
		    memcmp(h->at[i].value.at + h->at[i].value.len, "\r\n", 2))
			abort();
		for (size_t j = 0; j < h->at[i].value.len; j++)
			if (strchr("\r\n", h->at[i].value.at[j]))
				abort();        /* a hole through which lines come */
	}
}

static void
on_head(struct stream *s, bool end)
{
	struct use *u = s->owner;

	(void)end;
	touch(u->msg.method_text);
	touch(u->msg.target);
	touch(u->msg.path);
	touch(u->msg.query);
	touch(u->msg.host);
	touch(u->msg.hostname);
	touch(u->msg.scheme);
	touch(u->msg.upgrade_to);
	touch_all(&u->msg.headers);
	if (conn->role == CONN_SERVER)
		touch((struct str){ u->msg.method_text.at, u->msg.headers.bytes });
	act(u);
}

static void
on_body(struct stream *s, struct str bytes, bool end)
{
	(void)end;
	touch(bytes);
	act(s->owner);
}

static void
on_trailers(struct stream *s, struct headers *t)
{
	touch_all(t);
	act(s->owner);
}

static void
on_drain(struct stream *s)
{
	act(s->owner);
}

static void
on_fault(struct stream *s, enum fault f)
{
	give_up(s->owner, f);
}

static const struct stream_user user = {
	.on_head = on_head,
	.on_body = on_body,
	.on_trailers = on_trailers,
	.on_drain = on_drain,
	.on_fault = on_fault,
};

static struct use *
take(struct stream *s)
{
	struct use *u;

	if (nuses == USES)
		return NULL;
	u = &uses[nuses++];
	u->stream = s;
	u->active = true;
	arena_init(&u->arena, NULL, 0, 1 << 20);
	stream_attach(s, &user, u, &u->arena, &u->msg);
	return u;
}

static bool
on_request(struct conn *c, struct stream *s)
{
	(void)c;
	return take(s) != NULL;
}

static void
ignore(struct conn *c)
{
	(void)c;
}

static void
on_close(struct conn *c)
{
	(void)c;
	conn = NULL;
}

static const struct conn_owner owner = {
	.on_request = on_request,
	.on_idle = ignore,
	.on_room = ignore,
	.on_close = on_close,
};

static void
ask(bool upgrade)
{
	struct msg m = {
		.method = METHOD_POST, .method_text = STR("POST"), .minor = 1,
		.host = STR("a.example"), .path = STR("/"), .body = BODY_CHUNKED,
		.upgrade = upgrade, .upgrade_to = upgrade ? STR("websocket") : STR_NONE,
	};
	struct stream *s = conn->ops->open(conn);
	struct use *u = s ? take(s) : NULL;

	if (!u)
		return;
	u->asked = m;                   /* an Upgrade may wait for SETTINGS */
	u->stream->ops->send_head(u->stream, &u->asked, false, false);
	u->stream->ops->send_body(u->stream, STR("question"), next_mood() & 1);
}

static void
drop_what_came(int fd)
{
	static char buf[65536];

	while (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct h1_rules rules = {
		.limits = { .head = 4096, .headers = 50, .target = 1024 },
		.head_ms = 5000, .idle_ms = 5000, .linger_ms = 1000,
	};
	struct loop loop;
	struct h2 *h;
	int fd[2];
	size_t piece;
	bool server;

	if (size < 2 || loop_init(&loop))
		return 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd))
		abort();
	server = data[0] & 1;
	mood = data[0];
	piece = data[1] ? data[1] * 16u : 1u;
	nuses = 0;
	h = h2_open(&loop, fd[0], server ? CONN_SERVER : CONN_CLIENT, &owner, &rules,
		    NULL, NULL, STR_NONE);
	conn = h2_conn(h);
	for (int i = 0; i < 4 && !server; i++)
		ask(i == 3);
	for (size_t at = 2; at < size && conn; at += piece) {
		size_t n = size - at < piece ? size - at : piece;

		if (send(fd[1], data + at, n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			break;
		loop_turn(&loop, 0);
		drop_what_came(fd[1]);
		if (!server && conn && next_mood() == 0)
			ask(false);
		if (server && conn && next_mood() == 0 && nuses && uses[nuses - 1].active)
			act(&uses[nuses - 1]);
	}
	shutdown(fd[1], SHUT_WR);
	for (int i = 0; i < 4; i++) {
		loop_turn(&loop, 0);
		drop_what_came(fd[1]);
	}
	for (int i = 0; i < nuses; i++)
		if (conn)
			give_up(&uses[i], FAULT_INTERNAL);
	if (conn)
		conn->ops->close(conn);
	loop_turn(&loop, 0);
	loop_turn(&loop, 0);
	for (int i = 0; i < nuses; i++)
		arena_reset(&uses[i].arena);
	close(fd[1]);
	loop_free(&loop);
	return 0;
}
