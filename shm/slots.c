#include "shm/slots.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

static const struct region_shape shape = { "slots", 1, sizeof(struct slots), 1 };

struct slots *
slots_open(struct region *r)
{
	struct slots *s = region_segment(r, &shape, NULL);

	return s && region_reserve(r, s, sizeof(*s)) == 0 ? s : NULL;
}

const struct slots *
slots_find(const struct region *r)
{
	return region_find(r, &shape);
}

static bool
pid_alive(int32_t pid)
{
	return pid > 0 && (kill(pid, 0) == 0 || errno == EPERM);
}

bool
slot_alive(const struct slot *row)
{
	return pid_alive(row->pid);
}

static uint64_t
now_ms(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* How well a row fits; 0: not at all. */
static int
fitness(const struct slot *row, enum slot_role role, uint32_t number, int32_t pid)
{
	int32_t owner = row->pid;
	bool same = row->role == (uint32_t)role && row->number == number;

	if (pid_alive(owner) && !(same && owner == pid))
		return 0;
	return same ? 3 : row->role == SLOT_FREE ? 2 : 1;
}

int
slots_claim(struct slots *s, enum slot_role role, uint32_t number, int32_t pid)
{
	struct slot *row;
	int32_t owner;
	int best, fit, found;

again:
	best = -1;
	found = 0;
	for (int i = 0; i < SLOTS_MAX && found < 3; i++) {
		fit = fitness(&s->row[i], role, number, pid);
		if (fit > found) {
			found = fit;
			best = i;
		}
	}
	if (best < 0)
		return -1;
	row = &s->row[best];
	owner = row->pid;
	if (fitness(row, role, number, pid) != found ||
	    !atomic_compare_exchange_strong(&row->pid, &owner, pid))
		goto again;
	row->state = SLOT_STARTING;
	row->role = role;
	row->number = number;
	row->generation = 0;
	row->connections = 0;
	row->exchanges = 0;
	row->upstream_connections = 0;
	row->lag = 0;
	row->heartbeat = now_ms(CLOCK_MONOTONIC);
	row->started = now_ms(CLOCK_REALTIME);
	return best;
}

void
slots_release(struct slots *s, int row)
{
	if (row < 0 || row >= SLOTS_MAX)
		return;
	s->row[row].connections = 0;
	s->row[row].exchanges = 0;
	s->row[row].upstream_connections = 0;
	atomic_store(&s->row[row].pid, 0);
}
