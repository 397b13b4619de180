#include "worker/net/alarm.h"

#include <stdlib.h>

static void
put(struct alarms *s, uint32_t place, struct alarm *a)
{
	s->heap[place - 1] = a;
	a->place = place;
}

static void
rise(struct alarms *s, struct alarm *a)
{
	uint32_t at = a->place;

	for (; at > 1 && s->heap[at / 2 - 1]->at > a->at; at /= 2)
		put(s, at, s->heap[at / 2 - 1]);
	put(s, at, a);
}

static void
sink(struct alarms *s, struct alarm *a)
{
	uint32_t at = a->place, child;

	while ((child = 2 * at) <= s->n) {
		if (child < s->n && s->heap[child]->at < s->heap[child - 1]->at)
			child++;
		if (s->heap[child - 1]->at >= a->at)
			break;
		put(s, at, s->heap[child - 1]);
		at = child;
	}
	put(s, at, a);
}

void
alarm_set(struct alarms *s, struct alarm *a, uint64_t at)
{
	if (!a->place) {
		if (s->n == s->room) {
			s->room = s->room ? s->room * 2 : 64;
			s->heap = realloc(s->heap, s->room * sizeof(*s->heap));
			if (!s->heap)
				abort();
		}
		put(s, ++s->n, a);
	}
	a->at = at;
	rise(s, a);
	sink(s, a);
}

void
alarm_clear(struct alarms *s, struct alarm *a)
{
	struct alarm *last;
	uint32_t place = a->place;

	if (!place)
		return;
	a->place = 0;
	last = s->heap[--s->n];
	if (last == a)
		return;
	put(s, place, last);
	rise(s, last);
	sink(s, last);
}

int
alarms_run(struct alarms *s, uint64_t now)
{
	uint64_t ms;

	while (s->n && s->heap[0]->at <= now) {
		struct alarm *a = s->heap[0];

		alarm_clear(s, a);
		a->fire(a);
	}
	if (!s->n)
		return -1;
	ms = (s->heap[0]->at - now + 999999) / 1000000;
	return ms < 3600000 ? (int)ms : 3600000;
}

void
alarms_free(struct alarms *s)
{
	free(s->heap);
	*s = (struct alarms){ 0 };
}
