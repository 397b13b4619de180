/* timer — deadlines on a lazy wheel.
 *
 * Moving a deadline further away costs one store: the timer stays where it is on the
 * wheel, is found not due when its turn comes, and is hung further. Ticks are 64 ms: a
 * timer fires at its deadline or up to a tick later, never before. */
#ifndef NET_TIMER_H
#define NET_TIMER_H

#include <stdint.h>

#include "base/list.h"

enum { TIMER_TICK_MS = 64, TIMER_SLOTS = 512 };

struct timer {
	struct list link;               /* on the wheel; NULL pointers before its first use */
	uint64_t due;                   /* ms of clock_ms(); 0: not armed */
	uint64_t hung;                  /* the ms it is hung at; only ever before or at `due` */
	void (*fire)(struct timer *);
};

struct wheel {
	struct list slot[TIMER_SLOTS];
	uint64_t busy[TIMER_SLOTS / 64];        /* a bit for each slot that may have timers */
	uint64_t tick;                  /* the last one that was run */
	uint32_t armed;                 /* timers on the wheel */
};

void wheel_init(struct wheel *, uint64_t now_ms);
void timer_hang(struct wheel *, struct timer *, uint64_t due);

/* Fires at `due` (ms). Costs two compares when the deadline moves away. */
static inline void
timer_set(struct wheel *w, struct timer *t, uint64_t due)
{
	if (t->link.next && t->hung && due >= t->hung)
		t->due = due;
	else
		timer_hang(w, t, due);
}

/* Does not fire any more, but stays hung until its turn. */
static inline void
timer_clear(struct timer *t)
{
	t->due = 0;
}

/* Takes it off at once: before its memory goes. */
void timer_remove(struct wheel *, struct timer *);

/* Fires what is due. Returns ms until the next tick with work, or -1 when nothing is armed. */
int wheel_run(struct wheel *, uint64_t now_ms);

#endif
