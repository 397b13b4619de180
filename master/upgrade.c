#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "master/heritage.h"
#include "master/master.h"
#include "master/notify.h"

static void
fill(const struct master *m, struct bequest *b, int ready)
{
	bequest_init(b);
	b->ready = ready;
	b->lock = m->lock;
	b->revision = m->last_number;
	for (const struct bound *a = m->sockets.first; a; a = a->next)
		for (unsigned i = 0; i < a->kept && !a->passed; i++)
			if (a->current && a->slots[i].fd >= 0)
				bequest_add(b, a->slots[i].fd, i, a->address);
	/* The next master finds out itself which address they are for. */
	for (size_t i = 0; i < m->sockets.activation.n; i++)
		bequest_pass(b, m->sockets.activation.at[i].fd,
			     m->sockets.activation.at[i].name);
}

static void
keep_open(int fd)
{
	int flags = fcntl(fd, F_GETFD);

	if (flags >= 0)
		fcntl(fd, F_SETFD, flags & ~FD_CLOEXEC);
}

static _Noreturn void
execute(const struct master *m, int ready)
{
	struct bequest b;
	char number[16];
	int fd;

	heritage_signals();
	fill(m, &b, ready);
	fd = bequest_write(&b);
	snprintf(number, sizeof(number), "%d", fd);
	if (fd < 0 || setenv(BEQUEST_VARIABLE, number, 1) < 0)
		_exit(126);
	keep_open(b.ready);
	keep_open(b.lock);
	for (size_t i = 0; i < b.nsockets; i++)
		keep_open(b.sockets[i].fd);
	for (size_t i = 0; i < b.npassed; i++)
		keep_open(b.passed[i].fd);
	execv(m->program, m->argv);
	log_error("cannot execute %s: %s", m->program, strerror(errno));
	_exit(127);
}

static void
start(struct master *m)
{
	struct upgrade *u = &m->upgrade;
	int ends[2];

	u->state = UPGRADE_NONE;
	if (pipe2(ends, O_CLOEXEC) < 0) {
		log_error("binary upgrade: %s", strerror(errno));
		return;
	}
	fflush(NULL);
	u->pid = fork();
	if (u->pid == 0) {
		close(ends[0]);
		execute(m, ends[1]);
	}
	close(ends[1]);
	if (u->pid < 0) {
		log_error("binary upgrade: %s", strerror(errno));
		u->pid = 0;
		close(ends[0]);
		return;
	}
	u->ready = ends[0];
	u->state = UPGRADE_WAITING;
	u->deadline = clock_ms() + BUILD_TIMEOUT + READY_TIMEOUT;
	log_notice("binary upgrade: %s is starting as pid %d", m->program, (int)u->pid);
}

void
upgrade_ask(struct master *m)
{
	if (m->state == MASTER_STOPPING || m->upgrade.state == UPGRADE_WAITING)
		return;
	m->upgrade.state = UPGRADE_ASKED;
	/* With what a reload will have decided, not with half of it; and only once we
	 * serve ourselves. */
	if (m->reload.state == RELOAD_NONE && m->state == MASTER_SERVING)
		start(m);
}

static void
forget(struct master *m)
{
	struct upgrade *u = &m->upgrade;

	if (u->ready >= 0)
		close(u->ready);
	u->ready = -1;
	u->state = UPGRADE_NONE;
}

static void
failed(struct master *m, const char *why)
{
	forget(m);
	log_error("binary upgrade: the new master %s; this one keeps serving", why);
	snprintf(m->rejected, sizeof(m->rejected), "binary upgrade FAILED: %.100s", why);
	if (m->reload.again)
		reload_ask(m);
}

void
upgrade_check(struct master *m, bool readable)
{
	struct upgrade *u = &m->upgrade;
	char said;

	if (u->state != UPGRADE_WAITING)
		return;
	if (readable) {
		if (read(u->ready, &said, 1) == 1) {
			forget(m);
			m->handed_over = true;
			log_notice("binary upgrade: pid %d serves", (int)u->pid);
			notify_send("MAINPID=%d", (int)u->pid);
			stop_ask(m, STOP_QUIT);
		} else {
			failed(m, "gave up");
		}
	} else if (clock_ms() >= u->deadline) {
		kill(u->pid, SIGKILL);
		failed(m, "did not become ready in time");
	}
}

void
upgrade_reaped(struct master *m, int status)
{
	char how[96];

	m->upgrade.pid = 0;
	status_death(status, how, sizeof(how));
	if (m->upgrade.state == UPGRADE_WAITING)
		failed(m, how);
	else if (m->handed_over)
		log_error("the new master %s", how);
}

void
upgrade_take(struct master *m)
{
	struct bequest *b = &m->bequest;
	int rc = bequest_take(b);

	if (rc < 0)
		log_error("$" BEQUEST_VARIABLE " cannot be understood: starting afresh");
	if (rc <= 0)
		return;
	m->heir = true;
	m->last_number = b->revision;
	for (size_t i = 0; i < b->nsockets; i++)
		sockets_adopt(&m->sockets, b->sockets[i].address, b->sockets[i].slot,
			      b->sockets[i].fd);
	for (size_t i = 0; i < b->npassed; i++)
		activation_add(&m->sockets.activation, b->passed[i].fd,
			       b->passed[i].address);
}

void
upgrade_tell_ready(struct master *m)
{
	if (m->bequest.ready < 0)
		return;
	if (write(m->bequest.ready, "R", 1) != 1)
		log_warn("the master before us is gone");
	close(m->bequest.ready);
	m->bequest.ready = -1;
}
