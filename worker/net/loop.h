/* loop — epoll, edge-triggered; a descriptor is registered once, and again only when another source takes it over.
 *
 * A `struct event` is what epoll knows: a descriptor and a function. Sources that still
 * have work after their turn (a budget used up, credit regained) put themselves on the
 * ready list and get a turn with mask 0. Objects of this turn are freed after it
 * (loop_bury), since an event of the same batch may still name them.
 *
 * The loop owns the two buffers that all connections share: the receive buffer and, in
 * worker/net/wire.h, the outbox. */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "base/list.h"
#include "worker/net/alarm.h"
#include "worker/net/timer.h"

enum { LOOP_RBUF = 256 * 1024, LOOP_EVENTS = 256 };

struct loop;
struct pipe;
struct wire;

struct event {
	void (*turn)(struct event *, uint32_t events);         /* EPOLL* bits; 0 from the ready list */
	int fd;                         /* -1: none, or closed */
	bool ready;                     /* on the ready list */
	bool buried;
	bool shared;                    /* other processes have the file too */
	struct event *next_ready;
	struct event *next_grave;
	void (*destroy)(struct event *);
};

struct outbox {                         /* see wire.h */
	struct wire *wire;              /* whose bytes these are; NULL: empty */
	uint32_t len;
	char *buf;                      /* OUTBOX bytes */
	char *sealed;                   /* what leaves by TLS; NULL: not needed yet */
};

struct loop {
	int epoll;
	bool stop;
	struct wheel wheel;
	struct alarms alarms;
	struct event *ready, **ready_last;
	struct event *graves;
	char *rbuf;                     /* LOOP_RBUF bytes: for whoever reads, until its turn ends */
	struct outbox out;
	struct pipe *pipes;             /* those at rest; pipe.h */
	uint32_t handshakes;            /* steps of TLS handshakes made in this turn */
	void (*after)(struct loop *);   /* at the end of every turn; may be NULL */
	uint64_t busy_us, lag_us;       /* working time, longest turn since last cleared */
	void *user;
};

int loop_init(struct loop *);
void loop_free(struct loop *);

/* Registers for EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET; -1 with errno. A descriptor that is in the loop already
 * (loop_release) is this event's from now on, and what is ready on it is reported again. */
int loop_add(struct loop *, struct event *);
void loop_ready(struct loop *, struct event *);
/* Closes the descriptor and calls destroy() after the turn. Twice does no harm. */
void loop_bury(struct loop *, struct event *);
/* Takes it out, leaving the descriptor open and in the loop: before the turn ends, another event must be added with it,
 * or it must be closed. destroy() comes after the turn. */
void loop_release(struct loop *, struct event *);

/* Turns until `stop`. `wait_ms` bounds the sleep (-1: no bound). */
void loop_run(struct loop *);
void loop_turn(struct loop *, int wait_ms);

#endif
