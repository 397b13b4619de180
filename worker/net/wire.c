#include "worker/net/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "worker/net/tls.h"

void
wire_fail(struct wire *w, int error)
{
	w->error = (uint32_t)error;
	chain_free(&w->held);
	loop_ready(w->loop, &w->event);
}

/* One send of a few pieces; what is not taken is held. */
static void
send_out(struct wire *w, struct iovec *v, int n)
{
	struct msghdr m = { .msg_iov = v, .msg_iovlen = (size_t)n };
	ssize_t sent = 0;

	if (w->error || w->event.fd < 0)
		return;
	if (!w->held.len) {
		sent = n == 1 ? send(w->event.fd, v->iov_base, v->iov_len, MSG_NOSIGNAL)
			      : sendmsg(w->event.fd, &m, MSG_NOSIGNAL);
		if (sent < 0) {
			if (errno != EAGAIN && errno != EINTR && errno != ENOTCONN) {
				wire_fail(w, errno);
				return;
			}
			sent = 0;
		}
		w->sent += (uint64_t)sent;
	}
	for (int i = 0; i < n; i++) {
		size_t len = v[i].iov_len;

		if ((size_t)sent >= len) {
			sent -= (ssize_t)len;
			continue;
		}
		chain_append(
			&w->held,
			(struct str){ (char *)v[i].iov_base + sent, len - (size_t)sent },
			WIRE_HELD_MAX);
		sent = 0;
	}
}

/* ---- TLS */

static void
send_sealed(struct wire *w, size_t len)
{
	if (len)
		send_out(w, &(struct iovec){ w->loop->out.sealed, len }, 1);
}

/* As many records as the buffer has room for leave in one send. */
static void
seal_out(struct wire *w, const struct iovec *v, int n)
{
	enum { EXTRA = 1024 }; /* more than tls_room() wants for so many */
	char *out = w->loop->out.sealed;
	size_t used = 0;

	for (int i = 0; i < n; i++) {
		struct str rest = { v[i].iov_base, v[i].iov_len };

		while (rest.len && !w->error) {
			size_t room = WIRE_SEALED - used;
			struct str now = str_first(rest, room > EXTRA ? room - EXTRA : 0);
			ssize_t got;

			/* A little one at the end of the buffer would be a record more.
			 */
			if (now.len < rest.len && room < WIRE_SEALED / 4) {
				send_sealed(w, used);
				used = 0;
				continue;
			}
			got = tls_seal(w->tls, now, out + used, room);
			if (got < 0) {
				wire_fail(w, EPROTO);
				return;
			}
			used += (size_t)got;
			rest = str_from(rest, now.len);
		}
	}
	send_sealed(w, used);
}

static void
send_pieces(struct wire *w, struct iovec *v, int n)
{
	if (__builtin_expect(!w->tls, 1))
		send_out(w, v, n);
	else if (!w->error && w->event.fd >= 0)
		seal_out(w, v, n);
}

static void
send_owed(struct wire *w)
{
	size_t n;

	while ((n = tls_owed(w->tls, w->loop->out.sealed, WIRE_SEALED))) {
		send_sealed(w, n);
		/* Who asks for new keys all the time and takes no answer is no client. */
		w->owed = w->held.len ? w->owed + (uint32_t)n : 0;
		if (w->owed > WIRE_OWED_MAX && !w->error)
			wire_fail(w, EPROTO);
	}
}

void
wire_tls(struct wire *w, struct tls *t)
{
	struct outbox *o = &w->loop->out;

	if (!o->sealed && !(o->sealed = malloc(WIRE_SEALED)))
		abort();
	w->tls = t;
	tls_rest(t);
	if (tls_pending(t)) {
		w->again |= EPOLLIN;
		loop_ready(w->loop, &w->event);
	}
}

static void
shut_now(struct wire *w)
{
	if (!w->shut_after || w->shut || w->held.len || w->error)
		return;
	if (w->tls) {
		send_sealed(w, tls_bye(w->tls, w->loop->out.sealed, WIRE_SEALED));
		if (w->held.len || w->error)
			return;
	}
	w->shut = true;
	shutdown(w->event.fd, SHUT_WR);
}

static void
close_tls(struct wire *w)
{
	if (w->held.len || w->error)
		tls_mute(w->tls);
	tls_free(w->tls);
	w->tls = NULL;
}

static struct iovec
piece(struct str s)
{
	return (struct iovec){ (void *)(uintptr_t)s.at, s.len };
}

static void
send_held(struct wire *w)
{
	while (w->held.len) {
		struct iovec v[16];
		struct msghdr m = { .msg_iov = v };
		ssize_t n;

		m.msg_iovlen = (size_t)chain_iov(&w->held, v, 16);
		n = sendmsg(w->event.fd, &m, MSG_NOSIGNAL);
		if (n < 0) {
			if (errno != EAGAIN && errno != EINTR && errno != ENOTCONN)
				wire_fail(w, errno);
			return;
		}
		w->sent += (uint64_t)n;
		chain_drop(&w->held, (size_t)n);
	}
}

static void
wire_turn(struct event *s, uint32_t events)
{
	struct wire *w = (struct wire *)s;

	events |= w->again;
	w->again = 0;
	if (w->error && !w->told) {
		w->told = true;
		w->ops->on_error(w, (int)w->error);
		if (s->buried)
			return;
	}
	if (w->held.len && events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) {
		send_held(w);
		if (!w->held.len && !w->error) {
			shut_now(w);
			w->ops->on_drained(w);
			if (s->buried)
				return;
		}
	}
	w->ops->on_event(w, events);
}

static void
wire_fire(struct timer *t)
{
	struct wire *w = list_entry(t, struct wire, timer);

	w->ops->on_timer(w);
}

static void
wire_destroy(struct event *s)
{
	struct wire *w = (struct wire *)s;

	w->ops->destroy(w);
}

int
wire_open(struct wire *w, struct loop *l, int fd, const struct wire_ops *ops)
{
	memset(w, 0, sizeof(*w));
	w->event.turn = wire_turn;
	w->event.destroy = wire_destroy;
	w->event.fd = fd;
	w->ops = ops;
	w->loop = l;
	w->timer.fire = wire_fire;
	return loop_add(l, &w->event);
}

void
wire_close(struct wire *w)
{
	if (w->event.buried)
		return;
	if (w->loop->out.wire == w) {
		wire_flush(w->loop);
		w->loop->out.wire = NULL;
	}
	timer_remove(&w->loop->wheel, &w->timer);
	if (w->tls)
		close_tls(w);
	chain_free(&w->held);
	loop_bury(w->loop, &w->event);
}

void
wire_abort(struct wire *w)
{
	struct linger l = { .l_onoff = 1, .l_linger = 0 };

	if (w->loop->out.wire == w) {
		w->loop->out.wire = NULL;
		w->loop->out.len = 0;
	}
	if (!w->event.buried)
		setsockopt(w->event.fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	if (w->tls)
		tls_mute(w->tls);
	wire_close(w);
}

void
wire_flush(struct loop *l)
{
	struct outbox *o = &l->out;
	struct wire *w = o->wire;

	if (!w)
		return;
	o->wire = NULL;
	if (o->len)
		send_pieces(w, &(struct iovec){ o->buf, o->len }, 1);
	o->len = 0;
	shut_now(w);
}

char *
wire_room(struct wire *w, size_t n)
{
	struct outbox *o = &w->loop->out;

	if (o->wire != w) {
		wire_flush(w->loop);
		o->wire = w;
	} else if (o->len + n > OUTBOX) {
		wire_flush(w->loop);
		o->wire = w;
	}
	return o->buf + o->len;
}

void
wire_filled(struct wire *w, size_t n)
{
	w->loop->out.len += (uint32_t)n;
}

static void
put(struct wire *w, struct str bytes)
{
	if (!bytes.len)
		return;
	memcpy(wire_room(w, bytes.len), bytes.at, bytes.len);
	wire_filled(w, bytes.len);
}

void
wire_send_tail(struct wire *w, struct str bytes, struct str tail)
{
	struct outbox *o = &w->loop->out;
	struct iovec v[3];
	int n = 0;

	if (bytes.len <= OUTBOX_COPY) {
		put(w, bytes);
		put(w, tail);
		return;
	}
	if (o->wire == w) {
		o->wire = NULL;
		if (o->len)
			v[n++] = (struct iovec){ o->buf, o->len };
	} else {
		wire_flush(w->loop);
	}
	v[n++] = piece(bytes);
	if (tail.len)
		v[n++] = piece(tail);
	send_pieces(w, v, n);
	o->len = 0;
}

void
wire_send(struct wire *w, struct str bytes)
{
	wire_send_tail(w, bytes, STR_NONE);
}

void
wire_shut(struct wire *w)
{
	w->shut_after = true;
	if (w->loop->out.wire != w)
		shut_now(w);
}

static ssize_t
recv_tls(struct wire *w, char *to, size_t max)
{
	ssize_t n = tls_recv(w->tls, to, max);
	int error = errno;

	send_owed(w);
	if (n > 0 && tls_over(w->tls)) {
		w->again = EPOLLIN | EPOLLRDHUP;
		loop_ready(w->loop, &w->event);
	}
	errno = error;
	return n;
}

ssize_t
wire_recv(struct wire *w, size_t max)
{
	struct loop *l = w->loop;

	if (l->out.wire)
		wire_flush(l);
	max = max < LOOP_RBUF ? max : LOOP_RBUF;
	if (__builtin_expect(!w->tls, 1))
		return recv(w->event.fd, l->rbuf, max, 0);
	return recv_tls(w, l->rbuf, max);
}

bool
wire_silent(struct wire *w)
{
	char byte;
	ssize_t n =
		w->tls ? recv_tls(w, &byte, 1) : recv(w->event.fd, &byte, 1, MSG_PEEK);

	return n < 0 && errno == EAGAIN;
}
