/* alarm — wakes at a moment, to the millisecond: for requests that are held back for their turn.
 *
 * Timers (timer.h) are cheap and up to 64 ms late; alarms are a heap, and few. Embedded in
 * what waits; the heap only points to them. */
#ifndef NET_ALARM_H
#define NET_ALARM_H

#include <stdint.h>

struct loop;

struct alarm {
	uint64_t at;                    /* ns of clock_now() */
	uint32_t place;                 /* in the heap, from 1; 0: not set */
	void (*fire)(struct alarm *);
};

struct alarms {                         /* of a loop */
	struct alarm **heap;
	uint32_t n, room;
};

/* Fires once at `at` or within a millisecond after. Set again: moves. */
void alarm_set(struct alarms *, struct alarm *, uint64_t at);
void alarm_clear(struct alarms *, struct alarm *);
/* Fires what is due. Returns ms until the next, rounded up; -1: none. */
int alarms_run(struct alarms *, uint64_t now);
void alarms_free(struct alarms *);

#endif
