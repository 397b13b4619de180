#include "worker/net/listen.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

enum { ACCEPTS_A_TURN = 64, PAUSE_MS = 250 };

/* One connection from the queue; false when there is none or it had to be paused. */
static bool
accept_one(struct listen *l)
{
	struct sockaddr_storage s;
	socklen_t len = sizeof(s);
	struct addr peer;
	int fd = accept4(l->event.fd, (struct sockaddr *)&s, &len,
			 SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0) {
		if (errno == ECONNABORTED || errno == EINTR || errno == EPROTO)
			return true;
		if (errno != EAGAIN) {
			/* Out of descriptors or memory: those in the queue wait, nobody
			 * is refused. */
			log_error("accept on %.*s: %s", STR_ARG(l->address),
				  strerror(errno));
			timer_set(&l->loop->wheel, &l->timer, clock_ms() + PAUSE_MS);
		}
		return false;
	}
	addr_from_sockaddr(&peer, (struct sockaddr *)&s);
	l->on_accept(l, fd, &peer);
	return true;
}

static void
listen_turn(struct event *s, uint32_t events)
{
	struct listen *l = (struct listen *)s;

	(void)events;
	for (int i = 0; i < ACCEPTS_A_TURN; i++)
		if (s->buried || !accept_one(l))
			return;
	loop_ready(l->loop, s);
}

static void
listen_fire(struct timer *t)
{
	struct listen *l = list_entry(t, struct listen, timer);

	loop_ready(l->loop, &l->event);
}

static void
listen_destroy(struct event *s)
{
	free(s);
}

struct listen *
listen_start(struct loop *loop, int fd, struct str address,
	     void (*on_accept)(struct listen *, int, const struct addr *), void *user)
{
	struct listen *l = calloc(1, sizeof(*l) + address.len);

	if (!l)
		abort();
	l->event.turn = listen_turn;
	l->event.destroy = listen_destroy;
	l->event.fd = fd;
	l->event.shared = true;
	l->loop = loop;
	list_init(&l->link);
	memcpy(l->text, address.at, address.len);
	l->address = (struct str){ l->text, address.len };
	l->on_accept = on_accept;
	l->user = user;
	l->timer.fire = listen_fire;
	if (loop_add(loop, &l->event)) {
		free(l);
		return NULL;
	}
	return l;
}

void
listen_stop(struct listen *l, bool drain)
{
	if (l->event.buried)
		return;
	while (drain && !l->timer.due && accept_one(l))
		;
	list_remove(&l->link);
	timer_remove(&l->loop->wheel, &l->timer);
	loop_bury(l->loop, &l->event);
}
