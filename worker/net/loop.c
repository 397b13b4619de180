#include "worker/net/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "worker/net/pipe.h"
#include "worker/net/wire.h"

int
loop_init(struct loop *l)
{
	memset(l, 0, sizeof(*l));
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll < 0)
		return -1;
	l->ready_last = &l->ready;
	l->rbuf = malloc(LOOP_RBUF);
	l->out.buf = malloc(OUTBOX);
	if (!l->rbuf || !l->out.buf)
		abort();
	clock_update();
	wheel_init(&l->wheel, clock_ms());
	return 0;
}

void
loop_free(struct loop *l)
{
	close(l->epoll);
	alarms_free(&l->alarms);
	pipe_pool_free(&l->pipes);
	free(l->rbuf);
	free(l->out.buf);
	free(l->out.sealed);
}

int
loop_add(struct loop *l, struct event *s)
{
	struct epoll_event e = {
		.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
		.data.ptr = s,
	};

	if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, s->fd, &e) == 0)
		return 0;
	return errno == EEXIST ? epoll_ctl(l->epoll, EPOLL_CTL_MOD, s->fd, &e) : -1;
}

void
loop_ready(struct loop *l, struct event *s)
{
	if (s->ready || s->buried)
		return;
	s->ready = true;
	s->next_ready = NULL;
	*l->ready_last = s;
	l->ready_last = &s->next_ready;
}

static void
to_grave(struct loop *l, struct event *s)
{
	s->buried = true;
	s->fd = -1;
	s->next_grave = l->graves;
	l->graves = s;
}

void
loop_release(struct loop *l, struct event *s)
{
	if (!s->buried)
		to_grave(l, s);
}

void
loop_bury(struct loop *l, struct event *s)
{
	if (s->buried)
		return;
	if (s->fd >= 0) {
		/* Another process may share the file (a listening socket): closing would
		 * not take it off. */
		if (s->shared)
			epoll_ctl(l->epoll, EPOLL_CTL_DEL, s->fd, NULL);
		close(s->fd);
	}
	to_grave(l, s);
}

static void
run_ready(struct loop *l)
{
	struct event *s = l->ready;

	/* Those that ask again meanwhile have their turn next time. */
	l->ready = NULL;
	l->ready_last = &l->ready;
	while (s) {
		struct event *next = s->next_ready;

		s->ready = false;
		if (!s->buried)
			s->turn(s, 0);
		s = next;
	}
}

static void
clear_graves(struct loop *l)
{
	while (l->graves) {
		struct event *s = l->graves;

		/* Still on the ready list: run_ready() lets go of it in the next turn. */
		if (s->ready) {
			run_ready(l);
			continue;
		}
		l->graves = s->next_grave;
		s->destroy(s);
	}
}

static int
sooner(int a, int b)
{
	return a < 0 || (b >= 0 && b < a) ? b : a;
}

void
loop_turn(struct loop *l, int wait_ms)
{
	struct epoll_event e[LOOP_EVENTS];
	uint64_t began, us;
	int n;

	wait_ms = sooner(wait_ms, wheel_run(&l->wheel, clock_ms()));
	if (l->alarms.n)
		wait_ms = sooner(wait_ms, alarms_run(&l->alarms, clock_read()));
	if (l->ready)
		wait_ms = 0;
	if (l->graves || l->out.wire) {                 /* left by timers */
		wire_flush(l);
		clear_graves(l);
		wait_ms = l->ready ? 0 : wait_ms;
	}
	n = epoll_wait(l->epoll, e, LOOP_EVENTS, wait_ms);
	clock_update();
	began = clock_now();
	l->handshakes = 0;
	for (int i = 0; i < n; i++) {
		struct event *s = e[i].data.ptr;

		if (!s->buried)
			s->turn(s, e[i].events);
	}
	if (l->ready)
		run_ready(l);
	wire_flush(l);
	if (l->after)
		l->after(l);
	if (l->graves)
		clear_graves(l);
	if (n > 0) {
		us = (clock_read() - began) / 1000;
		l->busy_us += us;
		if (us > l->lag_us)
			l->lag_us = us;
	}
}

void
loop_run(struct loop *l)
{
	while (!l->stop)
		loop_turn(l, -1);
}
