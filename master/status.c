#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "master/master.h"
#include "master/notify.h"

const char *
status_death(int status, char *to, size_t size)
{
	if (WIFSIGNALED(status))
		snprintf(to, size, "was killed by signal %d (%s)%s", WTERMSIG(status),
			 strsignal(WTERMSIG(status)),
			 WCOREDUMP(status) ? ", core dumped" : "");
	else
		snprintf(to, size, "exited with status %d", WEXITSTATUS(status));
	return to;
}

static size_t
put_state(const struct master *m, char *to, size_t size)
{
	char addresses[256];

	switch (m->state) {
	case MASTER_STARTING:
		return (size_t)snprintf(to, size, "starting");
	case MASTER_STOPPING:
		return (size_t)snprintf(to, size, m->handed_over ? "a new binary serves; finishing" :
					"stopping");
	case MASTER_SERVING:
		break;
	}
	sockets_list(&m->sockets, addresses, sizeof(addresses));
	return (size_t)snprintf(to, size, "serving revision %llu with %u worker%s on %s",
				(unsigned long long)m->current->number, m->workers,
				m->workers == 1 ? "" : "s", addresses);
}

static bool
is_fresh(const struct master *m, const struct child *c)
{
	uint64_t beat = m->shared.slots->row[c->row].heartbeat;

	return beat + HEARTBEAT_OLD > clock_ms();
}

static size_t
put_workers(const struct master *m, char *to, size_t size)
{
	size_t len = 0;

	for (unsigned i = 0; m->state == MASTER_SERVING && i < m->workers && len < size;
	     i++) {
		const struct post *p = &m->posts[i];

		if (backoff_loops(&p->backoff) &&
		    (!p->child || p->child->state == CHILD_STARTING ||
		     clock_ms() - p->child->started < BACKOFF_YOUNG))
			len += (size_t)snprintf(to + len, size - len, "; worker %u KEEPS DYING", i);
		else if (p->child && !is_fresh(m, p->child))
			len += (size_t)snprintf(to + len, size - len, "; worker %u HANGS",
						i);
	}
	return len;
}

void
status_tell(struct master *m)
{
	char text[sizeof(m->status)];
	size_t len = put_state(m, text, sizeof(text));

	if (len < sizeof(text) && m->rejected[0] && m->state == MASTER_SERVING)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "; %s",
					m->rejected);
	if (len < sizeof(text))
		put_workers(m, text + len, sizeof(text) - len);
	if (strcmp(text, m->status) == 0)
		return;
	memcpy(m->status, text, sizeof(text));
	notify_send("STATUS=%s", text);
}

void
status_watchdog(struct master *m)
{
	uint64_t every = notify_watchdog(m->heir);

	if (!every || m->state != MASTER_SERVING || clock_ms() < m->next_watchdog)
		return;
	m->next_watchdog = clock_ms() + every;
	/* A vacant post is the backoff's business; a worker that lives but does not turn
	 * is the watchdog's. */
	for (unsigned i = 0; i < m->workers; i++)
		if (m->posts[i].child && !is_fresh(m, m->posts[i].child))
			return;
	notify_send("WATCHDOG=1");
}

/* Into the history that the keeper keeps. */
void
status_record(struct master *m, uint64_t number, bool ok, const char *why)
{
	struct channel_msg msg = {
		.kind = CHANNEL_REVISION, .ok = ok, .generation = number,
		.at = m->state != MASTER_STARTING ? CHANNEL_BY_SIGNAL :
		      m->heir ? CHANNEL_BY_UPGRADE : CHANNEL_BY_START,
		.ms = (uint64_t)time(NULL) * 1000,
	};

	struct control *c = m->shared.control;

	if (c) {
		atomic_fetch_add(ok ? &c->reloads_ok : &c->reloads_failed, 1);
		c->reload_good = ok;
		c->revision = m->current ? m->current->number : 0;
		c->reloaded_at = msg.ms;
	}
	snprintf(msg.text, sizeof(msg.text), "%s", why);
	if (m->keeper.child)
		spawn_tell(m->keeper.child, &msg, -1);
}
