#include "master/master.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "master/heritage.h"
#include "master/notify.h"
#include "master/rundir.h"

/* ---- signals */

static int
open_signals(struct master *m)
{
	static const int ours[] = { SIGHUP,  SIGUSR1, SIGUSR2, SIGQUIT,
				    SIGTERM, SIGINT,  SIGCHLD };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		sigaddset(&set, ours[i]);
	sigprocmask(SIG_SETMASK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	/* Inherited as ignored, children would vanish unseen. */
	signal(SIGCHLD, SIG_DFL);
	m->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (m->signals < 0)
		log_error("signalfd: %s", strerror(errno));
	return m->signals < 0 ? -1 : 0;
}

static void
reopen_logs(struct master *m)
{
	struct channel_msg msg = { .kind = CHANNEL_REOPEN };

	EACH_CHILD(m, c)
		spawn_tell(c, &msg, -1);
}

static void
obey(struct master *m, int sig)
{
	switch (sig) {
	case SIGHUP:
		reload_ask(m);
		break;
	case SIGUSR1:
		reopen_logs(m);
		break;
	case SIGUSR2:
		upgrade_ask(m);
		break;
	case SIGQUIT:
		stop_ask(m, m->stopping ? STOP_TERM : STOP_QUIT);
		break;
	case SIGTERM:
		stop_ask(m, m->stopping >= STOP_TERM ? STOP_NOW : STOP_TERM);
		break;
	case SIGINT:
		stop_ask(m, STOP_NOW);
		break;
	}
}

static void
read_signals(struct master *m)
{
	struct signalfd_siginfo info;

	while (read(m->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
		obey(m, (int)info.ssi_signo);
	/* Several deaths are one SIGCHLD. */
	spawn_reap(m);
}

/* ---- serving begins */

static void
announce(struct master *m)
{
	char addresses[512];

	m->state = MASTER_SERVING;
	sockets_list(&m->sockets, addresses, sizeof(addresses));
	if (pidfile_write(m->pid_file) < 0)
		log_warn("%s: %s", m->pid_file, strerror(errno));
	upgrade_tell_ready(m);
	printf("postern %s: serving revision %llu with %u worker%s on %s\n",
	       POSTERN_VERSION, (unsigned long long)m->current->number, m->workers,
	       m->workers == 1 ? "" : "s", addresses);
	fflush(stdout);
	notify_send("READY=1");
	status_tell(m);
	if (m->upgrade.state == UPGRADE_ASKED)
		upgrade_ask(m);
}

static void
check_start(struct master *m)
{
	if (m->state != MASTER_STARTING || !m->current)
		return;
	if (!m->start_deadline)
		m->start_deadline = clock_ms() + READY_TIMEOUT;
	if (spawn_all_serve(m)) {
		announce(m);
	} else if (clock_ms() >= m->start_deadline) {
		log_error("the workers did not begin to serve within %d s", READY_TIMEOUT / 1000);
		m->exit_status = 1;
		stop_ask(m, STOP_NOW);
	}
}

/* ---- the loop */

static void
sooner(uint64_t *next, uint64_t at)
{
	if (at && at < *next)
		*next = at;
}

static int
wait_ms(const struct master *m)
{
	uint64_t now = clock_ms(), next = now + HEARTBEAT;

	sooner(&next, m->next_heartbeat);
	sooner(&next, spawn_next(m));
	if (notify_watchdog(m->heir))
		sooner(&next, m->next_watchdog);
	if (m->reload.state == RELOAD_BUILDING)
		sooner(&next, m->reload.build.deadline);
	else if (m->reload.state != RELOAD_NONE)
		sooner(&next, m->reload.deadline);
	if (m->upgrade.state == UPGRADE_WAITING)
		sooner(&next, m->upgrade.deadline);
	if (m->state == MASTER_STOPPING)
		sooner(&next, m->stop_deadline);
	return next > now ? (int)(next - now) : 0;
}

static uint32_t
count_generations(const struct master *m)
{
	uint32_t n = 0;

	for (const struct generation *g = m->generations; g; g = g->next)
		n++;
	return n;
}

static void
heartbeat(struct master *m)
{
	struct slot *s;

	if (clock_ms() < m->next_heartbeat)
		return;
	m->next_heartbeat = clock_ms() + HEARTBEAT;
	if (m->shared.slots && m->row < 0) {
		m->row = slots_claim(m->shared.slots, SLOT_MASTER, 0, getpid());
		if (m->row >= 0)
			m->shared.slots->row[m->row].state = SLOT_SERVING;
	}
	if (m->shared.slots && m->row >= 0) {
		s = &m->shared.slots->row[m->row];
		s->heartbeat = clock_ms();
		s->generation = m->current ? m->current->number : 0;
		m->shared.control->generations = count_generations(m);
		poison_tick(m->shared.poison, clock_ms());
		shared_bury(&m->shared, getpid());
		tickets_tick(m->shared.tickets, clock_wall_ms());
	}
	spawn_overdue(m);
	status_tell(m);
}

struct watched {
	struct pollfd fds[SLOTS_MAX + 3];
	struct child *child[SLOTS_MAX + 3];
	nfds_t n;
};

static void
watch(struct watched *w, int fd, struct child *child)
{
	w->child[w->n] = child;
	w->fds[w->n++] = (struct pollfd){ .fd = fd, .events = POLLIN };
}

static void
turn(struct master *m)
{
	struct watched w = { .n = 0 };

	/* The first three have their places; poll() passes over what is negative. */
	watch(&w, m->signals, NULL);
	watch(&w, m->reload.state == RELOAD_BUILDING ? m->reload.build.pipe : -1, NULL);
	watch(&w, m->upgrade.ready, NULL);
	EACH_CHILD(m, c)
		watch(&w, c->channel, c);
	if (poll(w.fds, w.n, wait_ms(m)) < 0)
		w.n = 0;
	clock_update();
	for (nfds_t i = 3; i < w.n; i++)
		if (w.fds[i].revents && w.child[i]->channel == w.fds[i].fd)
			spawn_listen(m, w.child[i]);
	if (m->reload.state == RELOAD_BUILDING &&
	    ((w.n && w.fds[1].revents) || clock_ms() >= m->reload.build.deadline))
		reload_built(m);
	upgrade_check(m, w.n && w.fds[2].revents);
	read_signals(m);
	spawn_posts(m);
	reload_check(m);
	check_start(m);
	stop_check(m);
	heartbeat(m);
	status_watchdog(m);
}

static void
clean_up(struct master *m)
{
	if (m->shared.slots && m->row >= 0)
		slots_release(m->shared.slots, m->row);
	if (m->pid_file)
		pidfile_remove(m->pid_file);
	m->current = NULL;
	generation_sweep(m);
	region_close(m->region);
	bequest_free(&m->bequest);
	free(m->program);
	free(m->rundir);
	free(m->pid_file);
	free(m);
}

int
master_run(const char *file, char **argv, bool single)
{
	struct master *m = calloc(1, sizeof(*m));
	int status = 1;

	if (!m)
		return 1;
	m->file = file;
	m->argv = argv;
	m->forks = !single;
	log_setup("master", LOG_LEVEL_INFO);
	clock_update();
	activation_take(&m->sockets.activation);
	if (setup_early(m) < 0) {
		free(m);
		return 1;
	}
	bequest_init(&m->bequest);
	if (single) {
		status = setup_single(m);
	} else if (open_signals(m) == 0) {
		upgrade_take(m);
		reload_ask(m);
		while (!stop_is_over(m))
			turn(m);
		status = m->exit_status;
	}
	clean_up(m);
	return status;
}
