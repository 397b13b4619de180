#include "shm/shared.h"

int
shared_open(struct shared *s, struct region *r)
{
	s->region = r;
	if (!(s->control = control_open(r)) || !(s->slots = slots_open(r)) ||
	    stats_open(&s->stats, r) < 0 || !(s->tallies = tallies_open(r)) ||
	    !(s->rings = rings_open(r)) || !(s->cells = cells_open(r)) ||
	    !(s->quotas = quotas_open(r)) || meters_open(&s->meters, r) < 0 ||
	    inflight_open(&s->inflight, r) < 0 || !(s->poison = poison_open(r)) ||
	    !(s->pace = pace_open(r)) || !(s->tickets = tickets_open(r)) ||
	    !(s->tokens = tokens_open(r)))
		return -1;
	return 0;
}

/* A read-only mapping: the pointers lose their const, the pages do not. */
#define VIEW(find) ((void *)(uintptr_t)(find))

int
shared_find(struct shared *s, const struct region *r)
{
	s->region = VIEW(r);
	s->control = VIEW(control_find(r));
	s->slots = VIEW(slots_find(r));
	s->tallies = VIEW(tallies_find(r));
	s->rings = VIEW(rings_find(r));
	s->cells = VIEW(cells_find(r));
	s->quotas = VIEW(quotas_find(r));
	s->poison = VIEW(poison_find(r));
	s->pace = VIEW(pace_find(r));
	s->tickets = VIEW(tickets_find(r));
	s->tokens = VIEW(tokens_find(r));
	if (!s->control || !s->slots || !s->tallies || !s->rings || !s->cells ||
	    !s->quotas || !s->poison || !s->pace || !s->tickets ||
	    !s->tokens)
		return -1;
	return stats_find(&s->stats, r) < 0 || meters_find(&s->meters, r) < 0 ||
			       inflight_find(&s->inflight, r) < 0
		       ? -1
		       : 0;
}

int
shared_reserve_row(struct shared *s, int row)
{
	if (stats_reserve(&s->stats, row) < 0 ||
	    tally_reserve(s->region, s->tallies, row) < 0 ||
	    ring_reserve(s->region, s->rings, row) < 0)
		return -1;
	inflight_clear(&s->inflight, row);
	return 0;
}

void
shared_bury(struct shared *s, int32_t me)
{
	for (int i = 0; i < SLOTS_MAX; i++) {
		struct slot *row = &s->slots->row[i];
		int32_t pid = row->pid;

		if (pid <= 0 || slot_alive(row))
			continue;
		/* Ours while we are at it: nobody claims it before it is clear. */
		if (!atomic_compare_exchange_strong(&row->pid, &pid, me))
			continue;
		if (row->role == SLOT_WORKER)
			inflight_clear(&s->inflight, i);
		slots_release(s->slots, i);
	}
}
