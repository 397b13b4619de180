#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "master/master.h"
#include "master/notify.h"
#include "master/rundir.h"

static const char *const level_names[] = {
	[STOP_QUIT] = "finishing what is under way", [STOP_TERM] = "finishing soon",
	[STOP_NOW] = "stopping now", [STOP_KILL] = "killing what is left",
};

static bool
any(struct master *m, enum slot_role role)
{
	EACH_CHILD(m, c)
		if (c->role == role)
			return true;
	return false;
}

static void
tell_stop(struct master *m, enum slot_role role)
{
	struct channel_msg msg = { .kind = CHANNEL_STOP };

	EACH_CHILD(m, c) {
		if (c->role != role)
			continue;
		c->state = CHILD_DRAINING;
		spawn_tell(c, &msg, -1);
	}
}

static void
drain_workers(struct master *m, uint64_t ms)
{
	EACH_CHILD(m, c)
		if (c->role == SLOT_WORKER)
			spawn_drain(m, c, ms, m->handed_over);
	m->stop_deadline = clock_ms() + ms + DRAIN_SLACK;
}

static void
kill_all(struct master *m)
{
	EACH_CHILD(m, c)
		kill(c->pid, SIGKILL);
}

/* Once, at the first word of it. */
static void
leave_service(struct master *m)
{
	m->state = MASTER_STOPPING;
	reload_stop(m);
	if (m->upgrade.pid && !m->handed_over)
		kill(m->upgrade.pid, SIGTERM);
	if (!m->handed_over)
		notify_send("STOPPING=1");
	/* The workers have their own descriptors: they serve what is in the queues, then
	 * nobody listens. A new binary that gives up leaves the files of unix sockets
	 * to the master before it, which goes on. */
	sockets_close(&m->sockets, !m->handed_over && m->bequest.ready < 0);
}

void
stop_ask(struct master *m, enum stop_level level)
{
	const struct conf_gateway *g =
		m->current ? &m->current->image->model->gateway : NULL;

	if (level <= m->stopping)
		return;
	m->stopping = level;
	if (m->state != MASTER_STOPPING)
		leave_service(m);
	if (!g)
		level = STOP_NOW;
	else if (!m->exit_status)
		log_notice("%s", level_names[level]);
	switch (level) {
	case STOP_QUIT:
		drain_workers(m, g->drain);
		break;
	case STOP_TERM:
		drain_workers(m, g->drain_term);
		break;
	case STOP_NOW:
		tell_stop(m, SLOT_WORKER);
		m->stop_deadline = clock_ms() + STOP_GRACE;
		break;
	case STOP_KILL:
		kill_all(m);
		m->stop_deadline = clock_ms() + STOP_GRACE;
		break;
	}
	status_tell(m);
}

void
stop_check(struct master *m)
{
	if (m->state != MASTER_STOPPING)
		return;
	if (!any(m, SLOT_WORKER) && any(m, SLOT_KEEPER) && m->keeper.child) {
		/* The last to go: it reads what the workers left. */
		m->keeper.child = NULL;
		tell_stop(m, SLOT_KEEPER);
		m->stop_deadline = clock_ms() + STOP_GRACE;
	}
	if (clock_ms() < m->stop_deadline)
		return;
	if (m->stopping < STOP_NOW && any(m, SLOT_WORKER))
		stop_ask(m, STOP_NOW);
	else if (m->stopping < STOP_KILL)
		stop_ask(m, STOP_KILL);
	else
		m->stop_deadline = clock_ms() + STOP_GRACE;
}

bool
stop_is_over(const struct master *m)
{
	if (m->state != MASTER_STOPPING)
		return false;
	for (int i = 0; i < SLOTS_MAX; i++)
		if (m->children[i].state != CHILD_NONE)
			return false;
	return true;
}
