#include "worker/net/timer.h"

#include <string.h>

void
wheel_init(struct wheel *w, uint64_t now_ms)
{
	memset(w, 0, sizeof(*w));
	for (int i = 0; i < TIMER_SLOTS; i++)
		list_init(&w->slot[i]);
	w->tick = now_ms / TIMER_TICK_MS;
}

static void
take_off(struct wheel *w, struct timer *t)
{
	list_remove(&t->link);
	t->hung = 0;
	w->armed--;
}

void
timer_hang(struct wheel *w, struct timer *t, uint64_t due)
{
	uint64_t tick = (due + TIMER_TICK_MS - 1) / TIMER_TICK_MS;
	unsigned slot;

	if (t->link.next && t->hung)
		take_off(w, t);
	if (tick <= w->tick)
		tick = w->tick + 1;
	if (tick >= w->tick + TIMER_SLOTS)
		tick = w->tick + TIMER_SLOTS - 1;
	slot = tick % TIMER_SLOTS;
	list_append(&w->slot[slot], &t->link);
	w->busy[slot / 64] |= 1ull << slot % 64;
	t->due = due;
	t->hung = tick * TIMER_TICK_MS;
	w->armed++;
}

void
timer_remove(struct wheel *w, struct timer *t)
{
	if (t->link.next && t->hung)
		take_off(w, t);
	t->due = 0;
}

static void
run_slot(struct wheel *w, unsigned slot, uint64_t now_ms)
{
	struct list due;

	w->busy[slot / 64] &= ~(1ull << slot % 64);
	if (list_empty(&w->slot[slot]))
		return;
	/* Firing may hang others here again: work on a list of our own. */
	due = w->slot[slot];
	due.next->prev = due.prev->next = &due;
	list_init(&w->slot[slot]);
	while (!list_empty(&due)) {
		struct timer *t = list_entry(due.next, struct timer, link);

		take_off(w, t);
		if (!t->due)
			continue;
		if (t->due > now_ms) {
			timer_hang(w, t, t->due);
		} else {
			t->due = 0;
			t->fire(t);
		}
	}
}

/* Ticks from the current one to the next slot with something on it. */
static unsigned
ticks_ahead(const struct wheel *w)
{
	unsigned from = (unsigned)((w->tick + 1) % TIMER_SLOTS);

	for (unsigned n = 0; n < TIMER_SLOTS;) {
		unsigned at = (from + n) % TIMER_SLOTS;
		uint64_t bits = w->busy[at / 64] >> at % 64;

		if (bits)
			return n + 1 + (unsigned)__builtin_ctzll(bits);
		n += 64 - at % 64;
	}
	return TIMER_SLOTS;
}

int
wheel_run(struct wheel *w, uint64_t now_ms)
{
	uint64_t now = now_ms / TIMER_TICK_MS;

	if (now > w->tick + TIMER_SLOTS) /* asleep for long: one round will do */
		w->tick = now - TIMER_SLOTS;
	while (w->tick < now) {
		w->tick++;
		run_slot(w, w->tick % TIMER_SLOTS, now_ms);
	}
	if (!w->armed)
		return -1;
	return (int)((w->tick + ticks_ahead(w)) * TIMER_TICK_MS - now_ms);
}
